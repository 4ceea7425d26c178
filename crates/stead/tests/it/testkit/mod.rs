//! What every black-box test needs: a server process, a raw client, ports and directories.
//!
//! The server under test is the binary of this package. `STEAD_TEST_SERVER` names another one, as
//! a command template with `{port}`, `{peerport}`, `{dir}` and `{name}`, so that the same tests
//! can be held against any server that speaks the same API.

pub(crate) mod bystander;
pub(crate) mod dir;
pub(crate) mod http;
pub(crate) mod port;
pub(crate) mod random;
pub(crate) mod record;
pub(crate) mod server;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod wait;
pub(crate) mod watch;

pub(crate) use dir::TempDir;
pub(crate) use http::{Connection, Request, Response, ask, send};
pub(crate) use random::Random;
pub(crate) use server::{Server, Site};
pub(crate) use wait::wait_until;
pub(crate) use watch::Watch;
