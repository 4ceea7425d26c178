//! What must hold stands in `crates/stead/src/fuzzed.rs`.

#![no_main]
// Most of these modules is for the program.
#![allow(dead_code)]

#[path = "../../crates/stead/src/fuzzed.rs"]
mod fuzzed;
#[path = "../../crates/stead/src/resolve.rs"]
mod resolve;
#[path = "../../crates/stead/src/secure.rs"]
mod secure;
#[path = "../../crates/stead/src/setting.rs"]
mod setting;
#[path = "../../crates/stead/src/source.rs"]
mod source;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzed::settings(data));
