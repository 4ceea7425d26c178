//! What makes an empty directory that of a member: its first record and its first snapshot.

use crate::clock::{ClusterClock, Now};
use crate::driver::options::Options;
use crate::error::Fatal;
use crate::identity::Identity;
use crate::membership::{ClusterConfig, Member, Membership};
use crate::session::Sessions;
use crate::snapshot::format::Header;
use crate::snapshot::job::SnapshotJob;
use crate::types::{ClusterId, LogIndex, LogPosition, MemberId, Term};
use raft::eraftpb::ConfState;
use store::{Limits, Stamp, Store};
use wal::Disk;

/// The position that an inherited key space takes in the log of its new cluster. A machine that
/// joins has an empty one at the log's beginning, so what is inherited must not be there: it
/// travels in a snapshot.
const INHERITED: LogPosition = LogPosition { index: LogIndex(1), term: Term(1) };

/// A number that looks random, from numbers that do not repeat.
pub(super) fn mix(parts: [u64; 3]) -> u64 {
    let mut mixed = 0x6a09_e667_f3bc_c908_u64;
    for part in parts {
        mixed = (mixed ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 32;
    }
    mixed.max(1)
}

/// What makes an empty directory that of a certain member.
#[derive(Clone, Debug)]
pub struct InitialIdentity {
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// The member.
    pub id: MemberId,
    /// Its name.
    pub name: String,
    /// Who voted at the very beginning of the cluster's log.
    pub founders: Vec<MemberId>,
    /// Addresses to begin with, until the log says more.
    pub known: Vec<Member>,
}

impl InitialIdentity {
    /// A new cluster of one, where `seed` is different on each machine.
    pub fn alone(name: &str, seed: u64, now: Now) -> Self {
        let id = MemberId(mix([seed, now.wall, 1]));
        Self {
            cluster: ClusterId(mix([seed, now.wall, 2])),
            id,
            name: name.to_owned(),
            founders: vec![id],
            known: Vec::new(),
        }
    }

    pub(super) fn from_options(options: &Options, now: Now) -> Self {
        Self::alone(&options.name, options.seed, now)
    }
}

/// A key space that a new cluster of one begins with, and what goes with it.
#[derive(Debug)]
pub struct Inheritance {
    /// The keys.
    pub store: Store,
    /// The time on the clock of the cluster that they come from.
    pub stamp: Stamp,
    /// When it showed that: a time to live counts on from there.
    pub seen: Now,
    /// The configuration of that cluster.
    pub config: ClusterConfig,
}

/// Writes the first record of the log, and then the snapshot of an empty store that a member starts
/// from. The log is durable before the snapshot has its name, so that a snapshot without a log is
/// always one that has lost it.
///
/// # Errors
/// [`Fatal`] when the directory cannot be written.
pub fn prepare<D: Disk>(
    disk: &D,
    birth: InitialIdentity,
    limits: Limits,
    now: Now,
) -> Result<(), Fatal> {
    let stamp = ClusterClock::start(now).stamp(now);
    let membership = Membership::founded_by(birth.founders.clone(), birth.known.clone());
    let start = LogPosition { index: LogIndex(0), term: Term(0) };
    let header = first_header(birth, membership, start, (stamp, now), now);
    write(disk, header, &Store::new(limits))
}

/// As [`prepare`], for a cluster of one that begins with the keys of another one. `birth` has one
/// founder, which is the member itself.
///
/// # Errors
/// [`Fatal`] when the directory cannot be written.
pub fn found_with<D: Disk>(
    disk: &D,
    birth: InitialIdentity,
    inheritance: &Inheritance,
    now: Now,
) -> Result<(), Fatal> {
    assert_eq!(birth.founders, [birth.id], "what is inherited makes a cluster of one");
    let mut membership = Membership::founded_by(birth.founders.clone(), Vec::new());
    membership.configure(inheritance.config);
    let clocks = (inheritance.stamp, inheritance.seen);
    let header = first_header(birth, membership, INHERITED, clocks, now);
    write(disk, header, &inheritance.store)
}

fn first_header(
    birth: InitialIdentity,
    membership: Membership,
    start: LogPosition,
    (stamp, seen): (Stamp, Now),
    now: Now,
) -> Header {
    let mut conf_state = ConfState::default();
    conf_state.voters = birth.founders.iter().map(|id| id.0).collect();
    Header {
        cluster: birth.cluster,
        member: birth.id,
        name: birth.name,
        index: start.index,
        term: start.term,
        hash: 0,
        stamp,
        seen,
        conf_state,
        membership,
        identity: Identity::default(),
        log_id: mix([birth.cluster.0, birth.id.0, now.wall ^ now.boot]),
        origin: 0,
        sessions: Sessions::default(),
    }
}

fn write<D: Disk>(disk: &D, header: Header, store: &Store) -> Result<(), Fatal> {
    if !wal::is_empty(disk).map_err(wal::Error::from)? {
        return Err(Fatal::Identity(
            "the data directory holds a member already: nothing was written over it".to_owned(),
        ));
    }
    let log_seq = wal::begin(disk, header.log_id)?;
    SnapshotJob::new(disk.clone(), header, store.snapshot(), log_seq)
        .run(&mut |_| {})
        .map_err(|error| Fatal::Wal(error.into()))?;
    Ok(())
}
