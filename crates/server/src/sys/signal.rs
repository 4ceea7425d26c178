//! SIGHUP, for those who read something again; SIGINT and SIGTERM, for commands that go on until
//! they are stopped.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Runs `work` whenever SIGHUP comes, on a thread of its own.
///
/// # Errors
/// What the system gave.
pub fn on_hangup(mut work: impl FnMut() + Send + 'static) -> io::Result<()> {
    let (mut signals, sender) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGHUP, sender)?;
    let wait = move || {
        let mut bytes = [0; 64];
        // Several signals at once are one.
        while matches!(signals.read(&mut bytes), Ok(1..)) {
            work();
        }
    };
    std::thread::Builder::new().name("stead-hangup".to_owned()).spawn(wait)?;
    Ok(())
}

/// Whether SIGHUP is to end this process: it has a controlling terminal, which sends the signal
/// when it closes, and whoever started it did not want that passed over, as `nohup` does.
pub fn ends_on_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    std::fs::File::open("/dev/tty").is_ok() && !ignores_hangup(&status)
}

/// Whether a process with this `/proc/PID/status` passes SIGHUP, the first signal, over.
fn ignores_hangup(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// A flag that SIGINT or SIGTERM sets. The second of them ends the process at once, with code 1.
///
/// # Errors
/// What the system gave.
pub fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        // In this order: the first signal finds the flag down, and sets it.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

#[cfg(test)]
mod tests {
    use super::ignores_hangup;

    #[test]
    fn a_signal_that_is_passed_over_is_known_from_the_mask() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        for status in ["", "SigIgn:\t0000000000001000\n", "SigCgt:\t1\n", "SigIgn:\tx\n"] {
            assert!(!ignores_hangup(status), "{status}");
        }
    }
}
