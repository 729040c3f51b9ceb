#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use candor_model::PAGE_TOKENS;
use candor_wire::chat::{Content, Function, Message, Tool, ToolChoice};
use futures::StreamExt;
use serde_json::json;

use super::*;
use crate::toy::{END, ToyDecoder, VOCAB, engine};
use crate::{Constraint, Event, FinishReason, Prompt, Sampling, Stop, Usage};

pub(crate) fn request(prompt: &str, max_tokens: usize) -> GenerateRequest {
    GenerateRequest {
        prompt: Prompt::Text(prompt.into()),
        sampling: Sampling {
            seed: Some(3),
            ..Sampling::default()
        },
        stop: Stop {
            max_tokens: Some(max_tokens),
            ..Stop::default()
        },
        constraint: Constraint::None,
        logprobs: Some(2),
        prompt_logprobs: None,
        affinity: None,
    }
}

/// Everything that came out of a request.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Whole {
    pub(crate) text: String,
    /// Token and bits of its log-probability.
    pub(crate) bits: Vec<(u32, u32)>,
    pub(crate) prompt_bits: Vec<(u32, Option<u32>)>,
    pub(crate) calls: Vec<(String, String)>,
    pub(crate) finish: Option<FinishReason>,
    pub(crate) cached: usize,
    pub(crate) generated: usize,
}

pub(crate) async fn collect(mut stream: EventStream) -> Result<Whole, EngineError> {
    let mut whole = Whole::default();
    while let Some(event) = stream.next().await {
        match event? {
            Event::Prompt(tokens) => {
                assert!(whole.prompt_bits.is_empty() && whole.text.is_empty());
                whole.prompt_bits = tokens
                    .iter()
                    .map(|t| (t.id.unwrap(), t.logprob.map(f32::to_bits)))
                    .collect();
            }
            Event::Text { text, tokens } => {
                whole.text += &text;
                whole
                    .bits
                    .extend(tokens.iter().map(|t| (t.id.unwrap(), t.logprob.unwrap().to_bits())));
            }
            Event::ToolCall(call) => whole.calls.push((call.function.name, call.function.arguments)),
            Event::Finish {
                reason,
                usage:
                    Usage {
                        cached_tokens,
                        completion_tokens,
                        ..
                    },
            } => {
                whole.finish = Some(reason);
                (whole.cached, whole.generated) = (cached_tokens, completion_tokens);
            }
        }
    }
    assert!(whole.finish.is_some(), "the stream ended without an end");
    Ok(whole)
}

pub(crate) async fn run(local: &Local, request: GenerateRequest) -> Result<Whole, EngineError> {
    collect(local.generate(request).await?).await
}

fn options() -> EngineOptions {
    EngineOptions {
        threads: 1,
        ..EngineOptions::default()
    }
}

/// The answer of an engine of its own.
async fn alone(request: GenerateRequest) -> Whole {
    let (_, local) = engine(
        ToyDecoder::default(),
        &EngineOptions {
            prefix_cache: false,
            ..options()
        },
    );
    run(&local, request).await.unwrap()
}

pub(crate) async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn long_prompt(seed: usize) -> String {
    (0..300)
        .map(|i| char::from(b'a' + ((i * 7 + seed * 13 + i * i / 5) % 26) as u8))
        .collect()
}

#[tokio::test]
async fn a_request_gives_text_and_says_why_it_ended() {
    let whole = alone(request("hello", 20)).await;
    assert_eq!((whole.finish, whole.generated), (Some(FinishReason::Length), 20));
    assert_eq!(whole.text.len(), 20);
    assert_eq!(whole.bits.len(), 20);
}

#[tokio::test]
async fn the_same_bits_alone_in_a_batch_in_chunks_after_a_cache_hit_and_with_two_threads() {
    let expected = alone(request(&long_prompt(0), 30)).await;
    for (chunk, threads, max_batch) in [(1, 1, 4), (7, 2, 16), (64, 1, 16), (4096, 2, 3)] {
        let settings = EngineOptions {
            chunk,
            threads,
            max_batch,
            ..options()
        };
        let (_, local) = engine(ToyDecoder::default(), &settings);
        let others = (1..16).map(|i| run(&local, request(&long_prompt(i)[..i * 19], 10 + i)));
        let (first, others) = tokio::join!(
            run(&local, request(&long_prompt(0), 30)),
            futures::future::join_all(others)
        );
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(
            Whole {
                cached: 0,
                ..first.unwrap()
            },
            expected,
            "chunk {chunk}"
        );
        let again = run(&local, request(&long_prompt(0), 30)).await.unwrap();
        assert!(again.cached >= 256, "{} tokens came from the cache", again.cached);
        assert_eq!(
            Whole { cached: 0, ..again },
            expected,
            "chunk {chunk} after a cache hit"
        );
    }
}

