//! The discovery protocol of 0.4: machines meet at a directory of any server that speaks the v2 API
//! (docs/spec/cluster.md section 5).

use super::body::is_url;
use super::caller::{CallReply, HttpCaller};
use crate::http::url::encode_path;
use serde_json::Value;

/// How long a registration lasts without being repeated: 7 days.
const REGISTRATION_TTL_SECS: u64 = 604_800;

/// The error code of a node that is there already.
const NODE_EXISTS: u64 = 105;

/// How many peers of a directory are asked at most.
const PEERS_MAX: usize = 256;

const FORM: &str = "application/x-www-form-urlencoded";

/// What discovery says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Discovered {
    /// Nobody was there before: this machine begins the cluster.
    First,
    /// The peer URLs of others.
    Peers(Vec<String>),
}

/// The directory behind a discovery URL: with `/v2/keys` in front if it is not there, as clients of
/// the original's library had it.
fn base(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// Registers this machine and finds out about the others. Only what the protocol says is taken for
/// an answer: any web server answers 200 to something.
///
/// # Errors
/// Why discovery failed, in a sentence.
pub(crate) fn discover(
    caller: &HttpCaller,
    url: &str,
    name: &str,
    peer_url: &str,
) -> Result<Discovered, String> {
    let base = base(url);
    register(caller, url, name, peer_url)?;
    let state = format!("{base}/_state?prevExist=false");
    let reply = caller.call("PUT", &state, FORM, b"value=started")?;
    let has_begun = reply.status == 201 && value_in(&reply.body).as_deref() == Some("started");
    if has_begun {
        return Ok(Discovered::First);
    }
    if reply.error_code() != Some(NODE_EXISTS) {
        return Err(foreign(&state, &reply, "201 and the new node, or error 105"));
    }
    let list = format!("{base}?consistent=true&recursive=true&sorted=false");
    let reply = caller.get(&list)?;
    if reply.status != 200 {
        return Err(foreign(&list, &reply, "200 and a directory"));
    }
    let peers =
        peers_in(&reply.body, name).map_err(|_| foreign(&list, &reply, "200 and a directory"))?;
    others_of(peers, name, peer_url).map(Discovered::Peers)
}

/// The peer URLs that others are registered with; this machine is not registered by it.
///
/// # Errors
/// As [`discover`].
pub(crate) fn look(caller: &HttpCaller, url: &str, name: &str) -> Result<Vec<String>, String> {
    let list = format!("{}?consistent=true&recursive=true&sorted=false", base(url));
    let reply = caller.get(&list)?;
    match reply.status {
        200 => peers_in(&reply.body, name),
        status => Err(format!("{list}: answered {status}: {}", reply.text())),
    }
}

/// Registers this machine, or keeps its registration alive.
///
/// # Errors
/// As [`discover`].
pub(crate) fn register(
    caller: &HttpCaller,
    url: &str,
    name: &str,
    peer_url: &str,
) -> Result<(), String> {
    let own = format!("{}/{}", base(url), encode_path(name));
    let value = form_escape(peer_url);
    let body = format!("ttl={REGISTRATION_TTL_SECS}&value={value}");
    let reply = caller.call("PUT", &own, FORM, body.as_bytes())?;
    let is_written = value_in(&reply.body).as_deref() == Some(peer_url);
    if matches!(reply.status, 200 | 201) && is_written {
        return Ok(());
    }
    Err(foreign(&own, &reply, "200 or 201 and the written node"))
}

/// The complaint about an answer that no discovery service gives.
fn foreign(url: &str, reply: &CallReply, wanted: &str) -> String {
    format!(
        "{url}: answered {} with \"{}\", but the discovery protocol requires {wanted}; -discovery \
         takes the URL of a directory on a v2 server, http://HOST:PORT/v2/keys/PATH",
        reply.status,
        reply.text()
    )
}

/// The value of the node in an answer.
fn value_in(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get("node")?.get("value")?.as_str().map(str::to_owned)
}

/// The peers that may be asked. A directory in which a cluster has begun names others, or no
/// machine begins one because of it.
fn others_of(peers: Vec<String>, name: &str, peer_url: &str) -> Result<Vec<String>, String> {
    if peers.is_empty() {
        return Err(
            "discovery found an initialized cluster but no reachable peers are registered. \
                    Start a machine of that cluster again, which registers it; if the cluster is \
                    gone, use another directory"
                .to_owned(),
        );
    }
    let place = |url: &str| {
        let url = url.trim_end_matches('/');
        url.split_once("://").map_or(url, |(_, place)| place).to_ascii_lowercase()
    };
    let is_other = |peer: &&String| place(peer) != place(peer_url);
    let others: Vec<String> = peers.iter().filter(is_other).cloned().collect();
    if others.is_empty() {
        return Err(format!(
            "{name} cannot connect to existing peers [{}]: a cluster has begun there, and all that \
             is registered is this machine's own address under another name. Start it with the \
             -name and the -data-dir that it had; if that cluster is gone, use another directory",
            peers.join(" ")
        ));
    }
    Ok(others)
}

fn form_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The values of a listing that are addresses of machines, but the own one.
pub(crate) fn peers_in(body: &[u8], name: &str) -> Result<Vec<String>, String> {
    let malformed = || "discovery did not answer with a directory listing".to_owned();
    let value: Value = serde_json::from_slice(body).map_err(|_| malformed())?;
    let node = value.get("node").and_then(Value::as_object).ok_or_else(malformed)?;
    let Some(nodes) = node.get("nodes") else { return Ok(Vec::new()) };
    let nodes = nodes.as_array().ok_or_else(malformed)?;
    let own = format!("/{name}");
    let is_other = |node: &&Value| {
        !node.get("key").and_then(Value::as_str).unwrap_or_default().ends_with(&own)
    };
    let values = nodes.iter().filter(is_other);
    let values = values.filter_map(|node| node.get("value").and_then(Value::as_str));
    let is_place = |url: &&str| is_url(url) || is_url(&format!("http://{url}"));
    let urls = values.map(|url| url.trim().trim_end_matches('/')).filter(is_place);
    Ok(urls.take(PEERS_MAX).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_are_found_and_oneself_is_not() {
        let body = br#"{"action":"get","node":{"key":"/c","dir":true,"nodes":[
            {"key":"/c/m1","value":"http://a:7001"},{"key":"/c/m2","value":" http://b:7001 "},
            {"key":"/c/m3","value":""},{"key":"/c/dir","dir":true},
            {"key":"/c/m4","value":"c:7001"},{"key":"/c/m5","value":"http://d:1/x?y"},
            {"key":"/c/m6","value":"file:///etc/passwd"},{"key":"/c/m7","value":"a\nb:1"}]}}"#;
        let want = vec!["http://b:7001".to_owned(), "c:7001".to_owned()];
        assert_eq!(peers_in(body, "m1"), Ok(want));
    }

    #[test]
    fn the_own_address_under_another_name_is_nobody_to_ask() {
        let own = "http://h:7001";
        let others = |peers: &[&str]| {
            others_of(peers.iter().map(|peer| (*peer).to_owned()).collect(), "n9", own)
        };
        assert_eq!(others(&["H:7001", "http://i:7001"]), Ok(vec!["http://i:7001".to_owned()]));
        for alone in [&["http://h:7001"][..], &["h:7001/"], &["https://h:7001", "H:7001"]] {
            let error = others(alone).expect_err("nobody else");
            assert!(error.starts_with("n9 cannot connect to existing peers ["), "{error}");
        }
        assert!(others(&[]).expect_err("nobody").contains("no reachable peers are registered"));
    }

    #[test]
    fn only_the_node_that_was_written_is_an_answer() {
        for (body, want) in [
            (
                &br#"{"action":"set","node":{"key":"/c/m1","value":"http://a:1"}}"#[..],
                Some("http://a:1"),
            ),
            (b"Hello, client", None),
            (b"{}", None),
            (b"{\"node\":{\"value\":1}}", None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(value_in(body).as_deref(), want);
        }
    }

    #[test]
    fn anything_else_is_an_error_and_never_a_panic() {
        for body in [&b""[..], b"{}", b"[]", b"{\"node\":1}", b"{\"node\":{\"nodes\":1}}", b"\xff"]
        {
            assert!(peers_in(body, "m1").is_err(), "{body:?}");
        }
        assert_eq!(peers_in(b"{\"node\":{\"nodes\":[1,null,{}]}}", "m1"), Ok(Vec::new()));
    }
}
