#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use futures::StreamExt;

use super::*;
use crate::toy::{ToyDecoder, engine};
use crate::{Constraint, EngineOptions, GenerateRequest, Prompt, Sampling, Stop};

fn toy(name: &str, needs: u64, loads: &Arc<AtomicUsize>) -> Registration {
    let loads = Arc::clone(loads);
    Registration::new(name, needs, move || {
        loads.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        let decoder = ToyDecoder {
            step_ms: 1,
            ..ToyDecoder::default()
        };
        Ok(Arc::new(
            engine(
                decoder,
                &EngineOptions {
                    threads: 1,
                    ..EngineOptions::default()
                },
            )
            .1,
        ))
    })
}

fn request() -> GenerateRequest {
    GenerateRequest {
        prompt: Prompt::Text("x".into()),
        sampling: Sampling::default(),
        stop: Stop {
            max_tokens: Some(500),
            ..Stop::default()
        },
        constraint: Constraint::None,
        logprobs: None,
        prompt_logprobs: None,
        affinity: None,
    }
}

#[tokio::test]
async fn a_model_is_loaded_once_when_it_is_first_asked_for() {
    let loads = Arc::default();
    let models = Models::new();
    models.register(toy("one", 1, &loads).aliases(["uno"]));
    assert_eq!(
        (models.names(), models.is_loaded("one"), loads.load(Ordering::SeqCst)),
        (vec!["one".to_string()], false, 0)
    );
    let (a, b, c) = tokio::join!(models.get("one"), models.get("uno"), models.get(""));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    assert_eq!(models.list()[0].context, Some(4096));
    assert_eq!(models.list()[0].id, "one");
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_names_there_are() {
    let models = Models::new();
    models.register(toy("one", 1, &Arc::default()));
    let Err(EngineError::NoModel { name, available }) = models.get("two").await else {
        panic!()
    };
    assert_eq!((name.as_str(), available.as_str()), ("two", "one"));
}

#[tokio::test]
async fn the_longest_idle_model_makes_room_and_a_running_one_never_does() {
    let loads = Arc::default();
    let models = Models::with_budget(25);
    for name in ["a", "b", "c"] {
        models.register(toy(name, 10, &loads));
    }
    let a = models.get("a").await.unwrap();
    models.get("b").await.unwrap();
    let mut stream = a.generate(request()).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    models.get("c").await.unwrap();
    assert!(models.is_loaded("a") && !models.is_loaded("b") && models.is_loaded("c"));
    let c = models.get("c").await.unwrap();
    let mut other = c.generate(request()).await.unwrap();
    assert!(other.next().await.unwrap().is_ok());
    let Err(EngineError::Memory { message }) = models.get("b").await else {
        panic!()
    };
    assert!(message.contains("needs") && message.contains("free"), "{message}");
    drop(stream);
    models.get("b").await.unwrap();
    assert!(!models.is_loaded("a"));
}

#[tokio::test]
async fn an_unloaded_model_comes_back_and_a_removed_one_does_not() {
    let loads = Arc::default();
    let models = Models::new();
    models.register(toy("one", 1, &loads));
    models.get("one").await.unwrap();
    models.unload("one").unwrap();
    assert!(!models.is_loaded("one"));
    models.get("one").await.unwrap();
    assert_eq!(loads.load(Ordering::SeqCst), 2);
    models.remove("one").unwrap();
    assert!(models.get("one").await.is_err());
}

#[tokio::test]
async fn a_model_that_fails_to_load_says_why_every_time() {
    let models = Models::new();
    models.register(Registration::new("bad", 1, || {
        Err(EngineError::Unavailable {
            message: "broken file".into(),
        })
    }));
    models.register(Registration::new("worse", 1, || panic!("no file")));
    for _ in 0..2 {
        assert!(matches!(models.get("bad").await, Err(EngineError::Unavailable { .. })));
        assert!(matches!(models.get("worse").await, Err(EngineError::Internal { .. })));
    }
}
