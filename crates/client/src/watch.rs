//! `watch` and `exec-watch`.

use crate::context::Context;
use crate::event::Event;
use crate::failure::Failure;
use crate::follow::{Follow, News};
use crate::key;
use crate::options::Format;
use crate::show;
use crate::term::{Screen, print, say};
use clap::Args;
use serde_json::json;
use std::io;
use std::process::{Command, ExitStatus};

/// `stead watch`.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// The key
    key: String,
    /// Go on after the first event
    #[arg(long, short)]
    forever: bool,
    /// Begin with the events behind this index
    #[arg(long, value_name = "INDEX")]
    after_index: Option<u64>,
    /// Watch all that is below the key as well
    #[arg(long, short)]
    recursive: bool,
    /// Run PROGRAM for each event instead of printing it
    #[arg(long, requires = "program")]
    exec: bool,
    /// The program for --exec, and its arguments
    #[arg(last = true, requires = "exec", value_name = "PROGRAM")]
    program: Vec<String>,
}

/// `stead exec-watch`.
#[derive(Args, Debug)]
pub(crate) struct ExecWatch {
    /// The key
    key: String,
    /// The program, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    #[arg(value_name = "PROGRAM")]
    program: Vec<String>,
    /// Begin with the events behind this index
    #[arg(long, value_name = "INDEX")]
    after_index: Option<u64>,
    /// Watch all that is below the key as well
    #[arg(long, short)]
    recursive: bool,
}

pub(crate) fn watch(args: &Watch, cx: &mut Context) -> Result<u8, Failure> {
    let key = key::normal(&args.key)?;
    let (format, screen) = (cx.format, cx.screen);
    let after = args.after_index;
    let mut follow = Follow::new(&mut cx.client, key.clone(), args.recursive, after);
    loop {
        let news = follow.next()?;
        let code = match args.program.split_first() {
            Some(program) if args.exec => run(program, &key, &news)?,
            _ => {
                print(&text(format, screen, args.recursive, &news))?;
                0
            }
        };
        if !args.forever {
            return Ok(code);
        }
    }
}

pub(crate) fn exec_watch(args: &ExecWatch, cx: &mut Context) -> Result<u8, Failure> {
    let key = key::normal(&args.key)?;
    let Some(program) = args.program.split_first() else {
        return Err(Failure::Usage("name a program".to_owned()));
    };
    let after = args.after_index;
    let mut follow = Follow::new(&mut cx.client, key.clone(), args.recursive, after);
    loop {
        let news = follow.next()?;
        match &news {
            // As etcdctl 2 does.
            News::Event(event, _) if event.node.dir => {
                say(&format!("Ignored dir {} change", event.node.key().escape_debug()));
            }
            news => {
                run(program, &key, news)?;
            }
        }
    }
}

fn text(format: Format, screen: Screen, is_recursive: bool, news: &News) -> String {
    let (event, document) = match news {
        News::Event(event, document) => (event, document),
        News::Gap { after, next, now } if format == Format::Json => {
            let now = now.as_ref().and_then(|body| serde_json::from_slice(body).ok());
            let now: serde_json::Value = now.unwrap_or_default();
            let gap = json!({
                "action": "lost", "afterIndex": after, "nextIndex": next, "node": now["node"],
            });
            return format!("{gap}\n");
        }
        News::Gap { .. } => return String::new(),
    };
    let head = match is_recursive || event.node.dir {
        true => format!("[{}] {}\n", event.action, screen.name(event.node.key())),
        false => String::new(),
    };
    match format {
        Format::Json => show::json(document),
        Format::Extended => {
            head + &show::extended(screen, event.node.key(), event, event.node.modified_index)
                + "\n"
        }
        Format::Simple if event.node.dir => head,
        Format::Simple => head + &show::simple(screen, event),
    }
}

/// The variables that the program gets, as etcdctl 2 gives them.
fn variables(key: &str, news: &News) -> [(&'static str, String); 4] {
    let (action, key, value, index) = match news {
        News::Event(event, _) => {
            let Event { action, node, .. } = &**event;
            (action.as_str(), node.key(), node.value(), node.modified_index)
        }
        News::Gap { next, .. } => ("lost", key, "", *next),
    };
    [
        ("ETCD_WATCH_ACTION", action.to_owned()),
        ("ETCD_WATCH_KEY", key.to_owned()),
        ("ETCD_WATCH_VALUE", value.to_owned()),
        ("ETCD_WATCH_MODIFIED_INDEX", index.to_string()),
    ]
}

/// Runs the program and waits for its end. Gives its exit code.
pub(crate) fn run(program: (&String, &[String]), key: &str, news: &News) -> Result<u8, Failure> {
    let mut variables = variables(key, news);
    let mut start = || {
        let mut command = Command::new(program.0);
        command.args(program.1).envs(variables.iter().map(|(name, value)| (name, value)));
        let status = command.status();
        let is_value = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::ArgumentListTooLong)
        };
        match status {
            Err(error) if is_value(&error) => {
                // The environment takes neither NUL nor values without a bound.
                say("the value cannot be given in ETCD_WATCH_VALUE, which is empty: read the key");
                variables[2].1.clear();
                let mut command = Command::new(program.0);
                command.args(program.1).envs(variables.iter().map(|(name, value)| (name, value)));
                command.status()
            }
            status => status,
        }
    };
    match start() {
        Ok(status) => Ok(exit_code(status)),
        Err(error) => Err(Failure::Local(format!("cannot run {}: {error}", program.0))),
    }
}

/// The exit code of a program as a shell gives it.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(u8::MAX)
}
