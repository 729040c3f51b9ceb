//! `/v1/responses` from outside, over a generator that says what the test wants.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake;
mod streaming;

use candor_engine::{Constraint, EngineError, Prompt};
use candor_wire::chat::ToolChoice;
use serde_json::{Value, json};

use crate::fake::{Server, call, finish, long, text};

#[tokio::test]
async fn a_string_is_answered_with_every_field_that_the_specification_asks_for() {
    let server = Server::saying(vec![text("Hello"), text(" there"), finish()]);
    let (status, answer) = server
        .post(
            "/v1/responses",
            json!({"model": "m", "input": "hi", "instructions": "be brief"}),
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    let required = "id object created_at completed_at status incomplete_details model previous_response_id instructions output error tools \
        tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs temperature reasoning user usage \
        max_output_tokens max_tool_calls store background service_tier metadata safety_identifier prompt_cache_key";
    for field in required.split_whitespace() {
        assert!(answer.get(field).is_some(), "{field} is missing");
    }
    assert_eq!(
        (&answer["status"], &answer["object"]),
        (&json!("completed"), &json!("response"))
    );
    let message = &answer["output"][0];
    assert_eq!(message["content"][0]["text"], "Hello there");
    assert_eq!(
        (&message["type"], &message["role"], &message["status"]),
        (&json!("message"), &json!("assistant"), &json!("completed"))
    );
    assert_eq!(
        (
            &answer["usage"]["input_tokens"],
            &answer["usage"]["output_tokens"],
            &answer["usage"]["total_tokens"]
        ),
        (&json!(7), &json!(3), &json!(10))
    );
    assert_eq!(answer["usage"]["input_tokens_details"]["cached_tokens"], 5);
    let messages = server.messages();
    assert_eq!(messages[0], ("system".into(), "be brief".into()));
    assert_eq!(messages[1], ("user".into(), "hi".into()));
}

#[tokio::test]
async fn a_stored_response_is_continued_and_its_instructions_are_not() {
    let server = Server::saying(vec![text("Ada"), finish()]);
    let (_, first) = server
        .post(
            "/v1/responses",
            json!({"model": "m", "input": "who?", "instructions": "be a pirate"}),
        )
        .await;
    let next = json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "and "}, {"type": "input_text", "text": "then?"}]}],
        "previous_response_id": first["id"]});
    let (status, second) = server.post("/v1/responses", next).await;
    assert_eq!(status, 200, "{second}");
    assert_eq!(second["previous_response_id"], first["id"]);
    let turns = [("user", "who?"), ("assistant", "Ada"), ("user", "and then?")];
    assert_eq!(
        server.messages(),
        turns.map(|(role, text)| (role.to_owned(), text.to_owned()))
    );

    let (_, fetched) = server
        .get(&format!("/v1/responses/{}", second["id"].as_str().unwrap()))
        .await;
    assert_eq!(fetched, second);
    let (_, items) = server
        .get(&format!("/v1/responses/{}/input_items", second["id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (
            &items["object"],
            items["data"].as_array().unwrap().len(),
            &items["has_more"]
        ),
        (&json!("list"), 1, &json!(false))
    );
    assert_eq!(items["first_id"], items["data"][0]["id"]);

    let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    assert_eq!(server.send("DELETE", &path, None).await.1["deleted"], true);
    assert_eq!(server.get(&path).await.0, 404);
    assert_eq!(server.send("DELETE", &path, None).await.0, 404);
    let (status, error) = server
        .post(
            "/v1/responses",
            json!({"model": "m", "input": "x", "previous_response_id": first["id"]}),
        )
        .await;
    assert_eq!(
        (status, &error["error"]["type"]),
        (404, &json!("invalid_request_error"))
    );
}

