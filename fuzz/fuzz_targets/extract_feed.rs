//! RSS and Atom feeds, whole and entry by entry.
#![no_main]

use candor_extract::{ExtractError, Extracted, Hints, Limits, documents_here, extract_here};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { text_bytes: 1 << 16, ..Limits::default() };
    let bytes = [b"<rss>", bytes].concat();
    if let Err(error) = extract_here(&bytes, None, &limits) {
        assert!(!matches!(error, ExtractError::ReaderFailed { .. }), "{error}");
    }
    let mut input = std::io::BufReader::with_capacity(16, bytes.as_slice());
    let result = documents_here(&mut input, &Hints::default(), &limits, &mut |doc: Extracted| {
        assert!(!doc.text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        assert!(doc.headings.iter().all(|heading| doc.text.get(heading.start..heading.end).is_some()));
        true
    });
    assert!(!matches!(result, Err(ExtractError::ReaderFailed { .. })), "{result:?}");
});
