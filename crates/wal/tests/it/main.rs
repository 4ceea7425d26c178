//! Tests of the log and the snapshot files on disks that fail, and on a real one.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use wal::mem::Reserving;

mod crash;
mod damage;
mod faults;
mod golden;
mod log;
mod reach;
mod real;
mod reserve;
mod room;
mod snapshot;
mod testkit;

/// All of it runs a second time where room cannot be reserved: see `no_reserve.rs`.
const RESERVING: Reserving = Reserving::Works;
