//! The connection layer: sockets in, whole requests out; answers in, bytes out.
//!
//! A [`Front`] owns the connections of a server, whatever it serves: it accepts, does TLS
//! handshakes, reads and sends, and holds the bounds on time, memory and numbers. A [`Service`] is
//! what requests are for: it gets each of them whole and gives back a [`Reply`]. `T`, its
//! [`Pending`], is what a request waits for that is not answered at once; the front keeps it with
//! the connection and hands it back when the connection is gone, so that nothing is forgotten.
//!
//! Nothing here knows of replication, of the key space, or of the thread that owns them.

mod accept;
mod audited;
mod backlog;
mod bounds;
mod budget;
mod connection;
mod front;
mod handshake;
mod listener;
mod outbox;
mod poll_wait;
mod reply;
mod send;
mod serve;
mod slab;
mod slow_clients;
pub(crate) mod tls;

pub(crate) use connection::{Connection, Phase};
pub(crate) use front::{Front, FrontParts, Load, TOKEN_BASE};
pub(crate) use listener::{Listener, ListenerSocket};
pub(crate) use outbox::Outbox;
pub(crate) use poll_wait::BusyPoll;
pub(crate) use reply::{Body, Reply, Response};
pub(crate) use send::flush_dirty;
pub(crate) use serve::{begin_round, go_on, take};
pub(crate) use slab::{Key, Slab};
pub(crate) use slow_clients::close_slow;

use crate::audit::Entry;
use crate::config::{Dialect, Port};
use crate::http::request::{Method, Refusal, Request};
use crate::http::response::ReplyMode;
use std::time::Duration;

/// How a pending request ends when its client has sent its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientEnd {
    /// It is answered all the same: clients may end their side and read on.
    Answer,
    /// It ends with the client.
    Forget,
}

/// What a request waits for.
pub(crate) trait Pending {
    /// How it ends when the client has sent its last byte.
    fn on_client_end(&self) -> ClientEnd;

    /// Whether more of the answer can be printed as soon as the client has taken what there is.
    fn has_more(&self) -> bool {
        false
    }

    /// Whether the connection goes on as HTTP; if not, its bytes are the service's.
    fn is_http(&self) -> bool {
        true
    }

    /// Whether the service moves the bytes of the connection itself.
    fn is_relayed(&self) -> bool {
        false
    }

    /// How long the other side may be silent, in nanoseconds, where that is bounded.
    fn silence_max(&self) -> Option<u128> {
        None
    }
}

/// The sender of a request, and the mode of the reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) key: Key,
    pub(crate) port: Port,
    pub(crate) mode: ReplyMode,
    /// Whether TLS is spoken with it.
    pub(crate) is_tls: bool,
}

/// Handles requests.
pub(crate) trait Service: Sized {
    /// What a request waits for that is not answered at once.
    type Pending: Pending;

    /// The connections, and the buffer that handlers print into.
    fn parts(&mut self) -> (&mut Front<Self::Pending>, &mut Vec<u8>);

    fn front(&mut self) -> &mut Front<Self::Pending> {
        self.parts().0
    }

    /// Answers a request, or says what it waits for.
    fn request(&mut self, caller: Caller, request: &Request<'_>) -> Reply<Self::Pending>;

    /// What the audit log tells of a request that was just answered or waits.
    fn audited(&mut self, _: Key, _: &Request<'_>) -> Option<Box<Entry>> {
        None
    }

    /// The answer to an invalid request. If it named a path of the key space `keys_in` is the
    /// dialect in which it did.
    fn refuse(&mut self, refusal: Refusal, keys_in: Option<Dialect>) -> Response;

    /// Takes bytes of an upgraded connection. Gives how many were used; nothing if the connection
    /// must be closed.
    fn take_bytes(&mut self, key: Key, bytes: &[u8]) -> Option<usize>;

    /// Moves bytes of a connection that is relayed.
    fn relay(&mut self, key: Key);

    /// Prints more of a long answer: everything before it was sent.
    fn print_more(&mut self, key: Key);

    /// A connection is gone; `pending` is what its request waited for.
    fn client_gone(&mut self, key: Key, pending: Self::Pending);

    /// Ends a connection and what its request waited for.
    fn close(&mut self, key: Key) {
        if let Some(pending) = self.front().remove(key) {
            self.client_gone(key, pending);
        }
    }

    /// Whether what was gathered from requests is to be dealt with before more are taken.
    fn is_sated(&self) -> bool {
        false
    }
}

/// Where connections and requests are counted.
pub(crate) trait Count {
    /// A request came in.
    fn received(&self, method: Method);

    /// A request was answered with an error.
    fn failed(&self, status: u16, method: Method);

    /// A connection was refused, since there are too many.
    fn refused(&self);
}

/// How long the other side may leave what was sent unacknowledged. The kernel waits twice as long
/// after each packet that was lost, so that a connection which has outlived a partition of some
/// seconds may be silent for as long again; a new one speaks at once.
const SILENCE_MAX: Duration = Duration::from_millis(1500);

/// Nanoseconds that something may take; as in the original no limit is written as zero.
fn time_limit(seconds: f64) -> u128 {
    if seconds == 0.0 {
        return u128::MAX;
    }
    Duration::from_secs_f64(seconds.clamp(0.001, 1e9)).as_nanos()
}

/// A client that is gone without a word is noticed within some minutes, so that its watches end.
fn keep_alive(socket: &mio::net::TcpStream) {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(20))
        .with_retries(3);
    // Without it the connection lives on; it is counted and bounded all the same.
    let _ = socket2::SockRef::from(socket).set_tcp_keepalive(&keepalive);
}

/// A network that goes silent is noticed: soon where something waits to be acknowledged, after a
/// few seconds where nothing does.
pub(crate) fn set_patience(socket: &mio::net::TcpStream) {
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
mod tests;
