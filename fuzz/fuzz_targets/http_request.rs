//! What must hold stands in `crates/fuzzed/src/http_request.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzed::check("http_request", data));
