//! Quotes in kept answers, on their way out: each is compared with what its source says now, by the rules of
//! `candor_truth::standing`. An answer that was imported, or whose source has changed or gone since, is shown with that
//! said beside it, and never as a quote that holds.

use candor_store::{Message, Store, StoreError};
use candor_truth::receipt::{Body, Line, Place};
use candor_truth::standing::{self, Now, State as Stand};
use candor_truth::{Layout, TruthError};
use candor_wire::candor::CandorAnswer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Whether what came with an imported answer has the shape of what this server writes; else a sentence.
pub(crate) fn check(candor: &Value) -> Result<(), String> {
    let answer: CandorAnswer = serde_json::from_value(candor.clone())
        .map_err(|error| format!("this is not what Candor writes about an answer ({error}); leave it out"))?;
    let known = matches!(answer.outcome.as_str(), "answered" | "abstained")
        && answer
            .sentences
            .iter()
            .all(|one| matches!(one.mark.as_str(), "quoted" | "supported" | "memory" | "disputed"));
    known
        .then_some(())
        .ok_or_else(|| "it has an outcome or a mark that Candor does not know; leave it out".to_owned())
}

/// Whether an answer holds words of sources: quotes, or the names of the nearest ones where it abstained.
pub(crate) fn from_sources(candor: &Value) -> bool {
    let sentences = candor["sentences"].as_array().map_or(&[][..], Vec::as_slice);
    sentences.is_empty() || sentences.iter().any(|sentence| sentence["mark"] != "memory")
}

/// As `recheck`, for all that the messages hold.
pub(crate) async fn recheck_all(store: &Store, messages: &mut [Message]) -> Result<(), TruthError> {
    for candor in messages.iter_mut().filter_map(|message| message.candor.as_mut()) {
        recheck(store, candor).await?;
    }
    Ok(())
}

/// Notes in an answer how its quotes stand: `"stale": "changed"` or `"gone"` in a citation that does not hold,
/// `"stale": true` in a sentence that nothing bears out any more. A citation whose words stand elsewhere now leads there
/// (`"moved"`). A short answer that is no part of a quote that holds is taken away.
pub(crate) async fn recheck(store: &Store, candor: &mut Value) -> Result<(), TruthError> {
    let lines = receipted(store, candor["receipt"].as_str()).await?;
    for citation in list(candor, "nearest") {
        judge(store, citation, None).await?;
    }
    let mut short_stands = false;
    let short = candor["short"].as_str().map(str::to_owned);
    for (n, sentence) in list(candor, "sentences").enumerate() {
        let text = sentence["text"].as_str().unwrap_or_default().to_owned();
        let mark = sentence["mark"].as_str().unwrap_or_default();
        let (memory, verbatim) = (mark == "memory", matches!(mark, "quoted" | "disputed"));
        let mut holds = false;
        for (m, citation) in list(sentence, "citations").enumerate() {
            let same = !verbatim || citation["quote"].as_str() == Some(&text);
            let place = lines.get(n).and_then(|line| line.evidence.get(m));
            holds |= judge(store, citation, place).await? && same;
        }
        if !holds && !memory {
            sentence["stale"] = json!(true);
        }
        short_stands |= holds && short.as_ref().is_some_and(|short| text.contains(short));
    }
    if short.is_some() && !short_stands {
        candor["short"] = Value::Null;
    }
    Ok(())
}

