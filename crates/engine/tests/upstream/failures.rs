//! What goes wrong, and what becomes of it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use candor_engine::upstream::Kind;
use candor_engine::{EngineError, Event, FinishReason, Generator};
use futures::StreamExt;
use serde_json::json;

use crate::fake::{Behaviour, Fake, chat, chunk, config};
use crate::{one, read, vllm};

#[tokio::test]
async fn text_streams_through_with_its_usage() {
    let (fake, upstream) = vllm(Behaviour::Say(vec!["Hel", "lo", " wörld"])).await;
    let (text, end) = read(&upstream, chat("hi")).await;
    assert_eq!(text, "Hello wörld");
    let Ok(Event::Finish {
        reason: FinishReason::Stop,
        usage,
    }) = end
    else {
        panic!("{end:?}")
    };
    assert_eq!(
        (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens),
        (7, 5, 3)
    );
    assert_eq!(fake.body()["model"], "big/model");
    assert_eq!(upstream.card().id, "model");
}

#[tokio::test]
async fn a_replica_that_dies_before_the_first_token_is_replaced_by_another() {
    let dead = Fake::start(Behaviour::Break(Vec::new())).await;
    let well = Fake::start(Behaviour::Say(vec!["ok"])).await;
    let upstream = one(config("u", Kind::Vllm, &[&dead, &well]));
    for turn in 0..20 {
        assert_eq!(read(&upstream, chat(&format!("{turn}"))).await.0, "ok");
    }
    assert!(dead.asked() >= 1 && dead.asked() <= 6, "{}", dead.asked()); // after three failures it is left alone
}

