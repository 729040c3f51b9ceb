//! The hidden command that reads one document, as Candor itself starts it.

use candor_extract::{ExtractError, Extractor, Kind, Limits};

use crate::program::Place;

fn extractor() -> Extractor {
    Extractor::new(env!("CARGO_BIN_EXE_candor"), Limits::default())
}

#[test]
fn the_program_reads_a_document_in_a_child_of_its_own() {
    let doc = extractor()
        .extract(b"<!doctype html><title>T</title><h1>Head</h1><p>Words.", None)
        .unwrap();
    assert_eq!(
        (doc.kind, doc.text.as_str(), doc.title.as_deref()),
        (Kind::Html, "Head\n\nWords.", Some("T"))
    );
    assert_eq!(extractor().extract(b"", None), Err(ExtractError::Empty));
    assert!(matches!(
        extractor().extract(b"\x89PNG\r\n\x1a\n", None),
        Err(ExtractError::Unsupported { .. })
    ));
}

#[test]
fn the_command_is_not_for_people_and_says_so() {
    let place = Place::new();
    let ran = place.pipe(&["extract-child"], b"hello\n");
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("started by Candor itself"), "{}", ran.err);
    assert!(!place.run(&["--help"]).out.contains("extract-child"));
}
