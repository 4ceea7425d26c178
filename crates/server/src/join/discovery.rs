//! The discovery protocol of 0.4: machines meet at a directory of any server that speaks the v2 API
//! (spec cluster.md section 5).

use super::caller::Caller;
use crate::http::url::encode_path;
use serde_json::Value;

/// How long a registration lasts without being repeated: 7 days.
const REGISTRATION_TTL_SECS: u64 = 604_800;

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

/// Registers this machine and finds out about the others.
///
/// # Errors
/// Why discovery failed, in a sentence.
pub(crate) fn discover(
    caller: &Caller,
    url: &str,
    name: &str,
    peer_url: &str,
) -> Result<Discovered, String> {
    let base = base(url);
    register(caller, url, name, peer_url)?;
    let form = "application/x-www-form-urlencoded";
    let state = format!("{base}/_state?prevExist=false");
    let reply = caller.call("PUT", &state, form, b"value=started")?;
    match (reply.status, reply.error_code()) {
        (200 | 201, _) => return Ok(Discovered::First),
        (412, _) | (_, Some(105)) => {}
        (status, _) => {
            return Err(format!("{state}: answered {status}: {}", reply.text()));
        }
    }
    let list = format!("{base}?consistent=true&recursive=true&sorted=false");
    let reply = caller.get(&list)?;
    if reply.status != 200 {
        return Err(format!("{list}: answered {}: {}", reply.status, reply.text()));
    }
    let peers = peers_in(&reply.body, name)?;
    if peers.is_empty() {
        return Err("discovery found an initialized cluster but no reachable peers are registered"
            .to_owned());
    }
    Ok(Discovered::Peers(peers))
}

/// The peer URLs that others are registered with; this machine is not registered by it.
///
/// # Errors
/// As [`discover`].
pub(crate) fn look(caller: &Caller, url: &str, name: &str) -> Result<Vec<String>, String> {
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
    caller: &Caller,
    url: &str,
    name: &str,
    peer_url: &str,
) -> Result<(), String> {
    let own = format!("{}/{}", base(url), encode_path(name));
    let value = form_escape(peer_url);
    let body = format!("ttl={REGISTRATION_TTL_SECS}&value={value}");
    let form = "application/x-www-form-urlencoded";
    let reply = caller.call("PUT", &own, form, body.as_bytes())?;
    match reply.status {
        200 | 201 => Ok(()),
        status => Err(format!("{own}: answered {status}: {}", reply.text())),
    }
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

/// The values of a listing but the own one.
pub(crate) fn peers_in(body: &[u8], name: &str) -> Result<Vec<String>, String> {
    let malformed = || "discovery answered with no listing of a directory".to_owned();
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
    Ok(values.map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_are_found_and_oneself_is_not() {
        let body = br#"{"action":"get","node":{"key":"/c","dir":true,"nodes":[
            {"key":"/c/m1","value":"http://a:7001"},{"key":"/c/m2","value":" http://b:7001 "},
            {"key":"/c/m3","value":""},{"key":"/c/dir","dir":true}]}}"#;
        assert_eq!(peers_in(body, "m1"), Ok(vec!["http://b:7001".to_owned()]));
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
