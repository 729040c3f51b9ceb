#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::toy::ToyLexicon;
use crate::{Dry, EngineError};

fn settings() -> Sampling {
    Sampling {
        seed: Some(7),
        ..Sampling::default()
    }
}

fn draws(settings: &Sampling, logits: &[f32], n: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(settings.clone(), &[], &ToyLexicon);
    (0..n)
        .map(|_| sampler.sample(&mut logits.to_vec(), &[], None).unwrap())
        .collect()
}

#[test]
fn greedy_takes_the_largest_and_the_lowest_id_among_equals() {
    let greedy = Sampling {
        temperature: 0.0,
        ..settings()
    };
    assert_eq!(draws(&greedy, &[0.0, 3.0, 3.0, f32::NAN], 3), [1, 1, 1]);
}

#[test]
fn the_same_seed_draws_the_same_tokens_and_another_seed_others() {
    let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32 * 0.1).collect();
    assert_eq!(draws(&settings(), &logits, 40), draws(&settings(), &logits, 40));
    assert_ne!(
        draws(&settings(), &logits, 40),
        draws(
            &Sampling {
                seed: Some(8),
                ..settings()
            },
            &logits,
            40
        )
    );
}

#[test]
fn draws_follow_the_probabilities() {
    let logits = [0.1f32.ln(), 0.2f32.ln(), 0.7f32.ln()];
    let drawn = draws(&settings(), &logits, 20_000);
    for (id, p) in [(0, 0.1), (1, 0.2), (2, 0.7)] {
        let share = drawn.iter().filter(|drawn| **drawn == id).count() as f64 / 20_000.0;
        // Five standard deviations of a binomial share.
        assert!(
            (share - p).abs() < 5.0 * (p * (1.0 - p) / 20_000.0f64).sqrt(),
            "{id}: {share}"
        );
    }
}

/// Which of the tokens can be drawn.
fn support(settings: &Sampling, logits: &[f32]) -> Vec<u32> {
    let mut drawn = draws(settings, logits, 3000);
    drawn.sort_unstable();
    drawn.dedup();
    drawn
}

#[test]
fn each_filter_keeps_just_its_tokens() {
    let logits: Vec<f32> = [0.4f32, 0.3, 0.15, 0.1, 0.05].iter().map(|p| p.ln()).collect();
    assert_eq!(support(&settings(), &logits), [0, 1, 2, 3, 4]);
    assert_eq!(support(&Sampling { top_k: 2, ..settings() }, &logits), [0, 1]);
    assert_eq!(
        support(
            &Sampling {
                top_p: 0.8,
                ..settings()
            },
            &logits
        ),
        [0, 1, 2]
    );
    assert_eq!(
        support(
            &Sampling {
                top_p: 0.01,
                ..settings()
            },
            &logits
        ),
        [0]
    );
    assert_eq!(
        support(
            &Sampling {
                top_p: 0.0,
                ..settings()
            },
            &logits
        ),
        [0]
    );
    assert_eq!(
        support(
            &Sampling {
                min_p: 0.3,
                ..settings()
            },
            &logits
        ),
        [0, 1, 2]
    );
    // Entropy 1.39 nats: nearest are 0.3 (1.20), 0.4 (0.92) and 0.15 (1.90).
    assert_eq!(
        support(
            &Sampling {
                typical_p: 0.6,
                ..settings()
            },
            &logits
        ),
        [0, 1]
    );
    assert_eq!(
        support(
            &Sampling {
                typical_p: 0.2,
                ..settings()
            },
            &logits
        ),
        [1]
    );
}

#[test]
fn penalties_and_bias_change_the_choice() {
    let greedy = Sampling {
        temperature: 0.0,
        ..settings()
    };
    let logits = [1.0, 0.9, 0.0];
    assert_eq!(
        draws(
            &Sampling {
                presence_penalty: 0.5,
                ..greedy.clone()
            },
            &logits,
            3
        ),
        [0, 1, 0]
    );
    assert_eq!(
        draws(
            &Sampling {
                frequency_penalty: 2.0,
                ..greedy.clone()
            },
            &logits,
            3
        ),
        [0, 1, 2]
    );
    assert_eq!(
        draws(
            &Sampling {
                repetition_penalty: 2.0,
                ..greedy.clone()
            },
            &logits,
            3
        ),
        [0, 1, 0]
    );
    assert_eq!(
        draws(
            &Sampling {
                logit_bias: vec![(2, 5.0)],
                ..greedy
            },
            &logits,
            2
        ),
        [2, 2]
    );
}