#[tokio::test]
async fn a_preempted_request_gives_the_same_text() {
    // 24 pages of 16: two requests of 300 tokens never fit together with their answers.
    let tight = EngineOptions {
        kv_bytes: Some(24 * 1024),
        chunk: 64,
        ..options()
    };
    let (_, local) = engine(ToyDecoder::default(), &tight);
    let prompts: Vec<String> = (0..6).map(|i| long_prompt(i)[..120].to_string()).collect();
    let all = futures::future::join_all(prompts.iter().map(|prompt| run(&local, request(prompt, 120)))).await;
    for (prompt, whole) in prompts.iter().zip(all) {
        assert_eq!(
            Whole {
                cached: 0,
                ..whole.unwrap()
            },
            alone(request(prompt, 120)).await
        );
    }
    wait_until("sleep without held pages", || local.leaked_pages() == 0).await;
}

#[tokio::test]
async fn a_model_with_a_window_gives_the_same_text_however_little_memory_it_has() {
    for (kib, window) in [(8, 30), (24, 40), (24, 1), (64, 100)] {
        let tight = EngineOptions {
            kv_bytes: Some(kib * 1024),
            chunk: 48,
            context: Some(400),
            ..options()
        };
        let mut decoder = ToyDecoder::default();
        decoder.shape.windows = vec![None, Some(window), Some(window)];
        let (_, local) = engine(decoder, &tight);
        let most = local.card().context.unwrap().min(240);
        // Conversations that go on from each other's prefixes, several at once.
        for turn in 1..4 {
            let prompts: Vec<String> = (0..6)
                .map(|i| long_prompt(i % 3)[..most / 5 * turn].to_string())
                .collect();
            let tokens = most / 6;
            let all =
                futures::future::join_all(prompts.iter().map(|prompt| run(&local, request(prompt, tokens)))).await;
            for (prompt, whole) in prompts.iter().zip(all) {
                let whole = Whole {
                    cached: 0,
                    ..whole.unwrap()
                };
                assert_eq!(whole, alone(request(prompt, tokens)).await, "{kib} KiB, turn {turn}");
            }
        }
        wait_until("sleep without held pages", || local.leaked_pages() == 0).await;
    }
}

#[tokio::test]
async fn a_cancelled_request_frees_its_pages() {
    let (decoder, local) = engine(
        ToyDecoder {
            step_ms: 2,
            ..ToyDecoder::default()
        },
        &options(),
    );
    let mut stream = local.generate(request("to be cancelled", 4000)).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    let steps = || decoder.forwards.load(std::sync::atomic::Ordering::SeqCst);
    wait_until("the end of the work", || {
        let before = steps();
        std::thread::sleep(Duration::from_millis(30));
        steps() == before
    })
    .await;
    assert!(steps() < 1000);
    assert_eq!(local.leaked_pages(), 0);
    // And every page can be had by another request.
    let small = EngineOptions {
        kv_bytes: Some(4 * 1024),
        ..options()
    };
    let (_, local) = engine(
        ToyDecoder {
            step_ms: 1,
            ..ToyDecoder::default()
        },
        &small,
    );
    for _ in 0..5 {
        let mut stream = local.generate(request("x", 60)).await.unwrap();
        assert!(stream.next().await.unwrap().is_ok());
    }
    assert_eq!(run(&local, request("x", 60)).await.unwrap().generated, 60);
}

