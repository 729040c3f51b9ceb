//! Which replica is asked: affinity, weights, places, queues.

use std::time::Duration;

use candor_engine::upstream::{Kind, connect};
use candor_engine::{EngineError, Generator};
use candor_wire::chat::{Content, Message};
use futures::StreamExt;

use crate::fake::{Behaviour, Fake, chat, config};
use crate::{one, read};

async fn fakes(count: usize) -> Vec<Fake> {
    futures::future::join_all((0..count).map(|_| Fake::start(Behaviour::Say(vec!["ok"])))).await
}

#[tokio::test]
async fn a_conversation_stays_with_its_replica_and_conversations_spread() {
    let fakes = fakes(3).await;
    let upstream = one(config("u", Kind::Vllm, &fakes.iter().collect::<Vec<_>>()));
    // Replicas are chosen by their addresses, which differ from run to run: of twelve conversations none goes to one of the
    // three in 2 of 100 runs.
    for conversation in 0..50 {
        let before: Vec<usize> = fakes.iter().map(Fake::asked).collect();
        let mut request = chat(&format!("conversation {conversation}"));
        for turn in 0..3 {
            read(&upstream, request.clone()).await.1.unwrap();
            let candor_engine::Prompt::Chat { messages, .. } = &mut request.prompt else {
                unreachable!()
            };
            let text = Some(Content::Text(format!("turn {turn}")));
            messages.push(Message {
                role: "assistant".into(),
                content: text.clone(),
                ..Message::default()
            });
            messages.push(Message {
                role: "user".into(),
                content: text,
                ..Message::default()
            });
        }
        let moved = fakes
            .iter()
            .zip(before)
            .filter(|(fake, before)| fake.asked() > *before)
            .count();
        assert_eq!(moved, 1, "one replica took all three turns");
    }
    assert!(
        fakes.iter().all(|fake| fake.asked() > 0),
        "{:?}",
        fakes.iter().map(Fake::asked).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn the_same_affinity_finds_the_same_replica_whatever_the_prompt() {
    let fakes = fakes(4).await;
    let upstream = one(config("u", Kind::Vllm, &fakes.iter().collect::<Vec<_>>()));
    for turn in 0..8 {
        let mut request = chat(&format!("prompt {turn}"));
        request.affinity = Some("user 17".into());
        read(&upstream, request).await.1.unwrap();
    }
    assert_eq!(fakes.iter().filter(|fake| fake.asked() > 0).count(), 1);
}

#[tokio::test]
async fn several_upstreams_share_an_alias_and_stand_in_for_each_other() {
    let fakes = fakes(2).await;
    let configs = [
        config("a", Kind::Vllm, &[&fakes[0]]),
        config("b", Kind::Openai, &[&fakes[1]]),
    ];
    let upstreams = connect(&configs).unwrap();
    assert_eq!(upstreams.len(), 1);
    assert_eq!(upstreams[0].card().owned_by, "a+b");
    fakes[0].behave(Behaviour::Status(401, vec![], serde_json::json!({})));
    for turn in 0..12 {
        assert_eq!(read(&upstreams[0], chat(&format!("{turn}"))).await.0, "ok");
    }
    assert_eq!(fakes[1].asked(), 12);
    // What only one of them understands goes to that one.
    fakes[0].behave(Behaviour::Say(vec!["a"]));
    let mut request = chat("x");
    request.sampling.top_k = 5;
    for _ in 0..4 {
        assert_eq!(read(&upstreams[0], request.clone()).await.0, "a");
    }
}

#[tokio::test]
async fn a_full_replica_passes_on_and_a_full_upstream_queues_up_to_its_bound() {
    let fakes = fakes(2).await;
    fakes.iter().for_each(|fake| fake.behave(Behaviour::Endless));
    let mut config = config("u", Kind::Vllm, &fakes.iter().collect::<Vec<_>>());
    config.models[0].max_concurrent = Some(1);
    config.models[0].queue = 1;
    config.timeouts.queue_s = 5.0;
    let upstream = one(config);
    let first = upstream.generate(chat("same")).await.unwrap();
    let second = upstream.generate(chat("same")).await.unwrap();
    assert_eq!((fakes[0].running(), fakes[1].running()), (1, 1));
    let waiting = tokio::spawn({
        let upstream = upstream.clone();
        async move { upstream.generate(chat("same")).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(matches!(
        upstream.generate(chat("same")).await,
        Err(EngineError::Overloaded { .. })
    ));
    drop(first);
    waiting.await.unwrap().unwrap();
    drop(second);
}

#[tokio::test]
async fn waiting_in_the_queue_ends() {
    let fakes = fakes(1).await;
    fakes[0].behave(Behaviour::Endless);
    let mut config = config("u", Kind::Vllm, &[&fakes[0]]);
    config.models[0].max_concurrent = Some(1);
    config.timeouts.queue_s = 0.1;
    let upstream = one(config);
    let mut running = upstream.generate(chat("a")).await.unwrap();
    assert!(matches!(
        upstream.generate(chat("b")).await,
        Err(EngineError::Overloaded { .. })
    ));
    assert!(running.next().await.unwrap().is_ok());
}