#[tokio::test]
async fn stored_items_may_be_named_by_their_ids() {
    let server = Server::saying(vec![text("Let me look."), call("call_1", "weather", "{}"), finish()]);
    let (_, first) = server
        .post(
            "/v1/responses",
            json!({"model": "m", "input": "weather?", "user": "ada", "include": ["web_search_call.action.sources"]}),
        )
        .await;
    assert_eq!(first["user"], "ada");
    let (said, called) = (&first["output"][0]["id"], &first["output"][1]["id"]);
    // As Vercel's SDK sends a conversation: what was stored by reference, the rest in full.
    let output = json!({"type": "function_call_output", "call_id": "call_1", "output": "sunny"});
    let input = json!([{"role": "user", "content": "weather?"}, {"type": "item_reference", "id": said}, {"id": called}, output]);
    let (status, second) = server
        .post("/v1/responses", json!({"model": "m", "input": input}))
        .await;
    assert_eq!(status, 200, "{second}");
    let turns = [("user", "weather?"), ("assistant", "Let me look."), ("tool", "sunny")];
    assert_eq!(
        server.messages(),
        turns.map(|(role, text)| (role.to_owned(), text.to_owned()))
    );
    let Prompt::Chat { messages, .. } = server.asked().prompt else {
        panic!()
    };
    assert_eq!(messages[1].tool_calls.as_ref().unwrap()[0].id, "call_1");

    // The items belong to the second response's input as well, so it can be continued when the first is gone.
    let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    server.send("DELETE", &path, None).await;
    let next = json!({"model": "m", "input": "and?", "previous_response_id": second["id"]});
    assert_eq!(server.post("/v1/responses", next).await.0, 200);
    assert_eq!(server.messages()[1].1, "Let me look.");
    for id in [said.clone(), json!("msg_1"), json!("é"), json!("")] {
        let input = json!([{"type": "item_reference", "id": id}]);
        let (status, error) = server
            .post("/v1/responses", json!({"model": "m", "input": input}))
            .await;
        assert_eq!((status, &error["error"]["code"]), (404, &json!("not_found")), "{id}");
    }
}

#[tokio::test]
async fn what_must_not_be_stored_is_not() {
    let server = Server::saying(vec![text("x"), finish()]);
    let (_, answer) = server
        .post("/v1/responses", json!({"model": "m", "input": "hi", "store": false}))
        .await;
    assert_eq!(answer["store"], false);
    assert_eq!(
        server
            .get(&format!("/v1/responses/{}", answer["id"].as_str().unwrap()))
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn functions_are_called_and_their_outputs_come_back() {
    let server = Server::saying(vec![call("call_1", "weather", "{\"city\":\"Oslo\"}"), finish()]);
    let tools = json!([{"type": "function", "name": "weather", "description": "of a city", "parameters": {"type": "object"}, "strict": true},
        {"type": "function", "name": "time"}]);
    let body = json!({"model": "m", "input": "weather in Oslo?", "tools": tools, "tool_choice": {"type": "function", "name": "weather"}});
    let (status, answer) = server.post("/v1/responses", body).await;
    assert_eq!(status, 200, "{answer}");
    let item = &answer["output"][0];
    assert_eq!(
        (&item["type"], &item["call_id"], &item["name"]),
        (&json!("function_call"), &json!("call_1"), &json!("weather"))
    );
    assert_eq!(
        answer["tools"][1],
        json!({"type": "function", "name": "time", "description": null, "parameters": null, "strict": null})
    );
    let Prompt::Chat { tools, tool_choice, .. } = server.asked().prompt else {
        panic!()
    };
    assert_eq!((tools.len(), tool_choice), (2, ToolChoice::Function("weather".into())));

    let next = json!({"model": "m", "previous_response_id": answer["id"],
        "input": [{"type": "function_call_output", "call_id": "call_1", "output": "rain"}]});
    server.post("/v1/responses", next).await;
    let Prompt::Chat { messages, .. } = server.asked().prompt else {
        panic!()
    };
    assert_eq!(messages[1].tool_calls.as_ref().unwrap()[0].id, "call_1");
    assert_eq!(
        (messages[2].role.as_str(), messages[2].tool_call_id.as_deref()),
        ("tool", Some("call_1"))
    );
}

#[tokio::test]
async fn allowed_tools_hide_the_others_and_one_call_means_one() {
    let server = Server::saying(vec![call("a", "f", "{}"), call("b", "f", "{}"), finish()]);
    let tools = json!([{"type": "function", "name": "f"}, {"type": "function", "name": "g"}]);
    let choice = json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]});
    let (status, answer) = server
        .post(
            "/v1/responses",
            json!({"model": "m", "input": "x", "tools": tools, "tool_choice": choice, "parallel_tool_calls": false}),
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["output"].as_array().unwrap().len(), 1);
    assert_eq!(answer["tool_choice"], choice);
    let Prompt::Chat { tools, tool_choice, .. } = server.asked().prompt else {
        panic!()
    };
    assert_eq!((tools.len(), tool_choice), (1, ToolChoice::Required));
}

