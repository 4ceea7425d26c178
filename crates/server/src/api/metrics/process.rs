//! What the system says of this process.

use rustix::param::page_size;
use rustix::time::{ClockId, clock_gettime};

/// How many descriptors it holds.
pub(super) fn open_files() -> f64 {
    std::fs::read_dir("/proc/self/fd").map_or(0.0, |entries| entries.count() as f64)
}

/// How many bytes of its memory are in RAM.
pub(super) fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) as f64 * page_size() as f64
}

/// How many seconds of processor time it used.
pub(super) fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}
