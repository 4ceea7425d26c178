//! Watches: a long poll ends with its event, a stream goes on.
//!
//! A stream whose client reads slowly is not given a queue that grows. Once more than its share
//! waits to be sent, it takes its events from the history when there is room again; only when the
//! history no longer reaches back far enough does it end, with error 401 as its last line.

use super::event_bytes::Shape;
use super::request::{Form, Watch};
use super::v1;
use super::watching::{Progress, Watching};
use crate::api::answers::error;
use crate::api::error::ApiError;
use crate::api::json::print_event;
use crate::api::pending::Waiting;
use crate::http::response::{put_end, put_piece};
use crate::member::context::Context;
use crate::net::{Body, Caller, Connection, Front, Key, Phase, Reply, Response};
use std::sync::Arc;
use store::{Access, Event, KeyPath, Right, Store, StoreIndex, Wake, WatchFilter};

/// Bytes of history that a lagging stream is given at a time, as a share of its buffer.
const CATCH_UP_SHARE: usize = 2;

/// The watch of a connection.
fn watching(connection: &mut Connection<Waiting>) -> Option<&mut Watching> {
    match connection.pending_mut() {
        Some(Waiting::Watch(watching)) => Some(watching),
        _ => None,
    }
}

/// Begins a watch. Its head goes out soon, so that the client knows that it waits. The head of a
/// long poll is held back for a moment: with busy keys the event comes meanwhile, and both are one
/// write.
pub(super) fn begin(
    cx: &mut Context,
    caller: Caller,
    path: KeyPath<'_>,
    watch: Watch,
) -> Reply<Waiting> {
    cx.meters.watches.add_one();
    let index = cx.driver.store().index();
    let Watch { recursive, hidden, .. } = watch;
    let filter = WatchFilter { path: path.as_str().into(), recursive, hidden };
    let from = StoreIndex(watch.wait_index);
    if watch.wait_index > 0 {
        match cx.driver.store().next_event(&filter, from) {
            Ok(Some(event)) if watch.form == Form::V1 => return v1::event(&event, index).into(),
            Ok(Some(event)) if !watch.stream => {
                print_event(&mut cx.body, caller.port.dialect(), &event, false);
                let numbers = cx.numbers(index);
                return Response::json(200, Body::Printed).at(numbers).into();
            }
            Ok(_) => {}
            Err(refused) => return error(cx, &ApiError::from_store(&refused, false)).into(),
        }
    }
    let next = StoreIndex(index.0 + 1);
    let live = from.max(next);
    let owner = caller.key.to_u64();
    let registered = cx.driver.store_mut().watch(&filter, live, watch.stream, owner);
    let Some(watcher) = registered else {
        let cause = "too many watchers; try again later";
        return error(cx, &ApiError::overloaded(cause, index.0)).into();
    };
    let is_head = caller.mode.is_head;
    let lags = watch.stream && watch.wait_index > 0 && from <= index && !is_head;
    let next = if watch.wait_index > 0 { from } else { next };
    let Watch { stream, form, .. } = watch;
    let mut progress = None;
    if watch.progress && !is_head {
        progress = Some(Progress { has_news: false, since: cx.now.monotonic });
        cx.progressing.push(caller.key);
    }
    let (who, pending) = (cx.who, None);
    let watching = Watching { filter, who, watcher, stream, form, next, lags, pending, progress };
    let pending = Waiting::Watch(Box::new(watching));
    if is_head || form == Form::V1 {
        // A head alone is all that HEAD gets, and it gets it when the event comes; an answer of v1
        // has its length in front.
        return Reply::Wait(pending);
    }
    let head = Response::json(200, Body::Empty).at(cx.numbers(index));
    Reply::Stream { head, pending, is_held: !stream }
}

/// An event came for a watch.
pub(crate) fn deliver(cx: &mut Context, front: &mut Front<Waiting>, wake: &Wake) {
    let key = Key::from_u64(wake.owner);
    let Some(connection) = front.get_mut(key) else { return };
    let (dialect, mode) = (connection.dialect(), connection.mode);
    let waiting = connection.outbox.len();
    let Some(watching) = watching(connection) else { return };
    if watching.watcher != wake.watcher {
        return;
    }
    if !watching.stream {
        return end_poll(cx, front, key, &wake.event);
    }
    if watching.lags || waiting > cx.config.limits.stream_buffer_bytes {
        // It is read from the history when there is room.
        if !watching.lags {
            watching.lags = true;
            watching.pending = Some(Arc::clone(&wake.event));
        }
        return;
    }
    watching.gave(&wake.event, cx.now.monotonic);
    if !mode.is_head {
        let shape = Shape { dialect, stream: true, is_chunked: mode.is_http11 };
        connection.outbox.append_shared(&cx.events.get(&wake.event, shape));
        front.mark_dirty(key);
    }
}

/// Ends a long poll with its event.
fn end_poll(cx: &mut Context, front: &mut Front<Waiting>, key: Key, event: &Arc<Event>) {
    let Some(connection) = front.get_mut(key) else { return };
    let (dialect, mode) = (connection.dialect(), connection.mode);
    let index = cx.driver.store().index();
    if watching(connection).is_some_and(|watching| watching.form == Form::V1) {
        return front.answer(key, v1::event(event, index), &[]);
    }
    if mode.is_head {
        return front.answer(key, Response::json(200, Body::Empty).at(cx.numbers(index)), &[]);
    }
    connection.phase = Phase::Idle;
    let shape = Shape { dialect, stream: false, is_chunked: mode.is_http11 };
    connection.outbox.append_shared(&cx.events.get(event, shape));
    connection.closes |= !mode.is_http11;
    front.finish(key);
}

