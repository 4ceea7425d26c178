//! Clients that wait for a lock, step by step.
//!
//! A waiter goes in, waits, asks, and is answered; or its client goes away, or its patience ends,
//! and its entry is taken out of the queue. Each step is one proposal, of which a waiter has one at
//! a time. A proposal with an unknown outcome is retried, since it is idempotent, or left to the
//! entry's TTL.

use super::request::{Acquire, timed_out};
use super::waiters::{LockWaiter, Queue, SharedEntry, Stage};
use crate::api::answers::engine_error;
use crate::api::error::ApiError;
use crate::api::pending::Waiting;
use crate::member::context::{Context, Effect};
use crate::member::waiter::Waiter;
use crate::net::{Caller, Key, Reply, Response};
use replica::{Answer, EngineError, Failure};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{
    Access, Applied, Command, ErrorCode, KeyPath, LOCK_ANONYMOUS, LockAction, LockOutcome,
    LockState, Right, Store, StoreIndex, Wake, WatchFilter, WatcherId,
};

/// How long to wait before something is proposed again that failed: 250 ms.
const RETRY_NS: u64 = 250_000_000;

const SECOND_NS: u64 = 1_000_000_000;

/// A path that was one when the request was read.
pub(super) fn known(dir: &str) -> KeyPath<'_> {
    KeyPath::parse(dir).expect("the path was parsed before it was kept")
}

/// Watches what happens in the queue of a lock, from now on.
fn watch(store: &mut Store, dir: &str) -> Option<WatcherId> {
    let filter = WatchFilter { path: dir.into(), recursive: true, hidden: false };
    let next = StoreIndex(store.index().0 + 1);
    store.watch(&filter, next, true, Waiter::ANY_LOCK)
}

/// The number of the first entry.
fn holder(store: &Store, dir: &str) -> Option<u64> {
    let lock = store.peek(known(dir))?;
    lock.lock_holder().map(|(index, _)| index)
}

fn answer_error(cx: &mut Context, connection: Key, error: &ApiError) {
    let response = crate::api::answers::error(cx, error);
    cx.answer(connection, response);
}

fn answer_engine_error(cx: &mut Context, connection: Key, error: EngineError) {
    let response = engine_error(cx, error);
    cx.answer(connection, response);
}

/// A client asks to acquire a lock.
pub(super) fn acquire(
    cx: &mut Context,
    caller: Caller,
    dir: KeyPath<'_>,
    wanted: &Acquire<'_>,
    action: LockAction<'_>,
) -> Reply<Waiting> {
    let is_named = !wanted.value.is_empty() && wanted.value != LOCK_ANONYMOUS;
    let mut waiter = LockWaiter::new(caller.key, dir.as_str(), is_named, wanted.ttl);
    waiter.who = cx.who;
    waiter.timeout = wanted.timeout;
    if let Some(seconds) = wanted.timeout {
        let patience = seconds.saturating_mul(SECOND_NS);
        waiter.deadline = cx.now.monotonic.saturating_add(patience);
    }
    let waiter = cx.locks.insert(waiter);
    let command = Command::Lock { dir, action };
    match cx.driver.propose_as(Waiter::Lock(waiter).ticket(), cx.who.into(), &command) {
        Ok(()) => Reply::Wait(Waiting::Lock(waiter)),
        Err(error) => {
            cx.locks.remove(waiter);
            engine_error(cx, error).into()
        }
    }
}

/// Proposes a step of a waiter. Gives whether it is under way.
fn propose(cx: &mut Context, key: Key, stage: Stage, action: LockAction<'_>) -> bool {
    let Some(waiter) = cx.locks.get_mut(key) else { return false };
    let dir = Arc::clone(&waiter.dir);
    waiter.stage = stage;
    let ticket = Waiter::Lock(key).ticket();
    cx.locks.has_pending_proposal = true;
    let command = Command::Lock { dir: known(&dir), action };
    cx.driver.propose(ticket, &command).is_ok()
}

