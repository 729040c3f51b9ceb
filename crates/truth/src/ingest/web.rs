//! Sources from the web: pages, files and feeds by their address. What comes is read as a file's bytes are, by content; the
//! host's own tags say what need not come again. An entry of a feed is a source of its own and stays when the feed drops it.

use std::path::Path;

use candor_fetch::{Address, Answer, Client, FetchError, Fetched, Limits, Reach, Seen};
use candor_store::{NewSource, Put, PutOutcome, WebAddress};
use sha2::{Digest, Sha256};

use super::{Event, Importer, Outcome, Progress, Summary, outcome, source};
use crate::TruthError;
use crate::reading::{Document, Input, ReadError};

/// Imports from the web.
#[derive(Clone)]
pub struct Web {
    importer: Importer,
    public: Client,
    local: Client,
}

/// What became of an address.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// What became of it; of a feed, of its entries together.
    pub outcome: Outcome,
    /// The documents that it gave this time.
    pub sources: Vec<candor_store::Source>,
    /// Why there are none.
    pub reason: Option<String>,
    /// Bytes that came.
    pub bytes: u64,
}

impl Web {
    /// Imports with this importer.
    ///
    /// # Errors
    /// If this system cannot make connections.
    pub fn new(importer: Importer) -> Result<Self, TruthError> {
        let client = |reach| Client::new(reach, Limits::default());
        Ok(Self {
            importer,
            public: client(Reach::Public)?,
            local: client(Reach::Local)?,
        })
    }

    /// Adds an address, or looks at it again. `local` permits the local network, and is remembered.
    ///
    /// # Errors
    /// If the store cannot be written. An address that gives nothing the first time is not kept; the reason is told.
    pub async fn add(&self, address: &Address, local: bool) -> Result<Taken, TruthError> {
        let known = self.importer.store.address(address.as_str()).await?;
        let collection = self.importer.collection.clone();
        let mut entry = match known.clone() {
            // Another collection is to be filled, so the page must come again.
            Some(known) if collection.is_none() || known.collection == collection => known,
            _ => WebAddress {
                address: address.as_str().to_owned(),
                collection,
                ..WebAddress::default()
            },
        };
        entry.local = local || known.as_ref().is_some_and(|known| known.local);
        self.take(address, entry, known.is_some()).await
    }

    /// Fetches every address again that was added.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn refresh(&self, progress: Progress<'_>) -> Result<Summary, TruthError> {
        let mut summary = Summary::default();
        for entry in self.importer.store.addresses().await? {
            let Ok(address) = Address::parse(&entry.address) else {
                continue;
            };
            let path = Path::new(&entry.address).to_owned();
            progress(Event::Reading(&path));
            let web = Self {
                importer: Importer {
                    collection: entry.collection.clone(),
                    ..self.importer.clone()
                },
                ..self.clone()
            };
            let taken = web.take(&address, entry, true).await?;
            summary.count(taken.outcome, taken.bytes);
            progress(Event::Done {
                path: &path,
                bytes: taken.bytes,
                outcome: taken.outcome,
                reason: taken.reason.as_deref(),
            });
        }
        Ok(summary)
    }

    /// `known`: it was added before, so that it is kept whatever happens now.
    async fn take(&self, address: &Address, mut entry: WebAddress, known: bool) -> Result<Taken, TruthError> {
        let store = &self.importer.store;
        let client = if entry.local { &self.local } else { &self.public };
        let seen = Seen {
            etag: entry.etag.clone(),
            modified: entry.modified.clone(),
        };
        let answer = client.get(address, &seen).await;
        let taken = match answer {
            Ok(Answer::Same) => Taken::none(Outcome::Unchanged, None),
            Ok(Answer::Page(page)) => {
                // Before its documents: killed in between, a refresh goes on with it. Without its tags, so that it comes
                // again.
                (entry.etag, entry.modified) = (None, None);
                store.put_address(entry.clone()).await?;
                let seen = page.seen.clone();
                let taken = self.page(address, *page).await?;
                (entry.etag, entry.modified) = (seen.etag, seen.modified);
                taken
            }
            // It was there: what it said is kept, and so is that it is gone.
            Err(error @ FetchError::NotThere { .. }) if known => {
                self.gone(address).await?;
                (entry.etag, entry.modified) = (None, None);
                Taken::none(Outcome::Gone, Some(error.to_string()))
            }
            Err(error) => Taken::none(Outcome::Failed, Some(error.to_string())),
        };
        if matches!(taken.outcome, Outcome::Failed) {
            // The next time it comes whole.
            (entry.etag, entry.modified) = (None, None);
            if !known {
                store.forget_address(address.as_str()).await?;
                return Ok(taken);
            }
        }
        entry.fetched_ms = Some(super::now_ms());
        store.put_address(entry).await?;
        Ok(taken)
    }

    async fn page(&self, address: &Address, page: Fetched) -> Result<Taken, TruthError> {
        let bytes = page.bytes.len() as u64;
        let base = NewSource {
            name: page.address.name(),
            origin: Some(address.as_str().to_owned()),
            url: Some(page.address.as_str().to_owned()),
            bytes_sha256: hex::encode(Sha256::digest(&page.bytes)),
            size: i64::try_from(bytes).unwrap_or(i64::MAX),
            collection: self.importer.collection.clone(),
            ..NewSource::default()
        };
        let store = &self.importer.store;
        let earlier = store.source_by_origin(address.as_str()).await?;
        if let Some(one) = &earlier
            && one.bytes_sha256 == base.bytes_sha256
            && one.text_sha256.is_some()
        {
            let one = store.touch_source(&one.id, None).await?;
            if let Some(collection) = &self.importer.collection {
                store.add_to_collection(collection, &one.id).await?;
            }
            return Ok(Taken {
                outcome: Outcome::Unchanged,
                sources: vec![one],
                reason: None,
                bytes,
            });
        }
        let hint = page.address.file_name();
        let read = self
            .importer
            .documents(&base, Input::Bytes(page.bytes), hint, from_web)
            .await?;
        let stored = match read {
            (stored, Err(error)) if stored.is_empty() => {
                let reason = match error {
                    ReadError::NoDocument(reason) | ReadError::Unreadable(reason) => reason,
                };
                // What it said before stays: a page that breaks is no reason to forget it.
                let mut taken = Taken::none(Outcome::Failed, Some(reason));
                taken.bytes = bytes;
                return Ok(taken);
            }
            (stored, _) => stored,
        };
        let feed = stored.iter().any(|put| put.source.kind == "feed");
        if !feed {
            self.importer.drop_leftovers(address.as_str(), stored.len()).await?;
        } else if let Some(single) = earlier {
            store.delete_source(&single.id).await?;
        }
        Ok(Taken {
            outcome: together(&stored),
            sources: stored.into_iter().map(|put| put.source).collect(),
            reason: None,
            bytes,
        })
    }

    async fn gone(&self, address: &Address) -> Result<(), TruthError> {
        let store = &self.importer.store;
        for source in store.sources_from(address.as_str()).await? {
            store.mark_gone(&source.id).await?;
        }
        Ok(())
    }
}

