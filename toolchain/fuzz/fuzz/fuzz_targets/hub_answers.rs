//! libFuzzer's program around one target.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sk_fuzz::run("hub_answers", data));
