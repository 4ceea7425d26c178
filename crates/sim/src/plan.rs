//! What one seed does: how large the cluster is, which faults it meets and how often.
//!
//! Not every run has every fault: a run with few kinds gets further than one in which everything
//! breaks at once, so each seed draws which kinds it has (swarm testing).

use crate::Nanos;
use crate::rng::Rng;
use std::fmt;

pub(crate) const MILLI: Nanos = 1_000_000;
pub(crate) const SECOND: Nanos = 1_000_000_000;

/// Everything that is done to a cluster, for the count of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Fault {
    PowerLoss,
    Kill,
    CrashInTurn,
    CrashBeforeSync,
    CrashAfterSync,
    CrashInSnapshot,
    Pause,
    Partition,
    OneWayCut,
    Isolation,
    MessageCut,
    MessageLost,
    MessageDoubled,
    MessageReordered,
    NetworkChange,
    BrokenConnection,
    SlowSync,
    FailedSync,
    DiskFull,
    WriteRefused,
    FlippedBitFound,
    FlippedBitHarmless,
    LostLogFound,
    LostLogHarmless,
    MisreadFound,
    MisreadHarmless,
    DamagedTail,
    WallJump,
    Reboot,
    HandOver,
    Join,
    Removal,
    LostDisk,
    DiskMadeAnew,
    OlderCopy,
    StartRefused,
    ClaimRefused,
    RemovedRefused,
    Doubled,
    SecondRefused,
    SecondBelieved,
    Stranded,
    Moved,
    StoodBy,
    PlaceForStandby,
    RemovedStandsBy,
    Lie,
    Snapshot,
    SnapshotInstalled,
    TtlStorm,
    WatchMoved,
    RightTaken,
    RightMissed,
    HistoryCleared,
}

const NAMES: [&str; 54] = [
    "power loss",
    "kill",
    "crash within a turn",
    "crash before a sync",
    "crash after a sync",
    "crash within a snapshot",
    "pause",
    "partition",
    "one-way cut",
    "isolation",
    "message cut off",
    "message lost",
    "message doubled",
    "message reordered",
    "change of the network",
    "broken connection",
    "slow sync",
    "failed sync",
    "disk full",
    "write refused",
    "flipped bit, found",
    "flipped bit, harmless",
    "lost files of the log, found",
    "lost files of the log, harmless",
    "misdirected read, found",
    "misdirected read, harmless",
    "damaged tail, not judged",
    "wall clock jump",
    "reboot",
    "hand-over",
    "join",
    "removal",
    "lost disk",
    "lost disk, the same id",
    "older copy of a disk",
    "start refused",
    "claim refused",
    "call of a removed member refused",
    "doubled identity",
    "second process refused",
    "second process believed",
    "all others replaced while away",
    "moved address",
    "no place, stands by",
    "place for a standby",
    "removed member stands by",
    "lie of a stranger",
    "snapshot written",
    "snapshot installed",
    "storm of expiries",
    "watch moved",
    "right taken",
    "refused without a right",
    "history cleared",
];

/// How often each fault was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults([u64; NAMES.len()]);

impl Default for Faults {
    fn default() -> Self {
        Self([0; NAMES.len()])
    }
}

impl Faults {
    pub(crate) fn count(&mut self, fault: Fault) {
        if let Some(count) = self.0.get_mut(fault as usize) {
            *count += 1;
        }
    }

    pub(crate) fn of(&self, fault: Fault) -> u64 {
        self.0.get(fault as usize).copied().unwrap_or(0)
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Faults) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }

    /// The kinds that were never met.
    pub fn idle(&self) -> Vec<&'static str> {
        let counts = NAMES.iter().zip(self.0);
        counts.filter(|(_, count)| *count == 0).map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in NAMES.iter().zip(self.0) {
            writeln!(f, "  {count:>12}  {name}")?;
        }
        Ok(())
    }
}

