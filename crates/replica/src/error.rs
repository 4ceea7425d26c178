//! What can go wrong beside the errors of the key space.

use std::fmt;
use store::StoreError;

/// This member cannot serve a request now. The texts are shown to clients as the cause of error
/// 300.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineError {
    /// No leader is known; nothing was done.
    NoLeader,
    /// Another member leads; nothing was done.
    NotLeader,
    /// No outcome within the request time-out: the write may or may not happen.
    Timeout,
    /// The member that the write was sent to went away: it may or may not happen.
    Unknown,
    /// Leadership was lost while the write was on its way; it did not happen.
    Superseded,
    /// Too many requests are waiting; nothing was done.
    Overloaded,
    /// The disk is full; nothing was done, reads go on.
    DiskFull,
    /// The member is shutting down; the write may or may not happen.
    Stopping,
    /// A change of the membership would leave no majority of members that are alive.
    QuorumAtRisk,
    /// Another change of the membership was under way and this one was dropped.
    ChangePending,
    /// A machine with this name is a member already.
    NameTaken,
    /// The peer address belongs to another member.
    AddressTaken,
    /// The cluster has as many members as its configuration wants.
    ClusterFull,
    /// There is no such member.
    NoSuchMember,
    /// The member was removed for good.
    Removed,
    /// The member's state differs from that of others, and no majority has the same.
    Diverged,
    /// The member lost what it had acknowledged.
    LostPromise,
    /// A machine asks to join under the id of a member that takes part already.
    AlreadyMember,
    /// The member's directory is a copy, and too few others have let it speak.
    Unconfirmed,
    /// Others do not believe this member to be who it is, and without them there is no quorum.
    Disowned,
}

impl EngineError {
    /// All of them, in the order of their numbers between members.
    pub const ALL: [EngineError; 20] = [
        EngineError::NoLeader,
        EngineError::NotLeader,
        EngineError::Timeout,
        EngineError::Unknown,
        EngineError::Superseded,
        EngineError::Overloaded,
        EngineError::DiskFull,
        EngineError::Stopping,
        EngineError::QuorumAtRisk,
        EngineError::ChangePending,
        EngineError::NameTaken,
        EngineError::AddressTaken,
        EngineError::ClusterFull,
        EngineError::NoSuchMember,
        EngineError::Removed,
        EngineError::Diverged,
        EngineError::LostPromise,
        EngineError::AlreadyMember,
        EngineError::Unconfirmed,
        EngineError::Disowned,
    ];

    /// Its number between members.
    pub(crate) fn code(self) -> u8 {
        let position = Self::ALL.iter().position(|error| *error == self);
        let position = position.expect("all errors are in the list");
        u8::try_from(position).expect("there are few errors")
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EngineError::NoLeader => "no leader is known; nothing was done, try again",
            EngineError::NotLeader => "this member is not the leader; nothing was done",
            EngineError::Timeout => "request timed out; its outcome is unknown",
            EngineError::Unknown => "the leader went away; the outcome is unknown",
            EngineError::Superseded => "the leader changed; nothing was done, try again",
            EngineError::Overloaded => "too many requests are waiting; nothing was done, try again",
            EngineError::DiskFull => "the disk is full; nothing was written, reads go on",
            EngineError::Stopping => "the server is stopping; the outcome is unknown",
            EngineError::QuorumAtRisk => {
                "too few members are alive: the change would cost the cluster its majority; \
                 nothing was done"
            }
            EngineError::ChangePending => {
                "another change of the membership is under way; nothing was done, try again"
            }
            EngineError::NameTaken => "a machine with this name is a member already",
            EngineError::AddressTaken => "the peer address belongs to another member",
            EngineError::ClusterFull => "the cluster has as many members as its activeSize",
            EngineError::NoSuchMember => "there is no such member",
            EngineError::Removed => "the member was removed for good",
            EngineError::Diverged => {
                "this member's state differs from that of others at the same log index; nothing \
                 was done. Start the one that differs with -force-rejoin"
            }
            EngineError::LostPromise => {
                "this member lost entries that it had acknowledged; nothing was done. Start it \
                 with -force-rejoin: its files are set aside, and it joins anew"
            }
            EngineError::Unconfirmed => {
                "this member's data directory was copied or moved since it was last in use, and \
                 too few other members have confirmed that it is the latest; nothing was done. It \
                 takes part by itself when they are reachable"
            }
            EngineError::Disowned => {
                "other members refuse this one: they know another, or a later, data directory of \
                 it; nothing was done. The log says which. If the latest directory is lost, start \
                 this one with -force-rejoin: its files are set aside, and it joins anew"
            }
            EngineError::AlreadyMember => {
                "a member with this id takes part already; nothing was done"
            }
        })
    }
}

impl std::error::Error for EngineError {}

/// Why a proposal did not end in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The key space refused it: replicated, the same on every member.
    Store(StoreError),
    /// This member could not carry it out.
    Engine(EngineError),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Failure::Engine(error)
    }
}

/// This member is broken: the process must stop before it can lie.
#[derive(Debug)]
pub enum Fatal {
    /// The log or a snapshot cannot be read or written.
    Wal(wal::Error),
    /// A snapshot's content cannot be used.
    Snapshot {
        /// The file, relative to the data directory.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The log holds something that this version does not understand, or that contradicts itself.
    Log(String),
    /// The data directory belongs to somebody else.
    Identity(String),
    /// The consensus engine refused what it should not have refused.
    Raft(String),
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fatal::Wal(error) => error.fmt(f),
            Fatal::Snapshot { file, detail } => write!(
                f,
                "{file}: {detail}. Nothing was changed. Run `stead check` on the data directory to \
                 see what else is. {}",
                wal::REMEDY
            ),
            Fatal::Log(detail) => write!(f, "the log cannot be replayed: {detail}"),
            Fatal::Identity(detail) => f.write_str(detail),
            Fatal::Raft(detail) => write!(f, "consensus failed: {detail}"),
        }
    }
}

impl std::error::Error for Fatal {}

impl From<wal::Error> for Fatal {
    fn from(error: wal::Error) -> Self {
        Fatal::Wal(error)
    }
}

impl From<raft::Error> for Fatal {
    fn from(error: raft::Error) -> Self {
        Fatal::Raft(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_error_has_a_number_and_a_sentence_of_its_own() {
        let mut texts = BTreeSet::new();
        for error in EngineError::ALL {
            assert_eq!(EngineError::from_code(error.code()), Some(error));
            let text = error.to_string();
            assert!(text.len() > 10 && texts.insert(text), "{error:?}");
        }
        assert_eq!(EngineError::from_code(u8::MAX), None);
    }

    #[test]
    fn a_fatal_error_says_what_to_look_at() {
        let snapshot = Fatal::Snapshot { file: "s.snap".into(), detail: "it is torn".into() };
        for (fatal, part) in [
            (snapshot, "s.snap"),
            (Fatal::Log("entry 7 comes twice".into()), "entry 7"),
            (Fatal::Identity("another name".into()), "another name"),
            (raft::Error::ProposalDropped.into(), "consensus failed"),
            (wal::Error::Failed.into(), "log"),
        ] {
            assert!(fatal.to_string().contains(part), "{fatal}");
        }
    }
}