/// Gives a lagging stream events of the history, until it has its share or has caught up.
pub(crate) fn catch_up(cx: &mut Context, front: &mut Front<Waiting>, key: Key) {
    let share = cx.config.limits.stream_buffer_bytes / CATCH_UP_SHARE;
    loop {
        let Some(connection) = front.get_mut(key) else { return };
        if connection.outbox.len() > share {
            break;
        }
        let (dialect, is_chunked) = (connection.dialect(), connection.mode.is_http11);
        let Some(watching) = watching(connection) else { return };
        let store = cx.driver.store();
        let next = match watching.pending.take() {
            Some(event) => Ok(Some(event)),
            None => store.next_event(&watching.filter, watching.next),
        };
        let event = match next {
            Ok(Some(event)) => event,
            Ok(None) => {
                watching.lags = false;
                break;
            }
            Err(refused) => {
                let refused = ApiError::from_store(&refused, false);
                return end_stream(cx, front, key, &refused);
            }
        };
        watching.gave(&event, cx.now.monotonic);
        let after = store.next_event_after(&watching.filter, &event);
        match &after {
            Ok(Some(next)) => watching.pending = Some(Arc::clone(next)),
            Ok(None) => watching.lags = false,
            Err(_) => {}
        }
        let shape = Shape { dialect, stream: true, is_chunked };
        connection.outbox.append_shared(&cx.events.get(&event, shape));
        match after {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(refused) => {
                let refused = ApiError::from_store(&refused, false);
                return end_stream(cx, front, key, &refused);
            }
        }
    }
    cx.events.clear();
    front.mark_dirty(key);
}

/// Ends a watch that cannot go on, with the reason as its last line.
fn end_stream(cx: &mut Context, front: &mut Front<Waiting>, key: Key, why: &ApiError) {
    cx.meters.watchers_cleared.add_one();
    let Some(connection) = front.get_mut(key) else { return };
    let Some(Waiting::Watch(watching)) = connection.take_pending() else { return };
    cx.driver.store_mut().unwatch(watching.watcher);
    if !watching.has_head(connection.mode.is_head) {
        return front.answer(key, error(cx, why), &[]);
    }
    let is_chunked = connection.mode.is_http11;
    connection.outbox.append(|out| {
        put_piece(out, &why.body(), is_chunked);
        put_end(out, is_chunked);
    });
    connection.closes = true;
    front.finish(key);
}

/// Users or roles have changed: the watches of those end who may not have their events any more.
pub(crate) fn judge_again(cx: &mut Context, front: &mut Front<Waiting>) {
    if !cx.driver.store().auth().is_enabled() {
        return;
    }
    for key in front.keys() {
        let Some(watching) = front.get_mut(key).and_then(watching) else { continue };
        let path = KeyPath::parse(&watching.filter.path).expect("it was parsed when it began");
        let recursive = watching.filter.recursive;
        let access = Access { recursive, has_slash: true, ..Access::new(path, Right::Read) };
        if !cx.driver.store().auth().allows(watching.who, access) {
            let refused = ApiError::from_store(&cx.driver.store().unauthorized(), false);
            end_stream(cx, front, key, &refused);
        }
    }
}

/// A snapshot of the leader took the place of the store: everybody who watches goes on in the new
/// one from where it was, by its history, or gets an error that events are missing. Gives the
/// connections for whose watches there is no room.
pub(crate) fn replace_store(cx: &mut Context, front: &mut Front<Waiting>) -> Vec<Key> {
    let mut homeless = Vec::new();
    for key in front.keys() {
        let Some(watching) = front.get_mut(key).and_then(watching) else { continue };
        let live = StoreIndex(cx.driver.store().index().0 + 1);
        let (next, stream) = (watching.next, watching.stream);
        let store = cx.driver.store_mut();
        let Some(watcher) = store.watch(&watching.filter, next.max(live), stream, key.to_u64())
        else {
            homeless.push(key);
            continue;
        };
        watching.watcher = watcher;
        watching.lags = stream;
        if stream {
            catch_up(cx, front, key);
        } else {
            resume_poll(cx, front, key);
        }
    }
    homeless
}

/// A long poll whose event may be in the history of a new store.
fn resume_poll(cx: &mut Context, front: &mut Front<Waiting>, key: Key) {
    let Some(watching) = front.get_mut(key).and_then(watching) else { return };
    match cx.driver.store().next_event(&watching.filter, watching.next) {
        Ok(None) => {}
        Ok(Some(event)) => {
            cx.driver.store_mut().unwatch(watching.watcher);
            end_poll(cx, front, key, &event);
        }
        Err(refused) => end_stream(cx, front, key, &ApiError::from_store(&refused, false)),
    }
}

/// Ends all watches without an event: the server stops.
pub(crate) fn end_all(store: &mut Store, front: &mut Front<Waiting>) {
    for key in front.keys() {
        let Some(connection) = front.get_mut(key) else { continue };
        let mode = connection.mode;
        let Some(watching) = watching(connection) else { continue };
        let watcher = watching.watcher;
        let is_chunked = mode.is_http11 && watching.has_head(mode.is_head);
        connection.phase = Phase::Idle;
        connection.closes = true;
        connection.outbox.append(|out| put_end(out, is_chunked));
        store.unwatch(watcher);
        front.mark_dirty(key);
    }
}
