//! Serving the lock and leader modules: requests become commands of the store, and clients that
//! have to wait are kept until their turn comes (spec modules.md sections 1 and 2).
//!
//! A claim goes in, waits, asks, and is answered; or its client goes away, or its patience ends,
//! and its entry is taken out of the queue. Each step is one proposal, of which a claim has one at
//! a time. A proposal whose outcome nobody knows is made again, which does no harm, or left to the
//! entry's TTL.

use crate::api::error::{ApiError, INVALID_FIELD};
use crate::api::lock::{self, Acquire, LockField, LockRequest, Module};
use crate::api::route::Port;
use crate::claim::{CLAIM_BIT, Claim, Group, Queue, Stage};
use crate::connection::Task;
use crate::http::reader::Request;
use crate::http::response::TEXT;
use crate::owner::Owner;
use crate::slab::Key;
use replica::{Answer, EngineError, Failure, Ticket};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{
    Applied, Command, ErrorCode, KeyPath, LOCK_ANONYMOUS, LOCK_ROOT, LockAction, LockOutcome,
    LockState, Store, StoreIndex, Wake, WatchFilter, WatcherId,
};

/// How long to wait before something is proposed again that failed: 250 ms.
const RETRY_NS: u64 = 250_000_000;

const SECOND_NS: u64 = 1_000_000_000;

/// A path that was one when the request was read.
fn known(dir: &str) -> KeyPath<'_> {
    KeyPath::parse(dir).expect("the path was parsed before it was kept")
}

/// Watches what happens in the queue of a lock, from now on.
fn watch(store: &mut Store, dir: &str) -> Option<WatcherId> {
    let filter = WatchFilter { path: dir.into(), recursive: true };
    let next = StoreIndex(store.index().0 + 1);
    store.watch(&filter, next, true, CLAIM_BIT)
}

/// The number of the first entry.
fn holder(store: &Store, dir: &str) -> Option<u64> {
    let lock = store.peek(known(dir))?;
    lock.lock_holder().map(|(index, _)| index)
}

impl Owner {
    /// A request to one of the modules. `name` is what follows in the path.
    pub(crate) fn lock(&mut self, key: Key, request: &Request<'_>, module: Module, name: &str) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Port::Client(dialect) = connection.port else { return };
        let at = self.driver.store().index().0;
        let dir = format!("{LOCK_ROOT}/{name}");
        let Ok(path) = KeyPath::parse(&dir) else {
            let error = ApiError::new(INVALID_FIELD, "the name has too many components", at);
            return self.answer_error(key, &error);
        };
        let wanted = match lock::parse(module, request, dialect, at) {
            Ok(wanted) => wanted,
            Err(error) => return self.answer_error(key, &error),
        };
        match (&wanted, wanted.action()) {
            (LockRequest::Acquire(acquire), Some(action)) => {
                self.claim(key, path, acquire, action);
            }
            (LockRequest::Get(field), _) => self.read_lock(key, path, *field),
            (_, Some(action)) => {
                let command = Command::Lock { dir: path, action };
                match self.driver.propose(Ticket(key.to_u64()), &command) {
                    Ok(()) => self.set_task(key, Task::LockWrite),
                    Err(error) => self.answer_engine_error(key, error),
                }
            }
            (_, None) => unreachable!("only a read has no command"),
        }
    }

