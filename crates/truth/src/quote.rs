//! Quotes that equal their source, by construction: there is no way to make one but from bytes that the store gave, no
//! way to change one, and writing one out compares it with those bytes again. What a model says becomes a quote only
//! where it stands in the evidence word for word.

use std::ops::Range;
use std::sync::Arc;

use candor_store::{Store, TextInfo};
use serde::ser::{Error as _, SerializeStruct};
use serde::{Serialize, Serializer};

use crate::TruthError;
use crate::error::TruthError::NotAQuote;

/// A stretch of a stored text. Only the store makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    text_sha256: Arc<str>,
    start: usize,
    text: Arc<str>,
}

impl Evidence {
    /// Reads the bytes `range` of a text.
    ///
    /// # Errors
    /// If there is no such text, the range does not lie in it or cuts a character, or the store cannot be read.
    pub async fn read(store: &Store, text_sha256: &str, range: Range<usize>) -> Result<Self, TruthError> {
        Self::of(store, &store.text_info(text_sha256).await?, range).await
    }

    /// As `read`, of a text that is known.
    pub(crate) async fn of(store: &Store, info: &TextInfo, range: Range<usize>) -> Result<Self, TruthError> {
        let refused = NotAQuote {
            start: range.start,
            end: range.end,
        };
        let read = Self::of_many(store, &[(info, range)]).await?;
        read.into_iter().next().unwrap_or(Err(refused))
    }

    /// As `read`, of several stretches of texts that are known, in one look; a stretch that is none is an error of its own.
    pub(crate) async fn of_many(
        store: &Store,
        wanted: &[(&TextInfo, Range<usize>)],
    ) -> Result<Vec<Result<Self, TruthError>>, TruthError> {
        let stretches = store.text_stretches(wanted).await?;
        let read = wanted.iter().zip(stretches).map(|((info, range), bytes)| {
            let whole = !range.is_empty() && bytes.len() == range.len();
            match String::from_utf8(bytes) {
                Ok(text) if whole => Ok(Self {
                    text_sha256: info.sha256.as_str().into(),
                    start: range.start,
                    text: text.into(),
                }),
                _ => Err(NotAQuote {
                    start: range.start,
                    end: range.end,
                }),
            }
        });
        Ok(read.collect())
    }

    /// The hash of the whole text.
    pub fn text_sha256(&self) -> &str {
        &self.text_sha256
    }

    /// Where the stretch lies in it.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// The stretch.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A quote of the bytes `range` of the whole text.
    ///
    /// # Errors
    /// If the range does not lie in the stretch, is empty or cuts a character.
    pub fn quote(&self, range: Range<usize>) -> Result<Quote, TruthError> {
        let refused = NotAQuote {
            start: range.start,
            end: range.end,
        };
        let (Some(from), Some(to)) = (range.start.checked_sub(self.start), range.end.checked_sub(self.start)) else {
            return Err(refused);
        };
        match self.text.get(from..to) {
            Some(text) if !text.is_empty() => Ok(Quote {
                text: text.to_owned(),
                start: range.start,
                evidence: self.clone(),
            }),
            _ => Err(refused),
        }
    }

    /// A quote of `words`, where they stand in the stretch to the byte; the first place counts.
    pub fn find(&self, words: &str) -> Option<Quote> {
        let at = self.start + self.text.find(words)?;
        self.quote(at..at + words.len()).ok()
    }
}

/// Words of a source. Written out as `{"text_sha256", "start", "end", "quote"}`, after one more comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    text: String,
    start: usize,
    evidence: Evidence,
}

impl Quote {
    /// The words.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where they stand in the whole text.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// The hash of the whole text.
    pub fn text_sha256(&self) -> &str {
        &self.evidence.text_sha256
    }

    /// What it is a part of.
    pub(crate) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Whether the words are those of the evidence.
    fn holds(&self) -> bool {
        let from = self.start.checked_sub(self.evidence.start);
        from.and_then(|from| self.evidence.text.get(from..from + self.text.len())) == Some(self.text.as_str())
    }

