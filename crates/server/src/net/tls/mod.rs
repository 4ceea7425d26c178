//! TLS on the ports that are listened on, and to other members (docs/spec/cli.md section 5).
//!
//! [`Keyring`] holds what is shown on either side and looks after changes of the files. [`Stream`]
//! is one connection, encrypted or not, with the ways of a non-blocking socket.

mod acceptor;
pub(crate) mod auto;
mod dialer;
mod expiry;
mod keyring;
mod pem;
mod provider;
mod reload;
mod stream;
mod verifier;

pub(crate) use acceptor::Acceptor;
pub(crate) use dialer::{Dialer, calls, for_client};
pub(crate) use expiry::{Expiry, common_name};
pub(crate) use keyring::Keyring;
pub use provider::suites;
use reload::Kept;
pub(crate) use stream::Stream;
pub(crate) use verifier::explain;
