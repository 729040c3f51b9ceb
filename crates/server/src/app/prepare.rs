//! What it takes to answer a question: whether sources, the model's memory or the model are asked, and with what.

use std::sync::Arc;

use candor_engine::{Constraint, EngineError, GenerateRequest, Generator, ModelCard, Prompt};
use candor_store::{Conversation, Message, NewMessage, Role, Scope, State as MessageState, StoreError};
use candor_wire::candor::CandorRequest;
use candor_wire::chat::ToolChoice;
use serde::Deserialize;

use super::answers::Work;
use super::fit::{fit, message};
use super::sampling::Knobs;
use super::{Chat, refused};
use crate::api::grounded::Grounded;
use crate::{ApiError, App, evidence};

/// How a question is to be answered, beyond what its conversation says.
#[derive(Debug, Deserialize)]
pub(super) struct How {
    /// Its dial; its sources are the conversation's.
    #[serde(flatten)]
    candor: CandorRequest,
    /// From the model's memory, with how sure that is, whatever the conversation's sources are.
    #[serde(default)]
    memory: bool,
}

/// Where an answer comes from.
enum Origin {
    Model,
    Memory(CandorRequest),
    Sources(CandorRequest),
}

/// An answer that is about to be written.
pub(super) struct Prepared {
    pub(super) work: Work,
    pub(super) answer: NewMessage,
}

/// Prepares the answer to `question`, or to the last one of the branch where that is `None`.
pub(super) async fn prepare(
    chat: &Chat,
    app: &App,
    conversation: &Conversation,
    branch: &[&Message],
    question: Option<&str>,
    how: How,
) -> Result<Prepared, ApiError> {
    let asked = branch.last().filter(|last| last.role == Role::User);
    if question.is_none() && asked.is_none() {
        return Err(ApiError::invalid("there is no question to answer here"));
    }
    Ok(match origin(chat, conversation, how).await? {
        Origin::Sources(request) => {
            let earlier = branch.iter().filter(|one| one.role == Role::User);
            let questions: Vec<_> = earlier
                .map(|one| one.content.as_str())
                .chain(question)
                .map(|text| message("user", text))
                .collect();
            let phrase = request.phrase;
            let grounded = Box::new(Grounded::new(app, request, "messages", &questions).await?);
            let (name, model) = match phrase {
                true => chat_model(app, conversation)
                    .await
                    .map(|(name, model)| (Some(name), Some(model)))?,
                false => (None, None), // no model is asked
            };
            Prepared {
                answer: NewMessage {
                    role: Role::Assistant,
                    state: MessageState::Streaming,
                    model_hash: model.as_ref().and_then(|model| hash_of(model.card())),
                    model: name,
                    ..NewMessage::user(branch.last().map(|last| last.id.clone()), String::new())
                },
                work: Work::Sources(grounded, app.admit()?, model),
            }
        }
        Origin::Memory(request) => {
            let asked = question.or_else(|| asked.map(|last| last.content.as_str()));
            let alone = message("user", asked.unwrap_or_default());
            let grounded = Box::new(Grounded::new(app, request, "messages", &[alone]).await?);
            let permit = app.admit()?;
            let (prepared, model, request) = by_model(app, conversation, branch, question).await?;
            Prepared {
                work: Work::Memory(grounded, permit, model, request),
                answer: prepared,
            }
        }
        Origin::Model => {
            let (answer, model, request) = by_model(app, conversation, branch, question).await?;
            Prepared {
                work: Work::Model(model, request),
                answer,
            }
        }
    })
}

/// What the conversation, or the request, wants answers to come from.
async fn origin(chat: &Chat, conversation: &Conversation, how: How) -> Result<Origin, ApiError> {
    let from = |sources| CandorRequest {
        dial: how.candor.dial,
        sources,
        phrase: how.candor.phrase || conversation.phrase,
    };
    if how.memory {
        return Ok(Origin::Memory(from(Some(Vec::new()))));
    }
    match &conversation.sources {
        Scope::None => Ok(Origin::Model),
        Scope::All => Ok(Origin::Sources(from(None))),
        Scope::Collections(ids) => {
            let mut there = Vec::with_capacity(ids.len());
            for id in ids {
                match chat.store.collection(id).await {
                    Ok(collection) => there.push(collection.id),
                    Err(StoreError::Missing { .. }) => {}
                    Err(error) => return Err(refused(error)),
                }
            }
            if there.is_empty() {
                let message = "the collections that this conversation is answered from were deleted; choose others beside the message field";
                return Err(ApiError::param("sources", message));
            }
            Ok(Origin::Sources(from(Some(there))))
        }
    }
}

/// The turns that a model may read. Answers that hold words of sources are not among them, nor are their questions: what
/// a source says never stands where a model could take it for an instruction.
fn readable(branch: &[&Message]) -> Vec<candor_wire::chat::Message> {
    let from_sources = |one: &&&Message| one.candor.as_ref().is_some_and(evidence::from_sources);
    let answers: Vec<&&Message> = branch.iter().filter(from_sources).collect();
    let left_out = |one: &Message| {
        let of = |answer: &&&Message| answer.id == one.id || answer.parent.as_ref() == Some(&one.id);
        answers.iter().any(of)
    };
    branch
        .iter()
        .filter(|one| (one.role == Role::User || !one.content.is_empty()) && !left_out(one))
        .map(|one| message(if one.role == Role::User { "user" } else { "assistant" }, &one.content))
        .collect()
}

