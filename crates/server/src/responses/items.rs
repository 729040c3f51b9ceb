//! Items of a request's input, as they are kept: checked, with ids, contents in parts.

use candor_wire::responses::{ContentPart, InputContent, InputItem, InputPart, Item, ItemStatus, OutputText};

use super::check::id;
use crate::ApiError;

/// One message of the user.
pub(super) fn user(text: String) -> Item {
    let content = vec![ContentPart::InputText { text }];
    Item::Message {
        id: id("msg"),
        status: ItemStatus::Completed,
        role: "user".into(),
        content,
    }
}

/// All items that the model is shown. Thoughts are left out, since no template has a place for them.
pub(super) fn all(given: Vec<InputItem>) -> Result<Vec<Item>, ApiError> {
    given
        .into_iter()
        .enumerate()
        .filter_map(|(at, given)| item(at, given).transpose())
        .collect()
}

fn item(at: usize, item: InputItem) -> Result<Option<Item>, ApiError> {
    let missing = |field: &str| ApiError::param(format!("input[{at}].{field}"), format!("this item has no `{field}`"));
    let own = |given: Option<String>, kind| {
        given
            .filter(|given| !given.is_empty() && given.len() <= 128)
            .unwrap_or_else(|| id(kind))
    };
    let status = ItemStatus::Completed;
    match item.kind.as_deref().unwrap_or("message") {
        "message" => {
            let role = item.role.ok_or_else(|| missing("role"))?;
            if !matches!(role.as_str(), "user" | "assistant" | "system" | "developer") {
                let message = "the role must be `user`, `assistant`, `system` or `developer`";
                return Err(ApiError::param(format!("input[{at}].role"), message));
            }
            let content = texts(
                format!("input[{at}].content"),
                item.content.ok_or_else(|| missing("content"))?,
            )?;
            let part = |text| match role.as_str() {
                "assistant" => ContentPart::OutputText(OutputText {
                    text,
                    ..OutputText::default()
                }),
                _ => ContentPart::InputText { text },
            };
            let content = content.into_iter().map(part).collect();
            Ok(Some(Item::Message {
                id: own(item.id, "msg"),
                status,
                role,
                content,
            }))
        }
        "function_call" => Ok(Some(Item::FunctionCall {
            id: own(item.id, "fc"),
            call_id: item.call_id.ok_or_else(|| missing("call_id"))?,
            name: item.name.ok_or_else(|| missing("name"))?,
            arguments: item.arguments.ok_or_else(|| missing("arguments"))?,
            status,
        })),
        "function_call_output" => {
            let output = texts(
                format!("input[{at}].output"),
                item.output.ok_or_else(|| missing("output"))?,
            )?
            .concat();
            let call_id = item.call_id.ok_or_else(|| missing("call_id"))?;
            Ok(Some(Item::FunctionCallOutput {
                id: own(item.id, "fco"),
                call_id,
                output,
                status,
            }))
        }
        "reasoning" => Ok(None),
        kind => {
            let kind: String = kind.chars().take(50).collect();
            let message =
                format!("items of type `{kind}` cannot be used here; send messages, function calls and their outputs");
            Err(ApiError::param(format!("input[{at}].type"), message))
        }
    }
}

fn texts(param: String, content: InputContent) -> Result<Vec<String>, ApiError> {
    let parts = match content {
        InputContent::Text(text) => return Ok(vec![text]),
        InputContent::Parts(parts) => parts,
    };
    let part = |part: InputPart| match part.kind.as_str() {
        "input_text" | "output_text" | "text" => part.text,
        "refusal" => part.refusal,
        _ => None,
    };
    let texts: Option<Vec<String>> = parts.into_iter().map(part).collect();
    texts.ok_or_else(|| {
        let message = "models here read text only; send parts of type `input_text` (of the assistant: `output_text`), each with its `text`";
        ApiError::param(param, message)
    })
}
