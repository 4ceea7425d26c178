//! The answers of `/v2/admin/*` (docs/spec/cluster.md section 2).

use super::answers::{engine_error, error};
use super::error::{ApiError, COMPARE_FAILED, INVALID_FORM};
use super::json;
use super::members::body::error_body;
use super::pending::Waiting;
use crate::http::browser::is_json;
use crate::http::request::{Method, Request};
use crate::member::context::Context;
use crate::net::{Caller, Reply, Response};
use replica::{Answer, ClusterConfig, Failure, Member, Ticket};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Command, INDEX_RAISED_MAX};

/// Smaller values are lifted to these without a word, as the original does.
const ACTIVE_SIZE_MIN: u64 = 3;
const REMOVE_DELAY_MIN: f64 = 2.0;
const SYNC_INTERVAL_MIN: f64 = 1.0;

/// The largest delay that is kept, about 31 years; larger ones mean "never" all the same.
const SECONDS_MAX: f64 = 1e9;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    active_size: u64,
    remove_delay: f64,
    sync_interval: f64,
}

pub(crate) fn config_body(config: &ClusterConfig) -> Vec<u8> {
    let ClusterConfig { active_size, remove_delay, sync_interval } = *config;
    json::line(&Config { active_size, remove_delay, sync_interval })
}

/// The version of a configuration, as `ETag` shows it: what is in it.
fn version_of(config: &ClusterConfig) -> String {
    let ClusterConfig { active_size, remove_delay, sync_interval } = *config;
    format!("\"{active_size}-{remove_delay}-{sync_interval}\"")
}

/// The configuration of a version; nothing for what is none.
fn config_of(version: &str) -> Option<ClusterConfig> {
    let mut words = version.strip_prefix('"')?.strip_suffix('"')?.split('-');
    let active_size = words.next()?.parse().ok()?;
    let mut seconds = || words.next()?.parse().ok().filter(|seconds: &f64| seconds.is_finite());
    let (remove_delay, sync_interval) = (seconds()?, seconds()?);
    let config = ClusterConfig { active_size, remove_delay, sync_interval };
    (version_of(&config) == version).then_some(config)
}

/// Which configuration a change is for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Replaced {
    /// Whichever there is.
    Any,
    This(ClusterConfig),
    /// One that there cannot be.
    None,
}

/// Reads `If-Match`. Of several versions that may be there it is the present one, if that is one of
/// them.
fn replaced(if_match: Option<&[u8]>, current: ClusterConfig) -> Replaced {
    let Some(list) = if_match else { return Replaced::Any };
    let text = String::from_utf8_lossy(list);
    if text.trim() == "*" {
        return Replaced::Any;
    }
    let all: Vec<ClusterConfig> =
        text.split(',').filter_map(|version| config_of(version.trim())).collect();
    let found = all.iter().find(|config| **config == current).or(all.first());
    found.map_or(Replaced::None, |config| Replaced::This(*config))
}

fn show_config(config: &ClusterConfig) -> Response {
    let etag = format!("ETag: {}\r\n", version_of(config));
    Response::json(200, config_body(config)).with(etag)
}

/// The configuration with the members of a JSON object put into it. Members of another type and
/// unknown ones are passed over.
///
/// # Errors
/// What is wrong with a body that is no JSON object.
pub(crate) fn merge_config(current: ClusterConfig, body: &[u8]) -> Result<ClusterConfig, String> {
    let members = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return Err("the body is no JSON object".to_owned()),
        Err(error) => return Err(format!("the body is no JSON object: {error}")),
    };
    let number = |name: &str| members.get(name).and_then(Value::as_f64);
    let mut config = current;
    if let Some(size) = number("activeSize") {
        // A float of any size becomes an integer in range.
        config.active_size = size.clamp(0.0, SECONDS_MAX) as u64;
    }
    if let Some(delay) = number("removeDelay") {
        config.remove_delay = delay;
    }
    if let Some(interval) = number("syncInterval") {
        config.sync_interval = interval;
    }
    Ok(clamp_to_minimum(config))
}

/// The configuration with every value within its bounds.
pub(crate) fn clamp_to_minimum(config: ClusterConfig) -> ClusterConfig {
    ClusterConfig {
        active_size: config.active_size.max(ACTIVE_SIZE_MIN),
        remove_delay: config.remove_delay.clamp(REMOVE_DELAY_MIN, SECONDS_MAX),
        sync_interval: config.sync_interval.clamp(SYNC_INTERVAL_MIN, SECONDS_MAX),
    }
}

