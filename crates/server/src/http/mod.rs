//! HTTP/1.1 without sockets: bytes in, requests out; answers in, bytes out.
//!
//! The loop keeps what has arrived on a connection and calls [`reader::parse`] on it until a
//! request is whole. `api` says what the request means and what the answer is; [`response`] writes
//! it into the connection's outbox. Nothing here blocks, and nothing allocates for a request
//! without escapes.

pub(crate) mod reader;
pub(crate) mod response;
pub(crate) mod url;
