//! A request's log-probabilities depend on the model and the request alone, to the bit.

use candor_engine::{DraftModel, EngineOptions, GenerateRequest, Generator, Local, Parts, Prompt, Speculate};
use candor_model::{LoadOptions, Model, Precision};

use crate::models::{MINILM, SMOLLM2, TURN, Whole, collect, engine, find, gemma3, request, smollm2, smollm2_in_bytes};

const PROMPT: &str = "The lighthouse stood at the end of the pier, where the wind from the north met the slow water of the bay. \
    Every evening at six the keeper climbed its one hundred and twelve steps, lit the lamp, and wrote a line in the book:";

fn ours() -> GenerateRequest {
    request(Prompt::Text(PROMPT.into()), 8)
}

/// A neighbour: other tokens, other lengths.
fn other(i: u32) -> GenerateRequest {
    let tokens = (0..5 + 4 * i).map(|n| (n * 7919 + i * 104_729) % 49_000).collect();
    request(Prompt::Tokens(tokens), 3 + i as usize % 5)
}

async fn the_bits_stay(model: Option<&Model>) {
    let _turn = TURN.lock().await;
    let Some(model) = model else { return };
    let settings = EngineOptions {
        threads: 1,
        prefix_cache: false,
        ..EngineOptions::default()
    };
    let alone = collect(engine(model, &settings).generate(ours()).await.unwrap())
        .await
        .unwrap()
        .answer();
    assert_eq!(alone.tokens.len(), 8);
    for (name, threads, chunk) in [
        ("two threads", 2, 256),
        ("chunks of 7", 2, 7),
        ("one thread, chunks of 33", 1, 33),
    ] {
        let local = engine(
            model,
            &EngineOptions {
                threads,
                chunk,
                ..EngineOptions::default()
            },
        );
        let first = collect(local.generate(ours()).await.unwrap()).await.unwrap();
        assert_eq!(first.answer(), alone, "{name}");
        let again = collect(local.generate(ours()).await.unwrap()).await.unwrap();
        assert!(again.usage.1 > 0, "nothing came from the cache");
        assert_eq!(again.answer(), alone, "{name}, after a cache hit");
    }
    let local = engine(
        model,
        &EngineOptions {
            threads: 2,
            chunk: 64,
            ..EngineOptions::default()
        },
    );
    let neighbours = (0..15).map(|i| async move { i }).collect::<Vec<_>>();
    let others = neighbours
        .into_iter()
        .map(|i| async { collect(local.generate(other(i.await)).await.unwrap()).await.unwrap() });
    let (first, others): (Whole, Vec<Whole>) = tokio::join!(
        async { collect(local.generate(ours()).await.unwrap()).await.unwrap() },
        futures::future::join_all(others)
    );
    assert_eq!(first.answer(), alone, "in a batch of 16");
    assert!(others.iter().all(|whole| whole.finish.is_some()));
}

#[tokio::test]
async fn quantized_answers_have_the_same_bits_alone_in_a_batch_in_chunks_after_a_cache_hit_and_on_two_threads() {
    the_bits_stay(smollm2(Precision::Quantized)).await;
}

#[tokio::test]
async fn exact_answers_have_the_same_bits_alone_in_a_batch_in_chunks_after_a_cache_hit_and_on_two_threads() {
    the_bits_stay(smollm2(Precision::F32)).await;
}

#[tokio::test]
async fn answers_over_keys_and_values_in_8_bits_have_the_same_bits_in_all_of_these() {
    the_bits_stay(smollm2_in_bytes()).await;
}

#[tokio::test]
async fn the_same_memory_holds_a_longer_context_in_8_bits() {
    let _turn = TURN.lock().await;
    let (Some(halves), Some(bytes)) = (smollm2(Precision::Quantized), smollm2_in_bytes()) else {
        return;
    };
    let options = EngineOptions {
        kv_bytes: Some(32 << 20),
        ..EngineOptions::default()
    };
    let context = |model| engine(model, &options).card().context.unwrap();
    // 30 layers of 3 heads of 64: 23,040 bytes a token in f16, 12,240 in 8 bits with 4 for each scale; whole pages.
    assert_eq!((context(halves), context(bytes)), (91 * 16, 171 * 16));
}

