//! Attention against f64 and against itself in other arrangements.
#![allow(clippy::unwrap_used)]

use half::f16;
use proptest::prelude::*;

use super::store::store_on;
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
    // Rounded to f16, so that f16 and f32 hold the same.
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

/// One layer's memory.
enum Memory {
    Bytes([Vec<i8>; 2], [Vec<f32>; 2]),
    Halves([Vec<f16>; 2]),
    Floats([Vec<f32>; 2]),
}

/// How a case is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    Bytes,
    Halves,
    Floats,
}

impl Memory {
    /// What other sequences left behind must not matter.
    fn new(kept: Kept, pages: usize, p: &Params) -> Self {
        let heads = pages * PAGE_TOKENS * p.kv_heads;
        let size = heads * p.head_dim;
        match kept {
            Kept::Bytes => Self::Bytes(
                [vec![3; size], vec![-5; size]],
                [vec![f32::NAN; heads], vec![9.0; heads]],
            ),
            Kept::Halves => Self::Halves([3.0, -5.0].map(|x| vec![f16::from_f32(x); size])),
            Kept::Floats => Self::Floats([3.0, -5.0].map(|x| vec![x; size])),
        }
    }

    fn layer(&self) -> KvLayer<'_> {
        match self {
            Self::Bytes([k, v], [ks, vs]) => KvLayer::Q8 {
                keys: Bytes { numbers: k, scales: ks },
                values: Bytes { numbers: v, scales: vs },
            },
            Self::Halves([keys, values]) => KvLayer::F16 { keys, values },
            Self::Floats([keys, values]) => KvLayer::F32 { keys, values },
        }
    }

    fn layer_mut(&mut self) -> KvLayerMut<'_> {
        match self {
            Self::Bytes([k, v], [ks, vs]) => KvLayerMut::Q8 {
                keys: BytesMut { numbers: k, scales: ks },
                values: BytesMut { numbers: v, scales: vs },
            },
            Self::Halves([keys, values]) => KvLayerMut::F16 { keys, values },
            Self::Floats([keys, values]) => KvLayerMut::F32 { keys, values },
        }
    }
}

/// Runs the case in chunks of the given lengths, each stored and then attended.
fn chunked(isa: Isa, team: &Team, case: &Case, chunks: &[usize], kept: Kept) -> Vec<f32> {
    let p = &case.params;
    let mut memory = Memory::new(kept, case.pages.len(), p);
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
        store_on(
            isa,
            &Team::new(2),
            memory.layer_mut(),
            &segments,
            (k, v),
            (p.kv_heads, p.head_dim),
        );
        let range = past * width..(past + len) * width;
        attend_on(
            isa,
            team,
            &mut out[range.clone()],
            &case.q[range],
            &segments,
            &memory.layer(),
            p,
        );
        past += len;
    }
    out
}

