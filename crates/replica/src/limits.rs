//! Every bound of this crate, in one place.

/// How many bytes of commands travel in one log entry, about; the rest goes into another one.
///
/// A sync costs nearly the same for 512 B and for 64 KiB, and raft charges for each entry whatever
/// is in it, so one large entry for each turn is the cheapest shape (docs/performance.md).
pub(crate) const BATCH_BYTES_MAX: usize = 1 << 20;

/// The longest command, in bytes. HTTP bodies are bounded below it.
pub(crate) const COMMAND_BYTES_MAX: usize = 33 << 20;

/// The longest batch of commands: one that was not full took one command more.
pub(crate) const REQUEST_BYTES_MAX: usize = BATCH_BYTES_MAX + COMMAND_BYTES_MAX;

/// The longest log entry: one that was not full took one request more.
pub(crate) const ENTRY_BYTES_MAX: usize = BATCH_BYTES_MAX + REQUEST_BYTES_MAX + 4096;

/// How many bytes of entries go into one record of the log, about; one entry always does.
pub(crate) const RECORD_BYTES_MAX: usize = 16 << 20;

// Neither a record of the log nor a message to a member can come near its bound of 64 MiB.
const _: () = assert!(RECORD_BYTES_MAX + ENTRY_BYTES_MAX < 60 << 20);

/// How many bytes of commands a leader proposes in one turn, about; the next turn follows at once.
pub(crate) const TURN_BYTES_MAX: usize = 8 << 20;

/// How many bytes of commands may wait for their outcome; beyond that clients are told to come
/// back.
pub(crate) const WAITING_BYTES_MAX: usize = 64 << 20;

/// How many bytes of other members' requests may wait to be proposed.
pub(crate) const TAKEN_BYTES_MAX: usize = 64 << 20;

/// How long a request that was passed on may go without a sign of it before it is sent again: 1 s.
/// What is sent twice is done once.
pub(crate) const RESEND_NS: u64 = 1_000_000_000;

/// How many nodes one expiry command removes at most, so that a storm of expiries is applied in
/// slices between which other requests are served.
pub(crate) const EXPIRE_BATCH_MAX: u32 = 2000;

/// How many proposals may wait for their outcome at once; beyond that clients are told to come
/// back.
pub(crate) const PROPOSALS_MAX: usize = 1 << 17;

/// How many quorum reads may wait at once.
pub(crate) const READS_MAX: usize = 1 << 17;

/// How many bytes of applied log entries a lone member keeps in memory.
pub(crate) const LOG_TAIL_BYTES_ALONE: usize = 64 << 10;

/// How many bytes of committed entries raft hands out at a time, so that a long replay stays in
/// slices.
pub(crate) const COMMITTED_BYTES_PER_READY: u64 = 8 << 20;

/// How many bytes raft may hold uncommitted before it refuses proposals.
pub(crate) const UNCOMMITTED_BYTES_MAX: u64 = 64 << 20;

/// How long a failure that was foreseen at a look waits to be counted in the log: 1 s.
pub(crate) const COUNT_NS: u64 = 1_000_000_000;

/// How far the shown time may stray from the wall clock before the leader corrects it: 500 ms.
pub(crate) const WALL_DRIFT_MAX_NS: u64 = 500_000_000;

/// One raft tick in nanoseconds: 10 ms.
pub(crate) const TICK_NS: u64 = 10_000_000;

/// How many bytes of appends a follower takes in during one turn: half of what a record may be.
/// The leader sends the rest again.
pub(crate) const APPENDED_BYTES_MAX: usize = wal::RECORD_BYTES_MAX / 2;

/// Room asked of the log for a record beyond the commands in it.
pub(crate) const RECORD_OVERHEAD: usize = 4096;

/// How often the leader looks after the membership: 100 ms.
pub(crate) const MEMBERSHIP_CHECK_NS: u64 = 100_000_000;
