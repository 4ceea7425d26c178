//! What must hold stands in `crates/fuzzed/src/lock_request.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzed::check("lock_request", data));
