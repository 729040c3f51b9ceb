//! How each kind of server is told what the output must look like. A constraint without a word for it is refused:
//! free text where a schema was asked for is worse than an error.

use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use crate::{Constraint, EngineError};

/// How a constraint is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Structure {
    /// `response_format`, in chat only.
    Format,
    /// `response_format`, and vLLM's `structured_outputs` for the rest.
    Outputs,
    /// `response_format` in chat, and fields `json_schema` (as text) and `regex`.
    Fields,
    /// `response_format` in chat, and a field `json_schema` in completions.
    Schema,
    /// `response_format` of type `json_object` with a `schema`, in chat only.
    ObjectSchema,
    /// `response_format`, and Candor's `structured_outputs`, everywhere.
    Candor,
}

pub(super) fn constrain(
    dialect: &Dialect,
    body: &mut Map<String, Value>,
    constraint: &Constraint,
    chat: bool,
) -> Result<(), EngineError> {
    use Structure::{Candor, Fields, Format, ObjectSchema, Outputs, Schema};
    let how = dialect.structure;
    let outputs = |key: &str, value: &Value| Some(("structured_outputs", json!({ key: value })));
    let format = |value: Value| Some(("response_format", value));
    let said = match (constraint, how) {
        (Constraint::None, _) => return Ok(()),
        (Constraint::JsonObject, Outputs | Candor) => format(json!({ "type": "json_object" })),
        (Constraint::JsonObject, _) if chat => format(json!({ "type": "json_object" })),
        (Constraint::JsonObject, Fields) => Some(("json_schema", json!(r#"{"type":"object"}"#))),
        (Constraint::JsonObject, Schema) => Some(("json_schema", json!({ "type": "object" }))),
        (Constraint::JsonSchema(schema), Outputs | Candor) => format(named(schema)),
        (Constraint::JsonSchema(schema), Format | Fields | Schema) if chat => format(named(schema)),
        (Constraint::JsonSchema(schema), ObjectSchema) if chat => {
            format(json!({ "type": "json_object", "schema": schema }))
        }
        (Constraint::JsonSchema(schema), Fields) => Some(("json_schema", json!(schema.to_string()))),
        (Constraint::JsonSchema(schema), Schema) => Some(("json_schema", schema.clone())),
        (Constraint::Regex(regex), Outputs | Candor) => outputs("regex", &json!(regex)),
        (Constraint::Regex(regex), Fields) => Some(("regex", json!(regex))),
        (Constraint::Lark(grammar), Outputs | Candor) => outputs("grammar", &json!(grammar)),
        (Constraint::Choice(choices), Outputs | Candor) => outputs("choice", &json!(choices)),
        (Constraint::Substring(text), Candor) => outputs("substring", &json!(text)),
        _ => None,
    };
    let (param, what) = match constraint {
        Constraint::None => ("", ""),
        Constraint::JsonObject | Constraint::JsonSchema(_) => {
            ("response_format", "a JSON format for this kind of request")
        }
        Constraint::Regex(_) => ("structured_outputs", "a regular expression for the output"),
        Constraint::Lark(_) => ("structured_outputs", "a Lark grammar for the output"),
        Constraint::Substring(_) => ("structured_outputs", "a text that the output must be taken from"),
        Constraint::Choice(_) => ("structured_outputs", "a choice of outputs"),
    };
    let (key, value) = said.ok_or_else(|| dialect.lacks(param, what))?;
    body.insert(key.into(), value);
    Ok(())
}

fn named(schema: &Value) -> Value {
    json!({ "type": "json_schema", "json_schema": { "name": "output", "schema": schema, "strict": true } })
}
