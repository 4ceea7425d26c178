//! What can change while a server runs. SIGHUP fans out here: who reads the settings again says
//! what they are now, and each part of the server takes what is its own within a second.

use crate::config::LiveLimits;
use crate::sys::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The way from whoever reads the settings again to a running server. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Reloads(Arc<Wanted>);

#[derive(Debug, Default)]
struct Wanted {
    certificates: AtomicBool,
    /// The latest limits, and how many there were before them.
    limits: Mutex<Option<(u64, LiveLimits)>>,
}

impl Reloads {
    /// Has the files of certificates and keys read again.
    pub fn certificates(&self) {
        self.0.certificates.store(true, Ordering::Relaxed);
    }

    /// Has other limits hold for what clients send from now on.
    pub fn limits(&self, mut limits: LiveLimits) {
        let connections = &mut limits.limits.connections;
        *connections = process::fit_connections(*connections);
        let mut latest = self.0.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let number = latest.as_ref().map_or(0, |(number, _)| number + 1);
        *latest = Some((number, limits));
    }

    /// Whether certificates were to be read again since this was last asked.
    pub(crate) fn take_certificates(&self) -> bool {
        self.0.certificates.swap(false, Ordering::Relaxed)
    }

    /// The limits, if they are others than those that were seen last. A machine that changes its
    /// part has seen none.
    pub(crate) fn take_limits(&self, seen: &mut Option<u64>) -> Option<LiveLimits> {
        let latest = self.0.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, limits) = (*latest)?;
        (seen.replace(number) != Some(number)).then_some(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    #[test]
    fn everything_is_taken_once_by_each_part() {
        let reloads = Reloads::default();
        let (mut one, mut other) = (None, None);
        assert!(!reloads.take_certificates() && reloads.take_limits(&mut one).is_none());
        reloads.clone().certificates();
        assert!(reloads.take_certificates() && !reloads.take_certificates());
        for body_bytes in [7, 7, 9] {
            let limits = Limits { body_bytes, ..Limits::default() };
            reloads.limits(LiveLimits { limits, timeouts: (1.0, 2.0) });
            let taken = reloads.take_limits(&mut one).expect("it was said");
            assert_eq!(taken.limits.body_bytes, body_bytes);
            assert!(reloads.take_limits(&mut one).is_none());
        }
        assert_eq!(reloads.take_limits(&mut other).expect("new to it").limits.body_bytes, 9);
    }
}
