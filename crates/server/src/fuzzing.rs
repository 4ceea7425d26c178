//! The parsers of foreign bytes, for the fuzz targets: bytes in, plain values out.
//!
//! Only there with the feature `fuzzing`, which changes nothing else. What must hold of the values
//! stands in the targets (fuzz/fuzz_targets).

use crate::api::admin::{config_body, merge_config};
use crate::api::keys::request::{self as keys, KeysRequest};
use crate::api::lock::request::{self as lock, Module};
use crate::api::members::body::parse_peer_url;
use crate::api::route::{Route, route};
use crate::config::{Dialect, Port};
use crate::http::reader::{self, PartialRequest, Progress};
use crate::http::request::{Method, ReaderLimits, Request, Sender, Terms};
use crate::http::url;
use crate::join::body::{IdentityCard, JoinRequest, View};
use crate::join::discovery;
use crate::peer::frame;
use crate::peer::hello::{self as greeting, Hello};
use crate::proof::ProofHeaders;
use replica::ClusterConfig;
use store::{Command, KeyPath, PathError};

/// Bounds that inputs of a few hundred bytes meet.
const NARROW: ReaderLimits =
    ReaderLimits { request_line_bytes: 64, head_bytes: 256, body_bytes: 100 };

/// Bounds that no input meets.
const WIDE: ReaderLimits =
    ReaderLimits { request_line_bytes: 64 << 10, head_bytes: 128 << 10, body_bytes: 10 << 20 };

/// What a connection gave.
#[derive(Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Each request, with all that was read from it.
    pub requests: Vec<String>,
    /// Why it ended, if it did.
    pub refused: Option<String>,
    /// How many bytes the requests took.
    pub used: usize,
}

/// Feeds pieces to the request reader as the loop does: what has arrived is kept until it is used.
pub fn converse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, is_narrow: bool) -> Conversation {
    let limits = if is_narrow { NARROW } else { WIDE };
    let mut said = Conversation { requests: Vec::new(), refused: None, used: 0 };
    let mut buf = Vec::new();
    let mut partial = PartialRequest::default();
    for piece in pieces {
        buf.extend_from_slice(piece);
        while !buf.is_empty() {
            let used = match reader::parse(&buf, &mut partial, &limits) {
                Progress::NeedMore { .. } => break,
                Progress::Refused(refusal, is_keys) => {
                    said.refused = Some(format!("{refusal:?} {is_keys}"));
                    return said;
                }
                Progress::Request(request, used) => {
                    said.requests.push(format!("{request:?}"));
                    used
                }
            };
            assert!(0 < used && used <= buf.len(), "{used} of {} bytes", buf.len());
            said.used += used;
            buf.drain(..used);
            partial = PartialRequest::default();
        }
    }
    said
}

/// The pairs of a form; nothing if it is refused.
pub fn form(bytes: &[u8], refuse_semicolons: bool) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let result = url::each_field(bytes, refuse_semicolons, |name, value| {
        pairs.push((name.to_owned(), value.into_owned()));
    });
    result.ok().map(|()| pairs)
}

/// What a form and a query ask of the key `/a`, as it would stand in the log: nothing if they are
/// refused or ask for no change. `method` is any byte.
pub fn command(method: u8, is_v2: bool, query: &str, body: &[u8]) -> Option<Vec<u8>> {
    let dialect = if is_v2 { Dialect::V2 } else { Dialect::V04 };
    let request = request(method, "/v2/keys/a", query, body);
    let Ok(KeysRequest::Write(write)) = keys::parse(&request, dialect, 7) else { return None };
    let mut out = Vec::new();
    write.command(KeyPath::parse("/a").ok()?, dialect).encode(&mut out);
    Some(out)
}

/// A form, with a method that any byte says.
fn request<'a>(method: u8, path: &'a str, query: &'a str, body: &'a [u8]) -> Request<'a> {
    let methods = [Method::Put, Method::Post, Method::Delete, Method::Get, Method::Head];
    let method = methods.get(usize::from(method) % methods.len()).copied();
    Request {
        method: method.unwrap_or(Method::Get),
        path,
        query,
        is_http11: true,
        keep_alive: true,
        is_form: true,
        content_encoding: None,
        content_type: None,
        accepts_text: false,
        authorization: None,
        sender: Sender::default(),
        token: None,
        proof: ProofHeaders::default(),
        terms: Terms::default(),
        upgrade: None,
        body,
    }
}

