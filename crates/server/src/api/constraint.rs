//! The several spellings of "the output must look like this", turned into the engine's one `Constraint`.

use candor_engine::Constraint;
use candor_wire::chat_completions::ResponseFormat;
use candor_wire::options::Options;
use serde_json::Value;

use crate::ApiError;

/// The constraint that a request asks for; more than one is refused.
pub(super) fn constraint(options: &Options, format: Option<&ResponseFormat>) -> Result<Constraint, ApiError> {
    let mut found: Vec<(&'static str, Constraint)> = Vec::new();
    match format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => found.push(("response_format", Constraint::JsonObject)),
        Some(ResponseFormat::JsonSchema { json_schema }) => {
            let constraint = match &json_schema.schema {
                None | Some(Value::Null) => Constraint::JsonObject,
                Some(schema) => Constraint::JsonSchema(self::schema("response_format.json_schema.schema", schema)?),
            };
            found.push(("response_format", constraint));
        }
    }
    if let Some(value) = &options.guided_json {
        found.push(("guided_json", Constraint::JsonSchema(schema("guided_json", value)?)));
    }
    if let Some(regex) = &options.guided_regex {
        found.push(("guided_regex", Constraint::Regex(regex.clone())));
    }
    if let Some(choices) = &options.guided_choice {
        found.push(("guided_choice", choice("guided_choice", choices)?));
    }
    if let Some(grammar) = &options.guided_grammar {
        found.push(("guided_grammar", Constraint::Lark(grammar.clone())));
    }
    if let Some(wanted) = &options.structured_outputs {
        let before = found.len();
        if let Some(value) = &wanted.json {
            let param = "structured_outputs.json";
            found.push((param, Constraint::JsonSchema(schema(param, value)?)));
        }
        if wanted.json_object == Some(true) {
            found.push(("structured_outputs.json_object", Constraint::JsonObject));
        }
        if let Some(regex) = &wanted.regex {
            found.push(("structured_outputs.regex", Constraint::Regex(regex.clone())));
        }
        if let Some(choices) = &wanted.choice {
            found.push((
                "structured_outputs.choice",
                choice("structured_outputs.choice", choices)?,
            ));
        }
        if let Some(grammar) = &wanted.grammar {
            found.push(("structured_outputs.grammar", Constraint::Lark(grammar.clone())));
        }
        if let Some(text) = &wanted.substring {
            found.push(("structured_outputs.substring", Constraint::Substring(text.clone())));
        }
        if found.len() == before {
            let message = "`structured_outputs` asks for nothing; send one of `json`, `json_object`, `regex`, `choice`, `grammar`, `substring`, or leave it out";
            return Err(ApiError::param("structured_outputs", message));
        }
    }
    if let [(first, _), (second, _), ..] = found[..] {
        let message = format!("`{first}` and `{second}` both say what the output must look like; send one of them");
        return Err(ApiError::param(second, message));
    }
    Ok(found.pop().map_or(Constraint::None, |(_, constraint)| constraint))
}

/// A JSON schema, given as an object or as its text.
fn schema(param: &str, value: &Value) -> Result<Value, ApiError> {
    let wrong = || {
        ApiError::param(
            param,
            format!("`{param}` is not a JSON schema; send an object, or its JSON text"),
        )
    };
    match value {
        Value::Object(_) | Value::Bool(_) => Ok(value.clone()),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(schema),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

fn choice(param: &str, choices: &[String]) -> Result<Constraint, ApiError> {
    if choices.is_empty() {
        return Err(ApiError::param(
            param,
            format!("`{param}` is empty; name at least one choice"),
        ));
    }
    Ok(Constraint::Choice(choices.to_vec()))
}
