//! Black-box tests of the real binary on loopback.
//!
//! Every test starts servers of its own with [`testkit`], talks to them over plain sockets, and
//! leaves nothing behind. Nothing here knows the server's code: what a test states can be held
//! against any server that speaks the API (see `STEAD_TEST_SERVER` in [`testkit`]).

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "reports of the tests")]

mod cli;
mod client;
mod cluster;
mod conformance;
mod corpus;
mod crash;
mod gates;
mod guides;
mod hostile;
mod import;
mod keeping;
mod locks;
mod members;
mod operate;
mod ports;
mod rights;
mod seed_document;
mod testkit;
mod tls;
mod told;
mod ttl;
