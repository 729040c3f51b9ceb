//! Bytes to text: what an import needs of whoever reads files. The program's reader is `extract`'s: a child
//! process with limits. `PlainText` is for tests and for text that is at hand.

use std::fs::File;
use std::io::Read;

use candor_extract::{ExtractError, Extracted, Extractor, Hints, Source};

use crate::passages::{Heading, Layout};

/// A document that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// `text`, `markdown`, `pdf`, ….
    pub kind: String,
    /// Its title, where it has one.
    pub title: Option<String>,
    /// Its date, `YYYY-MM-DD`, where it has one.
    pub date: Option<String>,
    /// Of an entry of a feed: where it says that it stands on the web.
    pub link: Option<String>,
    /// Of an entry of a feed: what it is called by there.
    pub id: Option<String>,
    /// Its text.
    pub text: String,
    /// Pages and headings.
    pub layout: Layout,
    /// What a reader should know, as sentences.
    pub notes: Vec<String>,
}

/// Why there is no document; each a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is no document: a program, a picture. An import of a folder passes over it.
    #[error("{0}")]
    NoDocument(String),
    /// It is one and cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// Where a document's bytes come from.
#[derive(Debug)]
pub enum Input {
    /// From memory.
    Bytes(Vec<u8>),
    /// From an open file.
    File(File),
}

/// Reads documents.
pub trait Reader: Send + Sync {
    /// Hands each document in `input` to `each`: one, or many of a feed or a dump; stops where `each` says so. `name` is a
    /// hint, the bytes decide. May take seconds.
    ///
    /// # Errors
    /// If there is none, or no more can be read.
    fn read(&self, input: Input, name: &str, each: &mut dyn FnMut(Document) -> bool) -> Result<(), ReadError>;
}

/// Reads in child processes, with limits.
impl Reader for Extractor {
    fn read(&self, input: Input, name: &str, each: &mut dyn FnMut(Document) -> bool) -> Result<(), ReadError> {
        let source = match input {
            Input::Bytes(bytes) => Source::Bytes(bytes),
            Input::File(file) => Source::File(file),
        };
        let hints = Hints {
            name: Some(name.to_owned()),
            password: None,
        };
        for document in self.documents(source, &hints)? {
            if !each(document?.into()) {
                break;
            }
        }
        Ok(())
    }
}

impl From<ExtractError> for ReadError {
    fn from(error: ExtractError) -> Self {
        match error {
            ExtractError::Unsupported { .. } => Self::NoDocument(error.to_string()),
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

impl From<Extracted> for Document {
    fn from(from: Extracted) -> Self {
        let headings = from.headings.into_iter().map(|one| Heading {
            level: one.level,
            start: one.start,
            end: one.end,
        });
        Self {
            kind: match serde_json::to_value(from.kind) {
                Ok(serde_json::Value::String(kind)) => kind,
                _ => String::new(),
            },
            layout: Layout {
                title: from.title.clone(),
                pages: from.pages,
                headings: headings.collect(),
            },
            title: from.title,
            date: from.date,
            link: from.link,
            id: from.id,
            text: from.text,
            notes: from.notes,
        }
    }
}

/// Reads UTF-8 text; a line that begins with `# ` is a heading where the name ends in `.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainText;

impl Reader for PlainText {
    fn read(&self, input: Input, name: &str, each: &mut dyn FnMut(Document) -> bool) -> Result<(), ReadError> {
        let bytes = match input {
            Input::Bytes(bytes) => bytes,
            Input::File(mut file) => {
                let mut bytes = Vec::new();
                let read = file.read_to_end(&mut bytes);
                read.map_err(|error| ReadError::Unreadable(format!("{name} cannot be read: {error}")))?;
                bytes
            }
        };
        let Ok(text) = String::from_utf8(bytes) else {
            let message = format!("{name} is not UTF-8 text; convert it first");
            return Err(ReadError::NoDocument(message));
        };
        if text.trim().is_empty() {
            return Err(ReadError::Unreadable(format!(
                "{name} is empty; there is nothing to search"
            )));
        }
        let markdown = name.ends_with(".md");
        let mut headings = Vec::new();
        let mut plain = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let level = line.bytes().take_while(|b| *b == b'#').count();
            if markdown && (1..=6).contains(&level) && line.as_bytes().get(level) == Some(&b' ') {
                let words = &line[level + 1..];
                headings.push(Heading {
                    level: u8::try_from(level).unwrap_or(6),
                    start: plain.len(),
                    end: plain.len() + words.trim_end().len(),
                });
                plain.push_str(words);
            } else {
                plain.push_str(line);
            }
        }
        let text = plain;
        headings.retain(|one| one.start < one.end);
        let title = headings.first().map(|one| text[one.start..one.end].to_owned());
        each(Document {
            kind: if markdown { "markdown" } else { "text" }.to_owned(),
            layout: Layout {
                title: title.clone(),
                headings,
                ..Layout::default()
            },
            title,
            text,
            ..Document::default()
        });
        Ok(())
    }
}
