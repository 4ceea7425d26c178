//! What the system says of this process.

use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// How many descriptors it holds.
pub(super) fn open_files() -> f64 {
    std::fs::read_dir("/proc/self/fd").map_or(0.0, |entries| entries.count() as f64)
}

/// How many descriptors it may hold; nothing if there is no limit.
pub(super) fn max_files() -> Option<f64> {
    getrlimit(Resource::Nofile).current.map(|limit| limit as f64)
}

/// How many bytes of its memory are in RAM.
pub(super) fn resident_bytes() -> f64 {
    pages(1)
}

/// How large its address space is.
pub(super) fn virtual_bytes() -> f64 {
    pages(0)
}

fn pages(field: usize) -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(field).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) as f64 * page_size() as f64
}

/// How many seconds of processor time it used.
pub(super) fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}
