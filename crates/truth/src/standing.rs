//! How the sources of an answer stand now: whether they still say what it quotes, say something else, or are gone. The
//! store notes, in the write that changes a source, which receipts cite it (`stale`); here they are looked at again, and
//! what was found is kept beside the chain. Words count to the byte.

use candor_store::{Source, SourceFilter, SourceState, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::receipt::{Body, Place, sha256};
use crate::{Evidence, TruthError, sentences};

/// Receipts that are looked at together.
const TOGETHER: u64 = 200;

/// How a source stands to a quote of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It still says so.
    Same,
    /// It is there and does not say so any more.
    Changed,
    /// It is not there any more.
    Gone,
    /// The stored text is not what it was under the same hash.
    Broken,
}

/// How an answer stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The worst of its quotes; `None` where it quotes nothing, or what it said was deleted.
    pub state: Option<State>,
    /// Its quotes, in order.
    pub quotes: Vec<QuoteStanding>,
}

/// How a quote stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuoteStanding {
    /// The sentence of the answer that it belongs to, from 0.
    pub sentence: usize,
    /// Which of the sentence's quotes it is, from 0.
    pub citation: usize,
    /// The source's id, where it is known.
    pub file_id: Option<String>,
    /// The source's name when it was quoted.
    pub filename: String,
    /// The first byte, in the text of that time.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// How it stands.
    pub state: State,
    /// What that means, as a sentence; none where nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Where the same words stand now, where that is another place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Now>,
}

/// A place in a source's present text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// The source.
    pub file_id: String,
    /// The first byte, in `GET /v1/files/{file_id}/text`.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// How an answer stands: as it was kept, or looked at now where something changed since, or nobody ever looked. With the
/// time of the look, in milliseconds since 1970.
///
/// # Errors
/// If there is no such receipt, or the store cannot be read.
pub async fn of(store: &Store, receipt: &str) -> Result<(Standing, Option<i64>), TruthError> {
    let kept = store.receipt_standing(receipt).await?;
    if kept.stale == 0
        && let Some(standing) = kept.standing.and_then(|value| serde_json::from_value(value).ok())
    {
        return Ok((standing, kept.checked_ms));
    }
    // Not written: this may be asked of a store that can only be read.
    let body = store.receipt(receipt).await?.body;
    let body = body.and_then(|body| serde_json::from_str::<Body>(&body).ok());
    let standing = match body {
        Some(body) => look(store, &body).await?,
        None => Standing::default(),
    };
    Ok((standing, None))
}

/// Looks again at all answers whose sources changed since, and keeps what is found; how many there were.
///
/// # Errors
/// If the store cannot be read or written.
pub async fn recheck(store: &Store) -> Result<usize, TruthError> {
    let (mut count, mut after) = (0, None::<String>);
    loop {
        let ids = store.stale_receipts(after.as_deref(), TOGETHER).await?;
        let Some(last) = ids.last() else { return Ok(count) };
        after = Some(last.clone());
        for id in &ids {
            // Before the texts are read: a change that comes in between stays to be looked at.
            let stale = store.receipt_standing(id).await?.stale;
            let (standing, _) = of(store, id).await?;
            store.keep_standing(id, serde_json::json!(standing), stale).await?;
            count += 1;
        }
    }
}

/// Compares every quote of an answer with what its source says now.
///
/// # Errors
/// If the store cannot be read.
pub async fn look(store: &Store, body: &Body) -> Result<Standing, TruthError> {
    let mut quotes = Vec::new();
    for (sentence, line) in body.sentences.iter().enumerate() {
        for (citation, place) in line.evidence.iter().enumerate() {
            let Found { state, why, now } = of_words(store, place, &line.text).await?;
            quotes.push(QuoteStanding {
                sentence,
                citation,
                file_id: place.file_id.clone(),
                filename: place.source.clone(),
                start: place.start,
                end: place.end,
                state,
                why,
                now,
            });
        }
    }
    Ok(Standing {
        state: quotes.iter().map(|one| one.state).max(),
        quotes,
    })
}

/// How a source stands to words that were quoted from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// How.
    pub state: State,
    /// What that means, as a sentence; none where nothing changed.
    pub why: Option<String>,
    /// Where the words stand now, where that is another place.
    pub now: Option<Now>,
}

impl Found {
    fn new(state: State, why: &str) -> Self {
        Self {
            state,
            why: (!why.is_empty()).then(|| why.to_owned()),
            now: None,
        }
    }
}