#[tokio::test]
async fn settings_reach_the_engine_and_come_back() {
    let server = Server::saying(vec![text("{}"), finish()]);
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let body = json!({"model": "m", "input": "x", "temperature": 0.7, "top_p": 0.9, "max_output_tokens": 50, "metadata": {"k": "v"},
        "presence_penalty": 0.5, "prompt_cache_key": "user 1", "top_logprobs": 2,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}}});
    let (status, answer) = server.post("/v1/responses", body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["temperature"], &answer["top_p"], &answer["max_output_tokens"]),
        (&json!(0.7), &json!(0.9), &json!(50))
    );
    assert_eq!(answer["metadata"], json!({"k": "v"}));
    assert_eq!(answer["text"]["format"]["schema"], schema);
    let asked = server.asked();
    assert_eq!(
        (asked.sampling.temperature, asked.stop.max_tokens, asked.logprobs),
        (0.7, Some(50), Some(2))
    );
    assert_eq!(asked.affinity.as_deref(), Some("user 1"));
    assert!(matches!(asked.constraint, Constraint::JsonSchema(given) if given == schema));
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_incomplete_and_says_why() {
    let server = Server::saying(vec![text("half"), long()]);
    let (_, answer) = server.post("/v1/responses", json!({"model": "m", "input": "x"})).await;
    assert_eq!(
        (&answer["status"], &answer["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    assert_eq!(answer["output"][0]["status"], "incomplete");
}

#[tokio::test]
async fn errors_have_openais_shape() {
    let server = Server::new(vec![
        Ok(text("half")),
        Err(EngineError::Internal {
            message: "broken".into(),
        }),
    ]);
    let (status, error) = server.post("/v1/responses", json!({"model": "m", "input": "x"})).await;
    assert_eq!((status, &error["error"]["message"]), (500, &json!("broken")));
    let (status, error) = server
        .post("/v1/responses", json!({"model": "other", "input": "x"}))
        .await;
    assert_eq!((status, &error["error"]["code"]), (404, &json!("model_not_found")));
}

#[tokio::test]
async fn what_cannot_be_honoured_is_a_400_that_names_the_field() {
    let server = Server::saying(vec![text("x"), finish()]);
    let cases: &[(Value, &str)] = &[
        (json!({"input": "x"}), "model"),
        (json!({"model": "m"}), "input"),
        (json!({"model": "m", "input": []}), "input"),
        (json!({"model": "m", "input": 5}), "input"),
        (json!({"model": "m", "input": "x", "temperature": 3}), "temperature"),
        (json!({"model": "m", "input": "x", "top_p": -1}), "top_p"),
        (
            json!({"model": "m", "input": "x", "max_output_tokens": 0}),
            "max_output_tokens",
        ),
        (json!({"model": "m", "input": "x", "top_logprobs": 21}), "top_logprobs"),
        (json!({"model": "m", "input": "x", "truncation": "auto"}), "truncation"),
        (json!({"model": "m", "input": "x", "conversation": "c"}), "conversation"),
        (json!({"model": "m", "input": "x", "prompt": {"id": "p"}}), "prompt"),
        (
            json!({"model": "m", "input": "x", "reasoning": {"effort": "high"}}),
            "reasoning.effort",
        ),
        (json!({"model": "m", "input": "x", "metadata": {"k": 1}}), "metadata"),
        (
            json!({"model": "m", "input": "x", "include": ["everything"]}),
            "include",
        ),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "web_search"}]}),
            "tools[0].type",
        ),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "function", "name": "a b"}]}),
            "tools[0].name",
        ),
        (
            json!({"model": "m", "input": "x", "tool_choice": "required"}),
            "tool_choice",
        ),
        (
            json!({"model": "m", "input": "x", "tool_choice": {"type": "function", "name": "f"}}),
            "tool_choice",
        ),
        (
            json!({"model": "m", "input": "x", "background": true, "store": false}),
            "store",
        ),
        (
            json!({"model": "m", "input": [{"role": "king", "content": "x"}]}),
            "input[0].role",
        ),
        (json!({"model": "m", "input": [{"role": "user"}]}), "input[0].content"),
        (
            json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}]}),
            "input[0].content",
        ),
        (
            json!({"model": "m", "input": [{"type": "item_reference"}]}),
            "input[0].id",
        ),
        (
            json!({"model": "m", "input": [{"type": "computer_call", "id": "x"}]}),
            "input[0].type",
        ),
        (
            json!({"model": "m", "input": "x", "text": {"format": {"type": "json_schema", "name": "n", "schema": 5}}}),
            "text.format.schema",
        ),
    ];
    for (body, param) in cases {
        let (status, error) = server.post("/v1/responses", body.clone()).await;
        assert_eq!(
            (status, error["error"]["param"].as_str()),
            (400, Some(*param)),
            "{body} {error}"
        );
    }
    let null = json!({"model": "m", "input": "x", "tools": null, "metadata": null, "text": null, "reasoning": {"effort": null}, "truncation": "disabled",
        "service_tier": "auto", "unknown_to_us": 1, "include": []});
    assert_eq!(server.post("/v1/responses", null).await.0, 200);
}

