//! Any bytes as a tokenizer.json: refused with a sentence, or text goes in and out.
#![no_main]

use std::path::Path;

use candor_model::Tokenizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tokenizer) = Tokenizer::from_json_bytes(Path::new("tokenizer.json"), bytes, &[]) {
        for special in [false, true] {
            let ids = tokenizer.encode("Hello <s> 12\n \u{4f60}", special);
            tokenizer.decode(&ids);
        }
    }
});
