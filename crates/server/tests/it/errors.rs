//! Every refusal has OpenAI's error shape, whoever refuses.

use axum::body::Body;
use candor_server::ServerConfig;
use http::header;
use serde_json::json;

use super::{app, app_with, chat, get, post_bytes, request, send};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn unknown_routes_and_wrong_methods_are_told_in_the_error_shape() {
    get(&app(), "/v1/nothing").await.error(404);
    get(&app(), "/v1/../etc/passwd").await.error(404);
    let reply = get(&app(), CHAT).await;
    reply.error(405);
    assert_eq!(reply.header("allow"), "POST");
    let reply = send(&app(), request("DELETE", "/v1/models").body(Body::empty()).unwrap()).await;
    reply.error(405);
    assert_eq!(reply.header("allow"), "GET,HEAD");
    send(&app(), request("OPTIONS", CHAT).body(Body::empty()).unwrap())
        .await
        .error(405);
    send(&app(), request("OPTIONS", "/v1/nothing").body(Body::empty()).unwrap())
        .await
        .error(404);
}

#[tokio::test]
async fn a_query_that_does_not_parse_is_told_why() {
    let error = get(&app(), "/v1/responses/x/input_items?limit=ten").await.error(400);
    assert!(error["message"].as_str().unwrap().contains("limit"), "{error}");
}

