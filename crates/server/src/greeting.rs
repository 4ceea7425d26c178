//! Members that begin to speak: who they are, whether they prove it, and whether they may.
//!
//! Where the cluster has a secret nothing is done for a caller before it has proven that it knows
//! it: no address of its is dialled, no other connection is closed for it, nobody is told of it.

use crate::api::json::put_texts;
use crate::connection::{Guest, Task};
use crate::http::reader::Request;
use crate::http::response::JSON;
use crate::owner::Owner;
use crate::peer::hello::{self, Exchange, Hello};
use crate::peer::{frame, set_patience};
use crate::proof::{Gate, draw_nonce, is_nonce};
use crate::serve::Plain;
use crate::slab::Key;
use crate::text::printable;
use replica::{Identity, MemberId, PeerClaim};
use std::collections::BTreeMap;

/// How long a second process with the identity of a member waits until that one counts as gone:
/// 3 s.
const FIRST_SILENT_NS: u64 = 3_000_000_000;

/// Bytes of the frame in which the proof is.
const PROOF_FRAME_MAX: usize = 128;

/// How long a caller may take to prove itself: 2 s.
pub(crate) const PROOF_NS: u128 = 2_000_000_000;

/// Bytes that are read of a caller behind a refusal, so that it can read that.
const REFUSED_BYTES_MAX: usize = 1 << 20;

/// How long the same complaint is not repeated: 10 minutes.
const COMPLAINT_NS: u64 = 600_000_000_000;

/// Complaints that are remembered.
const COMPLAINTS_MAX: usize = 64;

/// Status and sentence of a refusal.
type Refused = (u16, String);

/// A connection over which another member speaks to this one.
#[derive(Debug)]
pub(crate) struct Speaker {
    pub(crate) key: Key,
    identity: Identity,
    /// Where it is reached, and where its connection comes from.
    address: String,
    /// When it last spoke, by the monotonic clock.
    heard_at: u64,
}

/// What was said in the log of strangers, so that none of them fills it.
#[derive(Debug, Default)]
pub(crate) struct Complaints(BTreeMap<String, u64>);

impl Complaints {
    /// Whether something is to be said: it was not for a while, and not too much was.
    pub(crate) fn is_due(&mut self, what: String, now: u64) -> bool {
        self.0.retain(|_, said_at| now.saturating_sub(*said_at) < COMPLAINT_NS);
        let is_due = self.0.len() < COMPLAINTS_MAX && !self.0.contains_key(&what);
        if is_due {
            self.0.insert(what, now);
        }
        is_due
    }
}

/// What a caller's head says of itself, for the proofs.
fn exchange(request: &Request<'_>) -> Exchange {
    let nonce = request.proof.nonce.filter(|nonce| is_nonce(nonce)).unwrap_or_default();
    Exchange { query: request.query.to_owned(), nonce: String::from_utf8_lossy(nonce).into_owned() }
}

fn refusal_body(why: &str) -> Vec<u8> {
    let mut body = Vec::new();
    put_texts(&mut body, &[("{\"message\":", why)]);
    body.extend_from_slice(b"}\n");
    body
}

/// The refusal of a hello: its status, its body, and header lines with its proof, where the caller
/// wants one.
pub(crate) fn refusal(
    gate: &Gate,
    request: &Request<'_>,
    status: u16,
    why: &str,
) -> (u16, Vec<u8>, String) {
    let (body, said) = (refusal_body(why), exchange(request));
    let prover = gate.prover().filter(|_| !said.nonce.is_empty());
    let proof = prover.map(|prover| said.verdict(prover, status, &body));
    let lines = proof.map(|proof| format!("Stead-Proof: {proof}\r\n")).unwrap_or_default();
    (status, body, lines)
}

impl Owner {
    /// A member wants to speak: its connection is no HTTP from here on.
    pub(crate) fn upgrade(&mut self, key: Key, request: &Request<'_>) {
        match self.greet(key, request) {
            Ok(welcome) => {
                let Some(connection) = self.connections.get_mut(key) else { return };
                connection.outbox.append(|out| out.extend_from_slice(welcome.as_bytes()));
                connection.busy_since = self.now.monotonic;
                set_patience(connection.socket.socket());
                self.mark_dirty(key);
            }
            Err(refused) => self.refuse_hello(key, request, &refused),
        }
    }

