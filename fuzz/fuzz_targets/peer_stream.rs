//! What must hold stands in `crates/fuzzed/src/peer_stream.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzed::check("peer_stream", data));
