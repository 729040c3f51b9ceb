//! A web page from anyone, and Markdown with HTML in it: a document that keeps its promises comes out, or a sentence does.
#![no_main]

use candor_extract::{ExtractError, Extracted, Limits, extract_here};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|page: &[u8]| {
    let limits = Limits { text_bytes: 1 << 16, ..Limits::default() };
    check(extract_here(page, Some("page.html"), &limits));
    check(extract_here(page, Some("page.md"), &limits));
    check(extract_here(&[b"<!doctype html>", page].concat(), None, &limits));
});

fn check(result: Result<Extracted, ExtractError>) {
    match result {
        Ok(doc) => {
            assert!(!doc.text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            assert!(doc.headings.iter().all(|heading| doc.text.get(heading.start..heading.end).is_some()));
        }
        Err(error) => assert!(!matches!(error, ExtractError::ReaderFailed { .. }), "{error}"),
    }
}
