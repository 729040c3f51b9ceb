//! Items of a request's input, as they are kept: checked, with ids, contents in parts.

use candor_wire::responses::{ContentPart, InputContent, InputItem, InputPart, Item, ItemStatus, OutputText};

use super::check::item_id;
use crate::ApiError;

/// One message of the user.
pub(super) fn user(response: &str, text: String) -> Item {
    let content = vec![ContentPart::InputText { text }];
    Item::Message {
        id: item_id("msg", response, 'i', 0),
        status: ItemStatus::Completed,
        role: "user".into(),
        content,
    }
}

/// What an item of the request is.
enum Given {
    Item(Item),
    /// One that is stored already, by its id.
    Reference(String),
    /// A thought or a search. They are left out, since no template has a place for them.
    Thought,
}

/// Items, and the ids of stored ones with the places where they belong.
type Items = (Vec<Item>, Vec<(usize, String)>);

/// All items that the model is shown, and those that the store has, with the places where they belong.
pub(super) fn all(response: &str, given: Vec<InputItem>) -> Result<Items, ApiError> {
    let (mut items, mut references) = (Vec::new(), Vec::new());
    for (at, given) in given.into_iter().enumerate() {
        match item(response, at, given)? {
            Given::Item(item) => items.push(item),
            Given::Reference(id) => references.push((items.len() + references.len(), id)),
            Given::Thought => {}
        }
    }
    Ok((items, references))
}

fn item(response: &str, at: usize, item: InputItem) -> Result<Given, ApiError> {
    let missing = |field: &str| ApiError::param(format!("input[{at}].{field}"), format!("this item has no `{field}`"));
    let own = |given: Option<String>, kind| {
        given
            .filter(|given| !given.is_empty() && given.len() <= 128)
            .unwrap_or_else(|| item_id(kind, response, 'i', at))
    };
    let status = ItemStatus::Completed;
    let bare = item.kind.is_none() && item.role.is_none() && item.id.is_some();
    match item
        .kind
        .as_deref()
        .unwrap_or(if bare { "item_reference" } else { "message" })
    {
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
            Ok(Given::Item(Item::Message {
                id: own(item.id, "msg"),
                status,
                role,
                content,
            }))
        }
        "function_call" => Ok(Given::Item(Item::FunctionCall {
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
            Ok(Given::Item(Item::FunctionCallOutput {
                id: own(item.id, "fco"),
                call_id,
                output,
                status,
            }))
        }
        "item_reference" => Ok(Given::Reference(item.id.ok_or_else(|| missing("id"))?)),
        // Of a search nothing is left to be said: each answer has its own.
        "reasoning" | "file_search_call" => Ok(Given::Thought),
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
