//! What the model is shown: instructions, the responses before this one (oldest first), the input. Their instructions
//! are not carried over.

use candor_wire::chat::{Content, FunctionCall, Message, ToolCall};
use candor_wire::responses::{ContentPart, Item};

use super::check::{Checked, response_of};
use super::store::{ResponseStore, missing};
use crate::{ApiError, evidence};

/// Longest chain of responses.
const MAX_CHAIN: usize = 1000;

/// Puts stored items where the input names them by their ids.
pub(super) async fn resolve(store: &dyn ResponseStore, checked: &mut Checked) -> Result<(), ApiError> {
    for (place, id) in std::mem::take(&mut checked.references) {
        let stored = match response_of(&id) {
            Some(response) => store.get(&response).await?,
            None => None,
        };
        let items = stored.map(|stored| stored.response.output.into_iter().chain(stored.input));
        let Some(item) = items.and_then(|mut items| items.find(|item| item.id() == id)) else {
            let id: String = id.chars().take(100).collect();
            return Err(ApiError::NotFound(format!(
                "there is no item `{id}`; its response was not stored, was deleted, or is too old; send the item itself"
            )));
        };
        checked.input.insert(place, item);
    }
    Ok(())
}

/// The conversation of a request.
pub(super) async fn messages(store: &dyn ResponseStore, checked: &Checked) -> Result<Vec<Message>, ApiError> {
    let mut turns: Vec<Vec<Item>> = vec![checked.input.clone()];
    let (mut before, mut chain) = (checked.answer.previous_response_id.clone(), 0);
    while let Some(id) = before {
        chain += 1;
        if chain > MAX_CHAIN {
            let message =
                format!("more than {MAX_CHAIN} responses come before this one; begin anew with a summary as `input`");
            return Err(ApiError::param("previous_response_id", message));
        }
        let Some(stored) = store.get(&id).await? else {
            return Err(missing(&id));
        };
        if matches!(stored.response.status.as_str(), "in_progress" | "queued" | "failed") {
            let message = format!(
                "the response `{id}` is {}; only one that has ended well can be continued",
                stored.response.status.replace('_', " ")
            );
            return Err(ApiError::param("previous_response_id", message));
        }
        // What a source says never stands where a model could take it for an instruction: such answers are left out, and
        // their questions too, unless they are what this one refers to.
        let from_sources = stored.response.candor.as_ref().is_some_and(evidence::from_sources);
        if !from_sources {
            turns.push(stored.response.output);
        }
        if !from_sources || checked.candor.is_some() {
            turns.push(stored.input);
        }
        before = stored.response.previous_response_id;
    }
    let mut messages = Vec::new();
    if let Some(text) = checked.answer.instructions.clone().filter(|text| !text.is_empty()) {
        messages.push(Message {
            role: "system".into(),
            content: Some(Content::Text(text)),
            ..Message::default()
        });
    }
    turns
        .into_iter()
        .rev()
        .flatten()
        .for_each(|item| push(&mut messages, item));
    Ok(messages)
}

/// Calls that follow each other, or a text of the assistant, are one turn.
fn push(messages: &mut Vec<Message>, item: Item) {
    match item {
        Item::Message { role, content, .. } => {
            let text: String = content.iter().map(ContentPart::text).collect();
            messages.push(Message {
                role,
                content: Some(Content::Text(text)),
                ..Message::default()
            });
        }
        Item::FunctionCall {
            call_id,
            name,
            arguments,
            ..
        } => {
            let call = ToolCall {
                id: call_id,
                kind: "function".into(),
                function: FunctionCall { name, arguments },
            };
            match messages.last_mut().filter(|last| last.role == "assistant") {
                Some(last) => last.tool_calls.get_or_insert_default().push(call),
                None => messages.push(Message {
                    role: "assistant".into(),
                    tool_calls: Some(vec![call]),
                    ..Message::default()
                }),
            }
        }
        Item::FileSearchCall { .. } => {}
        Item::FunctionCallOutput { call_id, output, .. } => messages.push(Message {
            role: "tool".into(),
            content: Some(Content::Text(output)),
            tool_call_id: Some(call_id),
            ..Message::default()
        }),
    }
}
