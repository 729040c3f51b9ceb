#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use futures::StreamExt;
use serde_json::json;

use super::*;
use crate::local::tests::{Whole, collect, request, run, wait_until};
use crate::toy::{ToyDecoder, ToyLexicon, engine_with_draft};
use crate::{Constraint, DraftModel, Dry, EngineOptions, FinishReason, GenerateRequest, Generator, Local, Sampling};

/// Where it writes what it wrote before, to be looked up.
const REPEATING: &str = "abcabdabcabe abcabdabcabe abcab";

fn model() -> ToyDecoder {
    ToyDecoder {
        order: Some(2),
        ..ToyDecoder::default()
    }
}

/// Guesses badly.
fn stranger() -> ToyDecoder {
    ToyDecoder {
        order: Some(5),
        ..ToyDecoder::default()
    }
}

fn options(speculate: Speculate) -> EngineOptions {
    EngineOptions {
        threads: 1,
        speculate,
        ..EngineOptions::default()
    }
}

/// The engines whose answers must be the same: without guesses, with lookup, with good and bad draft models beside it.
fn engines(settings: &EngineOptions) -> [Local; 4] {
    let with = |speculate, draft| {
        let settings = EngineOptions {
            speculate,
            ..settings.clone()
        };
        engine_with_draft(model(), draft, &settings).1
    };
    [
        with(Speculate::Off, None),
        with(Speculate::Lookup, None),
        with(Speculate::Lookup, Some(model())),
        with(Speculate::Lookup, Some(stranger())),
    ]
}

fn greedy(mut request: GenerateRequest) -> GenerateRequest {
    request.sampling.temperature = 0.0;
    request
}

/// Requests of every kind that change how a token is chosen or where an answer ends.
fn requests() -> Vec<GenerateRequest> {
    let plain = || request(REPEATING, 150);
    let with = |change: &dyn Fn(&mut GenerateRequest)| {
        let mut request = plain();
        change(&mut request);
        request
    };
    let sampled = |sampling: Sampling| {
        with(&|r| {
            r.sampling = Sampling {
                seed: Some(11),
                ..sampling.clone()
            }
        })
    };
    let schema = json!({"type": "array", "items": {"enum": ["abab", "abba"]}, "minItems": 9, "maxItems": 12});
    let mut all = vec![
        plain(),
        greedy(plain()),
        sampled(Sampling {
            temperature: 0.6,
            top_p: 0.9,
            top_k: 12,
            ..Sampling::default()
        }),
        sampled(Sampling {
            temperature: 0.8,
            min_p: 0.05,
            typical_p: 0.9,
            ..Sampling::default()
        }),
        sampled(Sampling {
            presence_penalty: 0.7,
            frequency_penalty: 0.4,
            ..Sampling::default()
        }),
        sampled(Sampling {
            temperature: 0.0,
            repetition_penalty: 1.3,
            ..Sampling::default()
        }),
        sampled(Sampling {
            dry: Dry {
                multiplier: 0.8,
                base: 1.75,
                allowed_length: 4,
                sequence_breakers: vec![],
            },
            ..Sampling::default()
        }),
        with(&|r| r.constraint = Constraint::JsonSchema(schema.clone())),
        greedy(with(&|r| {
            r.constraint = Constraint::Regex("(abc|abd|xyz){20,30}".into())
        })),
        with(&|r| r.stop.strings = vec!["a".into()]),
        greedy(with(&|r| r.stop.tokens = (b'a'..b'n').map(u32::from).collect())),
        greedy(with(&|r| r.logprobs = Some(0))),
        greedy(with(&|r| r.prompt_logprobs = Some(0))),
        greedy(with(&|r| r.prompt_logprobs = Some(9))),
        greedy(with(&|r| r.stop.max_tokens = None)),
    ];
    all.extend((0..40).map(|max| greedy(with(&|r| r.stop.max_tokens = Some(max)))));
    // Stop strings that end in the midst of what is guessed.
    for stop in 5..25 {
        all.push(greedy(with(&|r| {
            r.stop.strings = vec![format!("{}", "ab".repeat(stop))]
        })));
    }
    all
}

