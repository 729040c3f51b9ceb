//! MediaWiki dumps and the wiki markup in them, whole and article by article.
#![no_main]

use candor_extract::{ExtractError, Extracted, Hints, Limits, documents_here, extract_here};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { text_bytes: 1 << 16, ..Limits::default() };
    // Half of the time the bytes are markup of a page, otherwise they are the dump's own XML.
    let bytes = match bytes.split_first() {
        Some((first, markup)) if first % 2 == 0 => {
            [b"<mediawiki><page><title>t</title><text><![CDATA[", markup, b"]]></text></page></mediawiki>"].concat()
        }
        _ => [b"<mediawiki>", bytes].concat(),
    };
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
