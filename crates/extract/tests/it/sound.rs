//! What holds for every document that comes out, whatever went in.

use candor_extract::{ExtractError, Extracted};

/// Checks the promises of `Extracted`.
pub(crate) fn check(doc: &Extracted) {
    let text = &doc.text;
    assert!(!text.trim().is_empty(), "a document without text is an error");
    assert!(
        !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'),
        "control characters"
    );
    assert!(
        !text.contains("\n\n\n") && !text.starts_with('\n') && !text.ends_with('\n'),
        "blank lines"
    );
    assert!(
        doc.pages.is_sorted() && doc.pages.iter().all(|start| text.is_char_boundary(*start)),
        "pages {:?}",
        doc.pages
    );
    let mut last = 0;
    for heading in &doc.headings {
        assert!((1..=9).contains(&heading.level));
        assert!(
            heading.start >= last && heading.end > heading.start,
            "headings are out of order"
        );
        let words = text
            .get(heading.start..heading.end)
            .expect("a heading lies inside the text");
        assert!(!words.trim().is_empty() && !words.contains('\n'));
        last = heading.end;
    }
    if let Some(date) = &doc.date {
        assert!(
            date.len() == 10 && date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-',
            "{date}"
        );
    }
    assert!(
        doc.title
            .as_ref()
            .is_none_or(|title| !title.trim().is_empty() && !title.chars().any(char::is_control))
    );
    assert!(
        doc.notes
            .iter()
            .all(|note| !note.is_empty() && !note.chars().any(char::is_control))
    );
}

/// A document keeps its promises, an error is a sentence, and no reader falls over.
pub(crate) fn check_result(result: &Result<Extracted, ExtractError>) {
    match result {
        Ok(doc) => check(doc),
        Err(ExtractError::ReaderFailed { how }) => panic!("a reader fell over: {how}"),
        Err(error) => assert!(error.to_string().len() > 15, "{error}"),
    }
}
