//! What a turn brought: outcomes to those who asked, events to those who watch.
//!
//! A stream whose client reads slowly is not given a queue that grows. Once more than its share
//! waits to be sent, it takes its events from the history when there is room again; only when the
//! history no longer reaches back far enough does it end, with error 401 as its last line.

use crate::api::error::ApiError;
use crate::api::{admin, json};
use crate::claim::CLAIM_BIT;
use crate::connection::{Task, WatchTask};
use crate::frames::Shape;
use crate::http::response::{JSON, put_end, put_piece};
use crate::owner::Owner;
use crate::serve::envelope;
use crate::slab::Key;
use replica::{Answer, EngineError, Failure, Output, ReadAnswer};
use std::sync::Arc;
use store::{Action, Applied, Event, KeyPath, StoreIndex, Wake, WatchFilter};

/// Bytes of history that a lagging stream is given at a time, as a share of its buffer.
const CATCH_UP_SHARE: usize = 2;

impl Owner {
    /// Passes on everything that a turn brought, and empties it.
    pub(crate) fn deliver(&mut self, out: &mut Output) {
        if let Some(old) = out.replaced.take() {
            self.store_replaced(*old);
        }
        if let Some(address) = out.doubled.take() {
            self.note_doubled(&address);
        }
        for answer in out.answers.drain(..) {
            self.deliver_answer(&answer);
        }
        for read in out.reads.drain(..) {
            self.deliver_read(&read);
        }
        for wake in out.wakes.drain(..) {
            self.deliver_wake(&wake);
        }
        self.frames.clear();
    }

    fn deliver_answer(&mut self, answer: &Answer) {
        if answer.ticket.0 & CLAIM_BIT != 0 {
            return self.deliver_claim(answer);
        }
        let key = Key::from_u64(answer.ticket.0);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (no_value, since) = match &connection.task {
            Task::Write { no_value, since } => (*no_value, *since),
            Task::Configure => (false, self.now.monotonic),
            Task::Member(_) => return self.deliver_member(key, answer),
            Task::Join(_) | Task::Remove(_) => return self.deliver_change(key, answer),
            Task::LockWrite => return self.deliver_lock_write(key, answer),
            // Nobody waits for it any more.
            _ => return,
        };
        let hides_root = connection.dialect() == crate::config::Dialect::V2;
        match &answer.outcome {
            Ok(Applied::Event(event)) => {
                let took = self.now.monotonic.saturating_sub(since);
                self.meters.wrote(event.action, took);
                self.answer_write(key, event, no_value);
            }
            Ok(Applied::Internal) => {
                let body = admin::config_body(&self.driver.membership().config());
                self.answer_resource(key, 200, JSON, &body);
            }
            // Nobody waits here for what these give.
            Ok(Applied::Expired(_) | Applied::Lock(_)) => {}
            Err(Failure::Store(error)) => {
                self.answer_error(key, &ApiError::from_store(error, hides_root));
            }
            Err(Failure::Engine(error)) => self.answer_engine_error(key, *error),
        }
    }