    fn greet(&mut self, key: Key, request: &Request<'_>) -> Result<String, Refused> {
        let hello = self.check_hello(request)?;
        let Some(prover) = self.gate.prover() else {
            self.admit(key, &hello)?;
            return Ok(hello::welcome(None));
        };
        let said = exchange(request);
        let nonce = draw_nonce().map_err(|error| (503, error.to_string()))?;
        let welcome = hello::welcome(Some((&nonce, &said.welcome(prover, &nonce))));
        if let Some(connection) = self.connections.get_mut(key) {
            connection.task = Task::Guest(Box::new(Guest { hello, said, nonce }));
        }
        Ok(welcome)
    }

    fn check_hello(&self, request: &Request<'_>) -> Result<Hello, Refused> {
        let refused = |status: u16, why: &str| Err((status, why.to_owned()));
        let wants = |upgrade: &[u8]| upgrade.eq_ignore_ascii_case(hello::PROTOCOL.as_bytes());
        if !request.upgrade.is_some_and(wants) || !request.is_http11 {
            return refused(400, "an upgrade to stead-peer is wanted");
        }
        let hello =
            Hello::parse(request.query).map_err(|(status, why)| (status, why.to_owned()))?;
        let has_nonce = request.proof.nonce.is_some_and(is_nonce);
        match (self.gate.prover().is_some(), has_nonce) {
            (true, false) => {
                return refused(403, "the cluster has a secret: start the caller with -peer-token");
            }
            (false, true) => {
                return refused(403, "the caller has a -peer-token and this machine has none");
            }
            _ => {}
        }
        if hello.cluster != self.driver.cluster() {
            return refused(403, "this is another cluster");
        }
        if hello.to != self.driver.status().id {
            return refused(421, "another member is meant");
        }
        if self.driver.membership().was_removed(hello.claim.id) {
            return refused(410, "the machine was removed from the cluster");
        }
        if hello.claim.id == hello.to {
            return refused(400, "a member does not speak to itself");
        }
        Ok(hello)
    }