/// What became of a step.
pub(crate) fn deliver(cx: &mut Context, key: Key, answer: &Answer) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    match (waiter.stage, &answer.outcome) {
        (Stage::Entering, Ok(Applied::Lock(outcome))) => entered(cx, key, outcome),
        (Stage::Entering, Err(error)) => failed(cx, key, error),
        (Stage::Asking, Ok(Applied::Lock(outcome))) => asked(cx, key, outcome),
        (Stage::Asking, Err(Failure::Store(error))) => {
            // The entry is gone: released by its number, or expired. It must not count as held.
            let error = Failure::Store(error.clone());
            failed(cx, key, &error);
        }
        (Stage::Asking, Err(Failure::Engine(error))) => unasked(cx, key, *error),
        (Stage::Leaving, outcome) => left(cx, key, outcome),
        // Every step has an outcome of its own kind, and one at a time.
        (_, _) => {}
    }
}

fn entered(cx: &mut Context, key: Key, outcome: &LockOutcome) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    waiter.index = outcome.index;
    let is_held = outcome.state == LockState::Held;
    let is_awaited = waiter.connection.is_some();
    if let Some(entry) = cx.locks.entry(key) {
        entry.note(outcome);
        entry.waiters.push(key);
    } else if is_held && is_awaited {
        // Most locks are free, and need no waiter.
    } else if !begin_entry(cx, key, outcome) {
        return refuse(cx, key, outcome);
    }
    placed(cx, key, is_held);
}

/// Notes the first waiter of an entry. Gives whether there is room for another watcher, if one
/// is wanted.
fn begin_entry(cx: &mut Context, key: Key, outcome: &LockOutcome) -> bool {
    let Some(waiter) = cx.locks.get_mut(key) else { return true };
    let dir = Arc::clone(&waiter.dir);
    // An entry that was there before may be waited for elsewhere.
    let (touched, is_shared) = (outcome.touched, outcome.before > 0);
    let entry = SharedEntry { waiters: vec![key], touched, is_shared, is_held: false };
    if !cx.locks.queues.contains_key(&dir) {
        let store = cx.driver.store_mut();
        let Some(watcher) = watch(store, &dir) else { return false };
        let queue = Queue { watcher, holder: holder(store, &dir), entries: BTreeMap::new() };
        cx.locks.queues.insert(Arc::clone(&dir), queue);
    }
    if let Some(queue) = cx.locks.queues.get_mut(&dir) {
        queue.entries.insert(outcome.index, entry);
    }
    true
}

/// There are too many watchers: the client is sent away and its entry taken out.
fn refuse(cx: &mut Context, key: Key, outcome: &LockOutcome) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    if let Some(connection) = waiter.connection.take() {
        let at = cx.index();
        let error = ApiError::overloaded("too many watchers; try again later", at);
        answer_error(cx, connection, &error);
    }
    if outcome.before == 0 {
        leave_queue(cx, key, outcome.touched, None);
    } else {
        end(cx, key);
    }
}

fn asked(cx: &mut Context, key: Key, outcome: &LockOutcome) {
    if let Some(entry) = cx.locks.entry(key) {
        entry.note(outcome);
    }
    placed(cx, key, outcome.state == LockState::Held);
}

/// The store returned the position of a waiter's entry.
fn placed(cx: &mut Context, key: Key, is_held: bool) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    match (waiter.connection, is_held) {
        (None, _) => forsake(cx, key),
        (Some(connection), true) => {
            let index = waiter.index.to_string();
            if let Some(entry) = cx.locks.entry(key) {
                entry.is_held = true;
            }
            forget(cx, key);
            cx.answer(connection, Response::text(200, index));
        }
        (Some(_), false) => wait(cx, key, None),
    }
}

/// Lets a waiter wait: until its turn, its next refresh or the end of its patience.
fn wait(cx: &mut Context, key: Key, retry_ns: Option<u64>) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    waiter.stage = Stage::Waiting;
    let (dir, index) = (Arc::clone(&waiter.dir), waiter.index);
    let pause = retry_ns.unwrap_or(waiter.refresh_ns());
    let due = cx.now.monotonic.saturating_add(pause).min(waiter.deadline);
    cx.locks.schedule(key, Some(due));
    // What is before it may have gone while the answer was on its way.
    let holder = cx.locks.queues.get(&dir).and_then(|queue| queue.holder);
    if holder == Some(index) && retry_ns.is_none() {
        ask(cx, key);
    }
}

