//! `config get` and `config set`: the configuration of a cluster.

use crate::client::{Method, Reply, Request};
use crate::context::Context;
use crate::failure::Failure;
use crate::term::{print, table};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use std::fmt::Write as _;

const PATH: &str = "/v2/admin/config";

/// `stead config`.
#[derive(Args, Debug)]
pub(crate) struct Settings {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print activeSize, removeDelay and syncInterval
    Get {
        /// Print the value of this one only
        name: Option<String>,
    },
    /// Change some of them
    Set {
        /// NAME=NUMBER, as in activeSize=5
        #[arg(required = true, value_parser = pair, value_name = "NAME=NUMBER")]
        pairs: Vec<(String, f64)>,
    },
}

fn pair(text: &str) -> Result<(String, f64), String> {
    let wanted = || "NAME=NUMBER is wanted, as in activeSize=5".to_owned();
    let (name, number) = text.split_once('=').ok_or_else(wanted)?;
    let number: f64 = number.parse().map_err(|_| wanted())?;
    match name.is_empty() || !number.is_finite() {
        true => Err(wanted()),
        false => Ok((name.to_owned(), number)),
    }
}

pub(crate) fn settings(args: &Settings, cx: &mut Context) -> Result<(), Failure> {
    match &args.what {
        What::Get { name } => {
            let reply = cx.client.call(&Request::get(PATH.to_owned()))?;
            show(cx, &reply, name.as_deref())
        }
        What::Set { pairs } => {
            let mut body = Map::new();
            for (name, number) in pairs {
                // Whole numbers are sent as such.
                let value = match number.fract() == 0.0 && number.abs() < 1e15 {
                    true => serde_json::from_str(&format!("{number:.0}")).unwrap_or_default(),
                    false => Value::from(*number),
                };
                if body.insert(name.clone(), value).is_some() {
                    return Err(Failure::Usage(format!("{name} was given twice")));
                }
            }
            let check = "stead config get".to_owned();
            let request = Request::write(Method::PUT, PATH.to_owned(), check);
            let request = request.json(Value::from(body).to_string()).with_token();
            let reply = cx.client.call(&request)?;
            show(cx, &reply, None)
        }
    }
}

fn show(cx: &Context, reply: &Reply, name: Option<&str>) -> Result<(), Failure> {
    let config: Map<String, Value> = serde_json::from_slice(&reply.body)
        .map_err(|error| Failure::Local(format!("the answer is no configuration: {error}")))?;
    if let Some(name) = name {
        let Some(value) = config.get(name) else {
            let known: Vec<&str> = config.keys().map(String::as_str).collect();
            return Err(Failure::Usage(format!(
                "the cluster has no {name:?}: it has {}",
                known.join(", ")
            )));
        };
        return print(&format!("{value}\n"));
    }
    if cx.is_json() {
        return print(&format!("{}\n", Value::from(config)));
    }
    if cx.screen.is_terminal {
        let rows: Vec<_> =
            config.iter().map(|(name, value)| vec![name.clone(), value.to_string()]).collect();
        return print(&table(cx.screen, &["NAME", "VALUE"], &rows));
    }
    let mut out = String::new();
    for (name, value) in &config {
        let _ = writeln!(out, "{name}={value}");
    }
    print(&out)
}

#[test]
fn pairs_are_names_and_numbers() {
    assert_eq!(pair("activeSize=5"), Ok(("activeSize".to_owned(), 5.0)));
    assert_eq!(pair("removeDelay=1.5"), Ok(("removeDelay".to_owned(), 1.5)));
    for wrong in ["", "a", "=5", "a=x", "a=inf"] {
        assert!(pair(wrong).is_err(), "{wrong}");
    }
}