proptest! {
    #[test]
    fn what_a_mask_forbids_and_what_lies_beyond_it_is_taken_out_and_nothing_else(
        words in prop::collection::vec(prop_oneof![Just(0u32), Just(u32::MAX), any::<u32>()], 0..5),
        short in 0usize..32,
        logits in 0usize..140,
    ) {
        let bits: Vec<bool> = (0..(words.len() * 32).saturating_sub(short)).map(|id| words[id / 32] >> (id % 32) & 1 == 1).collect();
        let mut masked = vec![1.0; logits];
        forbid(&mut masked, &SimpleVob::from_slice(&bits));
        for (id, logit) in masked.into_iter().enumerate() {
            let allowed = bits.get(id).copied().unwrap_or(false);
            prop_assert_eq!(logit, if allowed { 1.0 } else { f32::NEG_INFINITY }, "{}", id);
        }
    }
}

#[test]
fn a_mask_is_never_left() {
    let mut mask = SimpleVob::alloc(5);
    mask.allow_token(3);
    let mut sampler = Sampler::new(settings(), &[], &ToyLexicon);
    assert_eq!(
        sampler.sample(&mut [9.0, 9.0, 9.0, -50.0, 9.0], &[], Some(&mask)),
        Some(3)
    );
    assert_eq!(sampler.sample(&mut [f32::NAN; 5], &[], None), None);
    assert_eq!(sampler.sample(&mut [1.0; 5], &[], Some(&SimpleVob::alloc(5))), None);
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let dry = |multiplier, base| Dry {
        multiplier,
        base,
        ..Dry::default()
    };
    let bad = [
        (
            "temperature",
            Sampling {
                temperature: -0.1,
                ..settings()
            },
        ),
        (
            "temperature",
            Sampling {
                temperature: f32::NAN,
                ..settings()
            },
        ),
        (
            "temperature",
            Sampling {
                temperature: f32::INFINITY,
                ..settings()
            },
        ),
        (
            "top_p",
            Sampling {
                top_p: -0.1,
                ..settings()
            },
        ),
        (
            "top_p",
            Sampling {
                top_p: 1.1,
                ..settings()
            },
        ),
        (
            "typical_p",
            Sampling {
                typical_p: f32::NAN,
                ..settings()
            },
        ),
        (
            "min_p",
            Sampling {
                min_p: -0.5,
                ..settings()
            },
        ),
        (
            "repetition_penalty",
            Sampling {
                repetition_penalty: 0.0,
                ..settings()
            },
        ),
        (
            "presence_penalty",
            Sampling {
                presence_penalty: 2.5,
                ..settings()
            },
        ),
        (
            "frequency_penalty",
            Sampling {
                frequency_penalty: f32::NEG_INFINITY,
                ..settings()
            },
        ),
        (
            "dry_multiplier",
            Sampling {
                dry: dry(-1.0, 1.75),
                ..settings()
            },
        ),
        (
            "dry_base",
            Sampling {
                dry: dry(1.0, 0.0),
                ..settings()
            },
        ),
        (
            "logit_bias",
            Sampling {
                logit_bias: vec![(100, 0.0)],
                ..settings()
            },
        ),
        (
            "logit_bias",
            Sampling {
                logit_bias: vec![(1, f32::NAN)],
                ..settings()
            },
        ),
    ];
    for (name, settings) in bad {
        let error = check(&settings, 100).unwrap_err();
        let EngineError::Invalid { param, message } = error else {
            panic!("{error}")
        };
        assert_eq!(param.as_deref(), Some(name));
        assert!(message.contains(name), "{message}");
    }
    assert!(check(&settings(), 100).is_ok());
}

#[test]
fn log_probabilities_are_those_of_the_softmax() {
    let logits = [1.0f32, 2.0, 3.0, 2.0];
    let row = Logprobs::new(&logits);
    let total: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
    for (id, logit) in logits.iter().enumerate() {
        assert!((f64::from(row.of(id as u32)) - (f64::from(*logit) - total.ln())).abs() < 1e-6);
    }
    assert_eq!(row.top(3), [2, 1, 3]);
    assert_eq!(row.top(0), [0u32; 0]);
}

proptest! {
    #[test]
    fn top_p_keeps_the_same_tokens_as_a_plain_sort(logits in proptest::collection::vec(-8f32..8.0, 1..60), p in 0.01f64..0.999) {
        let weights: Vec<Candidate> = logits.iter().enumerate().map(|(id, logit)| (id as u32, f64::from(*logit).exp())).collect();
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let mut plain = weights.clone();
        plain.sort_unstable_by(by_weight);
        keep_mass(&mut plain, p * total);
        let mut fast = weights;
        top_p(&mut fast, p);
        prop_assert_eq!(fast, plain);
    }
}