/// Compares one quote with what its source says now. `words` are those of the sentence that it bears out: where they are
/// the quote itself, they are found again in another text of the source.
///
/// # Errors
/// If the store cannot be read.
pub async fn of_words(store: &Store, place: &Place, words: &str) -> Result<Found, TruthError> {
    let own = match &place.file_id {
        Some(id) => there(store.source(id).await)?,
        None => None,
    };
    let has_it = |one: &Source| one.text_sha256.as_deref() == Some(place.text_sha256.as_str());
    // The cited source itself counts before others that say the same.
    let live = |one: &&Source| one.state != SourceState::Gone;
    match &own {
        Some(own) if has_it(own) => at_its_place(store, own, place).await,
        Some(own) if own.text_sha256.is_some() => in_new_text(store, own, words, place).await,
        Some(own) if own.state != SourceState::Gone => Ok(Found::new(
            State::Changed,
            "its source was changed and cannot be read any more",
        )),
        _ => {
            let texts = [place.text_sha256.as_str()];
            let same_text = store.sources_of_texts(&texts, &SourceFilter::default()).await?;
            match same_text.iter().find(live).or(same_text.first()) {
                Some(other) => in_another(store, other, place).await,
                None => Ok(Found::new(
                    State::Gone,
                    "its source was removed or replaced, with its text",
                )),
            }
        }
    }
}

/// The cited source is gone, or none was named; another one has the same text.
async fn in_another(store: &Store, other: &Source, place: &Place) -> Result<Found, TruthError> {
    let found = at_its_place(store, other, place).await?;
    Ok(match (place.file_id.is_some(), found.state) {
        (true, State::Same) => Found {
            why: Some(format!("its source was removed; {} says the same", other.name)),
            now: Some(Now {
                file_id: other.id.clone(),
                start: place.start,
                end: place.end,
            }),
            ..found
        },
        _ => found,
    })
}

/// The text is the cited one: the bytes must be, too.
async fn at_its_place(store: &Store, source: &Source, place: &Place) -> Result<Found, TruthError> {
    let read = Evidence::read(store, &place.text_sha256, place.start..place.end).await;
    Ok(match read {
        Ok(now) if sha256(now.text().as_bytes()) != place.quote_sha256 => {
            Found::new(State::Broken, "the stored text says something else there")
        }
        Ok(_) if source.state == SourceState::Gone => {
            let why = if source.url.is_some() {
                "its page is not there any more; the text is kept"
            } else {
                "its file is not there any more; the text is kept"
            };
            Found::new(State::Gone, why)
        }
        Ok(_) => Found::new(State::Same, ""),
        Err(TruthError::NotAQuote { .. }) => Found::new(State::Broken, "the stored text has no such place"),
        Err(TruthError::Store(StoreError::Missing { .. })) => {
            Found::new(State::Gone, "its source was removed, with its text")
        }
        Err(error) => return Err(error),
    })
}

/// The source has another text now: the words may still be in it.
async fn in_new_text(store: &Store, source: &Source, words: &str, place: &Place) -> Result<Found, TruthError> {
    let sha = source.text_sha256.as_deref().unwrap_or_default();
    let Some(text) = there(store.text(sha).await)? else {
        // It changes right now; whoever changed it left word.
        return Ok(Found::new(State::Changed, "its source is being changed"));
    };
    // The sentence is the quote, to the byte; else it is known by its hash alone, and sentences are compared with that.
    let range = if sha256(words.as_bytes()) == place.quote_sha256 {
        text.find(words).map(|at| at..at + words.len())
    } else {
        let all = sentences(&text, &[]).into_iter().map(|one| one.range);
        all.filter(|range| range.len() == place.end - place.start.min(place.end))
            .find(|range| sha256(&text.as_bytes()[range.clone()]) == place.quote_sha256)
    };
    Ok(match range {
        Some(range) => Found {
            now: Some(Now {
                file_id: source.id.clone(),
                start: range.start,
                end: range.end,
            }),
            ..Found::new(State::Same, "its source was changed and still says so")
        },
        None => Found::new(State::Changed, "its source was changed and does not say so any more"),
    })
}