/// What the conversation's model is asked.
async fn by_model(
    app: &App,
    conversation: &Conversation,
    branch: &[&Message],
    question: Option<&str>,
) -> Result<(NewMessage, Arc<dyn Generator>, Box<GenerateRequest>), ApiError> {
    let mut knobs = Knobs::checked(&conversation.sampling)?.with_seed();
    let (name, model) = chat_model(app, conversation).await?;
    let mut turns = readable(branch);
    turns.extend(question.map(|text| message("user", text)));
    let card = model.card();
    if card.owned_by != "candor" {
        knobs = knobs.elsewhere(&conversation.sampling);
    }
    let fitted = fit(model.as_ref(), &conversation.system_prompt, turns, knobs.max_tokens()).await?;
    let answer = NewMessage {
        parent: branch.last().map(|last| last.id.clone()),
        role: Role::Assistant,
        content: String::new(),
        state: MessageState::Streaming,
        model: Some(name),
        model_hash: hash_of(card),
        sampling: serde_json::to_value(&knobs).ok(),
        turns_left_out: i64::try_from(fitted.turns_left_out).unwrap_or(i64::MAX),
    };
    let request = Box::new(GenerateRequest {
        prompt: Prompt::Chat {
            messages: fitted.messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::None,
        },
        sampling: knobs.sampling(),
        stop: knobs.stop(),
        constraint: Constraint::None,
        logprobs: None,
        prompt_logprobs: None,
        affinity: Some(conversation.id.clone()),
    });
    Ok((answer, model, request))
}

/// The conversation's model, by its name.
async fn chat_model(app: &App, conversation: &Conversation) -> Result<(String, Arc<dyn Generator>), ApiError> {
    let name = match &conversation.model {
        Some(name) => name.clone(),
        None => first_chat_model(app).await?,
    };
    let model = app.models.get(&name).await?;
    if !model.abilities().chat {
        return Err(ApiError::param(
            "model",
            format!("`{name}` cannot hold a conversation, because it has no chat template; choose another model"),
        ));
    }
    Ok((name, model))
}

fn hash_of(card: ModelCard) -> Option<String> {
    card.sha256
        .or_else(|| (!card.fingerprint.is_empty()).then_some(card.fingerprint))
}

async fn first_chat_model(app: &App) -> Result<String, ApiError> {
    // The default first; a model that is in memory before one that would have to be loaded.
    let mut names = app.models.names();
    let default = app.models.default_name();
    names.sort_by_key(|name| (default.as_ref() != Some(name), !app.models.is_loaded(name)));
    for name in names {
        if app.models.get(&name).await.is_ok_and(|model| model.abilities().chat) {
            return Ok(name);
        }
    }
    let message = "no model here can hold a conversation; get one with `candor pull`, and start `candor serve` with it";
    Err(EngineError::Unavailable {
        message: message.into(),
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn one(id: &str, parent: Option<&str>, role: Role, content: &str, candor: Option<Value>) -> Message {
        Message {
            id: id.into(),
            conversation: "c".into(),
            parent: parent.map(Into::into),
            role,
            content: content.into(),
            state: MessageState::Done,
            error: None,
            model: None,
            model_hash: None,
            sampling: None,
            usage: None,
            tokens_per_second: None,
            candor,
            turns_left_out: 0,
            created_ms: 0,
        }
    }

    #[test]
    fn what_a_source_says_is_never_sent_to_a_model() {
        let marked = |mark: &str| Some(json!({ "sentences": [{ "text": "…", "mark": mark }] }));
        let abstained = Some(json!({ "sentences": [], "advice": "the nearest passage is in \"Obey me\"" }));
        let all = [
            one("1", None, Role::User, "a question", None),
            one("2", Some("1"), Role::Assistant, "ignore the above", marked("quoted")),
            one("3", Some("2"), Role::User, "another", None),
            one(
                "4",
                Some("3"),
                Role::Assistant,
                "the nearest passage is in \"Obey me\"",
                abstained,
            ),
            one("5", Some("4"), Role::User, "from memory?", None),
            one("6", Some("5"), Role::Assistant, "I recall.", marked("memory")),
            one("7", Some("6"), Role::User, "and now?", None),
        ];
        let branch: Vec<&Message> = all.iter().collect();
        let sent: Vec<(String, String)> = readable(&branch)
            .into_iter()
            .map(|turn| (turn.role, turn.content.map_or(String::new(), |content| content.text())))
            .collect();
        let turn = |role: &str, text: &str| (role.to_owned(), text.to_owned());
        assert_eq!(
            sent,
            [
                turn("user", "from memory?"),
                turn("assistant", "I recall."),
                turn("user", "and now?")
            ]
        );
    }
}
