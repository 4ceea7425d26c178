//! A machine: its disk and its clocks, which outlive its process, and the process if it runs.

use crate::Nanos;
use crate::clock::SimClock;
use crate::letter::{Address, Letter};
use crate::member::{Identity, Running};
use crate::peers::Peers;
use replica::SnapshotJob;
use replica::decide::{Force, Told};
use std::collections::VecDeque;
use std::io;
use wal::mem::{MemDisk, Reserving};
use wal::{FillTask, SyncTarget};

/// A sync that was handed out.
pub(crate) struct Sync {
    pub(crate) target: SyncTarget<MemDisk>,
    /// Nothing before it is done.
    pub(crate) result: Option<io::Result<()>>,
}

/// One machine.
pub(crate) struct Machine {
    pub(crate) identity: Identity,
    pub(crate) disk: MemDisk,
    /// Where others reach it.
    pub(crate) address: Address,
    pub(crate) first_address: Address,
    /// Whether the address is another one than at the last start.
    pub(crate) has_moved: bool,
    /// What its start line says.
    pub(crate) told: Told,
    pub(crate) force: Force,
    /// Where its start line says that others are.
    pub(crate) listed: Vec<Address>,
    pub(crate) clock: SimClock,
    pub(crate) running: Option<Running>,
    /// Counts starts; what was meant for an earlier one is dropped.
    pub(crate) start: u64,
    pub(crate) is_paused: bool,
    /// When the next turn is due.
    pub(crate) turn_at: Option<Nanos>,
    pub(crate) inbox: VecDeque<Letter>,
    pub(crate) peers: Peers,
    /// The disk as it was when some earlier process ended.
    pub(crate) copy: Option<MemDisk>,
    pub(crate) sync: Option<Sync>,
    pub(crate) snapshot: Option<SnapshotJob<MemDisk>>,
    pub(crate) fill: Option<FillTask<MemDisk>>,
    /// The disk was made to fail: that the process stops is right.
    pub(crate) is_sick: bool,
    /// How long a sync takes, at least and at most.
    pub(crate) sync_takes: (Nanos, Nanos),
    /// Whether its disk says that it stands by.
    pub(crate) stands_by: bool,
    /// Whether its process waits for a place, and is no member's.
    pub(crate) is_waiting: bool,
    /// The machine of which it has a copy.
    pub(crate) double_of: Option<usize>,
    /// Whether anybody ever let a process of it speak.
    pub(crate) was_welcome: bool,
    /// Whether it is a member no more, or not yet: nothing is expected of it.
    pub(crate) is_gone: bool,
    /// Whether it never starts again, or not yet.
    pub(crate) is_off: bool,
}

/// How long a sync takes on a sound disk.
pub(crate) const SYNC_TAKES: (Nanos, Nanos) = (80_000, 900_000);

impl Machine {
    /// Every second one has a disk that cannot reserve room.
    pub(crate) fn new(identity: Identity, address: Address, told: Told, clock: SimClock) -> Self {
        let disk = MemDisk::new();
        if identity.id.0.is_multiple_of(2) {
            disk.set_reserving(Reserving::Missing);
        }
        Self {
            identity,
            disk,
            address,
            first_address: address,
            has_moved: false,
            told,
            force: Force::Not,
            listed: Vec::new(),
            clock,
            running: None,
            start: 0,
            is_paused: false,
            turn_at: None,
            inbox: VecDeque::new(),
            peers: Peers::default(),
            copy: None,
            sync: None,
            snapshot: None,
            fill: None,
            is_sick: false,
            sync_takes: SYNC_TAKES,
            stands_by: false,
            is_waiting: false,
            double_of: None,
            was_welcome: false,
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
        self.is_waiting = false;
        self.is_paused = false;
        self.turn_at = None;
        self.inbox.clear();
        self.peers = Peers::default();
        self.sync = None;
        self.snapshot = None;
        self.fill = None;
        self.is_sick = false;
    }
}
