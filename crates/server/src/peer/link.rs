//! The connection over which this member speaks to one other.

use super::frame;
use super::hello::{self, Answer, Hello};
use crate::text::printable;
use crate::tls::Stream;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ClientConfig;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that may wait for a slow member.
const WAITING_BYTES_MAX: usize = 96 << 20;

/// How long connecting and the upgrade may take together: 2 s.
const GREETING_NS: u64 = 2_000_000_000;

/// How long a network may take to make the connection: 500 ms. The kernel repeats a packet that
/// was lost only after one second, then after two: it is quicker to dial anew.
const CONNECTING_NS: u64 = 500_000_000;

/// The first pause after a connection broke, and the longest: 20 ms and 300 ms. Together with
/// connecting it is what a member waits at most when a partition has ended.
const PAUSE_MIN_NS: u64 = 20_000_000;
const PAUSE_MAX_NS: u64 = 300_000_000;

/// How long the other side may leave what was sent unacknowledged. The kernel waits twice as long
/// after each packet that was lost, so that a connection which has outlived a partition of some
/// seconds may be silent for as long again; a new one speaks at once.
const SILENCE_MAX: Duration = Duration::from_millis(1500);

/// What is counted of one member.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkStats {
    pub(crate) sent_messages: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) dropped_messages: u64,
    pub(crate) connects: u64,
}

#[derive(Debug)]
enum State {
    /// Not connected; dialled again at this time.
    Waiting {
        until: u64,
    },
    /// The host's name is being looked up.
    Resolving {
        since: u64,
    },
    /// Dialled; the hello is sent as soon as there is a connection.
    Greeting {
        socket: Stream,
        since: u64,
        is_connected: bool,
        has_sent: bool,
        answer: Vec<u8>,
    },
    Open {
        socket: Stream,
    },
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Opened,
    /// It broke, or could not be made.
    Broken,
    /// The other side says that this member was removed.
    Removed,
}

/// The way to one other member.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) token: Token,
    /// HOST:PORT.
    pub(crate) address: String,
    /// Where it may be reached as well, and whether that is dialled this time.
    pub(crate) hint: Option<String>,
    takes_hint: bool,
    pub(crate) hello: Hello,
    state: State,
    pause_ns: u64,
    /// Frames that wait, and how much of them is sent.
    waiting: Vec<u8>,
    sent: usize,
    /// Whether raft knows that messages are lost.
    pub(crate) is_reported: bool,
    /// The last refusal that was logged, so that it is logged once.
    refusal: String,
    pub(crate) stats: LinkStats,
}

