//! Every kind of constraint as one grammar in Lark's syntax, with the limits that are checked before anything compiles.

use candor_wire::chat::Tool;
use serde_json::{Value, json};

use super::plain::{NAMED, NESTED, is_note, plain};
use crate::{Constraint, EngineError};

const MAX_BYTES: usize = 256 * 1024;
const MAX_REGEX: usize = 16 * 1024;
const MAX_DEPTH: usize = 64;
const MAX_CHOICES: usize = 10_000;
/// Counts such as `maxItems` become copies in the grammar.
const MAX_COUNT: u64 = 10_000;
/// Whitespace that JSON output may have in one place: enough to indent, too little to run away in.
const WHITESPACE: &str = r"[\x20\x0A\x0D\x09]{1,40}";

/// Keywords that llguidance honours or that constrain nothing. Any other is refused.
const KEYWORDS: [&str; 50] = [
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "const",
    "enum",
    "type",
    "items",
    "additionalItems",
    "prefixItems",
    "minItems",
    "maxItems",
    "properties",
    "additionalProperties",
    "patternProperties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "$anchor",
    "$defs",
    "definitions",
    "$schema",
    "$id",
    "id",
    "$comment",
    "title",
    "description",
    "default",
    "readOnly",
    "writeOnly",
    "examples",
    "example",
    "contentMediaType",
    "contentEncoding",
    "deprecated",
    "strict",
    // OpenAPI's and Gemini's notes on a schema; a value that fits without them fits with them.
    "discriminator",
    "nullable",
    "externalDocs",
    "propertyOrdering",
    "$vocabulary",
];

/// How a model family writes tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFormat {
    /// `<tool_call>\n{"name": …, "arguments": …}\n</tool_call>`
    Tagged,
    /// `[TOOL_CALLS][{"name": …, "arguments": …}]`
    Mistral,
    /// `{"name": …, "parameters": …}`
    Llama,
}

impl CallFormat {
    /// The format that a chat template expects, by the markers in it.
    pub fn of_template(source: &str) -> Self {
        if source.contains("[TOOL_CALLS]") {
            Self::Mistral
        } else if source.contains("<|python_tag|>") || source.contains("ipython") {
            Self::Llama
        } else {
            Self::Tagged
        }
    }
}

/// The constraint as a grammar, with the name of its field; `None` where there is none.
///
/// # Errors
/// `Invalid` where it cannot be honoured.
pub fn to_lark(constraint: &Constraint) -> Result<Option<(String, &'static str)>, EngineError> {
    Ok(Some(match constraint {
        Constraint::None => return Ok(None),
        Constraint::JsonObject => (
            format!("start: {}", json_rule(&json!({"type": "object"}))),
            "response_format",
        ),
        Constraint::JsonSchema(schema) => {
            check_schema(schema, "response_format")?;
            (format!("start: {}", json_rule(schema)), "response_format")
        }
        Constraint::Regex(regex) => {
            size(regex.len(), MAX_REGEX, "regex")?;
            nesting(regex, "regex")?;
            if regex.is_empty() {
                return Err(refuse("regex", "is empty; leave it out to allow any text"));
            }
            (format!("start: /{}/", llguidance::regex_to_lark(regex, "")), "regex")
        }
        Constraint::Lark(grammar) => {
            size(grammar.len(), MAX_BYTES, "grammar")?;
            nesting(grammar, "grammar")?;
            if grammar.contains("x-guidance") {
                return Err(refuse("grammar", "may not set `x-guidance` options"));
            }
            (grammar.clone(), "grammar")
        }
        Constraint::Substring(text) => {
            size(text.len(), MAX_BYTES / 4, "substring")?;
            let rule = format!("start: %regex {}", json!({"substring_chars": text}));
            (rule, "substring")
        }
        Constraint::Choice(choices) => {
            size(choices.iter().map(String::len).sum(), MAX_BYTES, "choice")?;
            if choices.is_empty() || choices.len() > MAX_CHOICES {
                return Err(refuse("choice", format!("takes 1 to {MAX_CHOICES} strings")));
            }
            let choices: Vec<String> = choices.iter().map(|choice| literal(choice)).collect();
            (format!("start: {}", choices.join(" | ")), "choice")
        }
    }))
}

