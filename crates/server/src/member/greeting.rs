//! Members that begin to speak: who they are, whether they prove it, and whether they may.
//!
//! Where the cluster has a secret nothing is done for a caller before it has proven that it knows
//! it: no address of its is dialled, no other connection is closed for it, no client sees it.

use super::context::{Context, Effect};
use super::inbound::InboundPeer;
use super::peers;
use crate::api::pending::{Guest, Waiting};
use crate::http::request::Request;
use crate::http::response::message_body;
use crate::net::{Caller, Front, Key, Phase, Reply, Response};
use crate::notice::notice;
use crate::peer::frame;
use crate::peer::hello::{self, Exchange, Hello};
use crate::proof::{Gate, draw_nonce, is_nonce};
use crate::text::printable;
use replica::{MemberId, PeerClaim};

/// How long a second process with the identity of a member waits until that one counts as gone:
/// 3 s.
const FIRST_SILENT_NS: u64 = 3_000_000_000;

/// Bytes of the frame in which the proof is.
const PROOF_FRAME_MAX: usize = 128;

/// Bytes that are read of a caller behind a refusal, so that it can read that.
const REFUSED_BYTES_MAX: usize = 1 << 20;

/// Status and sentence of a refusal.
type Refused = (u16, String);

/// What a caller's head says of itself, for the proofs.
fn exchange(request: &Request<'_>) -> Exchange {
    let nonce = request.proof.nonce.filter(|nonce| is_nonce(nonce)).unwrap_or_default();
    Exchange { query: request.query.to_owned(), nonce: String::from_utf8_lossy(nonce).into_owned() }
}

/// The refusal of a hello, with a proof if the caller asks for one.
pub(crate) fn refusal(gate: &Gate, request: &Request<'_>, status: u16, why: &str) -> Response {
    let said = exchange(request);
    let body = line(why);
    let prover = gate.prover().filter(|_| !said.nonce.is_empty());
    let proof = prover.map(|prover| said.verdict(prover, status, &body));
    let lines = proof.map(|proof| format!("Stead-Proof: {proof}\r\n")).unwrap_or_default();
    Response::json(status, body).with(lines)
}

/// A message in a line of its own.
fn line(why: &str) -> Vec<u8> {
    let mut body = message_body(why);
    body.push(b'\n');
    body
}

/// A peer handshake: from here on its connection carries frames instead of HTTP.
pub(crate) fn upgrade(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    origin: &str,
) -> Reply<Waiting> {
    match greet(cx, caller, request, origin) {
        Ok((head, pending)) => Reply::Upgrade { head, pending },
        Err((status, why)) => {
            complain(cx, origin, status, &why);
            Reply::Last(refusal(&cx.gate, request, status, &why))
        }
    }
}

fn greet(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    origin: &str,
) -> Result<(String, Waiting), Refused> {
    let hello = check_hello(cx, request)?;
    let Some(prover) = cx.gate.prover() else {
        let from = admit(cx, caller.key, &hello, origin)?;
        return Ok((hello::welcome(None), Waiting::Peer(from)));
    };
    let said = exchange(request);
    let nonce = draw_nonce().map_err(|error| (503, error.to_string()))?;
    let welcome = hello::welcome(Some((&nonce, &said.welcome(prover, &nonce))));
    Ok((welcome, Waiting::Guest(Box::new(Guest { hello, said, nonce }))))
}

fn check_hello(cx: &Context, request: &Request<'_>) -> Result<Hello, Refused> {
    let refused = |status: u16, why: &str| Err((status, why.to_owned()));
    let wants = |upgrade: &[u8]| upgrade.eq_ignore_ascii_case(hello::PROTOCOL.as_bytes());
    if !request.upgrade.is_some_and(wants) || !request.is_http11 {
        return refused(400, "expected an upgrade to stead-peer");
    }
    let hello = Hello::parse(request.query).map_err(|(status, why)| (status, why.to_owned()))?;
    let has_nonce = request.proof.nonce.is_some_and(is_nonce);
    match (cx.gate.prover().is_some(), has_nonce) {
        (true, false) => {
            return refused(403, "the cluster has a secret: start the caller with -peer-token");
        }
        (false, true) => {
            return refused(403, "the caller has a -peer-token and this machine has none");
        }
        _ => {}
    }
    if hello.cluster != cx.driver.cluster() {
        return refused(403, "this machine belongs to another cluster");
    }
    if hello.to != cx.driver.status().id {
        return refused(421, "this machine is not the member that was dialled");
    }
    if cx.driver.membership().was_removed(hello.claim.id) {
        return refused(410, "the machine was removed from the cluster");
    }
    if hello.claim.id == hello.to {
        return refused(400, "the caller claims to be this machine");
    }
    Ok(hello)
}

/// Says that a caller was refused for what an operator has to know.
pub(crate) fn complain(cx: &Context, from: &str, status: u16, why: &str) {
    if !matches!(status, 401 | 403 | 409 | 426) {
        return;
    }
    let host = from.rsplit_once(':').map_or(from, |(host, _)| host);
    let own = cx.config.peer_advertised.as_str();
    let about = format!("{host} {status} {why}");
    notice!(CallerRefused, &about, [peer = from, own,], "{status} for {from}: {why}");
}