fn list<'v>(value: &'v mut Value, key: &str) -> impl Iterator<Item = &'v mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The sentences of the answer's receipt, with the texts that they were quoted from. None where there is no receipt, or
/// what it says was deleted.
async fn receipted(store: &Store, id: Option<&str>) -> Result<Vec<Line>, TruthError> {
    let Some(id) = id else { return Ok(Vec::new()) };
    let body = match store.receipt(id).await {
        Ok(receipt) => receipt.body,
        Err(StoreError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let body = body.and_then(|body| serde_json::from_str::<Body>(&body).ok());
    Ok(body.map(|body| body.sentences).unwrap_or_default())
}

/// Whether a citation holds, as [`standing`] sees it; it is marked where it does not, and led to where its words are now.
async fn judge(store: &Store, citation: &mut Value, receipted: Option<&Place>) -> Result<bool, TruthError> {
    let (id, quote) = (string(citation, "file_id"), string(citation, "quote"));
    let at = |key: &str| citation[key].as_u64().and_then(|at| usize::try_from(at).ok());
    let mut place = Place {
        source: string(citation, "filename"),
        file_id: Some(id.clone()),
        text_sha256: String::new(),
        start: at("start").unwrap_or(0),
        end: at("end").unwrap_or(0),
        quote_sha256: hex::encode(Sha256::digest(&quote)),
    };
    // What the answer says is compared with the receipt: an imported one may name any.
    let own = receipted.filter(|one| {
        let named = one.file_id.as_ref().is_none_or(|named| *named == id);
        named && (one.start, one.end, &one.quote_sha256) == (place.start, place.end, &place.quote_sha256)
    });
    place.text_sha256 = match own {
        Some(own) => own.text_sha256.clone(),
        // Without one, only what the source says at this very place counts.
        None => match store.source(&id).await {
            Ok(source) => source.text_sha256.unwrap_or_default(),
            Err(StoreError::Missing { .. }) => String::new(),
            Err(error) => return Err(error.into()),
        },
    };
    let found = standing::of_words(store, &place, &quote).await?;
    if let Some(now) = found.now {
        lead(store, citation, now, &id).await?;
    }
    let stale = match found.state {
        Stand::Same => return Ok(true),
        Stand::Changed | Stand::Broken => "changed",
        Stand::Gone => "gone",
    };
    citation["stale"] = json!(stale);
    Ok(false)
}

fn string(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// Makes a citation lead to where its words stand now.
async fn lead(store: &Store, citation: &mut Value, now: Now, before: &str) -> Result<(), TruthError> {
    let source = store.source(&now.file_id).await?;
    let layout = match &source.text_sha256 {
        Some(text) => serde_json::from_value(store.text_info(text).await?.layout).unwrap_or_default(),
        None => Layout::default(),
    };
    let Some(citation) = citation.as_object_mut() else {
        return Ok(());
    };
    let moved = if now.file_id == before { "changed" } else { "elsewhere" };
    let news = json!({
        "file_id": now.file_id, "start": now.start, "end": now.end, "moved": moved, "page": layout.page(now.start),
        "filename": source.title.unwrap_or(source.name), "date": source.date, "url": source.url,
    });
    for (key, value) in news.as_object().cloned().unwrap_or_default() {
        match value {
            Value::Null => citation.remove(&key),
            value => citation.insert(key, value),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_truth::receipt::{MadeBy, Signer, issue};

    use candor_store::{MessageUpdate, NewConversation, NewMessage, NewSource, NewText, Role};

    async fn shown(store: &Store, candor: Value) -> Value {
        let id = store.create_conversation(NewConversation::default()).await.unwrap().id;
        let answer = NewMessage {
            role: Role::Assistant,
            ..NewMessage::user(None, String::new())
        };
        let added = store.add_messages(&id, vec![answer]).await.unwrap();
        let update = MessageUpdate {
            candor: Some(candor),
            ..MessageUpdate::default()
        };
        store.update_message(&added[0].id, update).await.unwrap();
        let mut messages = store.messages(&id).await.unwrap();
        recheck_all(store, &mut messages).await.unwrap();
        messages[0].candor.clone().unwrap()
    }

    #[tokio::test]
    async fn a_quote_that_its_source_does_not_say_is_marked_on_its_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("candor.db")).await.unwrap();
        let source = NewSource {
            text: Some(NewText {
                text: "The hall was built in 1874.".into(),
                layout: json!({}),
            }),
            ..NewSource::default()
        };
        let id = store.put_sources(vec![source]).await.unwrap().remove(0).source.id;
        let answer = |quote: &str, text: &str, end: usize| {
            json!({ "outcome": "answered", "short": "1874", "confidence": 0.9, "dial": 0.1, "receipt": null, "sentences": [
                { "text": text, "start": 0, "end": 5, "mark": "quoted", "confidence": 0.9, "citations": [
                    { "file_id": id, "filename": "hall.txt", "start": 0, "end": end, "quote": quote }] }] })
        };
        let quote = "The hall was built in 1874.";
        let sound = shown(&store, answer(quote, quote, 27)).await;
        assert_eq!(sound, answer(quote, quote, 27));
        check(&sound).unwrap();
        for (quote, text, end) in [
            ("The hall was built in 1934.", "The hall was built in 1934.", 27),
            (quote, "The hall was built in 1874, by me.", 27),
            (quote, quote, 26),
            ("", "", 0),
        ] {
            let shown = shown(&store, answer(quote, text, end)).await;
            assert_eq!(
                (&shown["sentences"][0]["stale"], &shown["short"]),
                (&json!(true), &Value::Null)
            );
        }
        store.delete_source(&id).await.unwrap();
        let gone = shown(&store, answer(quote, quote, 27)).await;
        assert_eq!(gone["sentences"][0]["citations"][0]["stale"], "gone");
    }

    #[tokio::test]
    async fn a_quote_that_stands_elsewhere_now_leads_there_and_keeps_its_mark() {
        const WORDS: &str = "The hall was built in 1874.";
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("candor.db")).await.unwrap();
        let put = async |origin: &str, text: &str| {
            let new = NewSource {
                name: origin.into(),
                origin: Some(origin.into()),
                text: Some(NewText {
                    text: text.into(),
                    layout: json!({}),
                }),
                ..NewSource::default()
            };
            store.put_sources(vec![new]).await.unwrap().remove(0).source
        };
        let source = put("hall.txt", WORDS).await;
        let place = Place {
            source: source.name.clone(),
            file_id: Some(source.id.clone()),
            text_sha256: source.text_sha256.clone().unwrap(),
            start: 0,
            end: WORDS.len(),
            quote_sha256: hex::encode(Sha256::digest(WORDS)),
        };
        let body = Body {
            question: "When?".into(),
            before: Vec::new(),
            collections: Vec::new(),
            outcome: "answered".into(),
            short: None,
            confidence: 0.9,
            dial: None,
            sentences: vec![Line {
                text: WORDS.into(),
                mark: "quoted".into(),
                evidence: vec![place],
            }],
            made_by: MadeBy::default(),
        };
        let signer = Signer::open(&folder.path().join("instance.key")).unwrap();
        let receipt = issue(&store, &signer, &body).await.unwrap().id;
        let answer = |quote: &str| {
            json!({ "short": "1874", "receipt": receipt, "sentences": [{ "text": quote, "mark": "quoted", "citations": [
                { "file_id": source.id, "filename": "hall.txt", "page": 3, "start": 0, "end": 27, "quote": quote }] }] })
        };
        put("hall.txt", &format!("News. {WORDS}")).await;
        let moved = shown(&store, answer(WORDS)).await;
        let citation = &moved["sentences"][0]["citations"][0];
        assert_eq!(
            (
                &citation["start"],
                &citation["end"],
                &citation["moved"],
                citation.get("page")
            ),
            (&json!(6), &json!(33), &json!("changed"), None)
        );
        assert_eq!(
            (&moved["short"], &moved["sentences"][0]["stale"]),
            (&json!("1874"), &Value::Null)
        );
        // Other words under the same receipt are not its quote, wherever they stand.
        put("hall.txt", "News. The hall was built in 1934.").await;
        let forged = shown(&store, answer("The hall was built in 1934.")).await;
        assert_eq!(forged["sentences"][0]["citations"][0]["stale"], "changed");
        // Another source with the text of that time.
        let twin = put("copy.txt", WORDS).await;
        store.delete_source(&source.id).await.unwrap();
        let elsewhere = shown(&store, answer(WORDS)).await;
        let citation = &elsewhere["sentences"][0]["citations"][0];
        assert_eq!(
            (
                &citation["file_id"],
                &citation["filename"],
                &citation["moved"],
                citation.get("stale")
            ),
            (&json!(twin.id), &json!("copy.txt"), &json!("elsewhere"), None)
        );
    }

    #[test]
    fn what_candor_does_not_write_is_refused_in_a_sentence() {
        assert!(
            check(&json!({ "outcome": "answered" }))
                .unwrap_err()
                .contains("leave it out")
        );
        let odd = json!({ "outcome": "proved", "short": null, "confidence": 1, "dial": null, "sentences": [], "receipt": null });
        assert!(check(&odd).unwrap_err().contains("leave it out"));
    }
}