#[tokio::test]
async fn an_idle_engine_runs_no_steps() {
    let (decoder, local) = engine(ToyDecoder::default(), &options());
    run(&local, request("a", 3)).await.unwrap();
    let before = decoder.forwards.load(std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(decoder.forwards.load(std::sync::atomic::Ordering::SeqCst), before);
}

#[tokio::test]
async fn a_full_queue_turns_requests_away_at_once() {
    let full = EngineOptions {
        queue: 2,
        max_batch: 1,
        ..options()
    };
    let (_, local) = engine(
        ToyDecoder {
            step_ms: 5,
            ..ToyDecoder::default()
        },
        &full,
    );
    let mut running = local.generate(request("first", 500)).await.unwrap();
    assert!(running.next().await.unwrap().is_ok());
    let _second = local.generate(request("second", 5)).await.unwrap();
    let _third = local.generate(request("third", 5)).await.unwrap();
    assert!(matches!(
        local.generate(request("fourth", 5)).await,
        Err(EngineError::Overloaded { .. })
    ));
}

#[tokio::test]
async fn a_panic_in_the_model_ends_its_requests_and_the_engine_goes_on() {
    let (_, local) = engine(
        ToyDecoder {
            poison: Some(u32::from(b'!')),
            ..ToyDecoder::default()
        },
        &options(),
    );
    assert!(matches!(
        run(&local, request("boom!", 5)).await,
        Err(EngineError::Internal { .. })
    ));
    assert_eq!(
        Whole {
            cached: 0,
            ..run(&local, request("fine", 5)).await.unwrap()
        },
        alone(request("fine", 5)).await
    );
    for _ in 0..3 {
        assert!(run(&local, request("boom!", 5)).await.is_err());
    }
    assert!(matches!(
        run(&local, request("fine", 5)).await,
        Err(EngineError::Unavailable { .. })
    ));
}

#[tokio::test]
async fn seeds_repeat_text_and_prompt_log_probabilities_do_not_depend_on_the_cache() {
    let (_, local) = engine(ToyDecoder::default(), &EngineOptions { chunk: 33, ..options() });
    let plain = run(&local, request(&long_prompt(2), 8)).await.unwrap();
    let echo = GenerateRequest {
        prompt_logprobs: Some(0),
        ..request(&long_prompt(2), 8)
    };
    let whole = run(&local, echo.clone()).await.unwrap();
    assert_eq!(whole.cached, 0, "the prompt's own log-probabilities are computed");
    assert_eq!((&whole.text, &whole.bits), (&plain.text, &plain.bits));
    assert_eq!(
        whole.prompt_bits.len(),
        crate::toy::ToyLexicon.encode(&long_prompt(2), false).len()
    );
    assert_eq!(whole.prompt_bits[0].1, None);
    assert!(whole.prompt_bits[1..].iter().all(|(_, bits)| bits.is_some()));
    let (_, other) = engine(ToyDecoder::default(), &options());
    assert_eq!(run(&other, echo.clone()).await.unwrap().prompt_bits, whole.prompt_bits);
    let scored = GenerateRequest {
        stop: Stop {
            max_tokens: Some(0),
            ..Stop::default()
        },
        ..echo.clone()
    };
    let scored = run(&local, scored).await.unwrap();
    assert_eq!(
        (scored.prompt_bits, scored.generated, scored.finish),
        (whole.prompt_bits.clone(), 0, Some(FinishReason::Length))
    );
    for from in [1, 2, 17, 40] {
        let tail = GenerateRequest {
            prompt_logprobs: Some(from),
            ..echo.clone()
        };
        let tail = run(&local, tail).await.unwrap();
        assert_eq!(tail.prompt_bits, whole.prompt_bits[from..], "from {from}");
        assert_eq!(
            (&tail.text, tail.cached > 0),
            (&plain.text, from > PAGE_TOKENS),
            "what lies before is not computed again"
        );
    }
    let behind = GenerateRequest {
        prompt_logprobs: Some(4000),
        ..echo.clone()
    };
    assert!(run(&local, behind).await.is_err());
    let other_seed = GenerateRequest {
        sampling: Sampling {
            seed: Some(4),
            ..Sampling::default()
        },
        ..request(&long_prompt(2), 8)
    };
    assert_ne!(run(&local, other_seed).await.unwrap().text, plain.text);
}

#[tokio::test]
async fn stop_strings_end_the_answer_across_tokens() {
    let text = alone(request("hello", 40)).await.text;
    let stop = text[7..10].to_string();
    let mut stopping = request("hello", 40);
    stopping.stop.strings = vec![stop.clone()];
    let whole = alone(stopping).await;
    assert_eq!(whole.text, text[..text.find(&stop).unwrap()]);
    assert_eq!(whole.finish, Some(FinishReason::Stop));
    assert_eq!(whole.bits.len(), whole.text.len());
}

fn scripted(text: &str) -> Local {
    let script = crate::toy::ToyLexicon.encode(text, true);
    engine(
        ToyDecoder {
            script: Some(script),
            ..ToyDecoder::default()
        },
        &options(),
    )
    .1
}

#[tokio::test]
async fn end_tokens_end_the_answer_unless_they_are_ignored() {
    let local = scripted("hi");
    let whole = run(&local, request("\u{1}", 20)).await.unwrap();
    assert_eq!((whole.text.as_str(), whole.finish), ("hi", Some(FinishReason::Stop)));
    let mut ignoring = request("\u{1}", 5);
    ignoring.stop.ignore_eos = true;
    let whole = run(&local, ignoring).await.unwrap();
    assert_eq!(
        (whole.text.as_str(), whole.finish, whole.generated),
        ("hi", Some(FinishReason::Length), 5)
    );
    let mut own = request("\u{1}", 20);
    own.stop.tokens = vec![u32::from(b'i')];
    assert_eq!(run(&local, own).await.unwrap().text, "h");
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_by_name() {
    let (_, local) = engine(ToyDecoder::default(), &options());
    let with = |change: fn(&mut GenerateRequest)| {
        let mut request = request("x", 5);
        change(&mut request);
        request
    };
    let long = with(|r| r.prompt = Prompt::Text("z".repeat(5000)));
    assert!(matches!(
        run(&local, long).await,
        Err(EngineError::TooLong {
            tokens: 5000,
            context: 4096
        })
    ));
    let endless = with(|r| r.prompt = Prompt::Text("z".repeat(1 << 20)));
    let refused = run(&local, endless).await;
    assert!(matches!(
        refused,
        Err(EngineError::FarTooLong {
            bytes: 1_048_576,
            context: 4096
        })
    ));
    let bad = [
        ("prompt", with(|r| r.prompt = Prompt::Tokens(vec![1, VOCAB as u32]))),
        ("prompt", with(|r| r.prompt = Prompt::Tokens(vec![]))),
        ("stop", with(|r| r.stop.strings = vec![String::new()])),
        ("stop_token_ids", with(|r| r.stop.tokens = vec![u32::MAX])),
        ("logprobs", with(|r| r.logprobs = Some(21))),
        ("temperature", with(|r| r.sampling.temperature = f32::NAN)),
        (
            "response_format",
            with(|r| r.constraint = Constraint::JsonSchema(json!({"not": {}}))),
        ),
    ];
    for (name, request) in bad {
        let Err(EngineError::Invalid { param, .. }) = run(&local, request).await else {
            panic!("{name}")
        };
        assert_eq!(param.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn the_context_ends_the_answer_with_length() {
    let (_, local) = engine(
        ToyDecoder::default(),
        &EngineOptions {
            context: Some(40),
            ..options()
        },
    );
    let mut open = request("0123456789", 0);
    open.stop.max_tokens = None;
    let whole = run(&local, open).await.unwrap();
    assert_eq!((whole.generated, whole.finish), (30, Some(FinishReason::Length)));
}

fn chat(tool_choice: ToolChoice) -> GenerateRequest {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string", "maxLength": 5}}, "required": ["city"], "additionalProperties": false});
    let function = Function {
        name: "weather".into(),
        description: None,
        parameters: Some(parameters),
        strict: None,
    };
    let message = Message {
        role: "user".into(),
        content: Some(Content::Text("\u{1}".into())),
        ..Message::default()
    };
    let prompt = Prompt::Chat {
        messages: vec![message],
        tools: vec![Tool {
            kind: "function".into(),
            function,
        }],
        tool_choice,
    };
    GenerateRequest {
        prompt,
        ..request("", 900)
    }
}

#[tokio::test]
async fn a_required_call_comes_out_whatever_the_model_would_say() {
    let (_, local) = engine(ToyDecoder::default(), &options());
    for choice in [ToolChoice::Required, ToolChoice::Function("weather".into())] {
        let whole = run(
            &local,
            GenerateRequest {
                sampling: Sampling {
                    temperature: 0.0,
                    ..Sampling::default()
                },
                ..chat(choice)
            },
        )
        .await
        .unwrap();
        assert_eq!(whole.text, "");
        assert_eq!(whole.calls[0].0, "weather");
        let arguments: serde_json::Value = serde_json::from_str(&whole.calls[0].1).unwrap();
        assert!(arguments["city"].is_string());
        if whole.finish != Some(FinishReason::Length) {
            assert_eq!(whole.finish, Some(FinishReason::ToolCalls));
        }
    }
    let missing = run(&local, chat(ToolChoice::Function("no such".into()))).await;
    assert!(matches!(missing, Err(EngineError::Invalid { .. })));
}

#[tokio::test]
async fn json_comes_out_whatever_the_model_would_say() {
    let (_, local) = engine(ToyDecoder::default(), &options());
    let schema = json!({"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "b": {"type": "boolean"}}, "required": ["a", "b"], "additionalProperties": false});
    let whole = run(
        &local,
        GenerateRequest {
            constraint: Constraint::JsonSchema(schema),
            ..request("x", 300)
        },
    )
    .await
    .unwrap();
    let value: serde_json::Value = serde_json::from_str(&whole.text).unwrap();
    assert!(value["b"].is_boolean() && (value["a"] == "x" || value["a"] == "y"));
    assert_eq!(whole.finish, Some(FinishReason::Stop));
}

#[tokio::test]
async fn dropping_the_model_lets_running_answers_finish() {
    let (_, local) = engine(
        ToyDecoder {
            step_ms: 1,
            ..ToyDecoder::default()
        },
        &options(),
    );
    let stream = local.generate(request("x", 50)).await.unwrap();
    drop(local);
    assert_eq!(collect(stream).await.unwrap().generated, 50);
}

#[test]
fn the_end_token_is_no_text() {
    assert!(crate::toy::ToyLexicon.is_special(END));
}
