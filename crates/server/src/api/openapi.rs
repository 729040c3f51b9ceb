//! `/openapi.json`: this API, described for programs. Types come from the shapes themselves; what the derive cannot
//! say (lengths of alternatives, roles) is added here.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::extract::State;
use axum::response::IntoResponse;
use candor_wire::error::ErrorResponse;
use http::header;
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, OpenApi};

use super::{chat, completions, embeddings, health, metrics, models, receipts, tokenize};
use crate::{App, files, responses, vector_stores};

/// Everything that a route with a body may answer besides 200.
pub(crate) struct Errors;

impl IntoResponses for Errors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        #[derive(utoipa::IntoResponses)]
        #[expect(dead_code, reason = "only its description is used")]
        enum Described {
            /// The request does not fit; `error.param` names the field.
            #[response(status = 400)]
            Invalid(ErrorResponse),
            /// The API key is missing or wrong.
            #[response(status = 401)]
            Unauthorized(ErrorResponse),
            /// A name or page that may not use this server.
            #[response(status = 403)]
            Forbidden(ErrorResponse),
            /// No such model.
            #[response(status = 404)]
            NotFound(ErrorResponse),
            /// The body came too slowly.
            #[response(status = 408)]
            Timeout(ErrorResponse),
            /// The body is too large.
            #[response(status = 413)]
            TooLarge(ErrorResponse),
            /// The body is not declared as JSON.
            #[response(status = 415)]
            ContentType(ErrorResponse),
            /// Too many requests; `Retry-After` says when to come back.
            #[response(status = 429)]
            Busy(ErrorResponse),
            /// A bug or a broken machine.
            #[response(status = 500)]
            Internal(ErrorResponse),
            /// Loading or shutting down; `Retry-After` says when to come back.
            #[response(status = 503)]
            Unavailable(ErrorResponse),
            /// The machine's memory does not hold this request.
            #[response(status = 507)]
            Memory(ErrorResponse),
        }
        Described::responses()
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Candor",
        description = "An OpenAI-compatible API for models on your own machine."
    ),
    paths(
        models::list,
        models::one,
        chat::chat,
        completions::completions,
        embeddings::embeddings,
        tokenize::tokenize,
        tokenize::detokenize,
        tokenize::info,
        responses::create,
        responses::fetch,
        responses::delete,
        responses::cancel,
        responses::input_items,
        files::list,
        files::upload,
        files::one,
        files::delete,
        files::content,
        files::text,
        vector_stores::list,
        vector_stores::create,
        vector_stores::one,
        vector_stores::change,
        vector_stores::delete,
        vector_stores::search,
        vector_stores::files,
        vector_stores::attach,
        vector_stores::one_file,
        vector_stores::change_file,
        vector_stores::detach,
        vector_stores::file_content,
        vector_stores::create_batch,
        vector_stores::one_batch,
        vector_stores::cancel_batch,
        vector_stores::batch_files,
        receipts::one,
        receipts::delete,
        health::health,
        health::ready,
        metrics::metrics,
    )
)]
struct Document;

/// `GET /openapi.json`
pub(super) async fn document(State(app): State<App>) -> impl IntoResponse {
    let mut document = described().clone();
    if let Some(document) = document.as_object_mut() {
        let base = app.config.base();
        document.insert(
            "servers".into(),
            json!([{ "url": if base.is_empty() { "/".into() } else { base } }]),
        );
        if app.config.api_key.is_some() {
            document.insert("security".into(), json!([{ "key": [] }]));
        }
    }
    ([(header::CONTENT_TYPE, "application/json")], document.to_string())
}

/// The document without what the configuration decides.
pub(crate) fn described() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
        document["components"]["securitySchemes"] = json!({ "key": { "type": "http", "scheme": "bearer" } });
        if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
            refine(schemas);
        }
        if let Some(paths) = document.get_mut("paths") {
            streams(paths);
        }
        document
    })
}

/// A stream's schema is that of one event, whose data is the text of the object, or of an error; the last
/// one's is `[DONE]`.
fn streams(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(schema) = fields
                .get_mut("text/event-stream")
                .and_then(|stream| stream.get_mut("schema"))
            {
                let object = json!({ "anyOf": [schema.take(), { "$ref": "#/components/schemas/ErrorResponse" }] });
                let text = json!({ "type": "string", "contentMediaType": "application/json", "contentSchema": object });
                let data = json!({ "anyOf": [{ "const": "[DONE]" }, text] });
                *schema = json!({ "type": "object", "required": ["data"], "properties": { "data": data } });
            }
            fields.values_mut().for_each(streams);
        }
        Value::Array(items) => items.iter_mut().for_each(streams),
        _ => {}
    }
}

