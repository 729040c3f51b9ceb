//! Attention against f64 and against itself in other arrangements.
#![allow(clippy::unwrap_used)]

use half::f16;
use proptest::prelude::*;

use super::*;
use crate::cpu;
use crate::gemm::tests::Numbers;

/// Keys and values of one sequence with a shuffled page table, q, and what they are in f64 terms.
struct Case {
    params: Params,
    total: usize,
    pages: Vec<u32>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

fn floats(count: usize, n: &mut Numbers) -> Vec<f32> {
    // Rounded to f16, so that both storages hold the same.
    (0..count).map(|_| f16::from_f32(n.float()).to_f32()).collect()
}

fn case(params: Params, total: usize, n: &mut Numbers) -> Case {
    let count = total.div_ceil(PAGE_TOKENS) as u32 + 3;
    let mut pages: Vec<u32> = (0..count).collect();
    for i in (1..pages.len()).rev() {
        pages.swap(i, n.next() as usize % (i + 1));
    }
    let (heads, kv) = (params.heads * params.head_dim, params.kv_heads * params.head_dim);
    let (q, k, v) = (floats(total * heads, n), floats(total * kv, n), floats(total * kv, n));
    Case {
        params,
        total,
        pages,
        q,
        k,
        v,
    }
}

/// Runs the case in chunks of the given lengths, each stored and then attended.
fn chunked(isa: Isa, team: &Team, case: &Case, chunks: &[usize], half: bool) -> Vec<f32> {
    let p = &case.params;
    let size = case.pages.len() * PAGE_TOKENS * p.kv_heads * p.head_dim;
    // What other sequences left behind must not matter.
    let (mut k16, mut v16) = (vec![f16::from_f32(3.0); size], vec![f16::from_f32(-5.0); size]);
    let (mut k32, mut v32) = (vec![3.0; size], vec![-5.0; size]);
    let mut out = vec![f32::NAN; case.q.len()];
    let (width, kv_width) = (p.heads * p.head_dim, p.kv_heads * p.head_dim);
    let mut past = 0;
    for &len in chunks {
        let segments = [Segment {
            past,
            len,
            pages: &case.pages,
        }];
        let (k, v) = (
            &case.k[past * kv_width..][..len * kv_width],
            &case.v[past * kv_width..][..len * kv_width],
        );
        let layer = if half {
            store(
                &Team::new(2),
                KvLayerMut::F16 {
                    keys: &mut k16,
                    values: &mut v16,
                },
                &segments,
                k,
                v,
                p.kv_heads,
                p.head_dim,
            );
            KvLayer::F16 {
                keys: &k16,
                values: &v16,
            }
        } else {
            store(
                &Team::new(2),
                KvLayerMut::F32 {
                    keys: &mut k32,
                    values: &mut v32,
                },
                &segments,
                k,
                v,
                p.kv_heads,
                p.head_dim,
            );
            KvLayer::F32 {
                keys: &k32,
                values: &v32,
            }
        };
        let range = past * width..(past + len) * width;
        attend_on(isa, team, &mut out[range.clone()], &case.q[range], &segments, &layer, p);
        past += len;
    }
    out
}

/// Token t, head h in f64; `sees` are its positions.
fn reference(case: &Case, t: usize, h: usize, sees: std::ops::Range<usize>) -> Vec<f64> {
    let p = &case.params;
    let kv_head = h / (p.heads / p.kv_heads);
    let row = |x: &[f32], pos: usize| -> Vec<f64> {
        x[(pos * p.kv_heads + kv_head) * p.head_dim..][..p.head_dim]
            .iter()
            .map(|v| f64::from(*v))
            .collect()
    };
    let q = &case.q[(t * p.heads + h) * p.head_dim..][..p.head_dim];
    let scores: Vec<f64> = sees
        .clone()
        .map(|pos| {
            let dot: f64 = row(&case.k, pos).iter().zip(q).map(|(k, q)| k * f64::from(*q)).sum();
            let score = dot * f64::from(p.scale);
            p.softcap
                .map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
        })
        .collect();
    let max = scores.iter().copied().fold(f64::MIN, f64::max);
    let e: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
    let sum: f64 = e.iter().sum();
    let mut out = vec![0.0; p.head_dim];
    for (e, pos) in e.iter().zip(sees) {
        out.iter_mut()
            .zip(row(&case.v, pos))
            .for_each(|(y, v)| *y += e / sum * v);
    }
    out
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

fn shapes() -> impl Strategy<Value = Params> {
    let window = proptest::option::of(1usize..40);
    (
        1usize..4,
        1usize..5,
        1usize..21,
        window,
        proptest::option::of(1f32..20.0),
    )
        .prop_map(|(kv_heads, group, dim, window, softcap)| Params {
            heads: kv_heads * group,
            kv_heads,
            head_dim: dim * 4,
            scale: 1.0 / ((dim * 4) as f32).sqrt(),
            window,
            softcap,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_path_chunking_and_team_gives_the_same_bits_and_is_near_f64(
        params in shapes(), total in 1usize..90, cut in 0usize..90, half: bool, seed in 1u64..
    ) {
        let mut n = Numbers(seed);
        let case = case(params, total, &mut n);
        let (one, three) = (Team::new(1), Team::new(3));
        let whole = chunked(Isa::Scalar, &one, &case, &[total], half);
        let cut = cut % total;
        for isa in cpu::available() {
            prop_assert_eq!(bits(&chunked(isa, &three, &case, &[total], half)), bits(&whole), "{:?}", isa);
            prop_assert_eq!(bits(&chunked(isa, &one, &case, &[cut, total - cut], half)), bits(&whole), "cut at {}", cut);
        }
        let single = vec![1; total];
        prop_assert_eq!(bits(&chunked(cpu::best(), &one, &case, &single, half)), bits(&whole));
        prop_assert_eq!(bits(&chunked(cpu::best(), &one, &case, &[total], !half)), bits(&whole), "the other storage");
        for t in [0, total / 2, total - 1] {
            let from = params.window.map_or(0, |w| (t + 1).saturating_sub(w));
            for h in 0..params.heads {
                let want = reference(&case, t, h, from..t + 1);
                let got = &whole[(t * params.heads + h) * params.head_dim..][..params.head_dim];
                for (got, want) in got.iter().zip(want) {
                    // Scores are at most 9 (80 products of values below 1, scaled by 1 / sqrt 80) and err by 80 roundings
                    // of that, 4e-5, which e^x turns into a relative error; values are below 1.
                    prop_assert!((f64::from(*got) - want).abs() < 1e-4, "{got} {want}");
                }
            }
        }
    }

    #[test]
    fn sequences_of_one_step_do_not_touch_each_other(
        params in shapes(), lens in proptest::collection::vec(1usize..40, 2..5), seed in 1u64..
    ) {
        let mut n = Numbers(seed);
        let width = params.heads * params.head_dim;
        let kv_width = params.kv_heads * params.head_dim;
        let cases: Vec<Case> = lens.iter().map(|&len| case(params, len, &mut n)).collect();
        let mut first = 0;
        let tables: Vec<Vec<u32>> = cases.iter().map(|c| {
            let table = c.pages.iter().map(|p| p + first).collect();
            first += c.pages.len() as u32;
            table
        }).collect();
        let size = first as usize * PAGE_TOKENS * kv_width;
        let (mut keys, mut values) = (vec![0.0; size], vec![0.0; size]);
        let segments: Vec<Segment<'_>> =
            cases.iter().zip(&tables).map(|(c, pages)| Segment { past: 0, len: c.total, pages }).collect();
        let join = |f: fn(&Case) -> &Vec<f32>| cases.iter().flat_map(|c| f(c).clone()).collect::<Vec<f32>>();
        let (q, k, v) = (join(|c| &c.q), join(|c| &c.k), join(|c| &c.v));
        store(&Team::new(2), KvLayerMut::F32 { keys: &mut keys, values: &mut values }, &segments, &k, &v, params.kv_heads, params.head_dim);
        let mut out = vec![0.0; q.len()];
        let team = Team::new(2);
        attend(&team, &mut out, &q, &segments, &KvLayer::F32 { keys: &keys, values: &values }, &params);
        let mut at = 0;
        for c in &cases {
            let alone = chunked(cpu::isa(), &team, c, &[c.total], false);
            prop_assert_eq!(bits(&out[at..at + c.total * width]), bits(&alone));
            at += c.total * width;
        }
    }

    #[test]
    fn encoders_see_every_token(params in shapes(), lens in proptest::collection::vec(1usize..40, 1..4), seed in 1u64..) {
        let params = Params { window: None, ..params };
        let mut n = Numbers(seed);
        let cases: Vec<Case> = lens.iter().map(|&len| case(params, len, &mut n)).collect();
        let join = |f: fn(&Case) -> &Vec<f32>| cases.iter().flat_map(|c| f(c).clone()).collect::<Vec<f32>>();
        let (q, k, v) = (join(|c| &c.q), join(|c| &c.k), join(|c| &c.v));
        let mut twin = vec![0.0; q.len()];
        attend_all_on(Isa::Scalar, &Team::new(1), &mut twin, (&q, &k, &v), &lens, &params, &mut Pages::default());
        for isa in cpu::available() {
            let mut out = vec![0.0; q.len()];
            attend_all_on(isa, &Team::new(2), &mut out, (&q, &k, &v), &lens, &params, &mut Pages::default());
            prop_assert_eq!(bits(&out), bits(&twin));
        }
        let mut at = 0;
        for c in &cases {
            let (t, h) = (c.total / 2, params.heads - 1);
            let got = &twin[at + (t * params.heads + h) * params.head_dim..][..params.head_dim];
            for (got, want) in got.iter().zip(reference(c, t, h, 0..c.total)) {
                prop_assert!((f64::from(*got) - want).abs() < 1e-4, "{got} {want}");
            }
            at += c.q.len();
        }
    }
}
