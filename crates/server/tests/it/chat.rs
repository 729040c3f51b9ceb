//! `/v1/chat/completions`.

use serde_json::{Value, json};

use super::{chat, complete};

fn weather() -> Value {
    let parameters = json!({ "type": "object", "properties": { "location": { "type": "string" } } });
    json!([{ "type": "function", "function": { "name": "get_weather", "parameters": parameters } }])
}

#[tokio::test]
async fn a_question_is_answered_with_usage_and_fingerprint() {
    let reply = chat(
        "Hi",
        json!({ "max_completion_tokens": 5, "metadata": { "a": "b" }, "user": "me", "unknown": 1 }),
    )
    .await;
    let body = reply.json();
    assert_eq!(reply.status, 200, "{body}");
    assert_eq!(body["object"], "chat.completion");
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(body["system_fingerprint"], "fp_fake");
    assert_eq!(body["choices"][0]["message"]["content"], "Hello");
    assert_eq!(body["choices"][0]["message"]["refusal"], Value::Null);
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(body["usage"]["completion_tokens"], 5);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
    let total = body["usage"]["prompt_tokens"].as_u64().unwrap() + 5;
    assert_eq!(body["usage"]["total_tokens"].as_u64(), Some(total));
}

#[tokio::test]
async fn several_answers_count_the_prompt_once() {
    let body = chat("Hi", json!({ "n": 3, "seed": -1 })).await.json();
    let one = chat("Hi", json!({})).await.json();
    assert_eq!(body["choices"].as_array().unwrap().len(), 3);
    assert_eq!(body["choices"][2]["index"], 2);
    assert_eq!(body["usage"]["prompt_tokens"], one["usage"]["prompt_tokens"]);
    assert_eq!(body["usage"]["completion_tokens"], 36);
}

#[tokio::test]
async fn a_stream_begins_with_the_role_and_ends_with_reason_usage_and_done() {
    let reply = chat(
        "Hi",
        json!({ "stream": true, "stream_options": { "include_usage": true } }),
    )
    .await;
    let events = reply.events();
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let text: String = events
        .iter()
        .filter_map(|e| e["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "Hello there.");
    assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], "stop");
    let last = events.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 12);
    assert!(events[1]["usage"].is_null() && events[1].get("usage").is_some());
    assert!(
        events
            .iter()
            .all(|event| event["id"] == events[0]["id"] && event["object"] == "chat.completion.chunk")
    );
}

