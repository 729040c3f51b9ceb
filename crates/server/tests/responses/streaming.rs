//! The events of a streaming response.

use candor_engine::EngineError;
use futures::StreamExt;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::fake::{Server, call, finish, long, text};

/// Names and data of all events; the last must be `[DONE]`.
async fn events(server: &Server, body: Value) -> Vec<(String, Value)> {
    let response = server.raw("POST", "/v1/responses", Some(body)).await;
    assert_eq!(response.status(), 200);
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let all = String::from_utf8(bytes.to_vec()).unwrap();
    let mut blocks: Vec<&str> = all.split("\n\n").filter(|block| !block.trim().is_empty()).collect();
    assert_eq!(blocks.pop(), Some("data: [DONE]"));
    let event = |block: &&str| {
        let (name, data) = block.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(
            name.strip_prefix("event: ").unwrap(),
            data["type"],
            "the name is the type"
        );
        (data["type"].as_str().unwrap().to_owned(), data)
    };
    let events: Vec<(String, Value)> = blocks.iter().map(event).collect();
    let numbers: Vec<u64> = events
        .iter()
        .map(|(_, data)| data["sequence_number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    events
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events
        .iter()
        .map(|(name, _)| name.strip_prefix("response.").unwrap())
        .collect()
}

#[tokio::test]
async fn text_and_calls_come_in_the_specifications_order() {
    let server = Server::saying(vec![text("Hel"), text("lo"), call("c", "f", "{}"), finish()]);
    let body = json!({"model": "m", "input": "x", "stream": true, "tools": [{"type": "function", "name": "f"}]});
    let events = events(&server, body).await;
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(names(&events), expected);
    let at = |index: usize| &events[index].1;
    assert_eq!(
        (&at(2)["item"]["status"], &at(2)["item"]["content"]),
        (&json!("in_progress"), &json!([]))
    );
    assert_eq!(
        (&at(4)["delta"], &at(4)["item_id"], &at(4)["logprobs"]),
        (&json!("Hel"), &at(2)["item"]["id"], &json!([]))
    );
    assert_eq!(at(6)["text"], "Hello");
    assert_eq!(
        (&at(9)["output_index"], &at(9)["item"]["arguments"]),
        (&json!(1), &json!(""))
    );
    assert_eq!((&at(11)["name"], &at(11)["arguments"]), (&json!("f"), &json!("{}")));
    let response = &at(13)["response"];
    assert_eq!(response["output"], json!([at(8)["item"], at(12)["item"]]));
    let (_, stored) = server
        .get(&format!("/v1/responses/{}", response["id"].as_str().unwrap()))
        .await;
    assert_eq!(&stored, response, "what the last event shows is what is kept");
}

#[tokio::test]
async fn an_answer_that_was_cut_off_ends_as_incomplete() {
    let server = Server::saying(vec![text("half"), long()]);
    let events = events(&server, json!({"model": "m", "input": "x", "stream": true})).await;
    let (name, last) = events.last().unwrap();
    assert_eq!(
        (name.as_str(), &last["response"]["status"]),
        ("response.incomplete", &json!("incomplete"))
    );
}

#[tokio::test]
async fn an_error_in_the_middle_ends_as_failed() {
    let server = Server::new(vec![
        Ok(text("half")),
        Err(EngineError::Unavailable { message: "away".into() }),
    ]);
    let events = events(&server, json!({"model": "m", "input": "x", "stream": true})).await;
    let (name, last) = events.last().unwrap();
    assert_eq!(name, "response.failed");
    assert_eq!(
        last["response"]["error"],
        json!({"code": "server_error", "message": "away"})
    );
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "half");
}

#[tokio::test]
async fn a_client_that_goes_away_stops_the_work() {
    let server = Server::endless();
    let response = server
        .raw(
            "POST",
            "/v1/responses",
            Some(json!({"model": "m", "input": "x", "stream": true})),
        )
        .await;
    let mut body = response.into_body().into_data_stream();
    for _ in 0..5 {
        body.next().await.unwrap().unwrap();
    }
    assert!(server.running());
    drop(body);
    assert!(!server.running());
}
