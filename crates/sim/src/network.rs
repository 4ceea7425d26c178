//! The network between members: when a message arrives, how often, and whether at all.
//!
//! It decides about times only; the world keeps the messages. Connections are ordered, as TCP is,
//! unless the run is one in which messages may overtake each other and come twice.

use crate::Nanos;
use crate::plan::{Fault, Faults, MILLI};
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// How good the network is at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    pub(crate) delay_min: Nanos,
    pub(crate) delay_max: Nanos,
    pub(crate) loss_permille: u64,
    /// Whether messages may be doubled and overtake each other.
    pub(crate) is_wild: bool,
}

impl Quality {
    pub(crate) const GOOD: Self =
        Self { delay_min: 50_000, delay_max: 400_000, loss_permille: 0, is_wild: false };

    /// Something worse, within what an election time-out can bear most of the time.
    pub(crate) fn draw(rng: &mut Rng, may_be_wild: bool) -> Self {
        let delay_max = rng.pick(&[MILLI, 5 * MILLI, 20 * MILLI, 80 * MILLI]);
        Self {
            delay_min: rng.range(20_000, delay_max / 2),
            delay_max,
            loss_permille: rng.pick(&[0, 0, 5, 50, 200]),
            is_wild: may_be_wild && rng.permille(700),
        }
    }
}

/// The network. Machines are named by their place in the world.
#[derive(Debug)]
pub(crate) struct SimNetwork {
    rng: Rng,
    pub(crate) quality: Quality,
    /// Directions in which nothing passes.
    cuts: BTreeSet<(usize, usize)>,
    /// When the last message of a direction arrives.
    latest: BTreeMap<(usize, usize), Nanos>,
}

impl SimNetwork {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, quality: Quality::GOOD, cuts: BTreeSet::new(), latest: BTreeMap::new() }
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// When a message that is sent now arrives: never, once, or twice.
    pub(crate) fn route(
        &mut self,
        now: Nanos,
        from: usize,
        to: usize,
        faults: &mut Faults,
    ) -> [Option<Nanos>; 2] {
        let quality = self.quality;
        if self.is_cut(from, to) {
            faults.count(Fault::MessageCut);
            return [None, None];
        }
        if quality.loss_permille > 0 && self.rng.permille(quality.loss_permille) {
            faults.count(Fault::MessageLost);
            return [None, None];
        }
        let arrival = now + self.rng.range(quality.delay_min, quality.delay_max);
        let latest = self.latest.entry((from, to)).or_default();
        if !quality.is_wild {
            let arrival = arrival.max(*latest + 1);
            *latest = arrival;
            return [Some(arrival), None];
        }
        if arrival < *latest {
            faults.count(Fault::MessageReordered);
        }
        *latest = arrival.max(*latest);
        let again = self.rng.permille(100).then(|| {
            faults.count(Fault::MessageDoubled);
            arrival + self.rng.range(1, 4 * quality.delay_max)
        });
        [Some(arrival), again]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_one_way_and_a_tame_network_keeps_the_order() {
        let mut faults = Faults::default();
        let mut network = SimNetwork::new(Rng::new(1));
        network.cut(0, 1);
        assert_eq!(network.route(0, 0, 1, &mut faults), [None, None]);
        let mut before = 0;
        for _ in 0..100 {
            let [Some(at), None] = network.route(0, 1, 0, &mut faults) else { panic!("lost") };
            assert!(at > before);
            before = at;
        }
        network.heal();
        assert!(network.route(0, 0, 1, &mut faults)[0].is_some());
    }

    #[test]
    fn a_wild_network_loses_doubles_and_reorders() {
        let mut faults = Faults::default();
        let mut network = SimNetwork::new(Rng::new(2));
        network.quality = Quality { loss_permille: 100, is_wild: true, ..Quality::GOOD };
        for _ in 0..300 {
            network.route(0, 0, 1, &mut faults);
        }
        for fault in [Fault::MessageLost, Fault::MessageDoubled, Fault::MessageReordered] {
            assert!(faults.of(fault) > 0, "{fault:?}");
        }
    }
}
