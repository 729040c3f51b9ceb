//! Tables and JSON lines, and any text without a name: kinds are told and read without falling over.
#![no_main]

use candor_extract::{ExtractError, Limits, extract_here};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { text_bytes: 1 << 16, ..Limits::default() };
    for name in [Some("a.csv"), Some("a.jsonl"), Some("a.txt"), None] {
        match extract_here(bytes, name, &limits) {
            Ok(doc) => assert!(!doc.text.chars().any(|c| c.is_control() && c != '\n' && c != '\t')),
            Err(error) => assert!(!matches!(error, ExtractError::ReaderFailed { .. }), "{error}"),
        }
    }
});
