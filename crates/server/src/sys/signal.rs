//! SIGHUP, for those who read something again.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

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
