//! Feeds whose entries say where they stand: what is carried on as an address is one of the web, whatever the feed says.
#![no_main]

use candor_extract::{ExtractError, Extracted, Hints, Limits, documents_here};
use candor_fetch::Address;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, String, String, Vec<u8>)| {
    let (link, id, title, rest) = input;
    let limits = Limits { text_bytes: 1 << 16, ..Limits::default() };
    let rss = format!(
        "<rss><channel><item><title>{title}</title><link>{link}</link><guid>{id}</guid><description>words</description></item>"
    );
    let atom = format!("<feed><entry><title>{title}</title><id>{id}</id><link rel='alternate' href='{link}'/><summary>words</summary></entry>");
    for start in [rss, atom] {
        let bytes = [start.as_bytes(), &rest].concat();
        let mut input = std::io::BufReader::with_capacity(16, bytes.as_slice());
        let result = documents_here(&mut input, &Hints::default(), &limits, &mut |doc: Extracted| {
            for word in [&doc.link, &doc.id].into_iter().flatten() {
                assert!(!word.is_empty() && word.len() <= 2048 && !word.chars().any(char::is_control));
            }
            if let Some(Ok(address)) = doc.link.as_deref().map(Address::parse) {
                assert!(address.as_str().starts_with("http") && !address.host().contains('@'));
            }
            true
        });
        assert!(!matches!(result, Err(ExtractError::ReaderFailed { .. })), "{result:?}");
    }
});