/// One machine as the admin API shows it.
#[derive(Clone, Debug, Serialize)]
struct Machine<'a> {
    name: &'a str,
    state: &'a str,
    #[serde(rename = "clientURL")]
    client_url: &'a str,
    #[serde(rename = "peerURL")]
    peer_url: &'a str,
}

/// A body that is not said to be JSON, where a form of a page would do harm.
pub(super) fn refuse_type() -> Response {
    Response::json(415, error_body("the Content-Type has to be application/json"))
}

/// `/v2/admin/config`.
pub(crate) fn config(cx: &mut Context, caller: Caller, request: &Request<'_>) -> Reply<Waiting> {
    let current = cx.driver.membership().config();
    if request.method != Method::Put {
        return show_config(&current).into();
    }
    // curl says a form where it is told nothing; a page has to say what it means.
    if request.sender.origin.is_some() && !is_json(request.content_type) {
        return refuse_type().into();
    }
    let from = match replaced(request.terms.if_match, current) {
        Replaced::Any => None,
        Replaced::This(config) => Some(config),
        Replaced::None => {
            let cause = "If-Match names no version of the configuration";
            return error(cx, &ApiError::new(COMPARE_FAILED, cause, cx.index())).into();
        }
    };
    match merge_config(from.unwrap_or(current), request.body) {
        Ok(config) => {
            cx.driver.propose_config(Ticket(caller.key.to_u64()), from, config);
            Reply::Wait(Waiting::Configure)
        }
        Err(detail) => error(cx, &ApiError::new(INVALID_FORM, detail, cx.index())).into(),
    }
}

/// The configuration was changed, or could not be.
pub(crate) fn configured(cx: &Context, outcome: &Answer) -> Response {
    match &outcome.outcome {
        Ok(_) => show_config(&cx.driver.membership().config()),
        Err(Failure::Store(refused)) => error(cx, &ApiError::from_store(refused, false)),
        Err(Failure::Engine(failed)) => engine_error(cx, *failed),
    }
}

/// The body of `PUT /v2/admin/index`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WantedIndex {
    at_least: u64,
}

/// `/v2/admin/index`: the key space goes on at an index, or where it is if that is more. Whoever
/// brings keys along from another server raises the index above the one that its clients know.
pub(crate) fn raise_index(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
) -> Reply<Waiting> {
    if request.sender.origin.is_some() && !is_json(request.content_type) {
        return refuse_type().into();
    }
    let wanted = match serde_json::from_slice::<WantedIndex>(request.body) {
        Ok(wanted) if wanted.at_least <= INDEX_RAISED_MAX => wanted,
        Ok(_) => {
            let detail = format!("atLeast is larger than {INDEX_RAISED_MAX}");
            return error(cx, &ApiError::new(INVALID_FORM, detail, cx.index())).into();
        }
        Err(wrong) => {
            let detail = format!("the body is not {{\"atLeast\":NUMBER}}: {wrong}");
            return error(cx, &ApiError::new(INVALID_FORM, detail, cx.index())).into();
        }
    };
    let command = Command::RaiseIndex { at_least: wanted.at_least };
    let who = super::auth::acting_as(cx);
    match cx.driver.propose_as(Ticket(caller.key.to_u64()), who.into(), &command) {
        Ok(()) => Reply::Wait(Waiting::RaiseIndex),
        Err(failed) => engine_error(cx, failed).into(),
    }
}

/// The index was raised, or could not be.
pub(crate) fn index_raised(cx: &Context, outcome: &Answer) -> Response {
    match &outcome.outcome {
        Ok(_) => Response::json(200, format!("{{\"index\":{}}}\n", cx.index())),
        Err(Failure::Store(refused)) => error(cx, &ApiError::from_store(refused, false)),
        Err(Failure::Engine(failed)) => engine_error(cx, *failed),
    }
}

fn machine_of<'a>(cx: &Context, caller: Caller, member: &'a Member) -> Machine<'a> {
    let is_leader = cx.driver.status().leader == Some(member.id);
    Machine {
        name: &member.name,
        state: if is_leader { "leader" } else { "follower" },
        client_url: caller.port.dialect().url_of(member, caller.is_tls),
        peer_url: &member.peer_url,
    }
}

/// `/v2/admin/machines`.
pub(crate) fn machines(cx: &Context, caller: Caller) -> Response {
    let mut members: Vec<&Member> = cx.driver.membership().members().collect();
    members.sort_by_key(|member| &member.name);
    let machines: Vec<Machine<'_>> =
        members.into_iter().map(|member| machine_of(cx, caller, member)).collect();
    Response::json(200, json::line(&machines))
}

