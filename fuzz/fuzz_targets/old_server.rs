//! What must hold stands in `crates/fuzzed/src/old_server.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzed::check("old_server", data));
