//! What clients asked for and nobody has been told yet, in pieces of about 1 MiB: each becomes one
//! request in the log, so that neither an entry nor a message can grow with what waits.

use crate::clock::MonoTime;
use crate::error::EngineError;
use crate::limits::{BATCH_BYTES_MAX, COMMAND_BYTES_MAX, REQUEST_BYTES_MAX};
use crate::types::Ticket;
use crate::waiting::proposal::{Answer, Waiters, fail};
use crate::wire::batch::Items;
use std::collections::VecDeque;

/// Requests of clients that go into the log together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: Items,
    pub(crate) waiters: Waiters,
    /// When the first of them came, by the monotonic clock.
    pub(crate) since: MonoTime,
}

/// All that has gathered. Only the last batch takes more.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    batches: VecDeque<Batch>,
    bytes: usize,
    tickets: usize,
}

impl Gathering {
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many clients wait for it.
    pub(crate) fn tickets(&self) -> usize {
        self.tickets
    }

    /// Takes one item, written by `put`.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`] if it is longer than any command may be.
    pub(crate) fn push(
        &mut self,
        ticket: Option<Ticket>,
        now: MonoTime,
        put: impl FnOnce(&mut Items),
    ) -> Result<(), EngineError> {
        let is_open = |batch: &Batch| batch.items.bytes.len() < BATCH_BYTES_MAX;
        if !self.batches.back().is_some_and(is_open) {
            self.batches.push_back(Batch { since: now, ..Batch::default() });
        }
        let batch = self.batches.back_mut().expect("one is open: it was just looked for");
        let (bytes, len) = (batch.items.bytes.len(), batch.items.len);
        put(&mut batch.items);
        let grown = batch.items.bytes.len() - bytes;
        if grown > COMMAND_BYTES_MAX {
            batch.items.bytes.truncate(bytes);
            batch.items.len = len;
            if len == 0 {
                self.batches.pop_back();
            }
            return Err(EngineError::Overloaded);
        }
        if let Some(ticket) = ticket {
            batch.waiters.push((len, ticket));
            self.tickets += 1;
        }
        self.bytes += grown;
        assert!(batch.items.bytes.len() <= REQUEST_BYTES_MAX, "a request is bounded");
        Ok(())
    }

    /// The oldest batch; no more is added to it.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        assert!(batch.items.len > 0, "a batch is begun with its first item");
        assert!(batch.items.bytes.len() <= REQUEST_BYTES_MAX, "a request is bounded");
        assert!(batch.waiters.len() <= batch.items.len, "one client waits for an item at most");
        self.bytes -= batch.items.bytes.len();
        self.tickets -= batch.waiters.len();
        assert!(!self.batches.is_empty() || self.bytes == 0, "each byte is counted once");
        Some(batch)
    }

    /// Refuses all of it: nothing was done.
    pub(crate) fn refuse(&mut self, error: EngineError, answers: &mut Vec<Answer>) {
        while let Some(batch) = self.take() {
            fail(batch.waiters, error, answers);
        }
    }

    /// Refuses what has waited since `since` or before.
    pub(crate) fn expire(
        &mut self,
        since: MonoTime,
        error: EngineError,
        answers: &mut Vec<Answer>,
    ) {
        while self.batches.front().is_some_and(|batch| batch.since <= since)
            && let Some(batch) = self.take()
        {
            fail(batch.waiters, error, answers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Author, Command, KeyPath};

    fn push(gathering: &mut Gathering, ticket: u64, len: usize, now: u64) {
        let value = "v".repeat(len);
        let path = KeyPath::parse("/a").expect("clean");
        let command = Command::Update { path, value: &value, ttl: None, refresh: false };
        let pushed = gathering.push(Some(Ticket(ticket)), MonoTime(now), |items| {
            items.push(Author::default(), &command);
        });
        assert_eq!(pushed.is_ok(), len <= COMMAND_BYTES_MAX);
    }

    #[test]
    fn batches_are_sealed_where_they_are_gathered() {
        let mut gathering = Gathering::default();
        for ticket in 0..100 {
            push(&mut gathering, ticket, 300_000, ticket);
        }
        assert_eq!(gathering.tickets(), 100);
        let (mut bytes, mut tickets) = (0, Vec::new());
        while let Some(batch) = gathering.take() {
            assert!(batch.items.bytes.len() < BATCH_BYTES_MAX + 301_000);
            assert_eq!(batch.since, MonoTime(batch.waiters[0].1.0));
            bytes += batch.items.bytes.len();
            tickets.extend(batch.waiters.into_iter().map(|(_, ticket)| ticket.0));
        }
        assert!(bytes > 30_000_000);
        assert_eq!(tickets, (0..100).collect::<Vec<_>>());
        assert_eq!((gathering.bytes(), gathering.tickets()), (0, 0));
    }

    #[test]
    fn a_command_without_bounds_is_refused_and_leaves_no_trace() {
        let mut gathering = Gathering::default();
        push(&mut gathering, 1, COMMAND_BYTES_MAX + 1, 0);
        assert!(gathering.is_empty());
        push(&mut gathering, 2, 10, 0);
        push(&mut gathering, 3, COMMAND_BYTES_MAX + 1, 0);
        let batch = gathering.take().expect("one is there");
        assert_eq!((batch.items.len, batch.waiters.len()), (1, 1));
        assert_eq!((gathering.bytes(), gathering.tickets()), (0, 0));
    }

    #[test]
    fn only_what_is_old_is_given_up() {
        let mut gathering = Gathering::default();
        push(&mut gathering, 1, 2_000_000, 5);
        push(&mut gathering, 2, 10, 8);
        let mut answers = Vec::new();
        gathering.expire(MonoTime(7), EngineError::NoLeader, &mut answers);
        assert_eq!(answers.len(), 1);
        gathering.refuse(EngineError::DiskFull, &mut answers);
        assert_eq!(answers.len(), 2);
        assert!(gathering.is_empty());
    }
}
