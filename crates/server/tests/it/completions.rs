//! `/v1/completions`.

use serde_json::{Value, json};

use super::complete;

#[tokio::test]
async fn a_prompt_of_each_kind_is_continued() {
    for (prompt, choices) in [
        (json!("Once"), 1),
        (json!(["a", "b"]), 2),
        (json!([79, 80]), 1),
        (json!([[79], [80, 81]]), 2),
    ] {
        let body = complete(json!({ "prompt": prompt, "max_tokens": 5 })).await.json();
        assert_eq!(body["object"], "text_completion", "{body}");
        assert_eq!(body["choices"].as_array().unwrap().len(), choices);
        assert_eq!(body["choices"][choices - 1]["index"], choices - 1);
        assert_eq!(body["choices"][0]["text"], "Hello");
        assert_eq!(body["choices"][0]["finish_reason"], "length");
    }
    for prompt in [
        json!([]),
        json!([[]]),
        json!(5),
        json!([1, "a"]),
        json!([-1]),
        json!(vec!["a"; 129]),
    ] {
        assert_eq!(
            complete(json!({ "prompt": prompt })).await.error(400)["param"],
            "prompt"
        );
    }
}

#[tokio::test]
async fn usage_adds_up_over_prompts_and_answers() {
    let body = complete(json!({ "prompt": ["a", "bc"], "n": 2, "max_tokens": 3 }))
        .await
        .json();
    // A BOS and the bytes of each prompt, once per prompt; three tokens in each of four answers.
    assert_eq!(body["usage"]["prompt_tokens"], 5);
    assert_eq!(body["usage"]["completion_tokens"], 12);
    assert_eq!(body["choices"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn echo_with_log_probabilities_scores_the_prompt() {
    for most in [0, 1] {
        let asked = json!({ "prompt": "Once", "max_tokens": most, "echo": true, "logprobs": 1 });
        let body = complete(asked).await.json();
        let choice = &body["choices"][0];
        assert_eq!(choice["text"], ["Once", "OnceH"][most], "{body}");
        let list = |name: &str| choice["logprobs"][name].as_array().unwrap().clone();
        assert_eq!(list("tokens").len(), 5 + most);
        assert_eq!(list("tokens")[1], "O");
        assert_eq!(list("token_logprobs")[0], Value::Null);
        assert_eq!(list("token_logprobs")[1], -1.5);
        assert_eq!(list("top_logprobs")[0], Value::Null);
        assert_eq!(list("top_logprobs")[1], json!({ "a": -0.25, "O": -1.5 }));
        assert_eq!(list("text_offset")[..5], [0, 0, 1, 2, 3].map(Value::from));
    }
}

#[tokio::test]
async fn token_prompts_are_scored_token_by_token_as_evaluation_harnesses_ask() {
    let asked = json!({ "prompt": [[79, 110], [99]], "max_tokens": 1, "echo": true, "logprobs": 1, "temperature": 0,
        "seed": 1234, "return_tokens_as_token_ids": true });
    let body = complete(asked).await.json();
    assert_eq!(body["choices"][0]["text"], "OnH");
    assert_eq!(
        body["choices"][0]["logprobs"]["tokens"],
        json!(["token_id:79", "token_id:110", "token_id:72"])
    );
    assert_eq!(body["choices"][1]["logprobs"]["tokens"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn echo_without_log_probabilities_gives_the_prompt_back() {
    let body = complete(json!({ "echo": true, "max_tokens": 2 })).await.json();
    assert_eq!(body["choices"][0]["text"], "OnceHe");
    assert_eq!(body["choices"][0]["logprobs"], Value::Null);
    let events = complete(json!({ "echo": true, "max_tokens": 2, "stream": true }))
        .await
        .events();
    let text: String = events
        .iter()
        .filter_map(|event| event["choices"][0]["text"].as_str())
        .collect();
    assert_eq!(text, "OnceHe");
    let body = complete(json!({ "prompt": [72, 105], "echo": true, "max_tokens": 1 }))
        .await
        .json();
    assert_eq!(body["choices"][0]["text"], "HiH");
}

#[tokio::test]
async fn a_stream_holds_log_probabilities_and_usage() {
    let asked = json!({ "stream": true, "logprobs": 0, "max_tokens": 3, "stream_options": { "include_usage": true } });
    let events = complete(asked).await.events();
    assert_eq!(events[0]["choices"][0]["logprobs"]["tokens"], json!(["H"]));
    assert_eq!(events[1]["choices"][0]["logprobs"]["text_offset"], json!([1]));
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 3);
}

#[tokio::test]
async fn the_bos_rule_can_be_left_out() {
    let with = complete(json!({})).await.json();
    let without = complete(json!({ "add_special_tokens": false })).await.json();
    assert_eq!(with["usage"]["prompt_tokens"], 5);
    assert_eq!(without["usage"]["prompt_tokens"], 4);
}

#[tokio::test]
async fn a_prompt_longer_than_the_context_is_an_error_that_says_so_and_is_never_cut() {
    let error = complete(json!({ "prompt": "a".repeat(10_000_000) })).await.error(400);
    assert_eq!(error["code"], "context_length_exceeded");
    assert!(error["message"].as_str().unwrap().contains("4096"));
}

#[tokio::test]
async fn numbers_of_this_route_are_checked_too() {
    complete(json!({ "logprobs": 21 })).await.error(400);
    complete(json!({ "prompt": vec!["a"; 100], "n": 2 })).await.error(400);
    complete(json!({ "prompt": [70000] })).await.error(400);
    assert_eq!(
        complete(json!({ "max_tokens": 0 })).await.json()["choices"][0]["text"],
        ""
    );
}
