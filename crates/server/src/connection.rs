//! One connection of a client.

use crate::api::keys::Get;
use crate::api::listing::Listing;
use crate::api::lock::LockField;
use crate::api::route::Port;
use crate::config::Dialect;
use crate::http::reader::{Method, State};
use crate::join::JoinRequest;
use crate::outbox::Outbox;
use crate::peer::hello::{Exchange, Hello};
use crate::proof::Proven;
use crate::slab::Key;
use crate::tls::Stream;
use replica::{Member, MemberId};
use std::sync::Arc;
use store::{Event, StoreIndex, WatchFilter, WatcherId};

/// What a connection is waiting for.
#[derive(Debug)]
pub(crate) enum Task {
    /// The next request.
    Idle,
    /// The outcome of a write that was proposed.
    Write {
        /// Whether only the action is answered.
        no_value: bool,
        /// When it came, by the monotonic clock.
        since: u64,
    },
    /// The outcome of a change of the cluster's configuration.
    Configure,
    /// A place for a machine that wants to join.
    Join(Box<JoinTask>),
    /// The removal of a machine.
    Remove(MemberId),
    /// A change of the members that was asked for in the words of 2.x.
    Member(Box<MemberTask>),
    /// The proof that a member that was welcomed knows the cluster's secret.
    Guest(Box<Guest>),
    /// Messages of another member; this is no HTTP any more.
    Peer(MemberId),
    /// Leave to answer a quorum read.
    Read { path: Box<str>, get: Get },
    /// An event.
    Watch(Box<WatchTask>),
    /// A lock, by the claim to it.
    Claim(Key),
    /// The outcome of a lock's renewal or release.
    LockWrite,
    /// Leave to answer a read of a lock.
    LockRead { dir: Box<str>, field: LockField },
    /// Room for more of a long answer.
    List(Box<Listing>),
    /// The client's end of the connection; what it still sends is thrown away.
    Drain { left: usize },
}

/// A machine that waits for its place.
#[derive(Debug)]
pub(crate) struct JoinTask {
    pub(crate) member: Member,
    /// Whether the one that has its name must go first.
    pub(crate) removes: bool,
    /// What it asked for, while it is being dialled.
    pub(crate) request: Option<JoinRequest>,
}

/// A member that was welcomed and has not proven itself yet.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) hello: Hello,
    pub(crate) said: Exchange,
    /// What this member drew for it.
    pub(crate) nonce: String,
}

/// What a client of `/v2/members` waits for.
#[derive(Debug)]
pub(crate) enum MemberTask {
    Add(Member),
    Update(Member),
    Remove(MemberId),
}

/// A watch that waits, or a stream that goes on.
#[derive(Debug)]
pub(crate) struct WatchTask {
    pub(crate) filter: WatchFilter,
    pub(crate) watcher: WatcherId,
    pub(crate) stream: bool,
    /// The index behind the last event that was delivered.
    pub(crate) next: StoreIndex,
    /// Whether events are taken from the history until it has caught up.
    pub(crate) lags: bool,
    /// The event that a lagging stream is to be given next, where that is known already: an index
    /// alone does not tell, since the events of an internal command share one.
    pub(crate) pending: Option<Arc<Event>>,
}

/// How the request in hand is to be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) method: Method,
    pub(crate) is_http11: bool,
    pub(crate) keep_alive: bool,
    pub(crate) is_head: bool,
    /// Which of the listed origins it came from.
    pub(crate) origin: u16,
}

impl Default for Manner {
    fn default() -> Self {
        let method = Method::Other;
        Self { method, is_http11: true, keep_alive: true, is_head: false, origin: 0 }
    }
}

/// A connection and everything it waits for. An idle one holds no buffers.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: Stream,
    pub(crate) port: Port,
    /// What has arrived and is not used up.
    pub(crate) input: Vec<u8>,
    pub(crate) state: State,
    pub(crate) outbox: Outbox,
    pub(crate) task: Task,
    pub(crate) manner: Manner,
    /// What the answer to the request in hand is to be proven with.
    pub(crate) proven: Option<Box<Proven>>,
    /// Whether the connection ends when everything is sent.
    pub(crate) closes: bool,
    /// Whether the client has sent its last byte.
    pub(crate) ended: bool,
    /// Whether the socket may hold bytes that were not read.
    pub(crate) readable: bool,
    /// Whether the socket took less than there was to send, or a TLS session is not set up yet.
    pub(crate) is_blocked: bool,
    /// Whether it is in the list of those with something to send.
    pub(crate) is_dirty: bool,
    /// Since when it has been in the middle of a request or of an answer, by the monotonic clock.
    pub(crate) busy_since: u64,
}

impl Connection {
    pub(crate) fn new(socket: Stream, port: Port, now: u64) -> Self {
        Self {
            is_blocked: matches!(socket, Stream::Tls(_)),
            socket,
            port,
            input: Vec::new(),
            state: State::default(),
            outbox: Outbox::default(),
            task: Task::Idle,
            manner: Manner::default(),
            proven: None,
            closes: false,
            ended: false,
            readable: false,
            is_dirty: false,
            busy_since: now,
        }
    }

    /// The dialect spoken here; the peer port has only answers that are the same in both.
    pub(crate) fn dialect(&self) -> Dialect {
        match self.port {
            Port::Client(dialect) => dialect,
            Port::Peer => Dialect::V04,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.task, Task::Idle)
    }
}
