//! A machine: its disk and its clocks, which outlive its process, and the process if it runs.

use crate::Nanos;
use crate::clock::SimClock;
use crate::member::{Identity, Running};
use replica::{Identity as Directory, MemberId, PeerClaim, SnapshotJob};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use wal::mem::{MemDisk, Reserving};
use wal::{FillTask, SyncTarget};

/// A sync that was handed out.
pub(crate) struct Sync {
    pub(crate) target: SyncTarget<MemDisk>,
    /// Nothing before it is done.
    pub(crate) result: Option<io::Result<()>>,
}

/// A message, with what its sender says of itself: it comes over a connection that began with that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Letter {
    pub(crate) claim: PeerClaim,
    pub(crate) bytes: Vec<u8>,
}

/// One machine.
pub(crate) struct Machine {
    pub(crate) identity: Identity,
    pub(crate) disk: MemDisk,
    pub(crate) clock: SimClock,
    pub(crate) running: Option<Running>,
    /// Counts starts; what was meant for an earlier one is dropped.
    pub(crate) start: u64,
    pub(crate) is_paused: bool,
    /// When the next turn is due.
    pub(crate) turn_at: Option<Nanos>,
    pub(crate) inbox: VecDeque<Letter>,
    /// Under which identity each member has said hello to the process, and whether it was welcome.
    pub(crate) met: BTreeMap<(MemberId, Directory), bool>,
    /// The disk as it was when some earlier process ended.
    pub(crate) copy: Option<MemDisk>,
    pub(crate) sync: Option<Sync>,
    pub(crate) snapshot: Option<SnapshotJob<MemDisk>>,
    pub(crate) fill: Option<FillTask<MemDisk>>,
    /// The disk was made to fail: that the process stops is right.
    pub(crate) is_sick: bool,
    /// How long a sync takes, at least and at most.
    pub(crate) sync_takes: (Nanos, Nanos),
    /// Whether it is a member no more, or not yet: nothing is expected of it.
    pub(crate) is_gone: bool,
    /// Whether it never starts again, or not yet.
    pub(crate) is_off: bool,
}

/// How long a sync takes on a sound disk.
pub(crate) const SYNC_TAKES: (Nanos, Nanos) = (80_000, 900_000);

impl Machine {
    /// Every second one has a disk that cannot reserve room.
    pub(crate) fn new(identity: Identity, clock: SimClock) -> Self {
        let disk = MemDisk::new();
        if identity.id.0.is_multiple_of(2) {
            disk.set_reserving(Reserving::Missing);
        }
        Self {
            identity,
            disk,
            clock,
            running: None,
            start: 0,
            is_paused: false,
            turn_at: None,
            inbox: VecDeque::new(),
            met: BTreeMap::new(),
            copy: None,
            sync: None,
            snapshot: None,
            fill: None,
            is_sick: false,
            sync_takes: SYNC_TAKES,
            is_gone: false,
            is_off: false,
        }
    }

    /// Whether clients can reach it.
    pub(crate) fn is_up(&self) -> bool {
        self.running.is_some() && !self.is_paused
    }

    /// The process is no more; what it had in memory is lost.
    pub(crate) fn drop_process(&mut self) {
        self.running = None;
        self.start += 1;
        self.is_paused = false;
        self.turn_at = None;
        self.inbox.clear();
        self.met.clear();
        self.sync = None;
        self.snapshot = None;
        self.fill = None;
        self.is_sick = false;
    }
}