#[tokio::test]
async fn a_replica_where_nobody_listens_is_left_alone() {
    let well = Fake::start(Behaviour::Say(vec!["ok"])).await;
    let mut config = config("u", Kind::Vllm, &[&well]);
    config.replicas.push("http://127.0.0.1:9".into());
    let upstream = one(config);
    for turn in 0..20 {
        assert_eq!(read(&upstream, chat(&format!("{turn}"))).await.0, "ok");
    }
    assert!(
        upstream
            .status()
            .iter()
            .any(|status| status.away.as_ref().is_some_and(|why| why.contains("no connection")))
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_and_is_not_asked_again() {
    let (fake, upstream) = vllm(Behaviour::Break(chunk("half"))).await;
    let (text, end) = read(&upstream, chat("hi")).await;
    assert_eq!(text, "half");
    assert!(matches!(end, Err(EngineError::Unavailable { .. })), "{end:?}");
    assert_eq!(fake.asked(), 1);
    fake.behave(Behaviour::Raw(chunk("half"))); // a proper end of the connection, but no end of the answer
    let (_, end) = read(&upstream, chat("hi")).await;
    assert!(end.unwrap_err().to_string().contains("breaks off"));
}

#[tokio::test]
async fn a_server_that_is_too_slow_is_given_up() {
    let (fake, _) = vllm(Behaviour::Slow(Duration::from_secs(30))).await;
    let mut config = config("u", Kind::Vllm, &[&fake]);
    config.timeouts.first_token_s = 0.2;
    config.retries = 1;
    let upstream = one(config);
    let began = Instant::now();
    let (_, end) = read(&upstream, chat("hi")).await;
    assert!(end.unwrap_err().to_string().contains("no answer within 200ms"));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(fake.asked(), 2);
}

#[tokio::test]
async fn a_busy_server_is_believed_when_it_says_how_long() {
    let refusal = Behaviour::Status(
        429,
        vec![("retry-after", "17")],
        json!({"error": {"message": "slow down"}}),
    );
    let (fake, upstream) = vllm(refusal).await;
    for _ in 0..3 {
        let (_, end) = read(&upstream, chat("hi")).await;
        let Err(EngineError::Overloaded { retry_after_s }) = end else {
            panic!("{end:?}")
        };
        assert!((16..=18).contains(&retry_after_s));
    }
    assert_eq!(fake.asked(), 1);
}

#[tokio::test]
async fn a_refused_key_is_not_tried_again_and_never_quoted() {
    // A variable that is always there: tests must not change the environment under each other.
    let path = std::env::var("PATH").unwrap();
    let refusal = Behaviour::Status(401, vec![], json!({"error": {"message": format!("wrong key {path}")}}));
    let fake = Fake::start(refusal).await;
    let mut config = config("u", Kind::Vllm, &[&fake]);
    config.key_env = Some("PATH".into());
    let upstream = one(config);
    let (_, end) = read(&upstream, chat("hi")).await;
    let message = end.unwrap_err().to_string();
    assert!(message.contains("`PATH`") && !message.contains(&path), "{message}");
    assert_eq!(fake.asked(), 1);
    assert_eq!(
        fake.last.lock().unwrap().0.as_deref(),
        Some(format!("Bearer {path}").as_str())
    );
    fake.behave(Behaviour::Status(
        400,
        vec![],
        json!({"error": {"message": format!("your key {path} is fine, your request is not")}}),
    ));
    let message = read(&upstream, chat("hi")).await.1.unwrap_err().to_string();
    assert!(message.contains("[key]") && !message.contains(&path), "{message}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_so_the_key_stays_here() {
    let other = Fake::start(Behaviour::Say(vec!["gotcha"])).await;
    let (_fake, upstream) = vllm(Behaviour::Status(
        307,
        vec![("location", "http://elsewhere.example/v1")],
        json!({}),
    ))
    .await;
    let message = read(&upstream, chat("hi")).await.1.unwrap_err().to_string();
    assert!(message.contains("elsewhere.example"), "{message}");
    assert_eq!(other.asked(), 0);
}

#[tokio::test]
async fn a_bad_request_is_said_once_in_the_upstreams_words() {
    let refusal = Behaviour::Status(
        400,
        vec![],
        json!({"error": {"message": "temperature must be at most 2"}}),
    );
    let (fake, upstream) = vllm(refusal).await;
    let (_, end) = read(&upstream, chat("hi")).await;
    let Err(EngineError::Invalid { message, .. }) = end else {
        panic!("{end:?}")
    };
    assert!(message.contains("temperature must be at most 2"));
    assert_eq!(fake.asked(), 1);
}

#[tokio::test]
async fn a_prompt_that_is_too_long_keeps_its_numbers() {
    let said = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.";
    let (_fake, upstream) = vllm(Behaviour::Status(
        400,
        vec![],
        json!({"object": "error", "message": said}),
    ))
    .await;
    let (_, end) = read(&upstream, chat("hi")).await;
    assert!(
        matches!(
            end,
            Err(EngineError::TooLong {
                tokens: 5000,
                context: 4096
            })
        ),
        "{end:?}"
    );
}

#[tokio::test]
async fn garbage_is_an_error_and_not_an_answer() {
    for bytes in [
        b"data: {\"choices\": [{\"delta\": {\"content\": 5}}]}\n\n".to_vec(),
        b"data: <html>\n\n".to_vec(),
        b"data: \xff\xff\n\n".to_vec(),
        b"<html>hello</html>".to_vec(),
        b"data: {\"choices\": [{\"delta\": {\"tool_calls\": [{\"index\": 999999999999}]}}]}\n\n".to_vec(),
        Vec::new(),
    ] {
        let (_fake, upstream) = vllm(Behaviour::Raw(bytes.clone())).await;
        let (text, end) = read(&upstream, chat("hi")).await;
        assert!(
            matches!(end, Err(EngineError::Unavailable { .. })),
            "{end:?} after {text:?} from {bytes:?}"
        );
    }
}

#[tokio::test]
async fn a_line_without_end_is_cut_off() {
    let (fake, upstream) = vllm(Behaviour::HugeLine).await;
    let (_, end) = read(&upstream, chat("hi")).await;
    assert!(end.unwrap_err().to_string().contains("longer than"));
    for _ in 0..100 {
        if fake.running() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the connection is still open");
}

#[tokio::test]
async fn an_error_inside_the_stream_is_tried_elsewhere_only_before_the_first_token() {
    let error = format!(
        "data: {}\n\n",
        json!({"error": {"message": "worker died", "code": 500}})
    )
    .into_bytes();
    let bad = Fake::start(Behaviour::Raw(error.clone())).await;
    let well = Fake::start(Behaviour::Say(vec!["ok"])).await;
    let upstream = one(config("u", Kind::Vllm, &[&bad, &well]));
    for turn in 0..8 {
        assert_eq!(read(&upstream, chat(&format!("{turn}"))).await.0, "ok");
    }
    let (fake, upstream) = vllm(Behaviour::Raw([chunk("half"), error].concat())).await;
    let (text, end) = read(&upstream, chat("hi")).await;
    assert_eq!(text, "half");
    assert!(end.unwrap_err().to_string().contains("worker died"));
    assert_eq!(fake.asked(), 1);
}

#[tokio::test]
async fn a_stream_that_stalls_is_given_up() {
    let (fake, _) = vllm(Behaviour::Stall(chunk("half"))).await;
    let mut config = config("u", Kind::Vllm, &[&fake]);
    config.timeouts.idle_s = 0.2;
    let (text, end) = read(&one(config), chat("hi")).await;
    assert_eq!(text, "half");
    assert!(end.unwrap_err().to_string().contains("nothing came for 200ms"));
}

#[tokio::test]
async fn dropping_the_stream_ends_the_work_upstream() {
    let (fake, upstream) = vllm(Behaviour::Endless).await;
    let mut stream = upstream.generate(chat("hi")).await.unwrap();
    for _ in 0..3 {
        stream.next().await.unwrap().unwrap();
    }
    assert_eq!(fake.running(), 1);
    drop(stream);
    for _ in 0..100 {
        if fake.running() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the upstream still sends");
}

#[tokio::test]
async fn the_health_check_finds_a_replica_that_is_ill_and_one_that_is_back() {
    let fake = Fake::start(Behaviour::Say(vec!["ok"])).await;
    fake.healthy.store(false, Ordering::SeqCst);
    let mut config = config("u", Kind::Vllm, &[&fake]);
    config.timeouts.probe_every_s = 0.05;
    let upstream = one(config);
    let until = |away: bool| {
        let upstream = upstream.clone();
        async move {
            for _ in 0..100 {
                if upstream.status()[0].away.is_some() == away {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("expected away = {away}");
        }
    };
    until(true).await;
    fake.healthy.store(true, Ordering::SeqCst);
    until(false).await;
}