#[tokio::test]
async fn a_response_in_the_background_is_fetched_when_done_and_can_be_cancelled() {
    let server = Server::saying(vec![text("done"), finish()]);
    let (status, begun) = server
        .post("/v1/responses", json!({"model": "m", "input": "x", "background": true}))
        .await;
    assert_eq!((status, &begun["status"]), (200, &json!("in_progress")));
    let path = format!("/v1/responses/{}", begun["id"].as_str().unwrap());
    let mut fetched = Value::Null;
    for _ in 0..100 {
        fetched = server.get(&path).await.1;
        if fetched["status"] == "completed" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(fetched["output"][0]["content"][0]["text"], "done");

    let server = Server::endless();
    let (_, begun) = server
        .post("/v1/responses", json!({"model": "m", "input": "x", "background": true}))
        .await;
    let path = format!("/v1/responses/{}/cancel", begun["id"].as_str().unwrap());
    let (status, cancelled) = server.send("POST", &path, None).await;
    assert_eq!(
        (status, &cancelled["status"]),
        (200, &json!("cancelled")),
        "{cancelled}"
    );
    assert!(!server.running());
}

#[tokio::test]
async fn only_the_background_can_be_cancelled() {
    let server = Server::saying(vec![text("x"), finish()]);
    let (_, answer) = server.post("/v1/responses", json!({"model": "m", "input": "x"})).await;
    let path = format!("/v1/responses/{}/cancel", answer["id"].as_str().unwrap());
    assert_eq!(server.send("POST", &path, None).await.0, 400);
    assert_eq!(server.send("POST", "/v1/responses/resp_none/cancel", None).await.0, 404);
}

#[tokio::test]
async fn responses_outlive_a_restart_where_there_is_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("candor.db");
    let store = candor_store::Store::open(path.clone()).await.unwrap();
    let server = Server::with_store(vec![Ok(text("Ada")), Ok(finish())], store);
    let (_, first) = server
        .post("/v1/responses", json!({"model": "m", "input": "who?"}))
        .await;
    drop(server);
    let store = candor_store::Store::open(path).await.unwrap();
    let server = Server::with_store(vec![Ok(text("1815")), Ok(finish())], store);
    let (status, second) = server
        .post(
            "/v1/responses",
            json!({"model": "m", "input": "when?", "previous_response_id": first["id"]}),
        )
        .await;
    assert_eq!(status, 200, "{second}");
    assert_eq!(server.messages()[1], ("assistant".into(), "Ada".into()));
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let server = Server::saying(vec![text(""), finish()]);
    let (_, answer) = server.post("/v1/responses", json!({"model": "m", "input": "x"})).await;
    assert_eq!(answer["output"][0]["content"][0]["text"], "");
}

#[tokio::test]
async fn compaction_is_not_found_and_never_taken_for_a_response() {
    let server = Server::saying(vec![text("Ada"), finish()]);
    for method in ["POST", "GET", "DELETE"] {
        let (status, error) = server
            .send(method, "/v1/responses/compact", Some(json!({"model": "m"})))
            .await;
        assert_eq!(status, 404, "{error}");
        assert!(error["error"]["message"].as_str().unwrap().contains("not compacted"));
    }
}