#[tokio::test]
async fn answers_far_beyond_a_window_have_the_same_bits_whatever_was_given_back() {
    let _turn = TURN.lock().await;
    let Some(model) = gemma3() else { return };
    let settings = |kv_mib: u64, chunk, prefix_cache| EngineOptions {
        threads: 2,
        kv_bytes: Some(kv_mib << 20),
        chunk,
        prefix_cache,
        ..EngineOptions::default()
    };
    let lines: String = (0..90)
        .map(|n| {
            format!(
                "In year {n} the keeper of lamp {} wrote of {} ships.\n",
                n * 7 % 61,
                n * 13 % 47
            )
        })
        .collect();
    // Three turns of one conversation, and a neighbour that parts from it after 400 tokens or so.
    let ends = [lines.len() / 2, lines.len() * 3 / 4, lines.len()];
    let mut texts: Vec<String> = ends.iter().map(|end| lines[..*end].to_owned()).collect();
    texts.push(format!("{}But then", &lines[..lines.len() / 3]));
    let requests: Vec<GenerateRequest> = texts.into_iter().map(|text| request(Prompt::Text(text), 12)).collect();
    let roomy = engine(model, &settings(1024, 2048, false));
    let mut alone = Vec::new();
    for one in &requests {
        let whole = collect(roomy.generate(one.clone()).await.unwrap()).await.unwrap();
        alone.push((whole.usage.0, whole.answer()));
    }
    assert!(
        alone[2].0 > 3 * 512,
        "{} tokens are not far beyond the window",
        alone[2].0
    );
    // 44 MiB: near pages for one request at a time and a little more, so that the cache loses some.
    for (kv_mib, chunk) in [(44, 64), (256, 48)] {
        let local = engine(model, &settings(kv_mib, chunk, true));
        let mut cached = 0;
        for (one, expected) in requests.iter().zip(&alone) {
            let whole = collect(local.generate(one.clone()).await.unwrap()).await.unwrap();
            cached += whole.usage.1;
            assert_eq!(whole.answer(), expected.1, "{kv_mib} MiB, one after the other");
        }
        assert!(cached > 1000, "{cached} tokens came from the cache");
        let together = requests
            .iter()
            .map(|one| async { collect(local.generate(one.clone()).await.unwrap()).await });
        for (whole, expected) in futures::future::join_all(together).await.into_iter().zip(&alone) {
            assert_eq!(whole.unwrap().answer(), expected.1, "{kv_mib} MiB, side by side");
        }
    }
}

#[tokio::test]
async fn a_preempted_answer_has_the_same_bits() {
    let _turn = TURN.lock().await;
    let Some(model) = smollm2(Precision::Quantized) else {
        return;
    };
    let roomy = engine(
        model,
        &EngineOptions {
            threads: 2,
            prefix_cache: false,
            ..EngineOptions::default()
        },
    );
    // Pages for about one and a half of these requests.
    let page = model.decoder().unwrap().kv_shape().page_bytes().far as u64;
    let tight = engine(
        model,
        &EngineOptions {
            threads: 2,
            kv_bytes: Some(page * 9),
            ..EngineOptions::default()
        },
    );
    let requests = [
        request(Prompt::Text(PROMPT.into()), 40),
        request(Prompt::Text(PROMPT[40..].into()), 40),
    ];
    let expected = futures::future::join_all(requests.iter().map(|r| async {
        collect(roomy.generate(r.clone()).await.unwrap())
            .await
            .unwrap()
            .answer()
    }))
    .await;
    let got = futures::future::join_all(requests.iter().map(|r| async {
        collect(tight.generate(r.clone()).await.unwrap())
            .await
            .unwrap()
            .answer()
    }))
    .await;
    assert_eq!(got, expected);
}

