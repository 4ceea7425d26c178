//! One member alone, driven as the server drives it.

#[path = "member/calls.rs"]
mod calls;
#[path = "member/counting.rs"]
mod counting;
#[path = "member/due.rs"]
mod due;
#[path = "member/expiry.rs"]
mod expiry;
#[path = "member/kit.rs"]
mod kit;
#[path = "member/room.rs"]
mod room;
#[path = "member/starting.rs"]
mod starting;
#[path = "member/turns.rs"]
mod turns;