#[tokio::test]
async fn a_list_is_no_body_and_refusals_speak_of_json() {
    let fields = json!(["fake", "hello", null, null, null]).to_string();
    let error = post_bytes(&app(), "/v1/embeddings", fields).await.error(400);
    assert!(error["message"].as_str().unwrap().contains("JSON object"), "{error}");
    for (more, expected) in [
        (json!({ "max_tokens": -1 }), "a whole number"),
        (json!({ "messages": {} }), "an array"),
        (
            json!({ "messages": [{ "role": "user", "content": 5 }] }),
            "a string or an array of parts",
        ),
        (json!({ "stream_options": 5 }), "an object"),
    ] {
        let error = chat("Hi", more).await.error(400);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
        for rust in ["u32", "struct", "sequence", "variant"] {
            assert!(!message.contains(rust), "{message}");
        }
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() {
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\"text\"",
        "{\"model\": }",
        "{} {}",
        "{\"model\":\"fake\",\"messages\":[]}x",
    ] {
        post_bytes(&app(), CHAT, body).await.error(400);
    }
    let error = post_bytes(&app(), CHAT, r#"{"model": "fake", "messages": [{"role": 5}]}"#)
        .await
        .error(400);
    assert_eq!(error["param"], "messages[0].role");
    let error = post_bytes(&app(), CHAT, r#"{"messages": []}"#).await.error(400);
    assert!(error["message"].as_str().unwrap().contains("model"));
}

#[tokio::test]
async fn bad_utf8_is_refused() {
    let mut body = br#"{"model": "fake", "messages": [{"role": "user", "content": ""#.to_vec();
    body.extend([0xff, 0xfe]);
    body.extend(br#""}]}"#);
    assert!(
        post_bytes(&app(), CHAT, body).await.error(400)["message"]
            .as_str()
            .unwrap()
            .contains("UTF-8")
    );
    let lone = r#"{"model": "fake", "messages": [{"role": "user", "content": "\ud800"}]}"#;
    post_bytes(&app(), CHAT, lone).await.error(400);
}

#[tokio::test]
async fn deep_json_is_refused_and_does_not_overflow_the_stack() {
    for open in ["[", "{\"a\":"] {
        let body = format!(
            "{{\"model\": \"fake\", \"prompt\": \"a\", \"guided_json\": {}",
            open.repeat(100_000)
        );
        post_bytes(&app(), "/v1/completions", body.clone()).await.error(400);
        post_bytes(&app(), CHAT, body).await.error(400);
    }
    post_bytes(&app(), "/v1/completions", "[".repeat(1_000_000))
        .await
        .error(400);
}

#[tokio::test]
async fn other_content_types_are_refused() {
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "\u{7f}",
    ] {
        let Ok(value) = http::HeaderValue::from_str(kind) else {
            continue;
        };
        let request = request("POST", CHAT).header(header::CONTENT_TYPE, value);
        send(&app(), request.body(Body::from("{}")).unwrap()).await.error(415);
    }
    send(&app(), request("POST", CHAT).body(Body::from("{}")).unwrap())
        .await
        .error(415);
    let upper = request("POST", CHAT).header(header::CONTENT_TYPE, "Application/JSON; charset=utf-8");
    send(&app(), upper.body(Body::from("{}")).unwrap()).await.error(400);
}

#[tokio::test]
async fn oversized_bodies_are_refused_by_their_header_and_by_their_bytes() {
    let app = app_with(ServerConfig {
        max_body_bytes: 1000,
        ..ServerConfig::default()
    });
    post_bytes(&app, CHAT, vec![b' '; 1001]).await.error(413);
    let chunks = futures::stream::iter([0, 1].map(|_| Ok::<_, std::io::Error>(vec![b' '; 600])));
    post_bytes(&app, CHAT, Body::from_stream(chunks)).await.error(413);
    let lying = request("POST", CHAT)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, "99999999999");
    send(&app, lying.body(Body::from("{}")).unwrap()).await.error(413);
}

#[tokio::test]
async fn large_bodies_share_their_room_and_small_ones_pass_them_by() {
    let app = app_with(ServerConfig {
        max_body_bytes: 64 << 10,
        read_timeout_s: 1,
        ..ServerConfig::default()
    });
    let large = || format!("{{\"model\": \"{}\"}}", "x".repeat(60_000));
    // Eight that are announced and never come hold all of the room there is.
    let never = || Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let announced = || {
        request("POST", CHAT)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, (64 << 10).to_string())
    };
    let held: Vec<_> = (0..8)
        .map(|_| {
            let (app, request) = (app.clone(), announced().body(never()).unwrap());
            tokio::spawn(async move { send(&app, request).await.error(408) })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let begin = std::time::Instant::now();
    post_bytes(&app, CHAT, "{}").await.error(400);
    assert!(begin.elapsed().as_millis() < 500, "a small body waits for nobody");
    // A large one waits for its turn.
    post_bytes(&app, CHAT, large()).await.error(400);
    assert!(
        begin.elapsed().as_millis() > 500,
        "there was room where there should be none"
    );
    for one in held {
        one.await.unwrap();
    }
    post_bytes(&app, CHAT, large()).await.error(400);
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let app = app_with(ServerConfig {
        read_timeout_s: 1,
        ..ServerConfig::default()
    });
    let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    post_bytes(&app, CHAT, Body::from_stream(never)).await.error(408);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let broken = futures::stream::iter([Ok(b"{\"model\"".to_vec()), Err(std::io::Error::other("gone"))]);
    post_bytes(&app(), CHAT, Body::from_stream(broken)).await.error(400);
}

#[tokio::test]
async fn a_panic_is_a_500_in_the_error_shape() {
    let error = chat("PANIC", json!({})).await.error(500);
    assert!(!error["message"].as_str().unwrap().contains("asked to"));
    chat("LATER", json!({})).await.error(500);
    chat("PANIC", json!({ "stream": true })).await.error(500);
}

#[tokio::test]
async fn engine_errors_have_their_status() {
    chat("OVERLOAD", json!({})).await.error(429);
    chat("MEMORY", json!({})).await.error(507);
    chat("BREAK", json!({})).await.error(500);
    assert_eq!(
        chat(&"a".repeat(5000), json!({})).await.error(400)["code"],
        "context_length_exceeded"
    );
}

#[tokio::test]
async fn more_requests_than_allowed_are_turned_away_with_a_time_to_come_back() {
    let app = app_with(ServerConfig {
        max_requests: 1,
        ..ServerConfig::default()
    });
    let _held = app.admit().unwrap();
    let reply = super::post(&app, CHAT, &super::chat_body("Hi", json!({}))).await;
    assert_eq!(reply.error(429)["type"], "rate_limit_error");
    assert_eq!(reply.header("retry-after"), "1");
}
