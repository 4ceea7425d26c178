//! The connection over which this member speaks to one other.

mod queue;

use super::frame;
use super::hello::{self, Exchange, Hello, HelloAnswer, HelloRefusal};
use crate::net::tls::Stream;
use crate::notice::notice;
use crate::proof::{Prover, draw_nonce};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use queue::FrameQueue;
use replica::{ClusterId, MemberId, PeerClaim};
use rustls::ClientConfig;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

/// How long connecting and the upgrade may take together: 2 s.
const GREETING_NS: u64 = 2_000_000_000;

/// How long a network may take to make the connection: 500 ms. The kernel repeats a packet that
/// was lost only after one second, then after two: it is faster to dial again.
const CONNECTING_NS: u64 = 500_000_000;

/// The first pause after a connection broke, and the longest: 20 ms and 300 ms. Together with
/// connecting it is what a member waits at most when a partition has ended.
const PAUSE_MIN_NS: u64 = 20_000_000;
const PAUSE_MAX_NS: u64 = 300_000_000;

/// The pause after the other side refused this one, or was not believed: 1 s. That does not mend
/// itself within milliseconds.
const PAUSE_REFUSED_NS: u64 = 1_000_000_000;

/// A connection that was open for so long worked: 3 s.
const WORKED_NS: u64 = 3_000_000_000;

/// What is counted of one member.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkStats {
    pub(crate) sent_messages: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) dropped_messages: u64,
    pub(crate) connects: u64,
}

#[derive(Debug)]
enum LinkState {
    /// Not connected; dialled again at this time.
    Waiting { until: u64 },
    /// The host's name is being looked up.
    Resolving { since: u64 },
    /// Dialled; the hello is sent as soon as there is a connection.
    Greeting {
        socket: Stream,
        since: u64,
        is_connected: bool,
        /// The handshake, once it is complete.
        said: Option<Exchange>,
        answer: Vec<u8>,
    },
    Open {
        socket: Stream,
        since: u64,
        said: Exchange,
        /// What came back: a verdict, or a part of it.
        heard: Vec<u8>,
        is_admitted: bool,
    },
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkChange {
    None,
    Opened,
    /// The other side lets this member speak.
    Admitted,
    /// It broke, or could not be made.
    Broken,
    /// The other side says that this member was removed.
    Removed,
    /// The other side does not believe that this member is who it says.
    Disowned,
}

/// Whom a link is for: what the hello says of it. The rest is what this member knows then.
#[derive(Clone, Debug)]
pub(crate) struct Greeted {
    pub(crate) cluster: ClusterId,
    pub(crate) to: MemberId,
    /// HOST:PORT of this member's peer port.
    pub(crate) at: String,
}

/// What this member says of itself, and how it proves it.
#[derive(Clone, Copy)]
pub(crate) struct Own<'a> {
    pub(crate) claim: PeerClaim,
    /// Nothing where the cluster has no secret.
    pub(crate) prover: Option<&'a Prover>,
}

/// The way to one other member.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) token: Token,
    /// The member's name; empty if the membership does not name it.
    pub(crate) name: String,
    /// HOST:PORT.
    pub(crate) address: String,
    /// Where it may be reached as well, and whether that is dialled this time.
    pub(crate) hint: Option<String>,
    takes_hint: bool,
    hello: Greeted,
    state: LinkState,
    pause_ns: u64,
    waiting: FrameQueue,
    /// Whether raft knows that messages are lost.
    pub(crate) is_reported: bool,
    /// The last reason why the link was down.
    refusal: String,
    pub(crate) stats: LinkStats,
}

impl Link {
    pub(crate) fn new(token: Token, address: String, hello: Greeted) -> Self {
        Self {
            token,
            name: String::new(),
            address,
            hint: None,
            takes_hint: false,
            hello,
            state: LinkState::Waiting { until: 0 },
            pause_ns: PAUSE_MIN_NS,
            waiting: FrameQueue::default(),
            is_reported: false,
            refusal: String::new(),
            stats: LinkStats::default(),
        }
    }

    /// HOST:PORT that is dialled now.
    pub(crate) fn target(&self) -> &str {
        self.hint.as_deref().filter(|_| self.takes_hint).unwrap_or(&self.address)
    }

