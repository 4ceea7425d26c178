//! Who a client is: its name and password, or its certificate.
//!
//! A password is checked against its hash once, by a slow function on a thread of its own
//! ([`queue`]); its request waits and is served again. From then on the `Authorization` header that
//! brought it is known by its keyed hash ([`known`]), until the user changes: most requests cost
//! one such hash and one look-up. What the user may do is asked of the store each time.

mod basic;
pub(crate) mod hash;
mod known;
mod queue;

pub(crate) use queue::{Job, PasswordQueue, Work};

use crate::net::Key;
use known::{Checked, Known, Mac, Verdict};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use store::{Auth, Principal, StoreIndex};

/// A hash that no password has been told of, for users that are not there: how long an answer
/// takes must not tell which names exist.
const NOBODYS_HASH: &str = "$2b$10$2QmV7qY1Yx0o3d4Zp0rKxO5oB3m0m1Q2yqj0S3pPpJkX9fZ5r7c1K";

/// Who sent a request, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// It has proven to be this one.
    Proven(Principal),
    /// What it says of itself is wrong: not even a guest.
    Wrong,
    /// Its password has to be checked first.
    Unknown(Unchecked),
}

/// A name and a password that have to be checked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Unchecked {
    mac: Mac,
    name: String,
    password: Vec<u8>,
}

// Passwords are never printed.
impl fmt::Debug for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unchecked").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a password is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overloaded;

/// Knows who sends requests.
pub(crate) struct Authenticator {
    known: Known,
    queue: Arc<PasswordQueue>,
    /// The connections that wait for each check.
    waiting: BTreeMap<Mac, Vec<Key>>,
    /// The state of all users when rights were last looked at again.
    seen: StoreIndex,
}

impl Authenticator {
    /// Draws a key for the hashes of this process.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            known: Known::new()?,
            queue: Arc::new(PasswordQueue::new()),
            waiting: BTreeMap::new(),
            seen: StoreIndex(0),
        })
    }

    /// The queue that a thread works on.
    pub(crate) fn queue(&self) -> &Arc<PasswordQueue> {
        &self.queue
    }

    /// Whether users or roles have changed since this was last asked.
    pub(crate) fn note_revision(&mut self, revision: StoreIndex) -> bool {
        std::mem::replace(&mut self.seen, revision) != revision
    }

    /// Who sends a request with this `Authorization` header.
    pub(crate) fn identify(&mut self, users: &Auth, header: &[u8]) -> Identity {
        let mac = self.known.mac(header);
        match self.known.get(mac) {
            Some(Verdict::Right(who)) if users.proven(who).is_some() => Identity::Proven(who),
            Some(Verdict::Wrong(revision)) if revision == users.revision() => Identity::Wrong,
            _ => match basic::parse(header) {
                Some((name, password)) => Identity::Unknown(Unchecked { mac, name, password }),
                None => Identity::Wrong,
            },
        }
    }

    /// Has a password checked; the connection waits for it. Many that wait for the
    /// same one have it checked once.
    ///
    /// # Errors
    /// [`Overloaded`] when too many wait already.
    pub(crate) fn check(
        &mut self,
        users: &Auth,
        Unchecked { mac, name, password }: Unchecked,
        (key, from): (Key, Option<IpAddr>),
    ) -> Result<(), Overloaded> {
        if let Some(waiting) = self.waiting.get_mut(&mac) {
            waiting.push(key);
            return Ok(());
        }
        // A hash that would take too long, or is none, fits no password, and in no less time.
        let user = users.user(&name).filter(|user| hash::check_hash(&user.password_hash).is_ok());
        let hash = user.map_or(NOBODYS_HASH, |user| &user.password_hash).to_owned();
        let user =
            user.map(|user| Principal::User { id: user.id, password: Some(user.password_since) });
        let revision = users.revision();
        let done = Checked { mac, is_right: false, user, revision };
        let work = Work::Check { password, hash, done };
        if !self.queue.push(from, &name, work) {
            return Err(Overloaded);
        }
        self.waiting.insert(mac, vec![key]);
        Ok(())
    }

    /// A password was checked. Gives the connections that waited for it.
    pub(crate) fn checked(&mut self, done: &Checked) -> Vec<Key> {
        let verdict = match done.user.filter(|_| done.is_right) {
            Some(who) => Verdict::Right(who),
            None => Verdict::Wrong(done.revision),
        };
        self.known.put(done.mac, verdict);
        self.waiting.remove(&done.mac).unwrap_or_default()
    }

    /// A connection that waited is gone.
    pub(crate) fn forget(&mut self, key: Key) {
        // The check itself goes on: it was asked for, and is bounded.
        for waiting in self.waiting.values_mut() {
            waiting.retain(|other| *other != key);
        }
    }
}

impl Drop for Authenticator {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Does a piece of work: slow by design. Of a password the first 72 bytes count, as in etcd: that
/// is what bcrypt takes.
pub(crate) fn do_work(work: Work) -> Job {
    match work {
        Work::Check { password, hash, mut done } => {
            // A hash that is none matches no password.
            done.is_right = bcrypt::verify(&password, &hash).unwrap_or(false);
            Job::Checked(done)
        }
        Work::Hash { password, key, cost } => {
            let hash = bcrypt::hash(&password, cost).map_err(|error| error.to_string());
            Job::Hashed(key, hash)
        }
    }
}

#[cfg(test)]
mod tests;
