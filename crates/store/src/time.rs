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
    /// What turns the deadlines of leases made now into wall time for `expiration`.
    pub wall_offset: WallOffset,
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// When a node expires, and as what that is shown.
///
/// The two are fixed when the TTL is set, so that every answer and event of every member shows one
/// instant, however the wall clocks go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The moment on the cluster's clock.
    pub deadline: Timestamp,
    /// What makes wall time of it.
    pub wall_offset: WallOffset,
}

impl Lease {
    /// The moment that `expiration` shows, in nanoseconds since 1970.
    pub fn shown(self) -> u64 {
        self.deadline.0.saturating_add_signed(self.wall_offset.0)
    }
}

impl Stamp {
    /// The lease of a TTL of so many seconds that begins now. One of zero or below ends at once,
    /// and one that is too long for the clock never does while anybody is there to see it.
    pub(crate) fn lease(self, ttl: i64) -> Lease {
        let seconds = u64::try_from(ttl.max(0)).expect("it is not negative");
        let deadline = self.time.0.saturating_add(seconds.saturating_mul(NANOS_PER_SECOND));
        self.lease_until(Timestamp(deadline))
    }

    /// The lease that ends at a moment and is made now.
    pub(crate) fn lease_until(self, deadline: Timestamp) -> Lease {
        Lease { deadline, wall_offset: self.wall_offset }
    }
}
