//! What a request to a member waits for that is not answered at once.
//!
//! Each kind defines here how it ends when its client disconnects, when the server stops and when
//! its outcome is known (`member/deliver.rs`): the matches are exhaustive, so a new kind does not
//! compile without that.

use super::asker::Asker;
use super::auth::waiting::{AuthRead, AuthWish};
use super::backup::sending::Sending;
use super::keys::aside::Aside;
use super::keys::listing::Print;
use super::keys::request::{Form, Get};
use super::keys::watching::Watching;
use super::lock::request::LockField;
use crate::join::JoinRequest;
use crate::net::{ClientEnd, Key, Pending};
use crate::peer::hello::{Exchange, Hello};
use replica::{Member, MemberId};
use store::Principal;

/// How long a caller may take to prove itself: 2 s.
const PROOF_NS: u128 = 2_000_000_000;

/// What a request waits for.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// The outcome of a write that was proposed.
    Write {
        form: Form,
        /// When it came, by the monotonic clock.
        since: u64,
    },
    /// Its password to be checked; it is served again then.
    Credentials,
    /// The read index behind which users or roles are read.
    AuthRead(Box<AuthRead>),
    /// The hash of a password, with which a user is to be changed.
    Hash(Box<AuthWish>),
    /// The outcome of a change of users or roles.
    AuthWrite(Box<str>),
    /// A quorum read, waiting for its read index.
    Read {
        path: Box<str>,
        get: Get,
        who: Principal,
        /// When it came, by the monotonic clock.
        since: u64,
    },
    /// An event.
    Watch(Box<Watching>),
    /// Room for more of a long answer.
    List(Box<dyn Print>),
    /// A piece of a long answer that is made beside the loop.
    Aside(Box<Aside>),
    /// The read index behind which a backup is made.
    BackupRead(Asker),
    /// A piece of a backup.
    Backup(Box<Sending>),
    /// A lock, by its waiter.
    Lock(Key),
    /// The outcome of a lock's renewal or release.
    LockWrite,
    /// A read of a lock, waiting for its read index.
    LockRead { dir: Box<str>, field: LockField, who: Principal },
    /// The outcome of a change of the cluster's configuration.
    Configure,
    /// The index to be raised.
    RaiseIndex,
    /// A join request of a machine.
    Join(Box<Joining>),
    /// The removal of a machine.
    Remove(MemberId),
    /// A change of the members that was asked for in the words of 2.x.
    Member(Box<MemberChange>),
    /// Another leader (`api/leader.rs`).
    HandOver,
    /// Whether a write would work (`member/probe.rs`).
    Health,
    /// The proof that a member that was welcomed knows the cluster's secret.
    Guest(Box<Guest>),
    /// Messages of another member, on an upgraded connection.
    Peer(MemberId),
}

/// A machine that waits for its place.
#[derive(Debug)]
pub(crate) struct Joining {
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
pub(crate) enum MemberChange {
    Add(Member),
    Update(Member),
    Remove(MemberId),
}

/// How a pending request ends when the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnStop {
    /// It is refused, since its outcome will not be known here.
    Refuse,
    /// It is refused, and nothing was done: it was not even begun with.
    RefuseUndone,
    /// The removal of this member itself, which is done.
    RemoveSelf,
    /// It has an end of its own: watches, locks, long answers, other members.
    EndsItself,
}

impl Waiting {
    /// How it ends when the server stops. `own` is this member, if it is being removed.
    pub(crate) fn on_stop(&self, own: Option<MemberId>) -> OnStop {
        let is_own = |id: MemberId| Some(id) == own;
        match self {
            Waiting::Remove(id) if is_own(*id) => OnStop::RemoveSelf,
            Waiting::Member(change) => match **change {
                MemberChange::Remove(id) if is_own(id) => OnStop::RemoveSelf,
                MemberChange::Add(_) | MemberChange::Update(_) | MemberChange::Remove(_) => {
                    OnStop::Refuse
                }
            },
            Waiting::Write { .. }
            | Waiting::Read { .. }
            | Waiting::AuthRead(_)
            | Waiting::AuthWrite(_)
            | Waiting::BackupRead(_)
            | Waiting::LockWrite
            | Waiting::LockRead { .. }
            | Waiting::Configure
            | Waiting::RaiseIndex
            | Waiting::Join(_)
            | Waiting::Remove(_)
            | Waiting::HandOver
            | Waiting::Health => OnStop::Refuse,
            Waiting::Credentials | Waiting::Hash(_) => OnStop::RefuseUndone,
            Waiting::Watch(_)
            | Waiting::List(_)
            | Waiting::Aside(_)
            | Waiting::Backup(_)
            | Waiting::Lock(_)
            | Waiting::Guest(_)
            | Waiting::Peer(_) => OnStop::EndsItself,
        }
    }
}

impl Pending for Waiting {
    fn on_client_end(&self) -> ClientEnd {
        match self {
            Waiting::Write { .. }
            | Waiting::Read { .. }
            | Waiting::Credentials
            | Waiting::AuthRead(_)
            | Waiting::Hash(_)
            | Waiting::AuthWrite(_)
            | Waiting::List(_)
            | Waiting::Aside(_)
            | Waiting::BackupRead(_)
            | Waiting::Backup(_)
            | Waiting::LockWrite
            | Waiting::LockRead { .. }
            | Waiting::Configure
            | Waiting::RaiseIndex
            | Waiting::Join(_)
            | Waiting::Remove(_)
            | Waiting::Member(_)
            | Waiting::HandOver
            | Waiting::Health => ClientEnd::Answer,
            Waiting::Watch(_) | Waiting::Lock(_) | Waiting::Guest(_) | Waiting::Peer(_) => {
                ClientEnd::Forget
            }
        }
    }

    fn has_more(&self) -> bool {
        match self {
            Waiting::List(_) => true,
            Waiting::Aside(aside) => aside.has_more(),
            Waiting::Watch(watching) => watching.lags,
            Waiting::Backup(sending) => sending.has_more(),
            _ => false,
        }
    }

    fn is_http(&self) -> bool {
        !matches!(self, Waiting::Guest(_) | Waiting::Peer(_))
    }

    fn silence_max(&self) -> Option<u128> {
        matches!(self, Waiting::Guest(_)).then_some(PROOF_NS)
    }
}