/// A grammar of tool calls: one call of the named function, or one or more of any.
///
/// # Errors
/// `Invalid` if a function's parameters cannot be honoured.
pub(crate) fn calls(tools: &[Tool], named: Option<&str>, format: CallFormat) -> Result<String, EngineError> {
    let offered: Vec<&Tool> = tools
        .iter()
        .filter(|tool| named.is_none_or(|name| tool.function.name == name))
        .collect();
    if offered.is_empty() {
        let what = named.map_or("no functions are offered".into(), |name| {
            format!("the function `{name}` is not among `tools`")
        });
        return Err(refuse("tool_choice", format!("cannot be honoured: {what}")));
    }
    let key = if format == CallFormat::Llama {
        "parameters"
    } else {
        "arguments"
    };
    let mut rules = String::new();
    let mut bodies = Vec::new();
    for (i, tool) in offered.iter().enumerate() {
        let parameters = tool
            .function
            .parameters
            .clone()
            .unwrap_or_else(|| json!({"type": "object"}));
        check_schema(&parameters, "tools")?;
        let head = format!("{{\"name\": {}, \"{key}\": ", json!(tool.function.name));
        bodies.push(format!("{} arguments_{i} \"}}\"", literal(&head)));
        rules += &format!("arguments_{i}: {}\n", json_rule(&parameters));
    }
    let body = bodies.join(" | ");
    let more = named.is_none();
    let calls = match format {
        CallFormat::Tagged => {
            let call = format!("call: \"<tool_call>\\n\" body \"\\n</tool_call>\"\nbody: {body}");
            format!("calls: call{}\n{call}", if more { " (\"\\n\" call)*" } else { "" })
        }
        CallFormat::Mistral => {
            format!(
                "calls: \"[TOOL_CALLS][\" body{} \"]\"\nbody: {body}",
                if more { " (\", \" body)*" } else { "" }
            )
        }
        CallFormat::Llama => format!("calls: {body}"),
    };
    Ok(format!("{calls}\n{rules}"))
}

/// Tool calls alone, or content that fits `content` (a grammar from `to_lark` of one line) as well.
pub(crate) fn either(calls: &str, content: Option<&str>) -> String {
    match content.and_then(|content| content.strip_prefix("start: ")) {
        Some(content) => format!("start: content | calls\ncontent: {content}\n{calls}"),
        None => format!("start: calls\n{calls}"),
    }
}

fn json_rule(schema: &Value) -> String {
    let mut schema = match schema {
        Value::Bool(true) => json!({}),
        schema => plain(schema.clone()),
    };
    if let Some(object) = schema.as_object_mut() {
        object.insert("x-guidance".into(), json!({"whitespace_pattern": WHITESPACE}));
    }
    format!("%json {schema}")
}

/// A string in Lark's syntax.
fn literal(text: &str) -> String {
    json!(text).to_string()
}

fn refuse(param: &str, what: impl std::fmt::Display) -> EngineError {
    crate::sampling::invalid(param, what)
}

fn size(bytes: usize, limit: usize, param: &str) -> Result<(), EngineError> {
    if bytes <= limit {
        return Ok(());
    }
    Err(refuse(param, format!("has {bytes} bytes; at most {limit} are taken")))
}

/// Brackets that are open at once, whatever they mean.
fn nesting(text: &str, param: &str) -> Result<(), EngineError> {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest <= 4 * MAX_DEPTH {
        return Ok(());
    }
    Err(refuse(
        param,
        format!("nests {deepest} brackets; at most {} are taken", 4 * MAX_DEPTH),
    ))
}

/// Refuses what is too large or too deep, and every keyword that would not be honoured.
fn check_schema(schema: &Value, param: &str) -> Result<(), EngineError> {
    if !schema.is_object() && schema != &Value::Bool(true) {
        return Err(refuse(param, "needs a JSON schema that is an object"));
    }
    let mut stack = vec![(schema, 1usize, true)]; // value, depth, whether it is a schema
    while let Some((value, depth, is_schema)) = stack.pop() {
        if depth > MAX_DEPTH {
            return Err(refuse(param, format!("has a schema more than {MAX_DEPTH} levels deep")));
        }
        match value {
            Value::Array(list) => stack.extend(list.iter().map(|value| (value, depth + 1, is_schema))),
            Value::Object(fields) if is_schema => {
                for (key, value) in fields {
                    if !is_note(key, value) && !KEYWORDS.contains(&key.as_str()) {
                        return Err(refuse(
                            param,
                            format!("has the schema keyword `{key}`, which is not supported; leave it out"),
                        ));
                    }
                    if value.as_u64().is_some_and(|count| count > MAX_COUNT)
                        && (key.ends_with("Items") || key.ends_with("Length") || key.ends_with("Properties"))
                    {
                        return Err(refuse(
                            param,
                            format!("has `{key}` above {MAX_COUNT}, which is not supported"),
                        ));
                    }
                    if NAMED.contains(&key.as_str()) {
                        let named = value.as_object().into_iter().flat_map(|map| map.values());
                        stack.extend(named.map(|value| (value, depth + 2, true)));
                    } else {
                        // What is not a schema is plain data.
                        stack.push((value, depth + 1, NESTED.contains(&key.as_str())));
                    }
                }
            }
            Value::Object(fields) => stack.extend(fields.values().map(|value| (value, depth + 1, false))),
            _ => {}
        }
    }
    size(schema.to_string().len(), MAX_BYTES, param)
}