#[tokio::test]
async fn a_scored_prompt_has_the_same_bits_with_and_without_a_cache() {
    let _turn = TURN.lock().await;
    let Some(model) = smollm2(Precision::Quantized) else {
        return;
    };
    let local = engine(
        model,
        &EngineOptions {
            threads: 2,
            chunk: 20,
            ..EngineOptions::default()
        },
    );
    let scored = || GenerateRequest {
        prompt_logprobs: Some(0),
        ..request(Prompt::Text(PROMPT.into()), 0)
    };
    let fresh = collect(local.generate(scored()).await.unwrap()).await.unwrap();
    collect(local.generate(ours()).await.unwrap()).await.unwrap();
    let cached = collect(local.generate(scored()).await.unwrap()).await.unwrap();
    assert_eq!(fresh.prompt.len(), fresh.usage.0);
    assert_eq!(cached.prompt, fresh.prompt);
    let mean = fresh
        .prompt
        .iter()
        .filter_map(|(_, bits, _)| bits.map(f32::from_bits))
        .sum::<f32>()
        / fresh.prompt.len() as f32;
    assert!(
        (-6.0..-1.0).contains(&mean),
        "a sensible English sentence scores {mean} per token"
    );
}

const QUOTING: &str = "<|im_start|>user\nRepeat this: The harbour of Lindholm was dug in 1734 by two hundred workers, who were paid in \
    grain and salt.<|im_end|>\n<|im_start|>assistant\nThe harbour of Lindholm was dug";

#[tokio::test]
async fn answers_that_are_guessed_ahead_have_the_same_bits() {
    let _turn = TURN.lock().await;
    let Some(model) = smollm2(Precision::Quantized) else {
        return;
    };
    let settings = |speculate| EngineOptions {
        threads: 2,
        speculate,
        kv_bytes: Some(64 << 20),
        ..EngineOptions::default()
    };
    let plain = engine(model, &settings(Speculate::Off));
    let lookup = engine(model, &settings(Speculate::Lookup));
    // The model itself as its draft: every greedy guess is right.
    let drafted = Parts {
        draft: model
            .decoder()
            .cloned()
            .map(|decoder| DraftModel { decoder, cost: 0.0 }),
        ..Parts::from(model)
    };
    let drafted = Local::from_parts(drafted, &settings(Speculate::Lookup)).unwrap();
    let mut requests = vec![
        request(Prompt::Text(QUOTING.into()), 60),
        request(Prompt::Text(PROMPT.into()), 40),
        request(Prompt::Text(QUOTING.into()), 60),
        request(Prompt::Text(PROMPT.into()), 40),
    ];
    for seeded in &mut requests[2..] {
        seeded.sampling.temperature = 0.7;
        seeded.sampling.seed = Some(5);
    }
    for request in &requests {
        let expected = collect(plain.generate(request.clone()).await.unwrap()).await.unwrap();
        for guessing in [&lookup, &drafted] {
            let got = collect(guessing.generate(request.clone()).await.unwrap())
                .await
                .unwrap();
            assert_eq!(got, expected);
        }
    }
    for guessing in [&lookup, &drafted] {
        assert!(guessing.speculated().1 > 20 && guessing.steps() < plain.steps());
    }
    let mut answers = Vec::new();
    for local in [&plain, &lookup, &drafted] {
        let streams = requests.iter().map(|request| local.generate(request.clone()));
        let streams = futures::future::join_all(streams).await;
        let wholes = futures::future::join_all(streams.into_iter().map(|stream| collect(stream.unwrap()))).await;
        answers.push(
            wholes
                .into_iter()
                .map(|whole| whole.unwrap().answer())
                .collect::<Vec<_>>(),
        );
    }
    assert!(answers.iter().all(|each| *each == answers[0]), "side by side");
}

#[tokio::test]
async fn a_draft_model_with_other_tokens_is_refused_with_a_sentence() {
    let _turn = TURN.lock().await;
    let (Some(path), Some(other)) = (find(SMOLLM2), find(MINILM)) else {
        return;
    };
    let open = |draft, speculate| {
        let options = EngineOptions {
            draft: Some(draft),
            speculate,
            kv_bytes: Some(16 << 20),
            ..EngineOptions::default()
        };
        Local::open(&path, &LoadOptions::default(), &options)
    };
    let Err(error) = open(other.clone(), Speculate::Lookup) else {
        panic!("another vocabulary was taken");
    };
    let error = error.to_string();
    assert!(
        error.contains("cannot guess for") && error.contains("vocabulary"),
        "{error}"
    );
    assert!(open(other, Speculate::Off).is_ok(), "what is off is not opened");
    assert!(open(path.clone(), Speculate::Lookup).is_ok());
}