    fn set_task(&mut self, key: Key, task: Task) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.task = task;
        }
    }

    /// Who holds a lock is read as it is, not as this member remembers it.
    fn read_lock(&mut self, key: Key, path: KeyPath<'_>, field: LockField) {
        self.note_read();
        match self.driver.read(Ticket(key.to_u64())) {
            Ok(()) => self.set_task(key, Task::LockRead { dir: path.as_str().into(), field }),
            Err(error) => self.answer_engine_error(key, error),
        }
    }

    /// The store is fresh enough for a read of a lock, or cannot be.
    pub(crate) fn deliver_lock_read(
        &mut self,
        key: Key,
        dir: &str,
        field: LockField,
        outcome: Result<(), EngineError>,
    ) {
        if let Err(error) = outcome {
            return self.answer_engine_error(key, error);
        }
        let store = self.driver.store();
        let node = store.peek(known(dir)).filter(store::Node::is_dir);
        match lock::read(node.as_ref(), field, store.index().0) {
            Ok(text) => self.answer_resource(key, 200, TEXT, text.as_bytes()),
            Err(error) => self.answer_error(key, &error),
        }
    }

    /// A renewal or a release is done, or cannot be.
    pub(crate) fn deliver_lock_write(&mut self, key: Key, answer: &Answer) {
        match &answer.outcome {
            Ok(_) => self.answer_resource(key, 200, TEXT, b""),
            Err(Failure::Store(error)) => {
                self.answer_error(key, &ApiError::from_store(error, false));
            }
            Err(Failure::Engine(error)) => self.answer_engine_error(key, *error),
        }
    }

    /// Somebody wants to hold a lock.
    fn claim(&mut self, key: Key, dir: KeyPath<'_>, acquire: &Acquire<'_>, action: LockAction<'_>) {
        let is_named = !acquire.value.is_empty() && acquire.value != LOCK_ANONYMOUS;
        let mut claim = Claim::new(key, dir.as_str(), is_named, acquire.ttl);
        claim.timeout = acquire.timeout;
        if let Some(seconds) = acquire.timeout {
            let patience = seconds.saturating_mul(SECOND_NS);
            claim.deadline = self.now.monotonic.saturating_add(patience);
        }
        let claim = self.claims.insert(claim);
        let ticket = Ticket(claim.to_u64() | CLAIM_BIT);
        match self.driver.propose(ticket, &Command::Lock { dir, action }) {
            Ok(()) => self.set_task(key, Task::Claim(claim)),
            Err(error) => {
                self.claims.remove(claim);
                self.answer_engine_error(key, error);
            }
        }
    }

    /// Proposes a step of a claim. Gives whether it is under way.
    fn propose_claim(&mut self, key: Key, stage: Stage, action: LockAction<'_>) -> bool {
        let Some(claim) = self.claims.get_mut(key) else { return false };
        let dir = Arc::clone(&claim.dir);
        claim.stage = stage;
        let ticket = Ticket(key.to_u64() | CLAIM_BIT);
        self.claims.is_hurried = true;
        let command = Command::Lock { dir: known(&dir), action };
        self.driver.propose(ticket, &command).is_ok()
    }

    /// What became of a step.
    pub(crate) fn deliver_claim(&mut self, answer: &Answer) {
        let key = Key::from_u64(answer.ticket.0 & !CLAIM_BIT);
        let Some(claim) = self.claims.get_mut(key) else { return };
        match (claim.stage, &answer.outcome) {
            (Stage::Entering, Ok(Applied::Lock(outcome))) => self.claim_entered(key, outcome),
            (Stage::Entering, Err(error)) => self.claim_failed(key, error),
            (Stage::Asking, Ok(Applied::Lock(outcome))) => self.claim_asked(key, outcome),
            (Stage::Asking, Err(Failure::Store(error))) => {
                // The entry is gone: released by its number, or expired. It must not count as held.
                let error = Failure::Store(error.clone());
                self.claim_failed(key, &error);
            }
            (Stage::Asking, Err(Failure::Engine(error))) => self.claim_unasked(key, *error),
            (Stage::Leaving, outcome) => self.claim_left(key, outcome),
            // Every step has an outcome of its own kind, and one at a time.
            (_, _) => {}
        }
    }

    fn claim_entered(&mut self, key: Key, outcome: &LockOutcome) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        claim.index = outcome.index;
        let is_held = outcome.state == LockState::Held;
        let is_awaited = claim.connection.is_some();
        if let Some(group) = self.claims.group(key) {
            group.note(outcome);
            group.claims.push(key);
        } else if is_held && is_awaited {
            // Most locks are free, and nobody else has to be known for them.
        } else if !self.begin_group(key, outcome) {
            return self.refuse_claim(key, outcome);
        }
        self.claim_placed(key, is_held);
    }

    /// Notes the first claim of an entry. Gives whether there is room for another watcher, if one
    /// is wanted.
    fn begin_group(&mut self, key: Key, outcome: &LockOutcome) -> bool {
        let Some(claim) = self.claims.get_mut(key) else { return true };
        let dir = Arc::clone(&claim.dir);
        // An entry that was there before may be waited for elsewhere.
        let (touched, is_shared) = (outcome.touched, outcome.before > 0);
        let group = Group { claims: vec![key], touched, is_shared, is_held: false };
        if !self.claims.queues.contains_key(&dir) {
            let store = self.driver.store_mut();
            let Some(watcher) = watch(store, &dir) else { return false };
            let queue = Queue { watcher, holder: holder(store, &dir), groups: BTreeMap::new() };
            self.claims.queues.insert(Arc::clone(&dir), queue);
        }
        if let Some(queue) = self.claims.queues.get_mut(&dir) {
            queue.groups.insert(outcome.index, group);
        }
        true
    }

    /// There are too many watchers: the client is sent away and its entry taken out.
    fn refuse_claim(&mut self, key: Key, outcome: &LockOutcome) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        if let Some(connection) = claim.connection.take() {
            let at = self.driver.store().index().0;
            let error = ApiError::overloaded("too many watchers; try again later", at);
            self.answer_error(connection, &error);
        }
        if outcome.before == 0 {
            self.leave_queue(key, outcome.touched, None);
        } else {
            self.end_claim(key);
        }
    }

    fn claim_asked(&mut self, key: Key, outcome: &LockOutcome) {
        if let Some(group) = self.claims.group(key) {
            group.note(outcome);
        }
        self.claim_placed(key, outcome.state == LockState::Held);
    }

    /// The store said where a claim's entry is.
    fn claim_placed(&mut self, key: Key, is_held: bool) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        match (claim.connection, is_held) {
            (None, _) => self.forsake(key),
            (Some(connection), true) => {
                let index = claim.index.to_string();
                if let Some(group) = self.claims.group(key) {
                    group.is_held = true;
                }
                self.drop_claim(key);
                self.answer_resource(connection, 200, TEXT, index.as_bytes());
            }
            (Some(_), false) => self.wait(key, None),
        }
    }

    /// Lets a claim wait: until its turn, its next refresh or the end of its patience.
    fn wait(&mut self, key: Key, retry_ns: Option<u64>) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        claim.stage = Stage::Waiting;
        let (dir, index) = (Arc::clone(&claim.dir), claim.index);
        let pause = retry_ns.unwrap_or(claim.refresh_ns());
        let due = self.now.monotonic.saturating_add(pause).min(claim.deadline);
        self.claims.schedule(key, Some(due));
        // What is before it may have gone while the answer was on its way.
        let holder = self.claims.queues.get(&dir).and_then(|queue| queue.holder);
        if holder == Some(index) && retry_ns.is_none() {
            self.ask(key);
        }
    }

    /// Keeps an entry alive and asks whether its turn has come.
    fn ask(&mut self, key: Key) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        if claim.stage != Stage::Waiting {
            return;
        }
        let action = LockAction::Refresh { index: claim.index, ttl: claim.ttl };
        self.claims.schedule(key, None);
        if !self.propose_claim(key, Stage::Asking, action) {
            self.wait(key, Some(RETRY_NS));
        }
    }

    /// The store could not be asked. The entry may live on, so the client goes on waiting.
    fn claim_unasked(&mut self, key: Key, error: EngineError) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        if claim.connection.is_none() {
            self.forsake(key);
        } else if matches!(error, EngineError::Removed | EngineError::Stopping) {
            self.claim_failed(key, &Failure::Engine(error));
        } else {
            self.wait(key, Some(RETRY_NS));
        }
    }

    /// Answers a client that will not get the lock by this request.
    fn claim_failed(&mut self, key: Key, failure: &Failure) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        let (connection, timeout) = (claim.connection, claim.timeout);
        self.drop_claim(key);
        let Some(connection) = connection else { return };
        match failure {
            Failure::Store(error) if error.code == ErrorCode::CompareFailed => {
                let error = lock::timed_out(timeout.unwrap_or(0), error.index.0);
                self.answer_error(connection, &error);
            }
            Failure::Store(error) => {
                self.answer_error(connection, &ApiError::from_store(error, false));
            }
            Failure::Engine(error) => self.answer_engine_error(connection, *error),
        }
    }

    /// Forgets a claim; its entry is not touched.
    fn drop_claim(&mut self, key: Key) {
        let (_, watcher) = self.claims.leave_group(key);
        if let Some(watcher) = watcher {
            self.driver.store_mut().unwatch(watcher);
        }
        self.claims.remove(key);
    }

    /// The connection of a claim is gone.
    pub(crate) fn orphan(&mut self, key: Key) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        claim.connection = None;
        // A step that is under way decides when its outcome is known.
        if claim.stage == Stage::Waiting {
            self.forsake(key);
        }
    }

    /// Nobody waits for a claim any more: its entry goes, unless it serves another request.
    fn forsake(&mut self, key: Key) {
        self.take_out(key, None);
    }

    /// The client's patience is over.
    fn give_up(&mut self, key: Key) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        let keep = Some(claim.ttl);
        self.take_out(key, keep);
    }

    /// Takes an entry out of the queue if nobody else needs it. With `keep` it stays if its turn
    /// has come.
    fn take_out(&mut self, key: Key, keep: Option<i64>) {
        let (group, watcher) = self.claims.leave_group(key);
        if let Some(watcher) = watcher {
            self.driver.store_mut().unwatch(watcher);
        }
        match group {
            Some(group) if !group.is_held && !group.is_shared => {
                self.leave_queue(key, group.touched, keep);
            }
            // Other requests keep the entry: here, or elsewhere, where its TTL sees to it.
            _ => self.end_claim(key),
        }
    }

    fn leave_queue(&mut self, key: Key, touched: u64, keep: Option<i64>) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        claim.touched = claim.is_named.then_some(touched);
        let ttl_ns = claim.refresh_ns().saturating_mul(2);
        claim.gone_at = self.now.monotonic.saturating_add(ttl_ns);
        self.try_leave(key, keep);
    }

    fn try_leave(&mut self, key: Key, keep: Option<i64>) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        let action = LockAction::Leave { index: claim.index, touched: claim.touched, keep };
        self.claims.schedule(key, None);
        if !self.propose_claim(key, Stage::Leaving, action) {
            self.leave_later(key, EngineError::Overloaded);
        }
    }

    /// An entry could not be taken out, or nobody knows whether it was.
    fn leave_later(&mut self, key: Key, error: EngineError) {
        let now = self.now.monotonic;
        let Some(claim) = self.claims.get_mut(key) else { return };
        claim.stage = Stage::LeavingAgain;
        let (connection, is_over) = (claim.connection.take(), now >= claim.gone_at);
        if let Some(connection) = connection {
            self.answer_engine_error(connection, error);
        }
        if is_over {
            self.claims.remove(key);
        } else {
            self.claims.schedule(key, Some(now.saturating_add(RETRY_NS)));
        }
    }

    fn claim_left(&mut self, key: Key, outcome: &Result<Applied, Failure>) {
        let Some(claim) = self.claims.get_mut(key) else { return };
        match outcome {
            Ok(Applied::Lock(outcome)) if outcome.state == LockState::Held => {
                let index = claim.index.to_string();
                match claim.connection {
                    Some(connection) => {
                        self.claims.remove(key);
                        self.answer_resource(connection, 200, TEXT, index.as_bytes());
                    }
                    // It was kept for a client that went away meanwhile.
                    None if outcome.touched != outcome.before => {
                        claim.touched = claim.touched.map(|_| outcome.touched);
                        self.try_leave(key, None);
                    }
                    None => self.end_claim(key),
                }
            }
            Err(Failure::Engine(error)) => self.leave_later(key, *error),
            Ok(_) | Err(Failure::Store(_)) => self.end_claim(key),
        }
    }

    /// Forgets a claim without an entry; a client that still waits has waited long enough.
    fn end_claim(&mut self, key: Key) {
        let Some(claim) = self.claims.remove(key) else { return };
        if let Some(connection) = claim.connection {
            let at = self.driver.store().index().0;
            self.answer_error(connection, &lock::timed_out(claim.timeout.unwrap_or(0), at));
        }
    }

    /// Looks after claims whose time has come.
    pub(crate) fn tend_claims(&mut self) {
        let now = self.now.monotonic;
        while let Some(key) = self.claims.take_due(now) {
            let Some(claim) = self.claims.get_mut(key) else { continue };
            match claim.stage {
                Stage::LeavingAgain => self.try_leave(key, None),
                Stage::Waiting if now >= claim.deadline => self.give_up(key),
                Stage::Waiting => self.ask(key),
                // Its step is under way.
                _ => {}
            }
        }
    }

    /// An entry changed in a queue that somebody waits in.
    pub(crate) fn deliver_lock_wake(&mut self, wake: &Wake) {
        if !wake.event.action.is_removal() {
            return;
        }
        let Some((dir, name)) = wake.event.key.rsplit_once('/') else { return };
        let Some(queue) = self.claims.queues.get_mut(dir) else { return };
        let Ok(gone) = name.parse::<u64>() else { return };
        if queue.watcher != wake.watcher {
            return;
        }
        let mut concerned = Vec::new();
        if let Some(group) = queue.groups.get(&gone) {
            // Its clients are told so by the store.
            concerned.extend_from_slice(&group.claims);
        }
        if queue.holder == Some(gone) {
            queue.holder = holder(self.driver.store(), dir);
            let next = queue.holder.and_then(|holder| queue.groups.get(&holder));
            concerned.extend(next.into_iter().flat_map(|group| &group.claims));
        }
        for key in concerned {
            self.ask(key);
        }
    }

    /// A snapshot took the place of the store: who waits watches the new one, and everything may
    /// have happened meanwhile.
    pub(crate) fn replace_lock_watchers(&mut self) {
        let store = self.driver.store_mut();
        for (dir, queue) in &mut self.claims.queues {
            // Without a watcher the next refresh finds out.
            if let Some(watcher) = watch(store, dir) {
                queue.watcher = watcher;
            }
            queue.holder = holder(store, dir);
        }
        for key in self.claims.keys() {
            self.ask(key);
        }
    }

    /// The server stops: nobody waits here any more, and their entries go.
    pub(crate) fn end_claims(&mut self) {
        for key in self.claims.keys() {
            let Some(claim) = self.claims.get_mut(key) else { continue };
            if let Some(waiting) = claim.connection {
                if let Some(connection) = self.connections.get_mut(waiting) {
                    connection.manner.keep_alive = false;
                }
                self.answer_engine_error(waiting, EngineError::Stopping);
            }
            self.orphan(key);
        }
    }
}
