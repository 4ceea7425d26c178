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
