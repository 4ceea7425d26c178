//! What the system says of this process.

use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

const FILES: &str = "/proc/self/fd";

/// How many descriptors it holds. The kernel says so since 6.2, without looking at each: with
/// thousands of connections that takes long enough to show.
pub(super) fn open_files() -> f64 {
    match std::fs::metadata(FILES).map_or(0, |folder| folder.len()) {
        0 => std::fs::read_dir(FILES).map_or(0.0, |entries| entries.count() as f64),
        count => count as f64,
    }
}

/// How many descriptors it may hold; nothing if there is no limit.
pub(super) fn max_files() -> Option<f64> {
    getrlimit(Resource::Nofile).current.map(|limit| limit as f64)
}

/// How many bytes of its memory are in RAM.
pub(crate) fn resident_bytes() -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_counted() {
        let open = |_| std::fs::File::open("/dev/null").expect("it is always there");
        let files: Vec<std::fs::File> = (0..200).map(open).collect();
        // Other tests in this process have some as well.
        let counted = open_files();
        let limit = max_files().unwrap_or(f64::INFINITY);
        assert!(counted >= files.len() as f64 && counted <= limit, "{counted} of {limit}");
    }
}
