//! From a conversation in OpenAI's shape to what chat templates expect.
//!
//! `developer` is `system`; content parts become one text; a call's arguments become an object, as templates print them
//! themselves. A template that knows no tools gets them described in the system turn, in the form that small models were
//! trained on, so that tools are never dropped without a word.

use candor_wire::chat::{Content, Message, Tool};
use serde_json::{Map, Value, json};

use crate::EngineError;
use crate::lexicon::Template;
use crate::sampling::invalid;

/// The prompt that a conversation becomes.
///
/// # Errors
/// `Invalid` for turns that cannot be understood and templates that refuse them.
pub(crate) fn render(
    template: &dyn Template,
    messages: &[Message],
    tools: &[Tool],
    generate: bool,
) -> Result<String, EngineError> {
    if messages.is_empty() {
        return Err(invalid("messages", "is empty; send at least one turn"));
    }
    let mut turns = messages
        .iter()
        .enumerate()
        .map(|(i, message)| turn(i, message))
        .collect::<Result<Vec<_>, _>>()?;
    let knows_tools = template.source().contains("tools");
    let list = json!(tools);
    if !tools.is_empty() && !knows_tools {
        describe_tools(&mut turns, tools);
    }
    let given = (!tools.is_empty() && knows_tools).then_some(&list);
    template
        .render(&Value::Array(turns), given, generate)
        .map_err(|error| EngineError::Invalid {
            param: Some("messages".into()),
            message: format!("the model's chat template cannot render these messages: {error}"),
        })
}

fn turn(i: usize, message: &Message) -> Result<Value, EngineError> {
    let role = match message.role.as_str() {
        "developer" => "system",
        role @ ("system" | "user" | "assistant" | "tool") => role,
        role => {
            let role: String = role.chars().take(40).collect();
            let known = "`system`, `developer`, `user`, `assistant`, `tool`";
            return Err(invalid(
                &format!("messages[{i}].role"),
                format!("is `{role}`; it must be one of {known}"),
            ));
        }
    };
    let content = match &message.content {
        None => String::new(),
        Some(Content::Text(text)) => text.clone(),
        Some(content @ Content::Parts(parts)) => {
            if let Some(part) = parts.iter().find(|part| part.kind != "text" || part.text.is_none()) {
                let kind: String = part.kind.chars().take(40).collect();
                return Err(invalid(
                    &format!("messages[{i}].content"),
                    format!("has a part of type `{kind}`; this model reads text parts only"),
                ));
            }
            content.text()
        }
    };
    let mut turn = Map::new();
    turn.insert("role".into(), json!(role));
    turn.insert("content".into(), json!(content));
    if let Some(name) = &message.name {
        turn.insert("name".into(), json!(name));
    }
    if let Some(id) = &message.tool_call_id {
        turn.insert("tool_call_id".into(), json!(id));
    }
    if let Some(calls) = message.tool_calls.as_ref().filter(|calls| !calls.is_empty()) {
        let calls: Vec<Value> = calls
            .iter()
            .map(|call| {
                let text = &call.function.arguments;
                let arguments = serde_json::from_str::<Map<String, Value>>(text).map_or_else(|_| json!(text), Value::Object);
                json!({"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": arguments}})
            })
            .collect();
        turn.insert("tool_calls".into(), Value::Array(calls));
    }
    Ok(Value::Object(turn))
}

