//! What a client asks for next.

use crate::history::Kind;

/// What a client is about to ask.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) kind: Kind,
    pub(crate) ttl: Option<u64>,
}

impl Request {
    pub(crate) fn new(key: impl Into<String>, kind: Kind) -> Self {
        Self { key: key.into(), kind, ttl: None }
    }
}
