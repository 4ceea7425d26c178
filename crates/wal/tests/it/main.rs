//! Tests of the log and the snapshot files on disks that fail, and on a real one.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod crash;
mod damage;
mod golden;
mod log;
mod real;
mod room;
mod snapshot;
mod testkit;
