//! What comes out of a document: its text, and where in that text its headings and pages lie. The text is what is stored and
//! cited by byte ranges, so every offset here is checked once, when the document is made ([`crate::text::Writer`]).

use serde::{Deserialize, Serialize};

/// A document as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// What the bytes turned out to be.
    pub kind: Kind,
    /// The title that the document gives itself.
    pub title: Option<String>,
    /// When the document says it was last changed (else: written), as `YYYY-MM-DD`.
    pub date: Option<String>,
    /// Of an entry of a feed: where it says that it stands on the web. What a document claims, and not checked here.
    #[serde(default)]
    pub link: Option<String>,
    /// Of an entry of a feed: what it is called by there, which stays the same when its words change.
    #[serde(default)]
    pub id: Option<String>,
    /// Paragraphs separated by blank lines; table rows with cells separated by ` | `; `\n` line ends; no control characters.
    pub text: String,
    /// `pages[n]` is the byte of `text` where page `n + 1` begins; empty where the document has no pages.
    pub pages: Vec<usize>,
    /// The headings, in order.
    pub headings: Vec<Heading>,
    /// Sentences about what a reader should know: "pages 3 and 4 are pictures without text".
    pub notes: Vec<String>,
}

impl Extracted {
    /// The page (from 1) that holds the byte `at` of the text; `None` where the document has no pages.
    pub fn page_at(&self, at: usize) -> Option<usize> {
        match self.pages.partition_point(|start| *start <= at) {
            0 => (!self.pages.is_empty()).then_some(1),
            page => Some(page),
        }
    }
}

/// A heading: the byte range of its own words in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// 1 for the highest level, 9 for the lowest.
    pub level: u8,
    /// Where its words begin.
    pub start: usize,
    /// Where they end.
    pub end: usize,
}

/// What a document is, told by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the formats")]
pub enum Kind {
    Text,
    Markdown,
    Html,
    Pdf,
    Docx,
    Pptx,
    Xlsx,
    Odt,
    Epub,
    Csv,
    Jsonl,
    Code,
    Feed,
    MediaWiki,
}
