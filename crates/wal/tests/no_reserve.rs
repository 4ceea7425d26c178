//! The tests of `it` on a disk that cannot reserve room, as ext3, FAT and many shared folders.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use wal::mem::Reserving;

#[path = "it/crash.rs"]
mod crash;
#[path = "it/damage.rs"]
mod damage;
#[path = "it/faults.rs"]
mod faults;
#[path = "it/golden.rs"]
mod golden;
#[path = "it/log.rs"]
mod log;
#[path = "it/reach.rs"]
mod reach;
#[path = "it/reserve.rs"]
mod reserve;
#[path = "it/room.rs"]
mod room;
#[path = "it/snapshot.rs"]
mod snapshot;
#[path = "it/testkit.rs"]
mod testkit;

const RESERVING: Reserving = Reserving::Missing;
