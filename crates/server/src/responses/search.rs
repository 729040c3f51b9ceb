//! The search of files before an answer: what is looked for, what of it the model is shown, and the item that says so.

use candor_engine::Generator;
use candor_wire::chat::{Content, Message};
use candor_wire::responses::{Annotation, FileSearchResult, Item, ItemStatus};

use super::check::Checked;
use super::{citations, passages};
use crate::files::intake;
use crate::vector_stores::search::{Hit, Wanted};
use crate::{ApiError, App};

/// Characters of a question that are looked for; what follows is rarely the question.
const MOST_QUESTION: usize = 2000;
/// Bytes of passages for a model whose context is not known.
const SOME_BYTES: usize = 16 * 1024;

/// What a search of files gave.
pub(super) struct Searched {
    queries: Vec<String>,
    /// All that was found, where it is sent.
    results: Option<Vec<FileSearchResult>>,
    /// What the model is shown.
    shown: Vec<Hit>,
}

/// Searches for the latest question of the user.
pub(super) async fn run(
    app: &App,
    wanted: &Wanted,
    checked: &Checked,
    messages: &[Message],
    model: &dyn Generator,
) -> Result<Searched, ApiError> {
    let intake = intake(app)?;
    wanted.exist(intake).await?;
    let question = messages.iter().rev().find(|message| message.role == "user");
    let question = question.and_then(|message| message.content.as_ref()).map(Content::text);
    let question: String = question
        .unwrap_or_default()
        .trim()
        .chars()
        .take(MOST_QUESTION)
        .collect();
    let queries = if question.is_empty() {
        Vec::new()
    } else {
        vec![question]
    };
    let hits = wanted.find(intake, app.extension(), &queries).await?;
    let results = checked.results.then(|| hits.iter().map(result).collect());
    // A third of the context, at three bytes a token: what is left is for the conversation and the answer.
    let room = model.card().context.unwrap_or(SOME_BYTES);
    Ok(Searched {
        queries,
        results,
        shown: passages::fitting(hits, room),
    })
}

impl Searched {
    /// Puts the passages before the latest question.
    pub(super) fn show(&self, messages: &mut [Message]) {
        let last = messages.iter_mut().rev().find(|message| message.role == "user");
        if let Some(message) = last.filter(|_| !self.queries.is_empty()) {
            let question = message.content.as_ref().map(Content::text).unwrap_or_default();
            let text = format!("{}\n\n{question}", passages::block(&self.shown));
            message.content = Some(Content::Text(text));
        }
    }

    /// The item of the output.
    pub(super) fn item(&self, id: String, status: ItemStatus) -> Item {
        let done = status == ItemStatus::Completed;
        Item::FileSearchCall {
            id,
            status,
            queries: self.queries.clone(),
            results: self.results.clone().filter(|_| done),
        }
    }

    /// Which passages the sentences of an answer can be found in.
    pub(super) fn citations(&self, text: &str) -> Vec<Annotation> {
        citations::of(text, &self.shown)
    }
}

fn result(hit: &Hit) -> FileSearchResult {
    let range = hit.found.quote.range();
    FileSearchResult {
        file_id: hit.found.source.id.clone(),
        filename: hit.found.source.name.clone(),
        score: hit.score,
        attributes: hit.attributes.clone(),
        text: hit.found.quote.text().to_owned(),
        start: range.start as u64,
        end: range.end as u64,
    }
}