fn describe_tools(turns: &mut Vec<Value>, tools: &[Tool]) {
    let lines: Vec<String> = tools.iter().map(|tool| json!(tool).to_string()).collect();
    let text = format!(
        "You may call functions to help the user. These functions are available, as JSON inside <tools></tools>:\n\
         <tools>\n{}\n</tools>\n\
         To call a function, answer with its name and arguments as JSON inside <tool_call></tool_call>:\n\
         <tool_call>\n{{\"name\": <function-name>, \"arguments\": <arguments-object>}}\n</tool_call>",
        lines.join("\n")
    );
    match turns.first_mut() {
        Some(first) if first["role"] == "system" => {
            let before = first["content"].as_str().unwrap_or_default();
            first["content"] = if before.is_empty() {
                json!(text)
            } else {
                json!(format!("{before}\n\n{text}"))
            };
        }
        _ => turns.insert(0, json!({"role": "system", "content": text})),
    }
    // Such a template prints no calls either.
    for turn in turns {
        let Some(calls) = turn.get("tool_calls").and_then(Value::as_array) else {
            continue;
        };
        let calls: Vec<String> = calls
            .iter()
            .map(|call| format!("<tool_call>\n{}\n</tool_call>", call["function"]))
            .collect();
        let content = turn["content"].as_str().unwrap_or_default();
        let joint = if content.is_empty() { "" } else { "\n" };
        turn["content"] = json!(format!("{content}{joint}{}", calls.join("\n")));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use candor_wire::chat::{ContentPart, Function, FunctionCall, ToolCall};

    use super::*;

    /// Prints what it is given.
    struct Plain(&'static str);

    impl Template for Plain {
        fn render(&self, messages: &Value, tools: Option<&Value>, _: bool) -> Result<String, String> {
            Ok(json!([messages, tools]).to_string())
        }
        fn source(&self) -> &str {
            self.0
        }
    }

    fn message(role: &str, text: &str) -> Message {
        Message {
            role: role.into(),
            content: Some(Content::Text(text.into())),
            ..Message::default()
        }
    }

    fn tool() -> Tool {
        let function = Function {
            name: "time".into(),
            description: None,
            parameters: None,
            strict: None,
        };
        Tool {
            kind: "function".into(),
            function,
        }
    }

    fn rendered(source: &'static str, messages: &[Message], tools: &[Tool]) -> Value {
        serde_json::from_str(&render(&Plain(source), messages, tools, true).unwrap()).unwrap()
    }

    #[test]
    fn a_developer_turn_is_a_system_turn_and_parts_are_joined() {
        let part = |text: &str| ContentPart {
            kind: "text".into(),
            text: Some(text.into()),
        };
        let parts = Message {
            role: "user".into(),
            content: Some(Content::Parts(vec![part("a"), part("b")])),
            ..Message::default()
        };
        let out = rendered("", &[message("developer", "be kind"), parts], &[]);
        assert_eq!(
            out[0],
            json!([{"role": "system", "content": "be kind"}, {"role": "user", "content": "ab"}])
        );
    }

    #[test]
    fn arguments_become_objects_where_they_are_json() {
        let call = |arguments: &str| ToolCall {
            id: "1".into(),
            kind: "function".into(),
            function: FunctionCall {
                name: "time".into(),
                arguments: arguments.into(),
            },
        };
        let turn = Message {
            role: "assistant".into(),
            tool_calls: Some(vec![call("{\"a\":1}"), call("oops")]),
            ..Message::default()
        };
        let out = rendered("tools", &[turn], &[]);
        assert_eq!(out[0][0]["tool_calls"][0]["function"]["arguments"], json!({"a": 1}));
        assert_eq!(out[0][0]["tool_calls"][1]["function"]["arguments"], json!("oops"));
    }

    #[test]
    fn tools_reach_a_template_that_knows_none() {
        let out = rendered("no such word", &[message("user", "hi")], &[tool()]);
        assert!(out[0][0]["content"].as_str().unwrap().contains("<tools>"));
        assert_eq!(out[1], Value::Null);
        assert_eq!(
            rendered("{{ tools }}", &[message("user", "hi")], &[tool()])[1],
            json!([tool()])
        );
    }

    #[test]
    fn images_unknown_roles_and_empty_conversations_are_refused() {
        let image = ContentPart {
            kind: "image_url".into(),
            text: None,
        };
        let image = Message {
            role: "user".into(),
            content: Some(Content::Parts(vec![image])),
            ..Message::default()
        };
        for messages in [vec![image], vec![message("wizard", "x")], vec![]] {
            assert!(matches!(
                render(&Plain(""), &messages, &[], true),
                Err(EngineError::Invalid { .. })
            ));
        }
    }
}
