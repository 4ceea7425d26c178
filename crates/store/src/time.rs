//! The numbers of the key space that count or measure something.

/// The number that grows by one with each change of the key space: `X-Etcd-Index`, `modifiedIndex`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreIndex(pub u64);

/// Nanoseconds on the cluster's own clock, which the leader stamps into the log.
///
/// It starts at wall time (nanoseconds since 1970) and from then on advances with the leader's
/// monotonic clock only, so deadlines computed from it never come early because somebody set a
/// wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// Nanoseconds to add to a [`Timestamp`] to show it as wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallOffset(pub i64);

/// The leader's clock at the moment when a batch of commands was proposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The cluster clock; never smaller than that of the batch before.
    pub time: Timestamp,
    /// What turns deadlines into wall time for `expiration`.
    pub wall_offset: WallOffset,
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

impl Stamp {
    /// When a TTL of so many seconds ends that begins now. One of zero or below ends at once, and
    /// one that is too long for the clock never does while anybody is there to see it.
    pub(crate) fn deadline(self, ttl: i64) -> Timestamp {
        let seconds = u64::try_from(ttl.max(0)).expect("it is not negative");
        Timestamp(self.time.0.saturating_add(seconds.saturating_mul(NANOS_PER_SECOND)))
    }
}
