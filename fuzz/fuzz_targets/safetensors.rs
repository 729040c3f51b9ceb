//! Any bytes as a safetensors file: its header is checked, or a sentence says what is wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = candor_model::hf::check_safetensors(bytes);
});
