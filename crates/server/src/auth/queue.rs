//! Passwords that wait to be checked or hashed: bounded, and fair.
//!
//! Hashing takes some 60 ms by design, so a flood of wrong passwords cannot be checked. It must not
//! keep others from having theirs checked: addresses take turns, and the names that one address
//! gives take turns too. What is beyond the bounds is refused at once.

use super::known::Checked;
use crate::net::Key;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, PoisonError};

/// What waits of one address and name, of one address, and in all.
const NAME_MAX: usize = 8;
const ADDRESS_MAX: usize = 64;
const TOTAL_MAX: usize = 1024;

/// Something slow to be done.
#[derive(Debug)]
pub(crate) enum Work {
    /// A password is compared with a hash.
    Check {
        /// The password.
        password: Vec<u8>,
        /// What it should have.
        hash: String,
        /// The result, to be completed.
        done: Checked,
    },
    /// A new password gets a hash, for a request of this connection.
    Hash {
        /// The password.
        password: Vec<u8>,
        /// Who waits for it.
        key: Key,
        /// bcrypt's cost: the work doubles with each step.
        cost: u32,
    },
}

/// The bytes of a password that bcrypt takes.
const PASSWORD_BYTES_MAX: usize = 72;

impl Work {
    /// Lets go of what bcrypt does not look at: as many passwords may wait as there is room for,
    /// and each may be as long as a request.
    fn shorten(&mut self) {
        let (Work::Check { password, .. } | Work::Hash { password, .. }) = self;
        password.truncate(PASSWORD_BYTES_MAX);
        password.shrink_to_fit();
    }
}

/// What was done.
#[derive(Debug)]
pub(crate) enum Job {
    /// A password was checked.
    Checked(Checked),
    /// A hash is there, or what went wrong.
    Hashed(Key, Result<String, String>),
}

/// Things that take turns, by what they belong to.
#[derive(Debug)]
struct Turns<K, V> {
    lanes: BTreeMap<K, V>,
    last: Option<K>,
}

impl<K: Ord + Clone, V> Turns<K, V> {
    fn new() -> Self {
        Self { lanes: BTreeMap::new(), last: None }
    }

    /// The lane whose turn it is.
    fn next(&mut self) -> Option<K> {
        let behind = self.last.as_ref().and_then(|last| {
            let behind = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
            self.lanes.range::<K, _>(behind).next()
        });
        let next = behind.or_else(|| self.lanes.first_key_value()).map(|(key, _)| key.clone())?;
        self.last = Some(next.clone());
        Some(next)
    }
}

/// What waits of one address.
#[derive(Debug)]
struct Lane {
    names: Turns<String, VecDeque<Work>>,
    len: usize,
}

#[derive(Debug)]
struct State {
    addresses: Turns<Option<IpAddr>, Lane>,
    len: usize,
    is_closed: bool,
    is_served: bool,
}

/// The queue between the loop and its thread.
#[derive(Debug)]
pub(crate) struct PasswordQueue {
    state: Mutex<State>,
    came: Condvar,
}