/// Adds what the derive cannot say.
fn refine(schemas: &mut serde_json::Map<String, Value>) {
    let many = |items: Value, most: Option<usize>| {
        let mut list = json!({ "type": "array", "items": items, "minItems": 1 });
        if let Some(most) = most {
            list["maxItems"] = most.into();
        }
        list
    };
    let id = || json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    let ids = || many(id(), None);
    for (name, most, least) in [("CompletionPrompt", 128, 0), ("EmbeddingInput", 2048, 1)] {
        let text = || json!({ "type": "string", "minLength": least });
        // Not `oneOf`: the alternatives do not overlap, and `anyOf` is kinder to generators.
        schemas.insert(
            name.into(),
            json!({ "anyOf": [text(), many(text(), Some(most)), ids(), many(ids(), Some(most))] }),
        );
    }
    let stop = || json!({ "type": "string", "minLength": 1, "maxLength": 1024 });
    let stops = json!({ "type": "array", "items": stop(), "maxItems": 16 });
    schemas.insert("StringOrArray".into(), json!({ "anyOf": [stop(), stops] }));
    set(
        schemas,
        "Message",
        "role",
        json!({ "enum": ["system", "developer", "user", "assistant", "tool"] }),
    );
    set(schemas, "ContentPart", "type", json!({ "enum": ["text"] }));
    set(schemas, "Tool", "type", json!({ "enum": ["function"] }));
    set(
        schemas,
        "Function",
        "name",
        json!({ "pattern": "^[A-Za-z0-9_.-]{1,64}$" }),
    );
    if let Some(part) = schemas.get_mut("ContentPart") {
        part["required"] = json!(["type", "text"]);
        part["properties"]["text"] = json!({ "type": "string" });
    }
    if let Some(message) = schemas.get_mut("Message") {
        message["required"] = json!(["role"]); // an assistant turn may have no content
        message["properties"]["content"] =
            json!({ "anyOf": [{ "$ref": "#/components/schemas/Content" }, { "type": "null" }] });
    }
    // A JSON schema is an object or a boolean; vLLM's fields take its text as well.
    set(
        schemas,
        "JsonSchemaFormat",
        "schema",
        json!({ "type": ["object", "boolean", "string", "null"] }),
    );
    set(
        schemas,
        "Options",
        "guided_json",
        json!({ "type": ["object", "boolean", "string", "null"] }),
    );
    set(
        schemas,
        "StructuredOutputs",
        "json",
        json!({ "type": ["object", "boolean", "string", "null"] }),
    );
    for name in ["ResponsesToolChoice", "Input", "InputContent"] {
        // What fits two alternatives is taken as the first.
        if let Some(schema) = schemas.get_mut(name).and_then(Value::as_object_mut)
            && let Some(alternatives) = schema.remove("oneOf")
        {
            schema.insert("anyOf".into(), alternatives);
        }
    }
    bounded_integers(schemas);
}

fn set(schemas: &mut serde_json::Map<String, Value>, schema: &str, property: &str, extra: Value) {
    let Some(found) = schemas
        .get_mut(schema)
        .and_then(|schema| schema.pointer_mut(&format!("/properties/{property}")))
    else {
        return;
    };
    if let (Some(found), Value::Object(extra)) = (found.as_object_mut(), extra) {
        found.extend(extra);
    }
}

/// Gives every 32-bit integer its upper limit, which JSON Schema does not take from `format`.
fn bounded_integers(schemas: &mut serde_json::Map<String, Value>) {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                let format = fields.get("format").and_then(Value::as_str).map(str::to_owned);
                let limits = match format.as_deref() {
                    Some("int32")
                        if fields
                            .get("minimum")
                            .and_then(Value::as_i64)
                            .is_some_and(|least| least >= 0) =>
                    {
                        Some((json!(0), json!(u32::MAX)))
                    }
                    Some("int32") => Some((json!(i32::MIN), json!(i32::MAX))),
                    Some("int64") if !fields.contains_key("minimum") => Some((json!(i64::MIN), json!(i64::MAX))),
                    _ => None,
                };
                if let Some((low, high)) = limits {
                    fields.entry("minimum").or_insert(low);
                    fields.entry("maximum").or_insert(high);
                }
                fields.values_mut().for_each(walk);
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            _ => {}
        }
    }
    schemas.values_mut().for_each(walk);
}