#[tokio::test]
async fn a_stream_without_usage_has_no_usage_field() {
    let events = chat("Hi", json!({ "stream": true })).await.events();
    assert!(events.iter().all(|event| event.get("usage").is_none()));
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_is_an_event_and_then_done() {
    for word in ["BREAK", "LATER"] {
        let events = chat(word, json!({ "stream": true })).await.events();
        let error = &events.last().unwrap()["error"];
        assert_eq!(error["type"], "server_error", "{word}");
    }
}

#[tokio::test]
async fn what_fails_before_the_first_event_of_a_stream_has_its_own_status() {
    let reply = chat("OVERLOAD", json!({ "stream": true })).await;
    reply.error(429);
    assert_eq!(reply.header("retry-after"), "7");
}

#[tokio::test]
async fn tools_are_called_when_asked_for() {
    let tools = weather();
    let body = chat("What is the weather?", json!({ "tools": tools })).await.json();
    let calls = body["choices"][0]["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["type"], "function");
    assert_eq!(calls[0]["function"]["name"], "get_weather");
    assert_eq!(body["choices"][0]["message"]["content"], Value::Null);
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");

    let one = json!({ "tools": tools, "tool_choice": "required", "parallel_tool_calls": false });
    let body = chat("Hi", one).await.json();
    assert_eq!(body["choices"][0]["message"]["tool_calls"].as_array().unwrap().len(), 1);

    let named = json!({ "type": "function", "function": { "name": "get_weather" } });
    let events = chat("Hi", json!({ "tools": tools, "tool_choice": named, "stream": true }))
        .await
        .events();
    let call = &events[1]["choices"][0]["delta"]["tool_calls"][0];
    assert_eq!((call["index"].as_u64(), call["id"].as_str()), (Some(0), Some("call_1")));
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn tool_choices_that_cannot_be_met_are_refused() {
    assert_eq!(
        chat("Hi", json!({ "tool_choice": "required" })).await.error(400)["param"],
        "tool_choice"
    );
    let other = json!({ "type": "function", "function": { "name": "other" } });
    let reply = chat("Hi", json!({ "tools": weather(), "tool_choice": other })).await;
    assert_eq!(reply.error(400)["param"], "tool_choice");
    chat("Hi", json!({ "tools": weather(), "tool_choice": "sometimes" }))
        .await
        .error(400);
    let bad = json!([{ "type": "function", "function": { "name": "no spaces" } }]);
    assert_eq!(
        chat("Hi", json!({ "tools": bad })).await.error(400)["param"],
        "tools[0].function.name"
    );
}

#[tokio::test]
async fn every_spelling_of_a_constraint_arrives_and_two_at_once_are_refused() {
    let schema = json!({ "type": "object" });
    for (field, value, answer) in [
        ("response_format", json!({ "type": "text" }), "Hello there."),
        ("response_format", json!({ "type": "json_object" }), "{\"ok\": true}"),
        (
            "response_format",
            json!({ "type": "json_schema", "json_schema": { "name": "a", "schema": schema } }),
            "{\"ok\": true}",
        ),
        ("guided_json", schema.clone(), "{\"ok\": true}"),
        ("guided_json", json!(schema.to_string()), "{\"ok\": true}"),
        ("guided_regex", json!("a+"), "a+"),
        ("guided_choice", json!(["yes", "no"]), "yes"),
        ("guided_grammar", json!("start: \"a\""), "Hello there."),
        ("structured_outputs", json!({ "choice": ["no"] }), "no"),
        ("structured_outputs", json!({ "regex": "b" }), "b"),
        ("structured_outputs", json!({ "json": schema }), "{\"ok\": true}"),
    ] {
        let body = chat("Hi", json!({ field: value })).await.json();
        assert_eq!(body["choices"][0]["message"]["content"], answer, "{field}");
    }
    chat("Hi", json!({ "guided_regex": "a", "guided_choice": ["b"] }))
        .await
        .error(400);
    chat("Hi", json!({ "guided_json": 7 })).await.error(400);
    // What is not understood would leave the output free.
    for wrong in [
        json!({ "structured_outputs": {} }),
        json!({ "structured_outputs": { "json": null } }),
        json!({ "structured_outputs": { "structural_tag": "{}" } }),
        json!({ "grammar": "root ::= \"a\"" }),
        json!({ "json_schema": schema }),
        json!({ "regex": "a" }),
        json!({ "response_format": { "type": "structural_tag" } }),
    ] {
        chat("Hi", wrong).await.error(400);
    }
    chat("Hi", json!({ "guided_choice": [] })).await.error(400);
    chat("Hi", json!({ "response_format": { "type": "xml" } }))
        .await
        .error(400);
}

#[tokio::test]
async fn log_probabilities_come_with_bytes_and_alternatives() {
    let body = chat("Hi", json!({ "logprobs": true, "top_logprobs": 2 })).await.json();
    let tokens = body["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(tokens.len(), 12);
    assert_eq!(
        tokens[0],
        json!({ "token": "H", "logprob": -1.5, "bytes": [72], "top_logprobs": [
        { "token": "a", "logprob": -0.25, "bytes": [97] }, { "token": "b", "logprob": -1.25, "bytes": [98] }] })
    );
    let body = chat("Hi", json!({ "logprobs": true, "return_tokens_as_token_ids": true }))
        .await
        .json();
    assert_eq!(body["choices"][0]["logprobs"]["content"][0]["token"], "token_id:72");
    let events = chat("Hi", json!({ "logprobs": true, "stream": true })).await.events();
    assert_eq!(events[1]["choices"][0]["logprobs"]["content"][0]["token"], "H");
    chat("Hi", json!({ "logprobs": true, "top_logprobs": 21 }))
        .await
        .error(400);
    chat("Hi", json!({ "top_logprobs": 2 })).await.error(400);
}

#[tokio::test]
async fn hostile_numbers_are_refused_with_their_range() {
    for (field, value) in [
        ("temperature", json!(-0.1)),
        ("temperature", json!(2.5)),
        ("temperature", json!(1e300)),
        ("temperature", json!("hot")),
        ("top_p", json!(1.1)),
        ("top_k", json!(-2)),
        ("top_k", json!(1e20)),
        ("min_p", json!(-1)),
        ("typical_p", json!(0)),
        ("repetition_penalty", json!(0)),
        ("presence_penalty", json!(-3)),
        ("frequency_penalty", json!(3)),
        ("dry_multiplier", json!(-1)),
        ("dry_base", json!(0.5)),
        ("dry_allowed_length", json!(-1)),
        ("dry_sequence_breakers", json!([""])),
        ("n", json!(0)),
        ("n", json!(129)),
        ("n", json!(-1)),
        ("max_tokens", json!(0)),
        ("max_tokens", json!(-1)),
        ("max_completion_tokens", json!(1.5)),
        ("max_completion_tokens", json!(99_999_999_999_i64)),
        ("logit_bias", json!({ "x": 1 })),
        ("logit_bias", json!({ "1": 101 })),
        ("logit_bias", json!({ "-1": 1 })),
        ("stop", json!([""])),
        ("stop", json!(vec!["a"; 17])),
        ("stop_token_ids", json!([-1])),
        ("seed", json!(0.5)),
        ("stream_options", json!({ "include_usage": true })),
    ] {
        let error = chat("Hi", json!({ field: value })).await.error(400);
        assert!(
            error["param"].as_str().is_some_and(|param| param.starts_with(field)),
            "{field}: {error}"
        );
    }
}

#[tokio::test]
async fn null_is_the_default_of_every_optional_field() {
    let nulls = json!({ "temperature": null, "n": null, "stop": null, "tools": null, "logprobs": null, "stream": null,
        "response_format": null, "seed": null, "logit_bias": null, "max_tokens": null, "stream_options": null,
        "tool_choice": null, "audio": null, "functions": null });
    assert_eq!(chat("Hi", nulls).await.status, 200);
}

#[tokio::test]
async fn what_would_change_the_meaning_of_the_answer_is_refused() {
    for (field, value) in [
        ("audio", json!({ "voice": "alloy" })),
        ("modalities", json!(["text", "audio"])),
        ("functions", json!([{ "name": "f" }])),
        ("web_search_options", json!({ "a": 1 })),
        ("min_tokens", json!(3)),
        ("chat_template", json!("{{ messages }}")),
        ("truncate_prompt_tokens", json!(5)),
    ] {
        assert_eq!(chat("Hi", json!({ field: value })).await.error(400)["param"], field);
    }
    complete(json!({ "suffix": "end", "prompt": "a" })).await.error(400);
}

#[tokio::test]
async fn messages_must_be_text_of_a_known_role() {
    let image = json!([{ "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "image_url", "image_url": { "url": "x" } }] }]);
    for (messages, param) in [
        (json!([]), "messages"),
        (json!([{ "role": "wizard", "content": "a" }]), "messages[0].role"),
        (json!([{ "role": "user" }]), "messages[0].content"),
        (json!([{ "role": "user", "content": null }]), "messages[0].content"),
        (image, "messages[0].content"),
    ] {
        assert_eq!(
            chat("", json!({ "messages": messages })).await.error(400)["param"],
            param
        );
    }
    let call = json!([{ "id": "1", "type": "function", "function": { "name": "f", "arguments": "{}" } }]);
    let messages = json!([{ "role": "developer", "content": "Be brief." }, { "role": "user", "content": [{ "type": "text", "text": "a" }] },
        { "role": "assistant", "content": null, "tool_calls": call }, { "role": "tool", "tool_call_id": "1", "content": "5" },
        { "role": "assistant", "content": null }, { "role": "user", "content": "b" }]);
    assert_eq!(chat("", json!({ "messages": messages })).await.status, 200);
}
