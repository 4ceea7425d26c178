//! HTTP/1.1 without sockets: bytes in, requests out; answers in, bytes out.
//!
//! The loop keeps what has arrived on a connection and goes this way with it:
//!
//! 1. [`reader::parse`], on each arrival, until a [`request::Request`] is whole or refused;
//! 2. [`url::decode`] and [`url::clean`] for its path; an unclean one is redirected;
//! 3. `api::route` for the resource, and for the key space `api::keys` for what is wanted there,
//!    which reads forms and queries by [`url::each_field`];
//! 4. [`response::ResponseHead`] writes the head, and a body of known length, into the connection's
//!    outbox; [`response::put_piece`] frames a body that comes in pieces.
//!
//! Nothing here blocks, and nothing allocates for a request without escapes and chunks. TLS,
//! compression and other versions of HTTP are not spoken.

pub(crate) mod browser;
pub(crate) mod cors;
pub(crate) mod reader;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod time;
pub(crate) mod url;