/// What one seed does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) founders: usize,
    pub(crate) clients: usize,
    pub(crate) lockers: usize,
    pub(crate) watchers: usize,
    pub(crate) operations: u64,
    /// How long a client rests between two operations, at most.
    pub(crate) think_max: Nanos,
    /// The mean time between two faults.
    pub(crate) fault_every: Nanos,
    pub(crate) crashes: bool,
    pub(crate) pauses: bool,
    pub(crate) partitions: bool,
    pub(crate) bad_network: bool,
    pub(crate) wild_network: bool,
    pub(crate) slow_disks: bool,
    pub(crate) failing_disks: bool,
    pub(crate) full_disks: bool,
    pub(crate) damage: bool,
    /// Somebody sets wall clocks. Machines do not reboot then: over a reboot the wall clock is all
    /// that tells how much time has passed, so setting it in that moment does shorten a TTL.
    pub(crate) wall_jumps: bool,
    pub(crate) churn: bool,
    /// A machine is lost with its disk, and may come back as another.
    pub(crate) losses: bool,
    /// Directories are copied, and started twice.
    pub(crate) doubles: bool,
    /// Machines come back at other addresses.
    pub(crate) moves: bool,
    /// How many members there are at most.
    pub(crate) active_size: u64,
    /// Strangers say what members say.
    pub(crate) liars: bool,
    pub(crate) snapshot_count: Option<u64>,
    pub(crate) segment_bytes: u64,
    /// Whether the window of past events is so small that watchers can fall behind it.
    pub(crate) short_history: bool,
    pub(crate) deferred_permille: u64,
    pub(crate) drifts: bool,
    /// Users count, and what they may changes.
    pub(crate) users: bool,
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng, operations: u64, members: Option<usize>) -> Self {
        let founders = rng.pick(&[1, 3, 3, 3, 3, 5]);
        let mut half = || rng.permille(500);
        let mut plan = Self {
            founders: members.unwrap_or(founders),
            crashes: half() || half(),
            pauses: half(),
            partitions: half(),
            bad_network: half(),
            wild_network: half(),
            slow_disks: half(),
            failing_disks: half(),
            full_disks: half() && half(),
            damage: half(),
            wall_jumps: half() && half(),
            churn: half() && half(),
            losses: half() && half(),
            liars: half(),
            doubles: half(),
            moves: half() && half(),
            short_history: half() && half(),
            drifts: half(),
            active_size: 0,
            clients: 0,
            lockers: 0,
            watchers: 0,
            operations,
            think_max: 0,
            fault_every: 0,
            snapshot_count: None,
            segment_bytes: 0,
            deferred_permille: 0,
            users: false,
        };
        plan.active_size = plan.founders.max(3) as u64 + rng.pick(&[0, 0, 0, 1]);
        plan.clients = usize::try_from(rng.range(3, 8)).unwrap_or(3);
        plan.lockers = usize::try_from(rng.range(2, 4)).unwrap_or(2);
        plan.watchers = usize::try_from(rng.range(3, 9)).unwrap_or(3);
        plan.think_max = rng.pick(&[5 * MILLI, 20 * MILLI, 60 * MILLI]);
        plan.fault_every = rng.pick(&[100 * MILLI, 300 * MILLI, 700 * MILLI, 1500 * MILLI]);
        plan.snapshot_count = rng.pick(&[None, Some(20), Some(100), Some(400)]);
        plan.segment_bytes = rng.pick(&[4 << 10, 16 << 10, 64 << 10]);
        plan.deferred_permille = rng.pick(&[0, 500, 900, 1000]);
        plan.users = rng.permille(300);
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_name() {
        assert_eq!(Fault::HistoryCleared as usize + 1, NAMES.len());
        assert_eq!(NAMES[Fault::SlowSync as usize], "slow sync");
        assert_eq!(NAMES[Fault::WallJump as usize], "wall clock jump");
        let mut faults = Faults::default();
        faults.count(Fault::Pause);
        assert_eq!(faults.of(Fault::Pause), 1);
        assert_eq!(faults.idle().len(), NAMES.len() - 1);
    }
}
