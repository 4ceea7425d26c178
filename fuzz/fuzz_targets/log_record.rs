//! What must hold stands in `crates/fuzzed/src/log_record.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzed::check("log_record", data));