impl PasswordQueue {
    pub(super) fn new() -> Self {
        let state = State { addresses: Turns::new(), len: 0, is_closed: false, is_served: false };
        Self { state: Mutex::new(state), came: Condvar::new() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic on the other side has ended the process.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work for a client at an address that says to be `name`. Gives whether there was room.
    pub(crate) fn push(&self, from: Option<IpAddr>, name: &str, mut work: Work) -> bool {
        work.shorten();
        let mut state = self.state();
        let lane = state.addresses.lanes.get(&from);
        let of_address = lane.map_or(0, |lane| lane.len);
        let of_name = lane.and_then(|lane| lane.names.lanes.get(name)).map_or(0, VecDeque::len);
        if state.len >= TOTAL_MAX || of_address >= ADDRESS_MAX || of_name >= NAME_MAX {
            return false;
        }
        let new = || Lane { names: Turns::new(), len: 0 };
        let lane = state.addresses.lanes.entry(from).or_insert_with(new);
        lane.names.lanes.entry(name.to_owned()).or_default().push_back(work);
        lane.len += 1;
        state.len += 1;
        drop(state);
        self.came.notify_one();
        true
    }

    /// Whether a thread works on it.
    pub(crate) fn is_served(&self) -> bool {
        self.state().is_served
    }

    /// A thread works on it from now on.
    pub(crate) fn serve(&self) {
        self.state().is_served = true;
    }

    /// Waits for the next work; nothing when the loop has ended.
    pub(crate) fn next(&self) -> Option<Work> {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(work) = state.take() {
                return Some(work);
            }
            state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The loop ends: nobody waits for what is left.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.came.notify_all();
    }
}

impl State {
    fn take(&mut self) -> Option<Work> {
        let address = self.addresses.next()?;
        let lane = self.addresses.lanes.get_mut(&address)?;
        let name = lane.names.next()?;
        let waiting = lane.names.lanes.get_mut(&name)?;
        let work = waiting.pop_front();
        if waiting.is_empty() {
            lane.names.lanes.remove(&name);
        }
        lane.len -= 1;
        self.len -= 1;
        if lane.len == 0 {
            self.addresses.lanes.remove(&address);
        }
        work
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Slab;
    use std::net::Ipv4Addr;

    fn work(password: &str) -> Work {
        let key = Slab::new().insert(());
        Work::Hash { password: password.into(), key, cost: 4 }
    }

    fn taken(queue: &PasswordQueue) -> String {
        match queue.next() {
            Some(Work::Hash { password, .. }) => String::from_utf8(password).expect("text"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_flood_from_one_address_holds_up_no_other() {
        let queue = PasswordQueue::new();
        let at = |last| Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)));
        let flood =
            (0..1000).filter(|n| queue.push(at(1), &format!("u{n}"), work("guess"))).count();
        assert_eq!(flood, ADDRESS_MAX);
        assert!(queue.push(at(2), "ann", work("hers")));
        let first = [taken(&queue), taken(&queue)];
        assert!(first.contains(&"hers".to_owned()), "{first:?}");
    }

    #[test]
    fn names_of_one_address_take_turns() {
        let queue = PasswordQueue::new();
        let flood = (0..1000).filter(|_| queue.push(None, "root", work("guess"))).count();
        assert_eq!(flood, NAME_MAX);
        assert!(queue.push(None, "ann", work("hers")));
        let first = [taken(&queue), taken(&queue)];
        assert!(first.contains(&"hers".to_owned()), "{first:?}");
        for _ in 1..NAME_MAX {
            assert_eq!(taken(&queue), "guess");
        }
        assert_eq!(queue.state().len, 0);
        assert!(queue.state().addresses.lanes.is_empty());
    }

    #[test]
    fn of_a_long_password_no_more_waits_than_counts() {
        let queue = PasswordQueue::new();
        assert!(queue.push(None, "ann", work(&"x".repeat(1 << 20))));
        assert_eq!(taken(&queue), "x".repeat(PASSWORD_BYTES_MAX));
        let (long, short) = ("y".repeat(100), "y".repeat(PASSWORD_BYTES_MAX));
        let hash = bcrypt::hash(long, 4).expect("a cost that is allowed");
        assert_eq!(bcrypt::verify(short, &hash).ok(), Some(true), "the rest does not count");
    }

    #[test]
    fn all_together_are_bounded_and_the_end_is_told() {
        let queue = PasswordQueue::new();
        let mut taken = 0;
        for number in 0..=255 {
            for name in 0..8 {
                let from = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)));
                taken += usize::from(queue.push(from, &name.to_string(), work("x")));
            }
        }
        assert_eq!(taken, TOTAL_MAX);
        queue.close();
        assert!(queue.next().is_none());
    }
}
