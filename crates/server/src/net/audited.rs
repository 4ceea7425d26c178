//! What the audit log is told of the request in hand of a connection.

use super::connection::Connection;
use crate::audit::Audit;
use crate::http::response::Numbers;

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