/// What a form and a query ask of a lock, as it would stand in the log; nothing if they are refused
/// or ask for no change.
pub fn lock_command(
    method: u8,
    is_leader: bool,
    is_v2: bool,
    query: &str,
    body: &[u8],
) -> Option<Vec<u8>> {
    let dialect = if is_v2 { Dialect::V2 } else { Dialect::V04 };
    let module = if is_leader { Module::Leader } else { Module::Lock };
    let request = request(method, "/mod/v2/lock/a", query, body);
    let asked = lock::parse(module, &request, dialect, 7).ok()?;
    let dir = KeyPath::parse("/_etcd/mod/lock/a").ok()?;
    let mut out = Vec::new();
    Command::Lock { dir, action: asked.action()? }.encode(&mut out);
    Some(out)
}

/// A request to join, read and printed again.
pub fn join_request(body: &[u8]) -> Option<Vec<u8>> {
    JoinRequest::parse(body).ok().map(|request| request.to_json())
}

/// A description of a cluster, read and printed again.
pub fn view(body: &[u8]) -> Option<Vec<u8>> {
    View::parse(body).ok().map(|view| view.to_json())
}

/// What a machine says of who it is, read and printed again.
pub fn identity_card(body: &[u8]) -> Option<Vec<u8>> {
    IdentityCard::parse(body).ok().map(|card| card.to_json())
}

/// The configuration that a body makes of the default one.
pub fn merged_config(body: &[u8]) -> Option<Vec<u8>> {
    merge_config(ClusterConfig::default(), body).ok().map(|config| config_body(&config))
}

/// The peer URL in a body of the members API.
pub fn machines_peer_url(body: &[u8]) -> Option<String> {
    parse_peer_url(body).ok()
}

/// The peers that a discovery service names to the machine `m`.
pub fn discovered(body: &[u8]) -> Option<Vec<String>> {
    discovery::peers_in(body, "m").ok()
}

/// The query of a hello, read and written again.
pub fn hello(query: &str) -> Option<String> {
    Hello::parse(query).ok().map(|hello| hello.query())
}

/// What an answer to a hello is taken for.
pub fn peer_answer(bytes: &[u8]) -> String {
    format!("{:?}", greeting::read_answer(bytes, false))
}

/// The payloads of a stream that comes in pieces, and whether it ends in garbage.
pub fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let (mut payloads, mut buf) = (Vec::new(), Vec::new());
    for piece in pieces {
        buf.extend_from_slice(piece);
        loop {
            match frame::take(&buf) {
                Ok(Some((payload, used))) => {
                    payloads.push(payload.to_vec());
                    buf.drain(..used);
                }
                Ok(None) => break,
                Err(frame::InvalidFrame) => return (payloads, true),
            }
        }
    }
    (payloads, false)
}

/// What became of a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    /// Without its escapes.
    pub decoded: String,
    /// The decoded path, escaped for a `Location`.
    pub encoded: String,
    /// Where a client is sent whose path is not clean, without escapes.
    pub redirect: Option<String>,
    /// The key, if the path is clean and names one.
    pub key: Option<Result<String, PathError>>,
}

/// Goes with a path all the way to its key; nothing if an escape is none.
pub fn path(text: &str) -> Option<Path> {
    let decoded = url::decode(text, false).ok()?.into_owned();
    let redirect = url::clean(&decoded);
    let key = match route(Port::Client(Dialect::V04), &decoded) {
        Route::Keys(key) if redirect.is_none() => {
            Some(KeyPath::parse(key).map(|key| key.as_str().to_owned()))
        }
        _ => None,
    };
    Some(Path { encoded: url::encode_path(&decoded), redirect, key, decoded })
}

/// The clean form of a path, escaped for a `Location`.
pub fn location(clean: &str) -> String {
    url::encode_path(clean)
}
