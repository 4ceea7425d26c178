//! TLS on the ports that are listened on (spec cli.md section 5).
//!
//! [`Acceptor`] holds what a port shows to its clients and looks after changes of its files.
//! [`Stream`] is one connection, encrypted or not, with the ways of a non-blocking socket.

mod acceptor;
mod stream;

pub(crate) use acceptor::Acceptor;
pub(crate) use stream::Stream;
