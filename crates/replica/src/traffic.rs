//! How much raft traffic passes: what `/v2/stats/self` tells of a member.
//!
//! Appends and heartbeats are counted, since 0.4 sent both as one kind of request
//! (docs/spec/stats.md section 2). The latest ones are remembered in a ring, so that counting one
//! costs a store of 16 bytes, and the rates are worked out only when somebody asks.

/// How many of the latest packages the rates are made of.
const WINDOW: usize = 200;

/// How old the newest package may be before there is no rate any more: 1 s.
const IDLE_NS: u64 = 1_000_000_000;

/// The packages that went one way.
#[derive(Debug, Default)]
pub struct Traffic {
    count: u64,
    /// Time and bytes of the latest packages; the next one goes to `count` modulo [`WINDOW`].
    latest: Vec<(u64, u64)>,
}

/// How much passes in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Packages a second.
    pub packages: f64,
    /// Bytes a second.
    pub bytes: f64,
}

impl Traffic {
    pub(crate) fn note(&mut self, now: u64, bytes: usize) {
        let package = (now, bytes as u64);
        let at = usize::try_from(self.count % WINDOW as u64).expect("below a small number");
        match self.latest.get_mut(at) {
            Some(slot) => *slot = package,
            None => self.latest.push(package),
        }
        self.count += 1;
    }

    /// How many packages there were since the start.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The rates at a time of the monotonic clock; nothing when nothing passed lately, or too
    /// little to tell.
    pub fn rates(&self, now: u64) -> Option<Rates> {
        let newest = self.latest.iter().map(|(at, _)| *at).max()?;
        let oldest = self.latest.iter().map(|(at, _)| *at).min()?;
        if now.saturating_sub(newest) > IDLE_NS || newest == oldest {
            return None;
        }
        let seconds = (newest - oldest) as f64 / 1e9;
        let bytes: u64 = self.latest.iter().map(|(_, bytes)| *bytes).sum();
        Some(Rates { packages: self.latest.len() as f64 / seconds, bytes: bytes as f64 / seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_latest_packages() {
        let mut traffic = Traffic::default();
        assert_eq!(traffic.rates(0), None);
        traffic.note(0, 1_000_000);
        assert_eq!(traffic.rates(0), None, "one package has no rate");
        // 200 packages, 10 ms apart, push the large one out.
        for step in 1..=200 {
            traffic.note(step * 10_000_000, 50);
        }
        assert_eq!((traffic.count(), traffic.latest.len()), (201, WINDOW));
        let rates = traffic.rates(2_000_000_000).expect("there was traffic");
        assert!((rates.packages - 200.0 / 1.99).abs() < 1e-6, "{rates:?}");
        assert!((rates.bytes - 200.0 * 50.0 / 1.99).abs() < 1e-6, "{rates:?}");
        assert!(traffic.rates(3_000_000_000).is_some(), "a second is still lately");
        assert_eq!(traffic.rates(3_000_000_001), None);
    }
}