impl Link {
    pub(crate) fn new(token: Token, address: String, hello: Hello) -> Self {
        Self {
            token,
            address,
            hint: None,
            takes_hint: false,
            hello,
            state: State::Waiting { until: 0 },
            pause_ns: PAUSE_MIN_NS,
            waiting: Vec::new(),
            sent: 0,
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
        if self.target() == address {
            address.clone_into(&mut self.address);
            (self.hint, self.takes_hint) = (None, false);
        }
        self
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Takes a message. Says whether it is on its way.
    pub(crate) fn send(&mut self, message: &[u8]) -> bool {
        let is_sound = self.is_open()
            && self.waiting.len() - self.sent < WAITING_BYTES_MAX
            && message.len() <= frame::PAYLOAD_MAX;
        if is_sound {
            self.stats.sent_messages += 1;
            self.stats.sent_bytes += message.len() as u64;
            frame::put(&mut self.waiting, message);
        } else {
            self.stats.dropped_messages += 1;
        }
        is_sound
    }

    /// Whether it is time to dial, or to give up dialling.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        match self.state {
            State::Waiting { until } => now >= until,
            State::Resolving { since } => now.saturating_sub(since) > GREETING_NS,
            State::Greeting { since, is_connected, .. } => {
                let limit = if is_connected { GREETING_NS } else { CONNECTING_NS };
                now.saturating_sub(since) > limit
            }
            State::Open { .. } => false,
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    pub(crate) fn is_resolving(&self) -> bool {
        matches!(self.state, State::Resolving { .. })
    }

    pub(crate) fn resolve(&mut self, now: u64) {
        self.state = State::Resolving { since: now };
    }

    /// Dials.
    pub(crate) fn connect(
        &mut self,
        to: SocketAddr,
        tls: Option<Arc<ClientConfig>>,
        now: u64,
        registry: &Registry,
    ) -> Change {
        let dial = || {
            let mut socket = TcpStream::connect(to)?;
            // Without it messages still arrive, only later.
            let _ = socket.set_nodelay(true);
            set_patience(&socket);
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut socket, self.token, interest)?;
            match tls {
                None => Ok(Stream::Plain(socket)),
                Some(config) => Stream::connect(socket, config, host(self.target())),
            }
        };
        match dial() {
            Ok(socket) => {
                let answer = Vec::new();
                self.state = State::Greeting {
                    socket,
                    since: now,
                    is_connected: false,
                    has_sent: false,
                    answer,
                };
                Change::None
            }
            Err(error) => self.fail(&error.to_string(), now),
        }
    }

    /// Gives the connection up and waits before the next.
    pub(crate) fn fail(&mut self, why: &str, now: u64) -> Change {
        if self.refusal != why {
            why.clone_into(&mut self.refusal);
            tracing::debug!(peer = self.target(), "no connection to a member: {why}");
        }
        self.state = State::Waiting { until: now.saturating_add(self.pause_ns) };
        self.pause_ns = (self.pause_ns * 2).min(PAUSE_MAX_NS);
        self.takes_hint = self.hint.is_some() && !self.takes_hint;
        (self.waiting, self.sent) = (Vec::new(), 0);
        Change::Broken
    }

    /// One of the two sides does not believe the other. Certificates do not mend themselves, so
    /// somebody has to know of it.
    fn distrust(&mut self, why: &str, now: u64) -> Change {
        if self.refusal != why {
            tracing::warn!(peer = self.target(), "no connection to a member over TLS: {why}");
        }
        self.fail(why, now)
    }

    /// Something happened to the socket.
    pub(crate) fn ready(&mut self, now: u64, token: &str) -> Change {
        match &mut self.state {
            State::Waiting { .. } | State::Resolving { .. } => Change::None,
            State::Greeting { .. } => self.greet(now, token),
            State::Open { socket } => match is_alive(socket) {
                Ok(()) => self.flush(now),
                Err(error) => self.fail(&error.to_string(), now),
            },
        }
    }

    fn greet(&mut self, now: u64, token: &str) -> Change {
        let target = self.target().to_owned();
        let State::Greeting { socket, is_connected, has_sent, answer, .. } = &mut self.state else {
            return Change::None;
        };
        let mut advance = || {
            if let Some(error) = socket.socket().take_error()? {
                return Err(error);
            }
            if !*has_sent {
                match socket.socket().peer_addr() {
                    Ok(_) => *is_connected = true,
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        return Ok(Answer::Partial);
                    }
                    Err(error) => return Err(error),
                }
                if !socket.shake_hands()? {
                    return Ok(Answer::Partial);
                }
                // A fresh connection takes a few hundred bytes at once.
                socket.write_all(&self.hello.request(&target, token))?;
                *has_sent = true;
            }
            read_into(socket, answer, hello::ANSWER_MAX)?;
            Ok(hello::read_answer(answer))
        };
        match advance() {
            Ok(Answer::Partial) => Change::None,
            Ok(Answer::Welcome) => {
                let state = std::mem::replace(&mut self.state, State::Waiting { until: 0 });
                if let State::Greeting { socket, .. } = state {
                    self.state = State::Open { socket };
                }
                self.stats.connects += 1;
                self.pause_ns = PAUSE_MIN_NS;
                self.is_reported = false;
                self.refusal.clear();
                Change::Opened
            }
            Ok(Answer::Refused(410, _)) => {
                self.fail("this machine was removed from the cluster", now);
                Change::Removed
            }
            Ok(Answer::Refused(status, body)) => {
                self.fail(&format!("refused with {status}: {}", printable(&body)), now)
            }
            Ok(Answer::Garbage) => self.fail("it answers no member would", now),
            // Plain sockets know no invalid data.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.distrust(&error.to_string(), now)
            }
            Err(error) => self.fail(&error.to_string(), now),
        }
    }

    /// Sends what waits, as much as the socket takes.
    pub(crate) fn flush(&mut self, now: u64) -> Change {
        let State::Open { socket } = &mut self.state else { return Change::None };
        while let Some(rest) = self.waiting.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match socket.write(rest) {
                Ok(0) => return self.fail("the connection takes nothing", now),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.forget_sent();
                    return Change::None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.fail(&error.to_string(), now),
            }
        }
        self.waiting.clear();
        self.sent = 0;
        match socket.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                return self.fail(&error.to_string(), now);
            }
            _ => {}
        }
        // A burst must not hold its memory for ever.
        self.waiting.shrink_to(256 << 10);
        Change::None
    }

    fn forget_sent(&mut self) {
        if self.sent > self.waiting.len() / 2 {
            self.waiting.drain(..self.sent);
            self.sent = 0;
        }
    }
}

