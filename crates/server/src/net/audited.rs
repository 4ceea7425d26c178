//! What the audit log is told of the request in hand of a connection.

use super::Pending;
use super::connection::Connection;
use super::front::Front;
use super::slab::Key;
use crate::audit::{Audit, Entry};
use crate::http::response::Numbers;

impl<T: Pending> Front<T> {
    /// The request in hand is told when its answer is known.
    pub(super) fn tell_later(&mut self, key: Key, entry: Option<Box<Entry>>) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.audited = entry;
        }
    }
}

/// Tells the request in hand with the status of its answer, once.
pub(super) fn tell<T>(
    audit: Option<&Audit>,
    connection: &mut Connection<T>,
    status: u16,
    numbers: Option<&Numbers>,
) {
    if let (Some(audit), Some(entry)) = (audit, connection.audited.take()) {
        audit.note(*entry, status, numbers.map(|numbers| numbers.store_index));
    }
}