/// Keeps an entry alive and asks whether its turn has come.
fn ask(cx: &mut Context, key: Key) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    if waiter.stage != Stage::Waiting {
        return;
    }
    let action = LockAction::Refresh { index: waiter.index, ttl: waiter.ttl };
    cx.locks.schedule(key, None);
    if !propose(cx, key, Stage::Asking, action) {
        wait(cx, key, Some(RETRY_NS));
    }
}

/// The store could not be asked. The entry may live on, so the client goes on waiting.
fn unasked(cx: &mut Context, key: Key, error: EngineError) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    if waiter.connection.is_none() {
        forsake(cx, key);
    } else if matches!(error, EngineError::Removed | EngineError::Stopping) {
        failed(cx, key, &Failure::Engine(error));
    } else {
        wait(cx, key, Some(RETRY_NS));
    }
}

/// Answers a client that will not get the lock by this request.
fn failed(cx: &mut Context, key: Key, failure: &Failure) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    let (connection, timeout) = (waiter.connection, waiter.timeout);
    forget(cx, key);
    let Some(connection) = connection else { return };
    match failure {
        Failure::Store(error) if error.code == ErrorCode::CompareFailed => {
            let error = timed_out(timeout.unwrap_or(0), error.index.0);
            answer_error(cx, connection, &error);
        }
        Failure::Store(error) => {
            answer_error(cx, connection, &ApiError::from_store(error, false));
        }
        Failure::Engine(error) => answer_engine_error(cx, connection, *error),
    }
}

/// Forgets a waiter; its entry is not touched.
fn forget(cx: &mut Context, key: Key) {
    let (_, watcher) = cx.locks.leave_entry(key);
    if let Some(watcher) = watcher {
        cx.driver.store_mut().unwatch(watcher);
    }
    cx.locks.remove(key);
}

/// The connection of a waiter is gone.
pub(crate) fn orphan(cx: &mut Context, key: Key) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    waiter.connection = None;
    // A step that is under way decides when its outcome is known.
    if waiter.stage == Stage::Waiting {
        forsake(cx, key);
    }
}

/// Users or roles have changed: clients that may not have their lock any more wait no longer.
pub(crate) fn judge_again(cx: &mut Context) {
    if !cx.driver.store().auth().is_enabled() {
        return;
    }
    for key in cx.locks.keys() {
        let Some(waiter) = cx.locks.get_mut(key) else { continue };
        let Some(connection) = waiter.connection else { continue };
        let path = known(&waiter.dir);
        let access = Access::new(path, Right::Write);
        let store = cx.driver.store();
        if !store.auth().allows(waiter.who, access) {
            let refused = ApiError::from_store(&store.unauthorized(), false);
            answer_error(cx, connection, &refused);
            orphan(cx, key);
        }
    }
}

/// Nobody waits for a waiter any more: its entry goes, unless it serves another request.
fn forsake(cx: &mut Context, key: Key) {
    take_out(cx, key, None);
}

/// The client's patience is over.
fn give_up(cx: &mut Context, key: Key) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    let keep = Some(waiter.ttl);
    take_out(cx, key, keep);
}

/// Removes an entry from the queue if no other waiter needs it. With `keep` it stays if its turn
/// has come.
fn take_out(cx: &mut Context, key: Key, keep: Option<i64>) {
    let (entry, watcher) = cx.locks.leave_entry(key);
    if let Some(watcher) = watcher {
        cx.driver.store_mut().unwatch(watcher);
    }
    match entry {
        Some(entry) if !entry.is_held && !entry.is_shared => {
            leave_queue(cx, key, entry.touched, keep);
        }
        // Other requests keep the entry: here, or elsewhere, where its TTL sees to it.
        _ => end(cx, key),
    }
}

fn leave_queue(cx: &mut Context, key: Key, touched: u64, keep: Option<i64>) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    waiter.touched = waiter.is_named.then_some(touched);
    let ttl_ns = waiter.refresh_ns().saturating_mul(2);
    waiter.gone_at = cx.now.monotonic.saturating_add(ttl_ns);
    try_leave(cx, key, keep);
}

fn try_leave(cx: &mut Context, key: Key, keep: Option<i64>) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    let action = LockAction::Leave { index: waiter.index, touched: waiter.touched, keep };
    cx.locks.schedule(key, None);
    if !propose(cx, key, Stage::Leaving, action) {
        leave_later(cx, key, EngineError::Overloaded);
    }
}

