//! Whether a member lives and is ready, and what it is.

use crate::http::response::{JSON, TEXT};
use crate::member::context::Context;
use crate::net::Response;
use replica::MemberId;

/// The version fields that 0.4 and 2.x clients read (docs/spec/cluster.md section 1).
const VERSION_TEXT: &str = "etcd 0.4.9";

/// A member that was not heard of for so long counts as unreachable: 3 s. Members tell one another
/// how they are every second.
pub(crate) const SILENCE_NS: u64 = 3_000_000_000;

/// `/version`.
pub(crate) fn version(accepts_text: bool) -> Response {
    if accepts_text {
        return Response::new(200, TEXT, VERSION_TEXT.as_bytes());
    }
    let body = format!(
        "{{\"etcdserver\":\"2.3.8\",\"etcdcluster\":\"2.3.0\",\"stead\":\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    Response::new(200, JSON, body)
}

/// What `/health` says.
pub(crate) fn health_of(is_healthy: bool) -> Response {
    match is_healthy {
        true => Response::json(200, b"{\"health\": \"true\"}"),
        false => Response::json(503, b"{\"health\": \"false\"}\n"),
    }
}

/// Whether `/readyz` is to say more than whether.
fn is_verbose(query: &str) -> bool {
    query
        .split('&')
        .any(|word| matches!(word, "verbose" | "verbose=" | "verbose=true" | "verbose=1"))
}

/// Why this member is not ready, if it is not: the first reason.
fn why_unready(cx: &Context) -> Option<String> {
    if let Err(error) = cx.driver.unfit() {
        return Some(error.to_string());
    }
    if cx.driver.status().is_disk_full {
        return Some("the disk is full: writes are refused".to_owned());
    }
    if !cx.hears_leader() {
        return Some(format!("no leader is reachable{}", who_is_unreachable(cx)));
    }
    if !cx.driver.has_store() {
        return Some("joined, but has not caught up with the leader yet".to_owned());
    }
    None
}

/// `/health`.
pub(crate) fn health(cx: &Context) -> Response {
    health_of(why_unready(cx).is_none())
}

/// `/readyz`.
pub(crate) fn readyz(cx: &Context, query: &str) -> Response {
    let (status, mut text) = match why_unready(cx) {
        None => (200, "ok\n".to_owned()),
        Some(why) => (503, format!("{why}\n")),
    };
    for warning in cx.config.warnings.iter().filter(|_| is_verbose(query)) {
        text.push_str(warning);
        text.push('\n');
    }
    Response::text(status, text)
}

/// The end of a sentence: the members that this one cannot speak to.
pub(crate) fn who_is_unreachable(cx: &Context) -> String {
    let own = cx.driver.status().id;
    let open: Vec<MemberId> = cx
        .driver
        .network()
        .stats()
        .filter(|(id, is_open, _)| *is_open && cx.driver.was_heard(*id, SILENCE_NS))
        .map(|(id, ..)| id)
        .collect();
    let members = cx.driver.membership().members();
    let gone: Vec<&str> = members
        .filter(|member| member.id != own && !open.contains(&member.id))
        .map(|member| member.name.as_str())
        .collect();
    if gone.is_empty() { String::new() } else { format!("; unreachable: {}", gone.join(", ")) }
}
