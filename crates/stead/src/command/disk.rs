//! `stead check disk`: how fast a disk syncs what the log writes to it.

use crate::args::{Args, Flags};
use crate::console::{FAILED, print, say};
use crate::source::Usage;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(super) const HELP: &str = "\
stead check disk: measure how fast a disk syncs what the log writes to it

Usage:
  stead check disk DIR [--seconds TIME]

Writes records one after the other into a file of zeros in DIR, syncs each as the log of a
server does, and removes the file. Run it where the data directory will be, while the
machine does what it will do. It takes 16 MiB of room, and 10 s without --seconds.

Examples:
  stead check disk /var/lib/stead
  stead check disk /var/lib/stead --seconds 1m
";

pub(super) const FLAGS: Flags = Flags {
    command: "check disk",
    valued: &["seconds"],
    repeated: &[],
    plain: &[],
    has_words: true,
};

/// The size of a log segment.
const FILE_BYTES: u64 = 16 << 20;

/// A write of one client as a record of the log, and one of many clients that share it.
const SIZES: [(&str, usize); 2] = [("one write", 512), ("64 writes", 16 << 10)];

/// Syncs that take longer at their slowest end make a leader seem gone: half of the default
/// election time-out.
const SLOWEST_MAX: Duration = Duration::from_millis(100);

/// Above this the 99th percentile is what clients wait for, whatever else is fast.
const P99_MAX: Duration = Duration::from_millis(10);

/// Runs the command.
pub(super) fn run(args: &[String]) -> Result<ExitCode, Usage> {
    let args = Args::parse(FLAGS, args)?;
    if args.help {
        return Ok(print(HELP));
    }
    let [dir] = args.words.as_slice() else {
        return Err(Usage("name one directory: run `stead check disk --help`".to_owned()));
    };
    let seconds = args.seconds("seconds")?.unwrap_or(10.0).clamp(1.0, 3600.0);
    let dir = Path::new(dir);
    Ok(match measure(dir, Duration::from_secs_f64(seconds)) {
        Ok(times) => print(&report(dir, &times)),
        Err(error) => {
            say(&format!("stead: {}: {error}", dir.display()));
            ExitCode::from(FAILED)
        }
    })
}

/// A file that is removed at the end, however that comes.
struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    fn create(dir: &Path) -> io::Result<Self> {
        let path = dir.join(format!(".stead-check-{}", std::process::id()));
        let mut options = OpenOptions::new();
        let file = options.create_new(true).write(true).mode(0o600).open(&path)?;
        let scratch = Self { path, file };
        let zeros = vec![0; 1 << 20];
        for at in (0..FILE_BYTES).step_by(zeros.len()) {
            scratch.file.write_all_at(&zeros, at)?;
        }
        scratch.file.sync_all()?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is hurt by a file that stays.
        let _ = fs::remove_file(&self.path);
    }
}

/// The times of all syncs of each size, sorted.
fn measure(dir: &Path, limit: Duration) -> io::Result<Vec<Vec<Duration>>> {
    let scratch = Scratch::create(dir)?;
    let mut all = Vec::new();
    for (_, size) in SIZES {
        let record = vec![0x5a; size];
        let (mut times, mut at, began) = (Vec::new(), 0, Instant::now());
        while began.elapsed() < limit / 2 {
            let start = Instant::now();
            scratch.file.write_all_at(&record, at)?;
            scratch.file.sync_data()?;
            times.push(start.elapsed());
            at = (at + size as u64) % FILE_BYTES;
        }
        times.sort();
        all.push(times);
    }
    Ok(all)
}

/// The time that so many thousandths of all were within.
fn within(times: &[Duration], permille: usize) -> Duration {
    let at = (times.len() * permille / 1000).min(times.len().saturating_sub(1));
    times.get(at).copied().expect("each size was tried once at least")
}

fn report(dir: &Path, all: &[Vec<Duration>]) -> String {
    let mut text = format!("{}: a write and its sync, as the log makes them\n", dir.display());
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let mut worst = (Duration::ZERO, Duration::ZERO);
    for ((name, size), times) in SIZES.iter().zip(all) {
        let (p50, p99, slowest) = (within(times, 500), within(times, 990), within(times, 1000));
        worst = (worst.0.max(p99), worst.1.max(slowest));
        let _ = writeln!(
            text,
            "  {name:<10} {size:>6} bytes  {:>6} times  p50 {:.2} ms  p99 {:.2} ms  \
             slowest {:.2} ms",
            times.len(),
            ms(p50),
            ms(p99),
            ms(slowest)
        );
    }
    let median = all.first().map(|times| within(times, 500));
    let rate = 1.0 / median.expect("there are sizes").as_secs_f64().max(1e-6);
    let _ = writeln!(
        text,
        "one client alone writes at most {rate:.0} times a second; many clients share a sync"
    );
    text += &verdict(worst.0, worst.1);
    text
}

fn verdict(p99: Duration, slowest: Duration) -> String {
    let mut text = String::new();
    if slowest > SLOWEST_MAX {
        let wanted = (slowest.as_millis() * 4).next_multiple_of(100);
        let _ = writeln!(
            text,
            "UNSTEADY: a leader whose sync takes {} ms may be taken for gone. Use another disk, or \
             start all members with -peer-election-timeout {wanted}; a fail-over takes that long \
             then",
            slowest.as_millis()
        );
    }
    if p99 > P99_MAX {
        let _ = writeln!(
            text,
            "SLOW: one write in a hundred waits {} ms or more for the disk",
            p99.as_millis()
        );
    }
    if text.is_empty() {
        text.push_str("good: the default time-outs hold, a fail-over takes less than a second\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_judged_by_its_slow_end() {
        let ms = Duration::from_millis;
        assert!(verdict(ms(1), ms(5)).starts_with("good"));
        assert!(verdict(ms(11), ms(20)).starts_with("SLOW"));
        let unsteady = verdict(ms(1), ms(180));
        assert!(unsteady.contains("-peer-election-timeout 800"), "{unsteady}");
        let times: Vec<Duration> = (1..=100).map(ms).collect();
        let found = [500, 990, 1000].map(|permille| within(&times, permille));
        assert_eq!(found, [ms(51), ms(100), ms(100)]);
    }
}