/// An entry could not be removed, or the outcome is unknown.
fn leave_later(cx: &mut Context, key: Key, error: EngineError) {
    let now = cx.now.monotonic;
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    waiter.stage = Stage::LeavingAgain;
    let (connection, is_over) = (waiter.connection.take(), now >= waiter.gone_at);
    if let Some(connection) = connection {
        answer_engine_error(cx, connection, error);
    }
    if is_over {
        cx.locks.remove(key);
    } else {
        cx.locks.schedule(key, Some(now.saturating_add(RETRY_NS)));
    }
}

fn left(cx: &mut Context, key: Key, outcome: &Result<Applied, Failure>) {
    let Some(waiter) = cx.locks.get_mut(key) else { return };
    match outcome {
        Ok(Applied::Lock(outcome)) if outcome.state == LockState::Held => {
            let index = waiter.index.to_string();
            match waiter.connection {
                Some(connection) => {
                    cx.locks.remove(key);
                    cx.answer(connection, Response::text(200, index));
                }
                // It was kept for a client that went away meanwhile.
                None if outcome.touched != outcome.before => {
                    waiter.touched = waiter.touched.map(|_| outcome.touched);
                    try_leave(cx, key, None);
                }
                None => end(cx, key),
            }
        }
        Err(Failure::Engine(error)) => leave_later(cx, key, *error),
        Ok(_) | Err(Failure::Store(_)) => end(cx, key),
    }
}

/// Forgets a waiter without an entry; a client that still waits has waited long enough.
fn end(cx: &mut Context, key: Key) {
    let Some(waiter) = cx.locks.remove(key) else { return };
    if let Some(connection) = waiter.connection {
        let at = cx.index();
        answer_error(cx, connection, &timed_out(waiter.timeout.unwrap_or(0), at));
    }
}

/// Looks after waiters whose time has come.
pub(crate) fn advance(cx: &mut Context) {
    let now = cx.now.monotonic;
    while let Some(key) = cx.locks.take_due(now) {
        let Some(waiter) = cx.locks.get_mut(key) else { continue };
        match waiter.stage {
            Stage::LeavingAgain => try_leave(cx, key, None),
            Stage::Waiting if now >= waiter.deadline => give_up(cx, key),
            Stage::Waiting => ask(cx, key),
            // Its step is under way.
            _ => {}
        }
    }
}

/// An entry changed in a queue with a waiting client.
pub(crate) fn deliver_wake(cx: &mut Context, wake: &Wake) {
    if !wake.event.action.is_removal() {
        return;
    }
    let Some((dir, name)) = wake.event.key.rsplit_once('/') else { return };
    let Some(queue) = cx.locks.queues.get_mut(dir) else { return };
    let Ok(gone) = name.parse::<u64>() else { return };
    if queue.watcher != wake.watcher {
        return;
    }
    let mut concerned = Vec::new();
    if let Some(entry) = queue.entries.get(&gone) {
        // The store answers its clients.
        concerned.extend_from_slice(&entry.waiters);
    }
    if queue.holder == Some(gone) {
        queue.holder = holder(cx.driver.store(), dir);
        let next = queue.holder.and_then(|holder| queue.entries.get(&holder));
        concerned.extend(next.into_iter().flat_map(|entry| &entry.waiters));
    }
    for key in concerned {
        ask(cx, key);
    }
}

/// A snapshot took the place of the store: who waits watches the new one, and everything may
/// have happened meanwhile.
pub(crate) fn replace_watchers(cx: &mut Context) {
    let store = cx.driver.store_mut();
    for (dir, queue) in &mut cx.locks.queues {
        // Without a watcher the next refresh finds out.
        if let Some(watcher) = watch(store, dir) {
            queue.watcher = watcher;
        }
        queue.holder = holder(store, dir);
    }
    for key in cx.locks.keys() {
        ask(cx, key);
    }
}

/// The server stops: all waits end, and their entries are removed.
pub(crate) fn end_all(cx: &mut Context) {
    for key in cx.locks.keys() {
        let Some(waiter) = cx.locks.get_mut(key) else { continue };
        if let Some(waiting) = waiter.connection {
            let response = engine_error(cx, EngineError::Stopping);
            cx.effects.push(Effect::AnswerLast(waiting, response));
        }
        orphan(cx, key);
    }
}
