//! Writes that are not durable yet, and what waits for them.

use crate::clock::MonoTime;
use raft::eraftpb::Message;
use std::collections::VecDeque;

/// How far the readies of raft are written and synced. They are numbered in their order.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    /// The newest ready that was written, if it is not synced yet.
    written: Option<u64>,
    /// What a deferred sync covers that has not been reported.
    in_flight: Option<u64>,
    /// When that sync was handed out, by the monotonic clock.
    handed_out_at: MonoTime,
    /// The newest ready of all.
    newest: u64,
    /// Messages that must not leave before the ready with this number is durable.
    messages: VecDeque<(u64, Vec<Message>)>,
}

impl Unsynced {
    /// A record is in the log: the last one of a ready, if that has a number.
    pub(super) fn note_written(&mut self, number: Option<u64>) {
        assert!(number.is_none() || number > self.written, "readies are written in their order");
        self.written = number.or(self.written);
    }

    /// Whether something was written and nobody syncs yet.
    pub(super) fn wants_sync(&self) -> bool {
        self.written.is_some() && self.in_flight.is_none()
    }

    /// Whether all that was written is synced.
    pub(super) fn is_synced(&self) -> bool {
        self.written.is_none() && self.in_flight.is_none()
    }

    /// Whether a sync was handed out and not reported.
    pub(super) fn is_syncing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// When the sync was handed out that is not reported.
    pub(super) fn syncs_since(&self) -> Option<MonoTime> {
        self.in_flight.map(|_| self.handed_out_at)
    }

    /// All that was written is synced in place; gives the newest of those readies.
    pub(super) fn take_written(&mut self) -> Option<u64> {
        self.written.take()
    }

    /// A sync of all that was written is handed out.
    pub(super) fn hand_out(&mut self, now: MonoTime) {
        assert!(self.in_flight.is_none(), "there is one sync at a time");
        self.handed_out_at = now;
        self.in_flight = self.written.take();
    }

    /// The sync that was handed out is done; gives the newest ready that it covered.
    pub(super) fn take_in_flight(&mut self) -> Option<u64> {
        self.in_flight.take()
    }

    /// A ready is carried out: `promises` must wait until it is durable.
    pub(super) fn add(&mut self, number: u64, promises: Vec<Message>) {
        assert!(number > self.newest, "readies come in their order");
        self.newest = number;
        if !promises.is_empty() {
            self.messages.push_back((number, promises));
        }
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// The next messages that waited for a ready up to `durable`, which is durable.
    pub(super) fn next_released(&mut self, durable: u64) -> Option<Vec<Message>> {
        assert!(durable <= self.newest, "ready {durable} was never carried out");
        let (_, messages) = self.messages.pop_front_if(|(number, _)| *number <= durable)?;
        Some(messages)
    }
}
