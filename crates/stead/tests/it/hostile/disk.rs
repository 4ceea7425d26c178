//! What the data directory takes stays below what docs/operating.md says.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::testkit::{Connection, Request, Site};

const MIB: u64 = 1 << 20;

/// Looks at the size of a directory all the time.
struct Gauge {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Gauge {
    fn start(dir: PathBuf) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            while !theirs.load(Ordering::Relaxed) {
                most = most.max(blocks(&dir));
                std::thread::sleep(Duration::from_millis(10));
            }
            most
        });
        Self { is_over, thread: Some(thread) }
    }

    /// The most that was seen, in bytes.
    fn finish(mut self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().expect("finished once").join().expect("a directory can be read")
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// The blocks that the files of a directory take. Files come and go meanwhile.
fn blocks(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("the directory is there");
    entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.blocks() * 512)
        .sum()
}

#[test]
fn large_values_written_quickly_take_a_bounded_part_of_the_disk() {
    const KEYS: u64 = 8;
    const VALUE: u64 = 4 * MIB;
    const WRITES: u64 = 150;
    let site = Site::new("disk").flags("-history-bytes 1048576");
    let server = site.start();
    let gauge = Gauge::start(site.data_dir());
    let mut writer = Connection::open(server.addr()).unwrap();
    let form = format!("value={}", "d".repeat(usize::try_from(VALUE).unwrap()));
    for number in 0..WRITES {
        let put = Request::put(&format!("/v2/keys/{}", number % KEYS), &form);
        assert!(matches!(writer.exchange(&put).unwrap().status(), 200 | 201));
    }
    let most = gauge.finish();
    let written = WRITES * VALUE;
    println!("{} MiB written, {} MiB on the disk at most", written / MIB, most / MIB);
    // The keys and 8 MiB of past events, twice; the log; segments that are begun or prepared.
    // What is written while a snapshot is written depends on the machine: 48 MiB are plenty.
    let snapshot = KEYS * VALUE + 8 * MIB;
    let bound = 2 * snapshot + (256 + 122 + 48) * MIB;
    assert!(bound < written, "the log as a whole would be more");
    assert!(most <= bound, "{} MiB on the disk, {} MiB at most", most / MIB, bound / MIB);
    assert!(most > 256 * MIB, "the log has come to where a snapshot is due: {} MiB", most / MIB);
}
