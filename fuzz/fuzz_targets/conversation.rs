//! Any bytes as an exported conversation: a document that survives its own export, or a sentence.
#![no_main]

use candor_store::Document;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = Document::parse(bytes) {
        let text = serde_json::to_vec(&document).expect("a document can be written");
        assert!(Document::parse(&text).is_ok(), "what was written cannot be read");
    }
});
