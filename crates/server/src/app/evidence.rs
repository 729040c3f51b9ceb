//! Quotes in kept answers, on their way out: each is compared with what its source says now. An answer that was imported,
//! or whose source has changed or gone since, is shown with that said beside it, and never as a quote that holds.

use std::collections::HashMap;

use candor_store::{Message, Store, StoreError, TextInfo};
use candor_wire::candor::CandorAnswer;
use serde_json::{Value, json};

/// Whether what came with an imported answer has the shape of what this server writes; else a sentence.
pub(super) fn check(candor: &Value) -> Result<(), String> {
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

/// Notes in the messages which quotes do not hold: `"stale": "changed"` or `"gone"` in a citation, `"stale": true` in a
/// sentence that nothing bears out any more. A short answer that is no part of a quote that holds is taken away.
pub(super) async fn recheck(store: &Store, messages: &mut [Message]) -> Result<(), StoreError> {
    let mut texts = Texts {
        store,
        known: HashMap::new(),
    };
    for candor in messages.iter_mut().filter_map(|message| message.candor.as_mut()) {
        for citation in list(candor, "nearest") {
            texts.judge(citation).await?;
        }
        let mut short_stands = false;
        let short = candor["short"].as_str().map(str::to_owned);
        for sentence in list(candor, "sentences") {
            let text = sentence["text"].as_str().unwrap_or_default().to_owned();
            let mark = sentence["mark"].as_str().unwrap_or_default();
            let (memory, verbatim) = (mark == "memory", matches!(mark, "quoted" | "disputed"));
            let mut holds = false;
            for citation in list(sentence, "citations") {
                let same = !verbatim || citation["quote"].as_str() == Some(&text);
                holds |= texts.judge(citation).await? && same;
            }
            if !holds && !memory {
                sentence["stale"] = json!(true);
            }
            short_stands |= holds && short.as_ref().is_some_and(|short| text.contains(short));
        }
        if short.is_some() && !short_stands {
            candor["short"] = Value::Null;
        }
    }
    Ok(())
}

fn list<'v>(value: &'v mut Value, key: &str) -> impl Iterator<Item = &'v mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Texts of sources, each looked up once.
struct Texts<'s> {
    store: &'s Store,
    known: HashMap<String, Option<TextInfo>>,
}

impl Texts<'_> {
    /// Whether a citation holds; one that does not is marked.
    async fn judge(&mut self, citation: &mut Value) -> Result<bool, StoreError> {
        let id = citation["file_id"].as_str().unwrap_or_default().to_owned();
        let text = match self.known.get(&id) {
            Some(known) => known.clone(),
            None => {
                let text = self.look_up(&id).await?;
                self.known.insert(id, text.clone());
                text
            }
        };
        let stale = match text {
            None => Some("gone"),
            Some(text) => {
                let at = |key: &str| citation[key].as_u64().and_then(|at| usize::try_from(at).ok());
                let quote = citation["quote"].as_str().unwrap_or_default();
                let same = match (at("start"), at("end")) {
                    (Some(start), Some(end)) if end.checked_sub(start) == Some(quote.len()) && end <= text.size => {
                        self.store.text_bytes(&text, start, end).await? == quote.as_bytes()
                    }
                    _ => false,
                };
                (!same || quote.is_empty()).then_some("changed")
            }
        };
        if let Some(why) = stale {
            citation["stale"] = json!(why);
        }
        Ok(stale.is_none())
    }

    async fn look_up(&self, source: &str) -> Result<Option<TextInfo>, StoreError> {
        let none_where_missing = |error| match error {
            StoreError::Missing { .. } => Ok(None),
            other => Err(other),
        };
        let source = match self.store.source(source).await {
            Ok(source) => source,
            Err(error) => return none_where_missing(error),
        };
        let Some(text) = source.text_sha256 else {
            return Ok(None);
        };
        self.store.text_info(&text).await.map(Some).or_else(none_where_missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        recheck(store, &mut messages).await.unwrap();
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