impl Taken {
    fn none(outcome: Outcome, reason: Option<String>) -> Self {
        Self {
            outcome,
            sources: Vec::new(),
            reason,
            bytes: 0,
        }
    }
}

/// New where all are new, changed where one is.
fn together(stored: &[Put]) -> Outcome {
    let is = |outcome: PutOutcome| move |put: &Put| put.outcome == outcome;
    if stored.len() > 1 && !stored.iter().all(is(PutOutcome::Added)) && !stored.iter().all(is(PutOutcome::Unchanged)) {
        return Outcome::Changed;
    }
    outcome(stored.first())
}

/// The source of a document from the web. An entry of a feed keeps its place whatever comes before it, by its own name.
fn from_web(base: &NewSource, document: Document, number: Option<usize>) -> NewSource {
    let origin = base.origin.as_deref().unwrap_or_default();
    if document.kind != "feed" {
        return source(base, document, number);
    }
    let called = [&document.id, &document.link, &document.title];
    let called = called.into_iter().flatten().next().unwrap_or(&document.text);
    let place = format!("{origin}#{}", &hex::encode(Sha256::digest(called))[..16]);
    // A link of a document leads where it likes: only what could be a page is carried.
    let link = document.link.as_deref().and_then(|link| Address::parse(link).ok());
    let url = link.map(|link| link.as_str().to_owned());
    NewSource {
        origin: Some(place),
        url: url.or_else(|| base.url.clone()),
        ..source(base, document, None)
    }
}

/// Whether a source came from this address: as a page, or as a part of a feed or dump.
pub fn is_from(source: &candor_store::Source, address: &str) -> bool {
    let origin = source.origin.as_deref().unwrap_or_default();
    origin == address || origin.strip_prefix(address).is_some_and(|rest| rest.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::super::part_of;
    use super::*;

    #[test]
    fn an_entry_is_known_by_its_own_name_and_leads_only_to_pages() {
        let base = NewSource {
            origin: Some("https://news.example/feed".into()),
            url: Some("https://news.example/feed".into()),
            ..NewSource::default()
        };
        let entry = |id: Option<&str>, link: &str, text: &str| {
            let document = Document {
                kind: "feed".into(),
                id: id.map(str::to_owned),
                link: Some(link.into()),
                text: text.into(),
                ..Document::default()
            };
            from_web(&base, document, Some(7))
        };
        let (one, again) = (
            entry(Some("a"), "https://news.example/1", "One."),
            entry(Some("a"), "https://news.example/1?new", "Two."),
        );
        assert_eq!(one.origin, again.origin);
        assert_eq!(one.url.as_deref(), Some("https://news.example/1"));
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://a:b@c.example/",
            "/relative",
        ] {
            assert_eq!(
                entry(None, bad, "x").url.as_deref(),
                Some("https://news.example/feed"),
                "{bad}"
            );
        }
        assert_ne!(entry(None, "x", "t").origin, entry(None, "y", "t").origin);
        let nameless = |text: &str| {
            let document = Document {
                kind: "feed".into(),
                text: text.into(),
                ..Document::default()
            };
            from_web(&base, document, None).origin
        };
        assert_ne!(nameless("One."), nameless("Two."));
        assert_eq!(part_of("https://a.example/", 0), "https://a.example/#1");
    }
}