#[tokio::test]
async fn answers_log_probabilities_and_usage_have_the_same_bits_with_and_without_guesses() {
    let settings = EngineOptions {
        context: Some(400),
        ..options(Speculate::Off)
    };
    let [plain, others @ ..] = engines(&settings);
    for (number, request) in requests().into_iter().enumerate() {
        let expected = run(&plain, request.clone()).await.unwrap();
        for (kind, other) in others.iter().enumerate() {
            // The prefix cache has seen the same requests, so even the count of cached tokens is the same.
            assert_eq!(
                run(other, request.clone()).await.unwrap(),
                expected,
                "request {number}, engine {kind}"
            );
        }
    }
    for (kind, other) in others.iter().enumerate() {
        let (proposed, accepted) = other.speculated();
        assert!(
            accepted > 500 && accepted <= proposed,
            "engine {kind}: {accepted} of {proposed}"
        );
        assert!(other.steps() < plain.steps(), "engine {kind}");
    }
    assert_eq!(plain.speculated(), (0, 0));
}

#[tokio::test]
async fn the_same_bits_beside_others_with_few_pages_and_in_chunks() {
    let prompts: Vec<String> = (0..9)
        .map(|i| format!("{}{}", &REPEATING[i..], &REPEATING[..i * 3]))
        .collect();
    let ask = |i: usize| {
        let request = request(&prompts[i], 60 + 9 * i);
        if i.is_multiple_of(2) { greedy(request) } else { request }
    };
    let [plain, ..] = engines(&EngineOptions {
        prefix_cache: false,
        ..options(Speculate::Off)
    });
    let mut expected = Vec::new();
    for i in 0..prompts.len() {
        expected.push(run(&plain, ask(i)).await.unwrap());
    }
    let tight = EngineOptions {
        kv_bytes: Some(20 * 1024),
        chunk: 24,
        ..options(Speculate::Off)
    };
    let small = EngineOptions {
        chunk: 3,
        max_batch: 4,
        threads: 2,
        ..options(Speculate::Off)
    };
    for settings in [options(Speculate::Off), tight, small] {
        for local in &engines(&settings)[1..] {
            let all = futures::future::join_all((0..prompts.len()).map(|i| run(local, ask(i)))).await;
            for (whole, expected) in all.into_iter().zip(&expected) {
                assert_eq!(
                    &Whole {
                        cached: 0,
                        ..whole.unwrap()
                    },
                    expected
                );
            }
            assert!(local.speculated().1 > 0);
            wait_until("sleep without held pages", || local.leaked_pages() == 0).await;
        }
    }
}

