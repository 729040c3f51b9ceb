//! Bytes to documents, in this process: finds out what they are and hands over to the format's reader. A reader that panics costs
//! its document and nothing else.

use std::io::{BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::kind::{Found, find};
use crate::limits::Limits;
use crate::{feed, html, markdown, office, pdf, plain, table, wiki};

/// What the sender says about a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// Its name; it chooses between kinds of text and decides nothing else.
    pub name: Option<String>,
    /// The password of an encrypted PDF.
    pub password: Option<String>,
}

/// Reads a document in this process.
///
/// # Errors
/// A sentence that says why there is no text and what to do.
pub fn extract_here(bytes: &[u8], name_hint: Option<&str>, limits: &Limits) -> Result<Extracted, ExtractError> {
    extract_here_with(
        bytes,
        &Hints {
            name: name_hint.map(str::to_owned),
            password: None,
        },
        limits,
    )
}

/// Reads a document in this process, with all that is known about it.
///
/// # Errors
/// A sentence that says why there is no text and what to do.
pub fn extract_here_with(bytes: &[u8], hints: &Hints, limits: &Limits) -> Result<Extracted, ExtractError> {
    contained(|| one(bytes, hints, limits))
}

/// Reads a feed's entries or a dump's articles one by one, any other document as the only one, in this process. Dumps are streamed;
/// everything else is read whole. `each` says whether it wants more.
///
/// # Errors
/// A sentence that says why there is no text, or no more of it.
pub fn documents_here(
    input: &mut dyn BufRead,
    hints: &Hints,
    limits: &Limits,
    each: &mut dyn FnMut(Extracted) -> bool,
) -> Result<(), ExtractError> {
    contained(|| {
        let mut head = Vec::new();
        (&mut *input)
            .take(64 << 10)
            .read_to_end(&mut head)
            .map_err(unreadable)?;
        if is_wiki(&head, hints) {
            let stream = std::io::BufReader::with_capacity(1 << 18, head.as_slice().chain(input));
            return wiki::each(stream, limits, each);
        }
        (&mut *input)
            .take(limits.input_bytes.saturating_add(1))
            .read_to_end(&mut head)
            .map_err(unreadable)?;
        if head.len() as u64 <= limits.input_bytes
            && let Ok(Found::Text(Kind::Feed, decoded)) = find(&head, hints.name.as_deref(), limits)
        {
            return feed::each(&decoded.text, limits, each);
        }
        one(&head, hints, limits).map(|doc| {
            each(doc);
        })
    })
}

fn is_wiki(head: &[u8], hints: &Hints) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.trim_ascii_start().starts_with(b"<")
        && crate::kind::kind_of_text(&String::from_utf8_lossy(head), hints.name.as_deref()) == Kind::MediaWiki
}

fn one(bytes: &[u8], hints: &Hints, limits: &Limits) -> Result<Extracted, ExtractError> {
    if bytes.len() as u64 > limits.input_bytes {
        return Err(ExtractError::too_large(
            "this file",
            format!(
                "it has more than {} MB, at most that much is read at once; split it, or give a dump of many documents as such",
                limits.input_bytes >> 20
            ),
        ));
    }
    match find(bytes, hints.name.as_deref(), limits)? {
        Found::Pdf => pdf::read(bytes, hints.password.as_deref(), limits),
        Found::Package(Kind::Docx, package) => office::docx::read(package, limits),
        Found::Package(Kind::Pptx, package) => office::pptx::read(package, limits),
        Found::Package(Kind::Xlsx, package) => office::xlsx::read(package, limits),
        Found::Package(Kind::Epub, package) => office::epub::read(package, limits),
        Found::Package(_, package) => office::odt::read(package, limits),
        Found::Text(kind, decoded) => match kind {
            Kind::Html => html::page(&decoded.text, decoded.note, limits),
            Kind::Markdown => markdown::read(&decoded.text, decoded.note, limits),
            Kind::Csv => table::csv(&decoded.text, decoded.note, limits),
            Kind::Jsonl => table::json_lines(&decoded.text, decoded.note, limits),
            Kind::Feed => feed::whole(&decoded.text, limits),
            Kind::MediaWiki => wiki::whole(decoded.text.as_bytes(), limits),
            kind => plain::read(&decoded.text, kind, decoded.note, limits),
        },
    }
}

fn unreadable(error: std::io::Error) -> ExtractError {
    ExtractError::Unreadable { why: error.to_string() }
}

fn contained<T>(read: impl FnOnce() -> Result<T, ExtractError>) -> Result<T, ExtractError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let how = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        let how: String = how
            .unwrap_or("it panicked")
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        Err(ExtractError::ReaderFailed { how })
    })
}