/// HOST in HOST:PORT.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The other side never speaks: all that can be read is the end.
fn is_alive(socket: &mut Stream) -> io::Result<()> {
    let mut byte = [0; 1];
    match socket.read(&mut byte) {
        Ok(0) => Err(io::Error::other("the connection was closed")),
        Ok(_) => Err(io::Error::other("it speaks where it must not")),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error),
    }
}

fn read_into(socket: &mut Stream, into: &mut Vec<u8>, max: usize) -> io::Result<()> {
    let mut bytes = [0; 1024];
    while into.len() < max {
        match socket.read(&mut bytes) {
            Ok(0) if into.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => return Ok(()),
            Ok(len) => into.extend_from_slice(bytes.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A network that goes silent is noticed: soon where something waits to be acknowledged, after a
/// few seconds where nothing does.
pub(crate) fn set_patience(socket: &TcpStream) {
    use socket2::{SockRef, TcpKeepalive};
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(2))
        .with_interval(Duration::from_secs(1))
        .with_retries(3);
    let socket = SockRef::from(socket);
    // Without them a silent network is noticed by raft all the same, only the connection lives on.
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(SILENCE_MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use replica::{ClusterId, MemberId};

    #[test]
    fn a_connection_that_is_not_made_soon_is_dialled_anew() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let mut poll = mio::Poll::new().unwrap();
        let (cluster, from, to_id) = (ClusterId(1), MemberId(1), MemberId(2));
        let hello = Hello { cluster, from, to: to_id, at: "127.0.0.1:1".to_owned() };
        let mut link = Link::new(Token(1), to.to_string(), hello);
        assert_eq!(link.connect(to, None, 0, poll.registry()), Change::None);
        assert!(!link.is_due(CONNECTING_NS));
        assert!(link.is_due(CONNECTING_NS + 1), "the network says nothing");
        let mut events = mio::Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
        assert_eq!(link.ready(1, ""), Change::None);
        assert!(!link.is_due(CONNECTING_NS + 1), "it is the other side's turn now");
        assert!(link.is_due(GREETING_NS + 1));
    }

    #[test]
    fn a_hint_is_dialled_in_turn_and_stays_where_it_was_right() {
        let hello = Hello {
            cluster: ClusterId(1),
            from: MemberId(1),
            to: MemberId(2),
            at: "a:1".to_owned(),
        };
        let mut link = Link::new(Token(1), "b:1".to_owned(), hello);
        link.fail("nobody there", 0);
        assert_eq!(link.target(), "b:1", "there is no other");
        link.hint = Some("b:2".to_owned());
        let mut dialled = Vec::new();
        for _ in 0..4 {
            link.fail("nobody there", 0);
            dialled.push(link.target().to_owned());
        }
        assert_eq!(dialled, ["b:2", "b:1", "b:2", "b:1"]);
        link.fail("nobody there", 0);
        let link = link.settle("b:3");
        assert_eq!((link.address.as_str(), link.target()), ("b:1", "b:2"));
        let link = link.settle("b:2");
        assert_eq!((link.address.as_str(), link.hint), ("b:2", None));
    }

    #[test]
    fn a_certificate_is_held_against_the_host_alone() {
        for (address, want) in
            [("h:1", "h"), ("10.0.0.1:7001", "10.0.0.1"), ("[::1]:7001", "::1"), ("h", "h")]
        {
            assert_eq!(host(address), want);
        }
    }
}