/// Takes the proof of a caller that was welcomed, and what it says behind it. Gives how many bytes
/// were used; nothing if the connection must be closed.
pub(crate) fn take_proof(
    cx: &mut Context,
    front: &mut Front<Waiting>,
    key: Key,
    bytes: &[u8],
) -> Option<usize> {
    let (proof, used) = match frame::take(bytes) {
        Ok(Some((payload, len))) if payload.len() <= PROOF_FRAME_MAX => (payload, len),
        Ok(None) if bytes.len() <= PROOF_FRAME_MAX => return Some(0),
        _ => (&b""[..], 0),
    };
    let Some(Waiting::Guest(guest)) = front.take_pending(key) else { return None };
    let Guest { hello, said, nonce } = *guest;
    let origin = front.origin_of(key);
    let is_proven = cx.gate.prover().is_some_and(|one| said.is_hello(one, &nonce, proof));
    if !is_proven {
        let why = if proof == hello::UNPROVEN {
            "it rejects this machine's proof: the -peer-token of the two machines differs"
        } else {
            "it does not prove that it knows the cluster's secret: give both the same \
             -peer-token, or find out which process connects from there"
        };
        complain(cx, &origin, 401, why);
        return None;
    }
    match admit(cx, key, &hello, &origin) {
        Ok(from) => {
            front.set_pending(key, Waiting::Peer(from));
            say_admitted(cx, front, key, &said);
            let rest = bytes.get(used..).expect("a frame is within its bytes");
            Some(used + peers::take_frames(cx, key, from, rest)?)
        }
        Err((status, why)) => {
            complain(cx, &origin, status, &why);
            refuse_guest(cx, front, key, &said, (status, &why));
            Some(bytes.len())
        }
    }
}

/// Any caller gets a welcome; this is for the proven member only, and it counts as this one's word
/// for the member's directory.
fn say_admitted(cx: &Context, front: &mut Front<Waiting>, key: Key, said: &Exchange) {
    if let Some(prover) = cx.gate.prover() {
        front.append(key, hello::admission(said, prover).as_bytes());
    }
}

/// Admits a caller, replacing the previous connection of that member.
fn admit(cx: &mut Context, key: Key, hello: &Hello, origin: &str) -> Result<MemberId, Refused> {
    let PeerClaim { id, identity, .. } = hello.claim;
    refuse_second(cx, hello, origin)?;
    let met = cx.driver.meet(&hello.claim);
    met.map_err(|refused| (refused.status(), refused.to_string()))?;
    let known = cx.driver.membership().member(id);
    let is_there =
        known.is_some_and(|member| member.peer_url.ends_with(&format!("//{}", hello.at)));
    let now = cx.now.monotonic;
    if is_there {
        // Messages of an older connection are obsolete.
        if cx.driver.network_mut().forget_caller(id) {
            cx.inbound.known_membership = u64::MAX;
        }
    } else if !cx.driver.network_mut().meet(id, &hello.at, now) {
        return Err((
            503,
            "too many connections from machines that are not in the \
                          configuration"
                .to_owned(),
        ));
    }
    let address = format!("{} (its connection comes from {origin})", hello.at);
    let speaker = InboundPeer { key, identity, address, heard_at: now };
    if let Some(old) = cx.inbound.peers.insert(id, speaker)
        && old.key != key
    {
        cx.effects.push(Effect::Close(old.key));
    }
    Ok(id)
}

/// Two processes with the identity of one member, as of a directory that was copied: the first one
/// stays, and both log it.
fn refuse_second(cx: &mut Context, hello: &Hello, origin: &str) -> Result<(), Refused> {
    let PeerClaim { id, identity, .. } = hello.claim;
    let Some(first) = cx.inbound.peers.get(&id) else { return Ok(()) };
    let silence = cx.now.monotonic.saturating_sub(first.heard_at);
    if first.identity == identity || silence >= FIRST_SILENT_NS {
        return Ok(());
    }
    let why = format!("member {id} is already connected from {}", first.address);
    let second = format!("{} (its connection comes from {origin})", hello.at);
    cx.driver.tell_doubled(id, &second);
    Err((409, why))
}

/// Refuses a caller that has proven itself: what it has sent since is thrown away.
fn refuse_guest(
    cx: &Context,
    front: &mut Front<Waiting>,
    key: Key,
    said: &Exchange,
    (status, why): (u16, &str),
) {
    let body = line(why);
    let Some(prover) = cx.gate.prover() else { return };
    let proof = said.verdict(prover, status, &body);
    let response = Response::json(status, body).with(format!("Stead-Proof: {proof}\r\n"));
    front.answer_last(key, response, &[]);
    if let Some(connection) = front.get_mut(key) {
        connection.phase = Phase::Draining { left: REFUSED_BYTES_MAX };
        connection.busy_since = cx.now.monotonic;
    }
}

/// Another member says that a second process has this member's identity.
pub(crate) fn note_doubled(cx: &Context, address: &str) {
    let own = cx.config.peer_advertised.as_str();
    let other = printable(address);
    notice!(
        SecondProcess,
        &other,
        [own, other,],
        "a data directory must be used by one process only. Stop that process, and do not start \
         its copy of the directory again"
    );
}