    /// A machine joined or left, or could not.
    fn deliver_change(&mut self, key: Key, answer: &Answer) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let task = std::mem::replace(&mut connection.task, Task::Idle);
        match (task, &answer.outcome) {
            (Task::Join(task), Ok(_)) => self.joined(key, task),
            (Task::Join(task), Err(Failure::Engine(error))) => self.not_joined(key, &task, *error),
            (Task::Remove(_), Ok(_)) => self.answer_resource(key, 200, JSON, b""),
            // It left a moment ago by somebody else's word.
            (Task::Remove(_), Err(Failure::Engine(EngineError::NoSuchMember))) => {
                self.answer_resource(key, 200, JSON, b"");
            }
            (_, Err(Failure::Engine(error))) => self.answer_engine_error(key, *error),
            (_, _) => self.answer_engine_error(key, EngineError::Unknown),
        }
    }

    fn answer_write(&mut self, key: Key, event: &Arc<Event>, no_value: bool) {
        let is_new =
            event.action == Action::Create || (event.action == Action::Set && event.prev.is_none());
        self.print_event(key, event, no_value);
        let numbers = self.numbers(event.index);
        self.answer_body(key, if is_new { 201 } else { 200 }, &numbers);
    }

    /// Prints an event into `self.body` as the answer for a connection.
    fn print_event(&mut self, key: Key, event: &Event, no_value: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let dialect = connection.dialect();
        self.body.clear();
        if no_value {
            self.body.extend_from_slice(b"{\"action\":\"");
            self.body.extend_from_slice(event.action.as_str().as_bytes());
            self.body.extend_from_slice(b"\"}\n");
            return;
        }
        json::put_event(&mut self.body, event, dialect);
        if dialect == crate::config::Dialect::V2 {
            self.body.push(b'\n');
        }
    }

    /// Answers a watch whose event is in the history.
    pub(crate) fn answer_event(&mut self, key: Key, event: &Event) {
        self.print_event(key, event, false);
        let numbers = self.numbers(self.driver.store().index());
        self.answer_body(key, 200, &numbers);
    }

    fn deliver_read(&mut self, read: &ReadAnswer) {
        let key = Key::from_u64(read.ticket.0);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !matches!(connection.task, Task::Read { .. } | Task::LockRead { .. }) {
            return;
        }
        let (path, get) = match std::mem::replace(&mut connection.task, Task::Idle) {
            Task::Read { path, get } => (path, get),
            Task::LockRead { dir, field } => {
                return self.deliver_lock_read(key, &dir, field, read.outcome);
            }
            _ => return,
        };
        match (read.outcome, KeyPath::parse(&path)) {
            (Ok(()), Ok(path)) => {
                self.driver.warm_up();
                self.answer_get(key, path, get);
            }
            (Err(_), Ok(path)) if !get.quorum => self.give_up_waiting(key, path, get),
            (Err(error), _) => self.answer_engine_error(key, error),
            (Ok(()), Err(_)) => unreachable!("the path was parsed before it was kept"),
        }
    }

    fn deliver_wake(&mut self, wake: &Wake) {
        if wake.owner & CLAIM_BIT != 0 {
            return self.deliver_lock_wake(wake);
        }
        let key = Key::from_u64(wake.owner);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let dialect = connection.dialect();
        let manner = connection.manner;
        let waiting = connection.outbox.len();
        let Task::Watch(watch) = &mut connection.task else { return };
        if watch.watcher != wake.watcher {
            return;
        }
        if !watch.stream {
            return self.end_poll(key, &wake.event);
        }
        if watch.lags || waiting > self.config.limits.stream_buffer_bytes {
            // It is read from the history when there is room.
            if !watch.lags {
                watch.lags = true;
                watch.pending = Some(Arc::clone(&wake.event));
            }
            return;
        }
        watch.next = StoreIndex(wake.event.index.0 + 1);
        if !manner.is_head {
            let shape = Shape { dialect, stream: true, is_chunked: manner.is_http11 };
            let bytes = self.frames.get(&wake.event, shape);
            connection.outbox.append_shared(&bytes);
            self.mark_dirty(key);
        }
    }

    /// Ends a long poll with its event.
    fn end_poll(&mut self, key: Key, event: &Arc<Event>) {
        let numbers = self.numbers(self.driver.store().index());
        let Some(connection) = self.connections.get_mut(key) else { return };
        let dialect = connection.dialect();
        let manner = connection.manner;
        connection.task = Task::Idle;
        if manner.is_head {
            let envelope = envelope(&self.date, self.cors.lines(manner.origin), manner);
            connection.outbox.append(|out| {
                envelope.answer(out, 200, Some(JSON), Some(&numbers), "", b"");
            });
        } else {
            let shape = Shape { dialect, stream: false, is_chunked: manner.is_http11 };
            let bytes = self.frames.get(event, shape);
            connection.outbox.append_shared(&bytes);
            connection.closes |= !manner.is_http11;
        }
        self.finish(key);
    }

    /// Gives a lagging stream events of the history, until it has its share or has caught up.
    pub(crate) fn catch_up(&mut self, key: Key) {
        let share = self.config.limits.stream_buffer_bytes / CATCH_UP_SHARE;
        loop {
            let Some(connection) = self.connections.get_mut(key) else { return };
            if connection.outbox.len() > share {
                break;
            }
            let dialect = connection.dialect();
            let is_chunked = connection.manner.is_http11;
            let Task::Watch(watch) = &mut connection.task else { return };
            let store = self.driver.store();
            let next = match watch.pending.take() {
                Some(event) => Ok(Some(event)),
                None => store.next_event(&watch.filter, watch.next),
            };
            let found = next.and_then(|event| {
                let Some(event) = event else { return Ok(None) };
                watch.next = StoreIndex(event.index.0 + 1);
                let shape = Shape { dialect, stream: true, is_chunked };
                connection.outbox.append_shared(&self.frames.get(&event, shape));
                store.next_event_after(&watch.filter, &event)
            });
            match found {
                Ok(Some(event)) => watch.pending = Some(event),
                Ok(None) => {
                    watch.lags = false;
                    break;
                }
                Err(error) => {
                    let error = ApiError::from_store(&error, false);
                    self.end_stream(key, &error);
                    return;
                }
            }
        }
        self.frames.clear();
        self.mark_dirty(key);
    }

    /// Ends a stream that fell behind, with the reason as its last line.
    fn end_stream(&mut self, key: Key, error: &ApiError) {
        self.meters.watcher_cleared();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Task::Watch(watch) = std::mem::replace(&mut connection.task, Task::Idle) else {
            return;
        };
        self.driver.store_mut().unwatch(watch.watcher);
        let is_chunked = connection.manner.is_http11;
        connection.outbox.append(|out| {
            put_piece(out, &error.body(), is_chunked);
            put_end(out, is_chunked);
        });
        connection.closes = true;
        self.finish(key);
    }

    /// A snapshot of the leader took the place of the store: everybody who watches goes on in the
    /// new one from where it was, by its history, or is told that events are missing.
    fn store_replaced(&mut self, old: store::Store) {
        if self.workers.drop_store(old).is_err() {
            tracing::warn!("a store that was replaced is given back in the loop");
        }
        self.replace_lock_watchers();
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let Task::Watch(watch) = &mut connection.task else { continue };
            let (filter, stream) = (watch.filter.clone(), watch.stream);
            let live = StoreIndex(self.driver.store().index().0 + 1);
            let store = self.driver.store_mut();
            match store.watch(&filter, watch.next.max(live), stream, key.to_u64()) {
                Some(watcher) => watch.watcher = watcher,
                None => {
                    self.close(key);
                    continue;
                }
            }
            watch.lags = stream;
            let next = watch.next;
            if stream {
                self.catch_up(key);
            } else {
                self.resume_poll(key, &filter, next);
            }
        }
    }

    /// A long poll whose event may be in the history of a new store.
    fn resume_poll(&mut self, key: Key, filter: &WatchFilter, next: StoreIndex) {
        match self.driver.store().next_event(filter, next) {
            Ok(None) => {}
            Ok(Some(event)) => {
                self.unwatch(key);
                self.end_poll(key, &event);
            }
            Err(error) => {
                let error = ApiError::from_store(&error, false);
                self.end_stream(key, &error);
            }
        }
    }

    fn unwatch(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Task::Watch(watch) = &connection.task {
            self.driver.store_mut().unwatch(watch.watcher);
        }
    }

    /// Ends all watches without an event: the server stops.
    pub(crate) fn end_watches(&mut self) {
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let Task::Watch(watch) = &connection.task else { continue };
            let WatchTask { watcher, .. } = **watch;
            let is_chunked = connection.manner.is_http11 && !connection.manner.is_head;
            connection.task = Task::Idle;
            connection.closes = true;
            connection.outbox.append(|out| put_end(out, is_chunked));
            self.driver.store_mut().unwatch(watcher);
            self.mark_dirty(key);
        }
    }
}