fn there<T>(found: Result<T, StoreError>) -> Result<Option<T>, TruthError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candor_store::{NewSource, NewText};

    use super::*;
    use crate::receipt::{Line, MadeBy, Signer, Soundness, issue, verify};

    const TEXT: &str = "The lighthouse was built by Ada. It is white.";
    const WORDS: &str = "The lighthouse was built by Ada.";

    struct Shelf {
        store: Store,
        folder: tempfile::TempDir,
    }

    impl Shelf {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path().join("candor.db")).await.unwrap();
            Self { store, folder }
        }

        async fn put(&self, origin: &str, text: &str) -> Source {
            let new = NewSource {
                name: "cape.txt".into(),
                origin: Some(origin.into()),
                text: Some(NewText {
                    text: text.into(),
                    layout: serde_json::json!({}),
                }),
                ..NewSource::default()
            };
            self.store.put_sources(vec![new]).await.unwrap().remove(0).source
        }

        async fn cite(&self, source: &Source, named: bool) -> String {
            let body = Body {
                question: "Who?".into(),
                before: Vec::new(),
                collections: Vec::new(),
                outcome: "answered".into(),
                short: None,
                confidence: 0.9,
                dial: None,
                sentences: vec![Line {
                    text: WORDS.into(),
                    mark: "quoted".into(),
                    evidence: vec![Place {
                        source: source.name.clone(),
                        file_id: named.then(|| source.id.clone()),
                        text_sha256: source.text_sha256.clone().unwrap(),
                        start: 0,
                        end: WORDS.len(),
                        quote_sha256: sha256(WORDS.as_bytes()),
                    }],
                }],
                made_by: MadeBy::default(),
            };
            let signer = Signer::open(&self.folder.path().join("instance.key")).unwrap();
            issue(&self.store, &signer, &body).await.unwrap().id
        }

        /// Looks again, and compares what was kept with what a look finds now.
        async fn state(&self, receipt: &str) -> (State, Option<Now>) {
            recheck(&self.store).await.unwrap();
            assert!(self.store.stale_receipts(None, 9).await.unwrap().is_empty());
            let (standing, _) = of(&self.store, receipt).await.unwrap();
            let link = self.store.receipt(receipt).await.unwrap();
            let body: Body = serde_json::from_str(&link.body.clone().unwrap()).unwrap();
            assert_eq!(look(&self.store, &body).await.unwrap(), standing);
            let found = verify(&link, &self.store).await.unwrap();
            assert!(found.iter().all(|one| one.verdict != Soundness::Broken), "{found:?}");
            let changed = found.iter().any(|one| one.verdict == Soundness::Changed);
            assert_eq!(changed, standing.state != Some(State::Same));
            (standing.state.unwrap(), standing.quotes[0].now.clone())
        }
    }

    #[tokio::test]
    async fn a_source_that_changes_still_says_so_or_does_not_any_more() {
        let shelf = Shelf::new().await;
        let source = shelf.put("/cape.txt", TEXT).await;
        let receipt = shelf.cite(&source, true).await;
        assert_eq!(shelf.state(&receipt).await, (State::Same, None));
        shelf.put("/cape.txt", &format!("News. {TEXT}")).await;
        let (start, file_id) = (6, source.id.clone());
        let now = Now {
            file_id,
            start,
            end: start + WORDS.len(),
        };
        assert_eq!(shelf.state(&receipt).await, (State::Same, Some(now)));
        shelf.put("/cape.txt", &TEXT.replace("Ada", "Ida")).await;
        assert_eq!(shelf.state(&receipt).await, (State::Changed, None));
        shelf.put("/cape.txt", TEXT).await;
        assert_eq!(shelf.state(&receipt).await, (State::Same, None));
    }

    #[tokio::test]
    async fn a_source_that_is_gone_or_deleted_is_gone_unless_another_says_the_same() {
        let shelf = Shelf::new().await;
        let (source, twin) = (shelf.put("/cape.txt", TEXT).await, shelf.put("/copy.txt", TEXT).await);
        let receipt = shelf.cite(&source, true).await;
        shelf.store.mark_gone(&source.id).await.unwrap();
        assert_eq!(shelf.state(&receipt).await.0, State::Gone);
        shelf.store.touch_source(&source.id, None).await.unwrap();
        assert_eq!(shelf.state(&receipt).await.0, State::Same);
        shelf.store.delete_source(&source.id).await.unwrap();
        let (state, now) = shelf.state(&receipt).await;
        assert_eq!((state, now.unwrap().file_id), (State::Same, twin.id.clone()));
        shelf.store.delete_source(&twin.id).await.unwrap();
        assert_eq!(shelf.state(&receipt).await, (State::Gone, None));
    }

    #[tokio::test]
    async fn a_receipt_of_before_that_names_no_source_is_judged_by_its_text() {
        let shelf = Shelf::new().await;
        let source = shelf.put("/cape.txt", TEXT).await;
        let receipt = shelf.cite(&source, false).await;
        assert_eq!(shelf.state(&receipt).await, (State::Same, None));
        shelf.put("/cape.txt", "Something else altogether.").await;
        assert_eq!(shelf.state(&receipt).await, (State::Gone, None));
    }

    #[tokio::test]
    async fn what_was_forgotten_has_no_standing() {
        let shelf = Shelf::new().await;
        let source = shelf.put("/cape.txt", TEXT).await;
        let receipt = shelf.cite(&source, true).await;
        shelf.store.mark_gone(&source.id).await.unwrap();
        recheck(&shelf.store).await.unwrap();
        shelf.store.empty_receipt(&receipt).await.unwrap();
        let (standing, checked) = of(&shelf.store, &receipt).await.unwrap();
        assert_eq!((standing, checked), (Standing::default(), None));
    }
}
