//! The network: what members say to each other, delivered in order, held, or lost.

use super::Cluster;
use replica::{MemberId, Network};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// From whom, to whom, and what.
pub(crate) type Letter = (MemberId, MemberId, Vec<u8>);

pub(super) type Wire = Rc<RefCell<VecDeque<Letter>>>;

pub(crate) struct TestNetwork {
    pub(super) own: MemberId,
    pub(super) wire: Wire,
    /// It hears the others and has no connection to them.
    pub(super) is_mute: bool,
}

impl Network for TestNetwork {
    fn can_send(&self, _to: MemberId) -> bool {
        !self.is_mute
    }

    fn send(&mut self, to: MemberId, message: Vec<u8>) {
        if self.is_mute {
            return;
        }
        self.wire.borrow_mut().push_back((self.own, to, message));
    }
}

impl Cluster {
    pub(crate) fn isolate(&mut self, at: usize, isolated: bool) {
        self.places[at].isolated = isolated;
    }

    /// The others notice at once that a member is not heard any more; it does not.
    pub(crate) fn cut_off(&mut self, at: usize) {
        self.isolate(at, true);
        self.tell_lost(at);
    }

    /// Delivers as many letters at most; those that they lead to count as well.
    pub(crate) fn deliver_some(&mut self, count: usize) {
        for _ in 0..count {
            let Some(next) = self.wire.borrow_mut().pop_front() else { return };
            self.hand_to(next);
        }
    }

    pub(crate) fn mute(&mut self, at: usize, is_mute: bool) {
        self.member_mut(at).network_mut().is_mute = is_mute;
    }

    /// Hands a member a message as if another one had sent it.
    pub(crate) fn say(&mut self, from: MemberId, at: usize, bytes: Vec<u8>) {
        let to = self.places[at].id;
        self.hand_to((from, to, bytes));
        self.turn(at);
    }

    pub(super) fn tell_lost(&mut self, at: usize) {
        let id = self.places[at].id;
        for place in self.places.iter_mut().filter(|place| place.id != id) {
            if let Some(driver) = &mut place.driver {
                driver.unreachable(id);
                driver.peer_lost(id, &mut place.out);
            }
        }
    }

    pub(super) fn deliver(&mut self) {
        self.deliver_some(100_000);
        assert!(self.wire.borrow().is_empty(), "messages without end");
    }

    pub(super) fn hand_to(&mut self, (from, to, bytes): Letter) {
        let is_cut = |id| self.places.iter().any(|place| place.id == id && place.isolated);
        if is_cut(from) || is_cut(to) {
            return;
        }
        let Some(at) = self.places.iter().position(|place| place.id == to) else { return };
        let place = &mut self.places[at];
        if let Some(driver) = &mut place.driver {
            driver.receive(from, &bytes, &mut place.out).expect("sound");
            self.turn(at);
        }
    }

    /// Takes what is on its way now off the wire.
    pub(crate) fn hold(&mut self) -> Vec<Letter> {
        self.wire.borrow_mut().drain(..).collect()
    }

    /// Delivers letters that were held.
    pub(crate) fn hand_out(&mut self, held: Vec<Letter>) {
        held.into_iter().for_each(|letter| self.hand_to(letter));
    }
}
