//! `/v1/embeddings`, `/tokenize`, `/detokenize`, `/v1/models`.

use base64::Engine;
use serde_json::{Value, json};

use super::{app, get, post};

#[tokio::test]
async fn embeddings_come_as_numbers_or_base64() {
    let body = post(
        &app(),
        "/v1/embeddings",
        &json!({ "model": "fake", "input": ["a", "bc"] }),
    )
    .await
    .json();
    assert_eq!(body["object"], "list");
    assert_eq!(body["data"][1]["index"], 1);
    assert_eq!(body["data"][0]["embedding"], json!([1.0, 0.0, -0.5]));
    assert_eq!(body["usage"], json!({ "prompt_tokens": 3, "total_tokens": 3 }));
    let asked = json!({ "model": "fake", "input": [1, 2], "encoding_format": "base64", "dimensions": 3 });
    let body = post(&app(), "/v1/embeddings", &asked).await.json();
    let text = body["data"][0]["embedding"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    assert_eq!(
        bytes,
        [1.0_f32, 0.0, -0.5]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn embeddings_are_never_cut_and_never_of_nothing() {
    for more in [
        json!({ "input": "a", "dimensions": 2 }),
        json!({ "input": "a", "dimensions": 0 }),
        json!({ "input": "" }),
        json!({ "input": [] }),
        json!({ "input": ["a", ""] }),
        json!({ "input": [[]] }),
        json!({ "input": "a", "encoding_format": "int8" }),
        json!({ "input": 5 }),
        json!({ "input": vec!["a"; 2049] }),
        json!({}),
    ] {
        let mut body = json!({ "model": "fake" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post(&app(), "/v1/embeddings", &body).await.error(400);
    }
}

#[tokio::test]
async fn text_is_tokenized_in_the_shape_of_vllm() {
    let body = post(&app(), "/tokenize", &json!({ "model": "fake", "prompt": "<s>a" }))
        .await
        .json();
    assert_eq!(
        body,
        json!({ "count": 3, "max_model_len": 4096, "tokens": [256, 256, 97], "token_strs": null })
    );
    let plain =
        json!({ "prompt": "<s>a", "parse_special": false, "add_special_tokens": false, "return_token_strs": true });
    let body = post(&app(), "/tokenize", &plain).await.json();
    assert_eq!(body["tokens"], json!([60, 115, 62, 97]));
    assert_eq!(body["token_strs"], json!(["<", "s", ">", "a"]));
    let chat = json!({ "messages": [{ "role": "user", "content": "a" }], "add_generation_prompt": false });
    assert_eq!(post(&app(), "/tokenize", &chat).await.json()["count"], 8);
    let both = json!({ "prompt": "a", "messages": [{ "role": "user", "content": "a" }] });
    post(&app(), "/tokenize", &both).await.error(400);
    post(&app(), "/tokenize", &json!({})).await.error(400);
}

#[tokio::test]
async fn tokens_become_text_again() {
    let body = post(&app(), "/detokenize", &json!({ "tokens": [72, 105] }))
        .await
        .json();
    assert_eq!(body, json!({ "prompt": "Hi" }));
    assert_eq!(
        post(&app(), "/detokenize", &json!({ "tokens": [228] })).await.json()["prompt"],
        "\u{fffd}"
    );
    post(&app(), "/detokenize", &json!({ "tokens": [70000] }))
        .await
        .error(400);
    post(&app(), "/detokenize", &json!({ "tokens": [-1] })).await.error(400);
}

#[tokio::test]
async fn models_are_listed_and_found() {
    let body = get(&app(), "/v1/models").await.json();
    assert_eq!(body["data"][0]["id"], "fake");
    assert_eq!(get(&app(), "/v1/models/fake").await.json(), body["data"][0]);
    let error = get(&app(), "/v1/models/some/other").await.error(404);
    assert_eq!(error["code"], "model_not_found");
    assert!(error["message"].as_str().unwrap().contains("fake"));
    for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"] {
        let body: Value =
            json!({ "model": "x", "messages": [{ "role": "user", "content": "a" }], "prompt": "a", "input": "a" });
        assert_eq!(post(&app(), path, &body).await.error(404)["param"], "model");
    }
}
