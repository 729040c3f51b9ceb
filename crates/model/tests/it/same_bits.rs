//! The logits of a sequence are the same bits however it is computed: whole or in chunks, alone or among others, with one thread
//! or two, on whatever pages.

use candor_kernels::team::Team;
use candor_model::{Counts, Decoder, KvFormat, LoadOptions, Model, PAGE_TOKENS, Precision, Segment, Step};

use crate::at_hand::model;
use crate::tiny::fixture;

/// Numbers that look random and are the same everywhere.
fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// Bits of the logits of the last `tail` tokens of `tokens`, computed in chunks of `chunk`, beside `others` sequences.
fn run(decoder: &dyn Decoder, threads: usize, tokens: &[u32], chunk: usize, others: usize, seed: u64) -> Vec<u32> {
    let team = Team::new(threads);
    let mut random = random(seed);
    let per_sequence = tokens.len().div_ceil(PAGE_TOKENS) + 2;
    let count = per_sequence * (others + 1);
    let mut pages: Vec<u32> = (0..count as u32).collect();
    (1..count).rev().for_each(|i| pages.swap(i, random(i + 1)));
    let window = decoder.kv_shape().window().unwrap_or(usize::MAX);
    let mut kv = decoder.new_kv(Counts::both(count)).unwrap();
    let mut past = vec![0; others];
    let mut out = Vec::new();
    for (i, part) in tokens.chunks(chunk).enumerate() {
        let mut segments = Vec::new();
        let mut all = Vec::new();
        let place = random(others + 1);
        let mut first = 0;
        for other in 0..=others {
            let table = |n: usize| &pages[n * per_sequence..(n + 1) * per_sequence];
            if other == place {
                first = all.len();
                segments.push(Segment {
                    past: i * chunk,
                    len: part.len(),
                    pages: table(others),
                });
                all.extend_from_slice(part);
            }
            if other < others {
                let room = per_sequence * PAGE_TOKENS - past[other];
                let len = (1 + random(9)).min(room);
                if len > 0 {
                    segments.push(Segment {
                        past: past[other],
                        len,
                        pages: table(other),
                    });
                    all.extend((0..len).map(|_| random(decoder.vocab()) as u32));
                    past[other] += len;
                }
            }
        }
        let wanted: Vec<usize> = (first..first + part.len()).collect();
        // Layers with a window have pages of their own, and those behind it are gone.
        let tables: Vec<Vec<u32>> = segments
            .iter()
            .map(|segment| {
                let gone = (segment.past + 1).saturating_sub(window) / PAGE_TOKENS;
                let near = segment.pages.iter().map(|page| count as u32 - 1 - page);
                near.enumerate()
                    .map(|(at, page)| if at < gone { u32::MAX } else { page })
                    .collect()
            })
            .collect();
        let near: Vec<Segment<'_>> = segments
            .iter()
            .zip(&tables)
            .map(|(segment, pages)| Segment { pages, ..*segment })
            .collect();
        let logits = decoder.forward(
            &team,
            &Step {
                tokens: &all,
                segments: &segments,
                near: &near,
                wanted: &wanted,
            },
            &mut kv,
        );
        out.extend(logits.into_iter().map(f32::to_bits));
    }
    out
}

fn same_bits(model: &Model, len: usize) {
    let decoder = &**model.decoder().unwrap();
    let mut random = random(3);
    let tokens: Vec<u32> = (0..len).map(|_| random(decoder.vocab()) as u32).collect();
    let alone = run(decoder, 1, &tokens, len, 0, 1);
    for (threads, chunk, others) in [
        (2, len, 0),
        (1, 7, 0),
        (2, 16, 0),
        (1, 1, 0),
        (2, len, 15),
        (1, 5, 15),
        (2, 1, 15),
    ] {
        let other = run(decoder, threads, &tokens, chunk, others, 2);
        assert!(
            alone == other,
            "{threads} threads, chunks of {chunk}, beside {others} others"
        );
    }
}

const KINDS: [(Precision, KvFormat); 4] = [
    (Precision::Quantized, KvFormat::F16),
    (Precision::Quantized, KvFormat::Q8),
    (Precision::Fast, KvFormat::F16),
    (Precision::F32, KvFormat::F32),
];

#[test]
fn tiny_models_give_the_same_bits_in_every_arrangement() {
    for name in [
        "llama.gguf",
        "qwen2.gguf",
        "mistral",
        "qwen3",
        "qwen3_moe",
        "gemma3_text",
    ] {
        for (precision, kv) in KINDS {
            println!("{name}, {precision:?}, {kv:?}");
            same_bits(
                &Model::open(
                    &fixture(name),
                    &LoadOptions {
                        precision,
                        kv,
                        threads: 1,
                    },
                )
                .unwrap(),
                45,
            );
        }
    }
}

#[test]
fn real_models_give_the_same_bits_in_every_arrangement() {
    for name in ["smollm2", "gemma3"] {
        let Some(path) = model(name) else { return };
        for (precision, kv) in KINDS {
            println!("{name}, {precision:?}, {kv:?}");
            same_bits(
                &Model::open(
                    &path,
                    &LoadOptions {
                        precision,
                        kv,
                        threads: 2,
                    },
                )
                .unwrap(),
                20,
            );
        }
    }
}