    /// Compares with the bytes that the store has now: for what was kept for a while.
    ///
    /// # Errors
    /// If they differ or are gone, or the store cannot be read.
    pub async fn recheck(&self, store: &Store) -> Result<(), TruthError> {
        let now = Evidence::read(store, self.text_sha256(), self.range()).await?;
        if now.text() == self.text && self.holds() {
            return Ok(());
        }
        Err(NotAQuote {
            start: self.start,
            end: self.range().end,
        })
    }
}

impl Serialize for Quote {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.holds() {
            let range = self.range();
            return Err(S::Error::custom(NotAQuote {
                start: range.start,
                end: range.end,
            }));
        }
        let mut out = serializer.serialize_struct("Quote", 4)?;
        out.serialize_field("text_sha256", self.text_sha256())?;
        out.serialize_field("start", &self.start)?;
        out.serialize_field("end", &self.range().end)?;
        out.serialize_field("quote", &self.text)?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candor_store::{NewSource, NewText};

    use super::*;

    const TEXT: &str = "Grüße aus Köln. Der Dom ist hoch.";

    async fn stored() -> (Store, tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("candor.db")).await.unwrap();
        let source = NewSource {
            text: Some(NewText {
                text: TEXT.into(),
                layout: serde_json::json!({}),
            }),
            ..NewSource::default()
        };
        let put = store.put_sources(vec![source]).await.unwrap().remove(0);
        (store, folder, put.source.text_sha256.unwrap())
    }

    #[tokio::test]
    async fn a_quote_is_the_sources_bytes_and_says_where() {
        let (store, _folder, sha) = stored().await;
        let evidence = Evidence::read(&store, &sha, 7..TEXT.len()).await.unwrap();
        let quote = evidence.find("Köln").unwrap();
        assert_eq!(&TEXT[quote.range()], "Köln");
        let written = serde_json::to_value(&quote).unwrap();
        assert_eq!(
            written,
            serde_json::json!({ "text_sha256": sha, "start": 12, "end": 17, "quote": "Köln" })
        );
        quote.recheck(&store).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_in_the_source_is_refused() {
        let (store, _folder, sha) = stored().await;
        let evidence = Evidence::read(&store, &sha, 7..17).await.unwrap();
        assert!(evidence.find("Koln").is_none() && evidence.find("").is_none());
        assert!(evidence.quote(0..5).is_err() && evidence.quote(12..40).is_err() && evidence.quote(12..14).is_err());
        assert!(evidence.quote(12..12).is_err());
        for range in [0..3, 0..99, 9..9, usize::MAX - 1..usize::MAX] {
            assert!(Evidence::read(&store, &sha, range).await.is_err());
        }
        assert!(Evidence::read(&store, "no such hash", 0..2).await.is_err());
    }

    #[tokio::test]
    async fn a_quote_that_was_tampered_with_cannot_be_written_out() {
        let (store, _folder, sha) = stored().await;
        let evidence = Evidence::read(&store, &sha, 0..TEXT.len()).await.unwrap();
        let mut quote = evidence.find("hoch").unwrap();
        quote.text = "tief".into();
        assert!(
            serde_json::to_string(&quote)
                .unwrap_err()
                .to_string()
                .contains("held back")
        );
        assert!(quote.recheck(&store).await.is_err());
        let mut quote = evidence.find("hoch").unwrap();
        quote.start -= 1;
        assert!(serde_json::to_string(&quote).is_err());
    }

    #[tokio::test]
    async fn a_quote_of_a_deleted_source_is_noticed() {
        let (store, _folder, sha) = stored().await;
        let evidence = Evidence::read(&store, &sha, 0..TEXT.len()).await.unwrap();
        let quote = evidence.find("Dom").unwrap();
        let source = store
            .sources(&candor_store::SourceFilter::default(), None, 1)
            .await
            .unwrap();
        store.delete_source(&source[0].id).await.unwrap();
        assert!(quote.recheck(&store).await.is_err());
    }
}