    /// Where a connection comes from.
    fn origin_of(&mut self, key: Key) -> String {
        let connection = self.connections.get_mut(key);
        let address = connection.and_then(|one| one.socket.socket().peer_addr().ok());
        address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_string())
    }

    /// Says once that a caller was refused for what an operator has to know.
    pub(crate) fn complain(&mut self, key: Key, status: u16, why: &str) {
        if !matches!(status, 401 | 403 | 409 | 426) {
            return;
        }
        let from = self.origin_of(key);
        let host = from.rsplit_once(':').map_or(from.as_str(), |(host, _)| host);
        let own = self.config.peer_advertised.as_str();
        if self.complaints.is_due(format!("{host} {status} {why}"), self.now.monotonic) {
            tracing::warn!(
                peer = from,
                own,
                "a machine that calls was refused with {status}: {why}"
            );
        }
    }

    fn refuse_hello(&mut self, key: Key, request: &Request<'_>, (status, why): &Refused) {
        self.complain(key, *status, why);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.manner.keep_alive = false;
        }
        let (status, body, extra) = refusal(&self.gate, request, *status, why);
        let (content_type, body) = (Some(JSON), body.as_slice());
        self.answer(key, &Plain { status, content_type, extra: &extra, body });
    }

    /// Takes the proof of a caller that was welcomed, and what it says behind it.
    pub(crate) fn take_proof(&mut self, key: Key, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.input.extend_from_slice(bytes);
        let proof = match frame::take(&connection.input) {
            Ok(Some((payload, len))) if payload.len() <= PROOF_FRAME_MAX => {
                let payload = payload.to_vec();
                connection.input.drain(..len);
                payload
            }
            Ok(None) if connection.input.len() <= PROOF_FRAME_MAX => return,
            _ => Vec::new(),
        };
        let Task::Guest(guest) = std::mem::replace(&mut connection.task, Task::Idle) else {
            return;
        };
        let Guest { hello, said, nonce } = *guest;
        let is_proven = self.gate.prover().is_some_and(|one| said.is_hello(one, &nonce, &proof));
        if !is_proven {
            let why = "it does not prove that it knows the cluster's secret: give both the same \
                       -peer-token, or find out who calls from there";
            let hides = proof == hello::UNPROVEN;
            let why = if hides {
                "it does not believe this machine, whose -peer-token is another \
                       one than its own"
            } else {
                why
            };
            self.complain(key, 401, why);
            return self.close(key);
        }
        match self.admit(key, &hello) {
            Ok(()) => {
                self.say_admitted(key, &said);
                self.take_frames(key, hello.claim.id, &[]);
            }
            Err(refused) => self.refuse_guest(key, &said, &refused),
        }
    }

    /// A welcome was given to whoever asked; this is to the member alone, and it counts as this
    /// one's word for the member's directory.
    fn say_admitted(&mut self, key: Key, said: &Exchange) {
        let Some(prover) = self.gate.prover() else { return };
        let admission = hello::admission(said, prover);
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.outbox.append(|out| out.extend_from_slice(admission.as_bytes()));
        self.mark_dirty(key);
    }

    /// Lets a caller speak, in the place of whoever spoke for that member before.
    fn admit(&mut self, key: Key, hello: &Hello) -> Result<(), Refused> {
        let PeerClaim { id, identity, .. } = hello.claim;
        self.refuse_second(key, hello)?;
        let met = self.driver.meet(&hello.claim);
        met.map_err(|refused| (refused.status(), refused.to_string()))?;
        let known = self.driver.membership().member(id);
        let is_there =
            known.is_some_and(|member| member.peer_url.ends_with(&format!("//{}", hello.at)));
        let now = self.now.monotonic;
        if is_there {
            // What an older connection of it said does not hold any more.
            if self.driver.network_mut().forget_caller(id) {
                self.known_membership = u64::MAX;
            }
        } else if !self.driver.network_mut().meet(id, &hello.at, now) {
            return Err((503, "too many callers are unknown here".to_owned()));
        }
        let address = format!("{} (its connection comes from {})", hello.at, self.origin_of(key));
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        connection.task = Task::Peer(id);
        let speaker = Speaker { key, identity, address, heard_at: now };
        if let Some(old) = self.speakers.insert(id, speaker)
            && old.key != key
        {
            self.close(old.key);
        }
        Ok(())
    }

    /// Two processes with the identity of one member, as of a directory that was copied: the first
    /// one stays, and both are told.
    fn refuse_second(&mut self, key: Key, hello: &Hello) -> Result<(), Refused> {
        let PeerClaim { id, identity, .. } = hello.claim;
        let Some(first) = self.speakers.get(&id) else { return Ok(()) };
        let silence = self.now.monotonic.saturating_sub(first.heard_at);
        if first.identity == identity || silence >= FIRST_SILENT_NS {
            return Ok(());
        }
        let why = format!("member {id} is already connected from {}", first.address);
        let second = format!("{} (its connection comes from {})", hello.at, self.origin_of(key));
        self.driver.tell_doubled(id, &second);
        Err((409, why))
    }

    /// Refuses a caller that has proven itself: what it has sent since is thrown away.
    fn refuse_guest(&mut self, key: Key, said: &Exchange, (status, why): &Refused) {
        self.complain(key, *status, why);
        let body = refusal_body(why);
        let Some(prover) = self.gate.prover() else { return };
        let proof = said.verdict(prover, *status, &body);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let head = format!(
            "HTTP/1.1 {status} Refused\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\nStead-Proof: {proof}\r\n\r\n",
            body.len()
        );
        connection.outbox.append(|out| {
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(&body);
        });
        connection.input = Vec::new();
        connection.task = Task::Drain { left: REFUSED_BYTES_MAX };
        connection.busy_since = self.now.monotonic;
        self.mark_dirty(key);
    }

    /// A member has spoken.
    pub(crate) fn note_speaker(&mut self, key: Key, from: MemberId) {
        let now = self.now.monotonic;
        if let Some(speaker) = self.speakers.get_mut(&from).filter(|one| one.key == key) {
            speaker.heard_at = now;
        }
    }

    /// Another member says that a second process has this member's identity.
    pub(crate) fn note_doubled(&mut self, address: &str) {
        let own = self.config.peer_advertised.as_str();
        let other = printable(address);
        if self.doubles.is_due(other.clone(), self.now.monotonic) {
            tracing::error!(
                own,
                other,
                "another process has this member's identity and was refused: a data directory \
                 belongs to one process alone. Stop that process; the copy of the directory must \
                 not be started again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_do_not_fill_the_log() {
        let mut complaints = Complaints::default();
        assert!(complaints.is_due("a".to_owned(), 0));
        assert!(!complaints.is_due("a".to_owned(), COMPLAINT_NS - 1));
        assert!(complaints.is_due("a".to_owned(), COMPLAINT_NS));
        let said = (0..100_000).filter(|at| complaints.is_due(at.to_string(), COMPLAINT_NS));
        assert_eq!(said.count(), COMPLAINTS_MAX - 1);
    }
}