    /// The membership names an address: where it is the one that was found by a hint, that is what
    /// the hint was for.
    pub(crate) fn settle(mut self, address: &str) -> Self {
        if self.address != address && self.target() == address {
            address.clone_into(&mut self.address);
            (self.hint, self.takes_hint) = (None, false);
        }
        self
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, LinkState::Open { .. })
    }

    /// Takes a message. Says whether it is on its way.
    pub(crate) fn send(&mut self, message: &[u8]) -> bool {
        let is_sent = self.is_open() && self.waiting.push(message);
        if is_sent {
            self.stats.sent_messages += 1;
            self.stats.sent_bytes += message.len() as u64;
        } else {
            self.stats.dropped_messages += 1;
        }
        is_sent
    }

    /// Whether it is time to dial, or to give up dialling.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        match self.state {
            LinkState::Waiting { until } => now >= until,
            LinkState::Resolving { since } => now.saturating_sub(since) > GREETING_NS,
            LinkState::Greeting { since, is_connected, .. } => {
                let limit = if is_connected { GREETING_NS } else { CONNECTING_NS };
                now.saturating_sub(since) > limit
            }
            LinkState::Open { since, is_admitted, .. } => {
                !is_admitted && now.saturating_sub(since) > GREETING_NS
            }
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, LinkState::Waiting { .. })
    }

    pub(crate) fn is_resolving(&self) -> bool {
        matches!(self.state, LinkState::Resolving { .. })
    }

    pub(crate) fn resolve(&mut self, now: u64) {
        self.state = LinkState::Resolving { since: now };
    }

    /// Dials.
    pub(crate) fn connect(
        &mut self,
        to: SocketAddr,
        tls: Option<Arc<ClientConfig>>,
        now: u64,
        registry: &Registry,
    ) -> LinkChange {
        let dial = || {
            let mut socket = TcpStream::connect(to)?;
            // Without it messages still arrive, only later.
            let _ = socket.set_nodelay(true);
            crate::net::set_patience(&socket);
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut socket, self.token, interest)?;
            match tls {
                None => Ok(Stream::Plain(socket)),
                Some(config) => Stream::connect(socket, config, host(self.target())),
            }
        };
        match dial() {
            Ok(socket) => {
                let (answer, said) = (Vec::new(), None);
                self.state =
                    LinkState::Greeting { socket, since: now, is_connected: false, said, answer };
                LinkChange::None
            }
            Err(error) => self.fail(&error.to_string(), now),
        }
    }

    /// Gives the connection up and waits before the next.
    pub(crate) fn fail(&mut self, why: &str, now: u64) -> LinkChange {
        // What was wrong before it worked for a while is news when it is so again.
        if let LinkState::Open { since, .. } = self.state
            && now.saturating_sub(since) > WORKED_NS
        {
            self.refusal.clear();
        }
        if self.refusal != why {
            why.clone_into(&mut self.refusal);
            tracing::debug!(peer = self.target(), "no connection to a member: {why}");
        }
        self.state = LinkState::Waiting { until: now.saturating_add(self.pause_ns) };
        self.pause_ns = (self.pause_ns * 2).min(PAUSE_MAX_NS);
        self.takes_hint = self.hint.is_some() && !self.takes_hint;
        self.waiting = FrameQueue::default();
        LinkChange::Broken
    }

    /// Why the link was last down.
    pub(crate) fn refusal(&self) -> &str {
        &self.refusal
    }

    /// What a line of the log says about this link. The address and a hint, which are dialled in
    /// turn, may have a reason each.
    fn says(&self, why: &str) -> String {
        match self.name.as_str() {
            "" => format!("{}: {why}", self.target()),
            name => format!("{name} at {}: {why}", self.target()),
        }
    }

    /// One of the two sides does not believe the other. Certificates do not mend themselves, so
    /// an operator must see it.
    fn distrust(&mut self, why: &str, now: u64) -> LinkChange {
        let (peer, says) = (self.target(), self.says(why));
        notice!(LinkDistrusted, &says, [peer,], "{says}");
        self.fail(why, now)
    }

    /// Gives up for longer: the other side refused this one, or was not believed. Somebody has to
    /// know of it, since it does not mend itself.
    fn fall_out(&mut self, why: &str, now: u64) -> LinkChange {
        let (peer, own, says) = (self.target(), &self.hello.at, self.says(why));
        notice!(LinkRefused, &says, [peer, own,], "{says}");
        self.stay_away(why, now)
    }

    fn stay_away(&mut self, why: &str, now: u64) -> LinkChange {
        let change = self.fail(why, now);
        self.state = LinkState::Waiting { until: now.saturating_add(PAUSE_REFUSED_NS) };
        change
    }

    /// Something happened to the socket.
    pub(crate) fn ready(&mut self, now: u64, own: Own<'_>) -> LinkChange {
        match &self.state {
            LinkState::Waiting { .. } | LinkState::Resolving { .. } => LinkChange::None,
            LinkState::Greeting { .. } => self.greet(now, own),
            LinkState::Open { .. } => self.listen(now, own.prover),
        }
    }

    fn greet(&mut self, now: u64, own: Own<'_>) -> LinkChange {
        let target = self.target().to_owned();
        let Greeted { cluster, to, at } = self.hello.clone();
        let LinkState::Greeting { socket, is_connected, said, answer, .. } = &mut self.state else {
            return LinkChange::None;
        };
        let mut advance = || {
            if let Some(error) = socket.socket().take_error()? {
                return Err(error);
            }
            if said.is_none() {
                match socket.socket().peer_addr() {
                    Ok(_) => *is_connected = true,
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        return Ok(HelloAnswer::Partial);
                    }
                    Err(error) => return Err(error),
                }
                if !socket.shake_hands()? {
                    return Ok(HelloAnswer::Partial);
                }
                let query = Hello { cluster, to, at: at.clone(), claim: own.claim }.query();
                let nonce = own.prover.map(|_| draw_nonce()).transpose()?;
                // A fresh connection takes a few hundred bytes at once.
                socket.write_all(&hello::request(&target, &query, nonce.as_deref()))?;
                *said = Some(Exchange { query, nonce: nonce.unwrap_or_default() });
            }
            let is_all = read_into(socket, answer, hello::ANSWER_MAX)?;
            Ok(hello::read_answer(answer, is_all))
        };
        match advance() {
            Ok(HelloAnswer::Partial) => LinkChange::None,
            Ok(HelloAnswer::Welcome(nonce, proof)) => {
                self.welcomed(now, own.prover, &nonce, &proof)
            }
            Ok(HelloAnswer::Refused(refusal)) => self.refused(now, own.prover, &refusal),
            Ok(HelloAnswer::Admitted(_) | HelloAnswer::Invalid) => {
                self.fail("unexpected response to the peer handshake", now)
            }
            // Plain sockets know no invalid data.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.distrust(&error.to_string(), now)
            }
            Err(error) => self.fail(&error.to_string(), now),
        }
    }

    /// The other side takes this one for a member. With a secret both still have to prove it.
    fn welcomed(
        &mut self,
        now: u64,
        prover: Option<&Prover>,
        nonce: &str,
        proof: &str,
    ) -> LinkChange {
        let state = std::mem::replace(&mut self.state, LinkState::Waiting { until: 0 });
        let LinkState::Greeting { mut socket, said: Some(said), .. } = state else {
            return LinkChange::None;
        };
        if let Some(prover) = prover {
            if !said.is_welcome(prover, nonce, proof) {
                let mut last = Vec::new();
                frame::put(&mut last, hello::UNPROVEN);
                // It is a courtesy: the connection ends in any case.
                let _ = socket.write_all(&last);
                return self.fall_out(
                    "the machine there does not prove that it knows the cluster's secret: give \
                     both the same -peer-token, or find out which process answers at its address",
                    now,
                );
            }
            self.waiting.push(said.hello(prover, nonce).as_bytes());
        }
        let is_admitted = prover.is_none();
        self.state = LinkState::Open { socket, since: now, said, heard: Vec::new(), is_admitted };
        self.stats.connects += 1;
        self.pause_ns = PAUSE_MIN_NS;
        self.is_reported = false;
        self.flush(now);
        match self.state {
            LinkState::Open { is_admitted: true, .. } => LinkChange::Admitted,
            LinkState::Open { .. } => LinkChange::Opened,
            _ => LinkChange::Broken,
        }
    }

    /// The other side does not take this one. It is believed only as far as it proves itself.
    fn refused(&mut self, now: u64, prover: Option<&Prover>, refusal: &HelloRefusal) -> LinkChange {
        let said = match &self.state {
            LinkState::Greeting { said, .. } => said.as_ref(),
            LinkState::Open { said, .. } => Some(said),
            _ => None,
        };
        let HelloRefusal { status, body, proof } = refusal;
        let is_proven = prover.is_none_or(|prover| {
            said.is_some_and(|said| said.is_verdict(prover, (*status, body), proof))
        });
        let (status, why) = (refusal.status, refusal.sentence());
        match status {
            // An unproven claim is ignored.
            _ if !is_proven => self.fall_out(
                &format!(
                    "refused with {status}: {why} (unproven: the process that answers there does \
                     not show that it knows the cluster's secret; is -peer-token the same there?)"
                ),
                now,
            ),
            410 => {
                self.fail("this machine was removed from the cluster", now);
                LinkChange::Removed
            }
            400 | 403 | 421 | 426 => self.fall_out(&format!("refused with {status}: {why}"), now),
            409 => {
                let why = format!("refused with {status}: {why}");
                let (peer, own, says) = (self.target(), &self.hello.at, self.says(&why));
                notice!(IdentityRejected, &says, [peer, own,], "{says}");
                self.stay_away(&why, now);
                LinkChange::Disowned
            }
            _ => {
                let was_open = self.is_open();
                let change = self.fail(&format!("refused with {status}: {why}"), now);
                if was_open {
                    let until = now.saturating_add(PAUSE_REFUSED_NS);
                    self.state = LinkState::Waiting { until };
                }
                change
            }
        }
    }

    /// All that the other side says is its verdict, and it ends the connection.
    fn listen(&mut self, now: u64, prover: Option<&Prover>) -> LinkChange {
        let LinkState::Open { socket, heard, .. } = &mut self.state else {
            return LinkChange::None;
        };
        let is_all = match read_into(socket, heard, hello::ANSWER_MAX) {
            Ok(false) if heard.is_empty() => return self.flush(now),
            Ok(is_all) => is_all,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return self.fail("the connection was closed", now);
            }
            Err(error) => return self.fail(&error.to_string(), now),
        };
        match hello::read_answer(heard, is_all) {
            HelloAnswer::Partial => self.flush(now),
            HelloAnswer::Refused(refusal) => self.refused(now, prover, &refusal),
            HelloAnswer::Admitted(proof) => self.admitted(now, prover, &proof),
            _ => self.fail("unexpected bytes from the peer", now),
        }
    }

    fn admitted(&mut self, now: u64, prover: Option<&Prover>, proof: &str) -> LinkChange {
        let LinkState::Open { said, heard, is_admitted, .. } = &mut self.state else {
            return LinkChange::None;
        };
        let is_proven = prover.is_some_and(|prover| said.is_verdict(prover, (200, b""), proof));
        if *is_admitted || !is_proven {
            return self.fail("unexpected bytes from the peer", now);
        }
        *is_admitted = true;
        *heard = Vec::new();
        match self.flush(now) {
            LinkChange::None => LinkChange::Admitted,
            change => change,
        }
    }

    /// Sends what waits, as much as the socket takes.
    pub(crate) fn flush(&mut self, now: u64) -> LinkChange {
        let LinkState::Open { socket, .. } = &mut self.state else { return LinkChange::None };
        match self.waiting.send_to(socket) {
            Ok(_) => LinkChange::None,
            Err(error) => self.fail(&error.to_string(), now),
        }
    }
}

/// HOST in HOST:PORT.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Reads what is there, and says whether that is all that will ever come.
fn read_into(socket: &mut Stream, into: &mut Vec<u8>, max: usize) -> io::Result<bool> {
    let mut bytes = [0; 1024];
    while into.len() < max {
        match socket.read(&mut bytes) {
            Ok(0) if into.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => return Ok(true),
            Ok(len) => into.extend_from_slice(bytes.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
