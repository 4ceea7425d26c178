//! The machine's clocks.

use replica::Clock;
pub(crate) use replica::Now;
use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};

/// Reads the clocks of the machine that the server runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock {
    boot: u64,
}

impl SystemClock {
    pub(crate) fn new() -> Self {
        // The kernel makes up a new id at each boot. Where it cannot be read every start counts as
        // a boot of its own, so that the wall clock decides how long the process was away.
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_else(|_| format!("{:?}", wall()));
        let boot = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { boot }
    }
}

fn read(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000) + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The wall clock, read through the C library, so that a library of a test can set it for one
/// process alone.
fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now { boot: self.boot, monotonic: read(ClockId::Boottime), wall: wall() }
    }
}
