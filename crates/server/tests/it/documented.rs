//! `/openapi.json` and `/metrics`.

use serde_json::Value;

use super::{app, chat, get};

#[tokio::test]
async fn the_document_names_every_route_and_every_reference_in_it_leads_somewhere() {
    let document = get(&app(), "/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for path in [
        "/v1/models",
        "/v1/models/{id}",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/tokenize",
        "/detokenize",
        "/tokenizer_info",
        "/v1/responses",
        "/v1/responses/{id}",
        "/v1/responses/{id}/cancel",
        "/v1/responses/{id}/input_items",
        "/v1/files",
        "/v1/files/{id}",
        "/v1/files/{id}/content",
        "/v1/files/{id}/text",
        "/v1/vector_stores",
        "/v1/vector_stores/{id}",
        "/v1/vector_stores/{id}/search",
        "/v1/vector_stores/{id}/files",
        "/v1/vector_stores/{id}/files/{file_id}",
        "/v1/vector_stores/{id}/files/{file_id}/content",
        "/v1/vector_stores/{id}/file_batches",
        "/v1/vector_stores/{id}/file_batches/{batch_id}",
        "/v1/vector_stores/{id}/file_batches/{batch_id}/cancel",
        "/v1/vector_stores/{id}/file_batches/{batch_id}/files",
        "/health",
        "/ready",
        "/metrics",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let target = document.pointer(reference.strip_prefix('#').unwrap());
                    assert!(target.is_some(), "{reference}");
                }
                fields.values().for_each(|value| walk(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, document)),
            _ => {}
        }
    }
    walk(&document, &document);
    let errors = &document["paths"]["/v1/chat/completions"]["post"]["responses"];
    for status in [
        "200", "400", "401", "403", "404", "408", "413", "415", "429", "500", "503", "507",
    ] {
        assert!(errors[status].is_object(), "{status}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_unknown_path() {
    chat("Hi", serde_json::json!({})).await;
    get(&app(), "/some-secret-path").await;
    let reply = get(&app(), "/metrics").await;
    assert!(reply.header("content-type").starts_with("text/plain"));
    assert!(reply.text.contains("candor_http_requests_total{"), "{}", reply.text);
    assert!(reply.text.contains("route=\"/v1/chat/completions\""));
    assert!(!reply.text.contains("some-secret-path"));
}

#[tokio::test]
async fn unsigned_numbers_are_described_up_to_their_largest_value() {
    let document = get(&app(), "/openapi.json").await.json();
    let most = &document["components"]["schemas"]["ChatRequest"]["properties"]["max_tokens"]["maximum"];
    assert_eq!(most, &serde_json::json!(u32::MAX));
}

#[tokio::test]
async fn tokenizer_info_has_every_field_that_a_remote_tokenizer_reads() {
    let info = get(&app(), "/tokenizer_info").await.json();
    for field in [
        "tokenizer_class",
        "bos_token",
        "eos_token",
        "pad_token",
        "chat_template",
        "model_max_length",
    ] {
        assert!(info.get(field).is_some(), "{field}");
    }
}

#[tokio::test]
async fn a_streams_schema_is_that_of_one_event() {
    let document = get(&app(), "/openapi.json").await.json();
    for path in ["/v1/chat/completions", "/v1/completions", "/v1/responses"] {
        let stream = &document["paths"][path]["post"]["responses"]["200"]["content"]["text/event-stream"]["schema"];
        assert_eq!(stream["properties"]["data"]["anyOf"][0]["const"], "[DONE]", "{path}");
    }
}