#[tokio::test]
async fn the_context_ends_the_answer_at_the_same_token() {
    let prompt = crate::Lexicon::encode(&ToyLexicon, REPEATING, false).len();
    for context in 30..60 {
        let settings = EngineOptions {
            context: Some(context),
            ..options(Speculate::Off)
        };
        let mut open = greedy(request(REPEATING, 0));
        open.stop.max_tokens = None;
        let [plain, others @ ..] = engines(&settings);
        let expected = run(&plain, open.clone()).await.unwrap();
        assert_eq!(
            (expected.generated, expected.finish),
            (context - prompt, Some(FinishReason::Length))
        );
        for other in others {
            assert_eq!(run(&other, open.clone()).await.unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn a_cancelled_answer_that_was_guessed_ahead_frees_its_pages() {
    for draft in [None, Some(model())] {
        let slow = ToyDecoder { step_ms: 1, ..model() };
        let (_, local) = engine_with_draft(slow, draft, &options(Speculate::Lookup));
        for tokens in [1, 20, 60] {
            let mut stream = local.generate(greedy(request(REPEATING, 4000))).await.unwrap();
            for _ in 0..tokens {
                assert!(stream.next().await.unwrap().is_ok());
            }
        }
        let done = collect(local.generate(request(REPEATING, 20)).await.unwrap())
            .await
            .unwrap();
        assert_eq!(done.generated, 20);
        wait_until("sleep without held pages", || local.leaked_pages() == 0).await;
    }
}

#[tokio::test]
async fn a_draft_model_that_panics_is_left_out_and_the_answer_goes_on() {
    let broken = ToyDecoder {
        poison: Some(u32::from(b'!')),
        ..model()
    };
    let (_, local) = engine_with_draft(model(), Some(broken), &options(Speculate::Lookup));
    let (_, plain) = engine_with_draft(model(), None, &options(Speculate::Off));
    let ask = || request("no repetition!", 50);
    assert_eq!(run(&local, ask()).await.unwrap(), run(&plain, ask()).await.unwrap());
}

#[test]
fn a_draft_model_catches_up_takes_back_and_forgets() {
    let team = Team::new(1);
    let draft_of = |pages, chunk| {
        let (decoder, cost) = (Arc::new(model()), 0.0);
        Draft::new(DraftModel { decoder, cost }, pages, chunk).unwrap()
    };
    let mut draft = draft_of(8, 10);
    let fresh = |tokens: &[u32], most| {
        let mut draft = draft_of(64, 1000);
        draft.propose(&team, &[Ask { id: 0, tokens, most }]).remove(0).tokens
    };
    let mut tokens: Vec<u32> = (0..35).map(|i| 97 + i * i % 11).collect();
    // Three calls of ten tokens each are spent on reading.
    for _ in 0..3 {
        assert!(
            draft.propose(
                &team,
                &[Ask {
                    id: 1,
                    tokens: &tokens,
                    most: 5
                }]
            )[0]
            .tokens
            .is_empty()
        );
    }
    let proposal = draft
        .propose(
            &team,
            &[Ask {
                id: 1,
                tokens: &tokens,
                most: 5,
            }],
        )
        .remove(0)
        .tokens;
    assert_eq!((proposal.len(), &proposal), (5, &fresh(&tokens, 5)));
    // Two of them are chosen, then another token.
    tokens.extend([proposal[0], proposal[1], 97]);
    let proposal = draft
        .propose(
            &team,
            &[Ask {
                id: 1,
                tokens: &tokens,
                most: 4,
            }],
        )
        .remove(0)
        .tokens;
    assert_eq!(proposal, fresh(&tokens, 4));
    // 8 pages: another request of 100 tokens finds none until the first is forgotten.
    let long = vec![98; 100];
    let both = [
        Ask {
            id: 1,
            tokens: &tokens,
            most: 0,
        },
        Ask {
            id: 2,
            tokens: &long,
            most: 1,
        },
    ];
    for _ in 0..20 {
        assert!(draft.propose(&team, &both)[1].tokens.is_empty());
    }
    let proposals: Vec<_> = (0..20)
        .map(|_| draft.propose(&team, &both[1..]).remove(0).tokens)
        .collect();
    assert_eq!(proposals[19], fresh(&long, 1));
}

#[test]
fn trust_grows_with_what_came_and_shrinks_with_what_did_not() {
    let mut trust = Trust::default();
    let mut tokens: Vec<u32> = vec![1, 2];
    let alone = worth(1);
    for _ in 0..60 {
        trust.expect(
            tokens.len(),
            Proposal {
                tokens: vec![7, 7],
                kind: 2,
            },
        );
        tokens.extend([7, 7, 9]);
        trust.learn(&tokens);
    }
    assert_eq!(trust.reach(2, alone), MOST);
    for _ in 0..20 {
        trust.expect(
            tokens.len(),
            Proposal {
                tokens: vec![7, 7],
                kind: 2,
            },
        );
        tokens.push(9);
        trust.learn(&tokens);
    }
    assert_eq!(trust.reach(2, alone), 0);
}

#[test]
fn the_more_answers_are_written_at_once_the_surer_a_guess_must_be() {
    let reach = |answers| Trust::default().reach(lookup::KINDS - 1, worth(answers));
    assert!((1..100).all(|answers| worth(answers) < worth(answers + 1)));
    assert!(reach(1) > 0 && reach(64) == 0);
}

#[test]
fn a_draft_model_is_asked_only_if_it_is_much_smaller() {
    let reach = |cost: f32| Trust::default().reach(DRAFTED, worth(1) + cost);
    assert!(reach(0.1) > reach(0.4) && reach(0.4) > 0 && reach(0.9) == 0);
}