fn unknown(cx: &Context, name: &str) -> Response {
    error(cx, &ApiError::new(100, format!("/_etcd/machines/{name}"), cx.index()))
}

/// One machine.
pub(crate) fn machine(cx: &Context, caller: Caller, name: &str) -> Response {
    match cx.driver.membership().member_named(name) {
        Some(member) => Response::json(200, json::line(&machine_of(cx, caller, member))),
        None => unknown(cx, name),
    }
}

/// Removes a machine for good. The answer comes when it is no member any more.
pub(crate) fn remove_machine(cx: &mut Context, caller: Caller, name: &str) -> Reply<Waiting> {
    let found = cx.driver.membership().member_named(name);
    let Some(id) = found.map(|member| member.id) else { return unknown(cx, name).into() };
    cx.driver.propose_removal(Ticket(caller.key.to_u64()), id);
    Reply::Wait(Waiting::Remove(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(body: &str) -> Result<String, String> {
        merge_config(ClusterConfig::default(), body.as_bytes())
            .map(|config| String::from_utf8(config_body(&config)).expect("text"))
    }

    #[test]
    fn small_values_are_lifted_and_wrong_types_passed_over() {
        for (body, want) in [
            ("{}", "{\"activeSize\":9,\"removeDelay\":1800,\"syncInterval\":5}\n"),
            (
                "{\"activeSize\":1,\"removeDelay\":0,\"syncInterval\":0.1}",
                "{\"activeSize\":3,\"removeDelay\":2,\"syncInterval\":1}\n",
            ),
            (
                "{\"activeSize\":4.7,\"removeDelay\":2.5,\"x\":1}",
                "{\"activeSize\":4,\"removeDelay\":2.5,\"syncInterval\":5}\n",
            ),
            (
                "{\"activeSize\":\"7\",\"syncInterval\":null}",
                "{\"activeSize\":9,\"removeDelay\":1800,\"syncInterval\":5}\n",
            ),
            (
                "{\"activeSize\":-1e300,\"removeDelay\":1e300}",
                "{\"activeSize\":3,\"removeDelay\":1000000000,\"syncInterval\":5}\n",
            ),
        ] {
            assert_eq!(merged(body).as_deref(), Ok(want), "{body}");
        }
        for body in ["", "[]", "7", "{", "\u{0}"] {
            assert!(merged(body).is_err(), "{body}");
        }
        assert!(merged(&"[".repeat(100_000)).is_err(), "nesting is bounded");
    }

    #[test]
    fn a_version_names_what_is_to_be_replaced() {
        let now = ClusterConfig { remove_delay: 2.5, sync_interval: 1e-7, ..Default::default() };
        let other = ClusterConfig { active_size: 5, ..now };
        let (version, older) = (version_of(&now), version_of(&other));
        assert_eq!(version, "\"9-2.5-0.0000001\"");
        let both = format!("{older} , {version}");
        for (header, want) in [
            (None, Replaced::Any),
            (Some("*"), Replaced::Any),
            (Some(version.as_str()), Replaced::This(now)),
            (Some(older.as_str()), Replaced::This(other)),
            (Some(both.as_str()), Replaced::This(now)),
            (Some(""), Replaced::None),
            (Some("\"9-2.5\""), Replaced::None),
            (Some("\"9-2.5-NaN\""), Replaced::None),
            (Some("\"09-2.5-1\""), Replaced::None),
            (Some("9-2.5-1"), Replaced::None),
            (Some("W/\"9-2.5-1\""), Replaced::None),
        ] {
            assert_eq!(replaced(header.map(str::as_bytes), now), want, "{header:?}");
        }
    }

    #[test]
    fn machines_are_shown_with_their_members_in_order() {
        let machine = Machine {
            name: "n\"1",
            state: "leader",
            client_url: "http://127.0.0.1:4001",
            peer_url: "http://127.0.0.1:7001",
        };
        let want = "{\"name\":\"n\\\"1\",\"state\":\"leader\",\
                    \"clientURL\":\"http://127.0.0.1:4001\",\"peerURL\":\"http://127.0.0.1:7001\"}";
        assert_eq!(json::line(&machine), format!("{want}\n").into_bytes());
        assert_eq!(json::line(&Vec::<Machine<'_>>::new()), b"[]\n");
        let two = json::line(&[machine.clone(), machine]);
        assert_eq!(two, format!("[{want},{want}]\n").into_bytes());
    }
}