/// What is left of a head's key or value as bytes.
fn rounded(x: &[f32]) -> Vec<f32> {
    let largest = x.iter().fold(0f32, |most, x| most.max(x.abs()));
    let (scale, inverse) = (largest / 127.0, 127.0 / largest);
    x.iter().map(|x| (x * inverse).round_ties_even() * scale).collect()
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
        params in shapes(), total in 1usize..90, cut in 0usize..90,
        kept in prop::sample::select(vec![Kept::Bytes, Kept::Halves, Kept::Floats]), seed in 1u64..
    ) {
        let mut n = Numbers(seed);
        let mut case = case(params, total, &mut n);
        let (one, three) = (Team::new(1), Team::new(3));
        let whole = chunked(Isa::Scalar, &one, &case, &[total], kept);
        let cut = cut % total;
        for isa in cpu::available() {
            prop_assert_eq!(bits(&chunked(isa, &three, &case, &[total], kept)), bits(&whole), "{:?}", isa);
            prop_assert_eq!(bits(&chunked(isa, &one, &case, &[cut, total - cut], kept)), bits(&whole), "cut at {}", cut);
        }
        let single = vec![1; total];
        prop_assert_eq!(bits(&chunked(cpu::best(), &one, &case, &single, kept)), bits(&whole));
        match kept {
            Kept::Bytes => {
                for x in [&mut case.k, &mut case.v] {
                    *x = x.chunks_exact(params.head_dim).flat_map(rounded).collect();
                }
            }
            Kept::Halves | Kept::Floats => {
                let other = if kept == Kept::Halves { Kept::Floats } else { Kept::Halves };
                prop_assert_eq!(bits(&chunked(cpu::best(), &one, &case, &[total], other)), bits(&whole), "{:?}", other);
            }
        }
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
    fn threads_that_share_a_head_give_the_same_bits_as_one(
        kv_heads in 1usize..3, group in 1usize..7, dim in prop::sample::select(vec![32usize, 64, 80, 96, 256]),
        total in 250usize..420, window in proptest::option::of(200usize..400),
        softcap in proptest::option::of(1f32..20.0),
        kept in prop::sample::select(vec![Kept::Bytes, Kept::Halves, Kept::Floats]), seed in 1u64..
    ) {
        let scale = 1.0 / (dim as f32).sqrt();
        let params = Params { heads: kv_heads * group, kv_heads, head_dim: dim, scale, window, softcap };
        let case = case(params, total, &mut Numbers(seed));
        let chunks = [total - 1, 1];
        let whole = chunked(Isa::Scalar, &Team::new(1), &case, &chunks, kept);
        for isa in cpu::available() {
            for threads in [2, 5] {
                let shared = chunked(isa, &Team::new(threads), &case, &chunks, kept);
                prop_assert_eq!(bits(&shared), bits(&whole), "{:?}, {} threads", isa, threads);
            }
        }
    }

    #[test]
    fn sequences_of_one_step_do_not_touch_each_other(
        params in shapes(), lens in proptest::collection::vec(1usize..40, 2..5),
        kept in prop::sample::select(vec![Kept::Bytes, Kept::Floats]), seed in 1u64..
    ) {
        let mut n = Numbers(seed);
        let width = params.heads * params.head_dim;
        let cases: Vec<Case> = lens.iter().map(|&len| case(params, len, &mut n)).collect();
        let mut first = 0;
        let tables: Vec<Vec<u32>> = cases.iter().map(|c| {
            let table = c.pages.iter().map(|p| p + first).collect();
            first += c.pages.len() as u32;
            table
        }).collect();
        let mut memory = Memory::new(kept, first as usize, &params);
        let segments: Vec<Segment<'_>> =
            cases.iter().zip(&tables).map(|(c, pages)| Segment { past: 0, len: c.total, pages }).collect();
        let join = |f: fn(&Case) -> &Vec<f32>| cases.iter().flat_map(|c| f(c).clone()).collect::<Vec<f32>>();
        let (q, k, v) = (join(|c| &c.q), join(|c| &c.k), join(|c| &c.v));
        store(&Team::new(2), memory.layer_mut(), &segments, &k, &v, params.kv_heads, params.head_dim);
        let mut out = vec![0.0; q.len()];
        let team = Team::new(2);
        attend(&team, &mut out, &q, &segments, &memory.layer(), &params);
        let mut at = 0;
        for c in &cases {
            let alone = chunked(cpu::isa(), &team, c, &[c.total], kept);
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

/// Stores one token's heads as keys and values, on every path; the numbers and scales of the keys, head by head.
fn stored_bytes(x: &[f32], dim: usize) -> (Vec<i8>, Vec<f32>) {
    let kv_heads = x.len() / dim;
    let params = Params {
        heads: kv_heads,
        kv_heads,
        head_dim: dim,
        scale: 1.0,
        window: None,
        softcap: None,
    };
    let segments = [Segment {
        past: 0,
        len: 1,
        pages: &[0],
    }];
    let mut all = cpu::available().into_iter().map(|isa| {
        let mut memory = Memory::new(Kept::Bytes, 1, &params);
        store_on(
            isa,
            &Team::new(1),
            memory.layer_mut(),
            &segments,
            (x, x),
            (kv_heads, dim),
        );
        let Memory::Bytes([k, v], [ks, vs]) = memory else {
            unreachable!()
        };
        let keys: Vec<i8> = k.chunks_exact(PAGE_TOKENS).map(|slots| slots[0]).collect();
        let values: Vec<i8> = v
            .chunks_exact(PAGE_TOKENS * dim)
            .flat_map(|head| head[..dim].to_vec())
            .collect();
        let [ks, vs] = [ks, vs].map(|s| s.chunks_exact(PAGE_TOKENS).map(|slots| slots[0]).collect::<Vec<f32>>());
        assert_eq!((&keys, bits(&ks)), (&values, bits(&vs)));
        (keys, ks)
    });
    let twin = all.next().unwrap();
    for other in all {
        assert_eq!((&other.0, bits(&other.1)), (&twin.0, bits(&twin.1)));
    }
    twin
}

proptest! {
    #[test]
    fn a_byte_is_off_by_half_a_254th_of_its_heads_range(
        x in proptest::collection::vec(-1f32..1.0, 36), size in -80i32..80
    ) {
        let x: Vec<f32> = x.iter().map(|v| v * 2f32.powi(size)).collect();
        for dim in [4, 12, 18, 36] {
            let (numbers, scales) = stored_bytes(&x, dim);
            for ((x, n), scale) in x.chunks_exact(dim).zip(numbers.chunks_exact(dim)).zip(scales) {
                for (x, n) in x.iter().zip(n) {
                    // Half a step, and three roundings of at most 127 steps by 2^-24 each; all of it where all is small.
                    let off = (f64::from(*n) * f64::from(scale) - f64::from(*x)).abs();
                    prop_assert!(off <= f64::from(scale) * 0.50003 || off < 1e-30 && scale == 0.0, "{x} as {n} times {scale}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_finite_stays_visible_and_what_is_too_small_is_zero() {
    for broken in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN] {
        for at in [0, 19, 39] {
            let mut x = vec![1.0; 80];
            x[at] = broken;
            x[40..].fill(1e-31);
            let (numbers, scales) = stored_bytes(&x, 40);
            assert_eq!(numbers, [0; 80]);
            assert!(scales[0].is_nan() && scales[1] == 0.0, "{scales:?}");
        }
    }
    let (numbers, scales) = stored_bytes(&[f32::MAX, f32::MIN, 0.0, -0.0], 4);
    assert_eq!(numbers, [127, -127, 0, 0]);
    assert!(scales[0].is_finite());
}
