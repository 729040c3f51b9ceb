//! Speed of the kernels, beside what this machine can read from memory. Checks each product before it times it.
//!
//! `cargo run --release -p candor-kernels --example bench -- [threads] [rounds] [inputs of a row] [bits of activations: 16 or 8]`
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::time::Instant;

use candor_kernels::formats::{Format, dequantize};
use candor_kernels::gemm::{Bits, Quantized, Weights, WholeRows, matmul_quantized, matmul_whole};
use candor_kernels::ops::attention::{Bytes, KvLayer, PAGE_TOKENS, Params, Segment, attend};
use candor_kernels::{cpu, team::Team};
use half::f16;

/// A small generator of numbers (xorshift), the same every run.
struct Numbers(u64);
impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// Random blocks whose f16 scales are finite and small.
fn weights(format: Format, rows: usize, cols: usize, n: &mut Numbers) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..rows * format.row_bytes(cols).unwrap())
        .map(|_| n.next() as u8)
        .collect();
    let halves: &[usize] = match format {
        Format::F32 | Format::F16 | Format::BF16 => {
            let size = format.block_bytes();
            for b in bytes.chunks_exact_mut(size) {
                let v = n.float();
                match size {
                    4 => b.copy_from_slice(&v.to_le_bytes()),
                    _ if format == Format::F16 => b.copy_from_slice(&f16::from_f32(v).to_le_bytes()),
                    _ => b.copy_from_slice(&half::bf16::from_f32(v).to_le_bytes()),
                }
            }
            &[]
        }
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => &[0],
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q2K => &[80, 82],
        Format::Q3K => &[108],
        Format::Q6K => &[208],
    };
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        for &at in halves {
            block[at..at + 2].copy_from_slice(&f16::from_f32(n.float() * 0.01).to_le_bytes());
        }
    }
    bytes
}

/// Seconds of the fastest of `rounds` calls: other work on the machine only ever adds.
fn fastest(rounds: usize, mut f: impl FnMut()) -> f64 {
    f();
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<usize>().unwrap_or(0));
    let team = Team::new(
        args.next()
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
    );
    let rounds = args.next().unwrap_or(30);
    let cols = args.next().unwrap_or(2048);
    let bits = if args.next() == Some(8) {
        Bits::Eight
    } else {
        Bits::Sixteen
    };
    let matmul = |team: &Team, out: &mut [f32], x: &[f32], w: &Weights| {
        matmul_quantized(team, out, &Quantized::new(x, x.len() / cols, cols, bits), w);
    };
    println!("{}, team of {}", cpu::describe(), team.threads());

    let data = vec![1u64; 32 << 20]; // 256 MiB
    let parts = team.threads() * 8;
    let read = fastest(rounds, || {
        team.run(parts, &|i| {
            let part = &data[i * (data.len() / parts)..][..data.len() / parts];
            black_box(part.chunks_exact(32).fold([0u64; 32], |mut a, c| {
                a.iter_mut().zip(c).for_each(|(a, v)| *a = a.wrapping_add(*v));
                a
            }));
        });
    });
    let probe = data.len() as f64 * 8.0 / read / 1e9;
    drop(data);
    println!("read probe: {probe:.1} GB/s");

    let mut n = Numbers(0x1234_5678_9abc_def1);
    let empty = fastest(1000, || {
        team.run(team.threads(), &|i| {
            black_box(i);
        })
    });
    println!("an empty job: {:.2} us", empty * 1e6);
    println!("format   bits/weight | T=1 GB/s  of probe  GMAC/s | T=2, 4, 8, 16 GMAC/s           | T=512 GMAC/s");
    let (rows, cols) = (8 * 1024, cols);
    for format in Format::ALL {
        let bytes = weights(format, rows, cols, &mut n);
        let w = Weights::pack(format, &bytes, rows, cols, &team).unwrap();
        let x: Vec<f32> = (0..512 * cols).map(|_| n.float()).collect();
        let mut out = vec![0.0; rows];
        matmul(&team, &mut out, &x[..cols], &w);
        check(format, &bytes, &x[..cols], &out, bits);
        let decode = fastest(rounds, || matmul(&team, &mut out, &x[..cols], &w));
        let few = [2, 4, 8, 16].map(|tokens| {
            let mut out = vec![0.0; tokens * rows];
            let seconds = fastest(rounds, || matmul(&team, &mut out, &x[..tokens * cols], &w));
            format!("{:7.1}", (tokens * rows * cols) as f64 / seconds / 1e9)
        });
        let part = 1024; // rounding the activations, once for all layers that share them, is a small part
        let w2 = Weights::pack(
            format,
            &bytes[..part * format.row_bytes(cols).unwrap()],
            part,
            cols,
            &team,
        )
        .unwrap();
        let mut out = vec![0.0; 512 * part];
        matmul(&team, &mut out, &x, &w2);
        check(format, &bytes, &x[..cols], &out[..part], bits);
        let prefill = fastest(rounds, || matmul(&team, &mut out, &x, &w2));
        let macs = (rows * cols) as f64;
        println!(
            "{:8} {:8.3}    | {:8.1} {:7.0} % {:8.1} | {} | {:8.1}",
            format.name(),
            w.bytes() as f64 * 8.0 / macs,
            w.bytes() as f64 / decode / 1e9,
            w.bytes() as f64 / decode / 1e7 / probe,
            macs / decode / 1e9,
            few.join(" "),
            (512 * part * cols) as f64 / prefill / 1e9,
        );
    }
    whole_rows(&team, rounds, &mut n);
    attention(&team, rounds, &mut n);
}

/// Against f64, within what rounded activations and f32 sums can lose.
fn check(format: Format, bytes: &[u8], x: &[f32], out: &[f32], bits: Bits) {
    let share = if bits == Bits::Eight { 2e-2 } else { 2e-4 };
    let row_bytes = format.row_bytes(x.len()).unwrap();
    let mut w = vec![0.0; x.len()];
    for (r, y) in out.iter().enumerate().step_by(97) {
        dequantize(format, &bytes[r * row_bytes..][..row_bytes], &mut w).unwrap();
        let terms = || w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
        let (want, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
        assert!(
            (f64::from(*y) - want).abs() <= share * size,
            "{}: row {r} is {y}, not {want}",
            format.name()
        );
    }
}

/// Integers of whole rows, at the shapes of MiniLM.
fn whole_rows(team: &Team, rounds: usize, n: &mut Numbers) {
    for (tokens, rows, cols) in [(16, 384, 384), (256, 384, 384), (256, 1536, 384), (256, 384, 1536)] {
        let values: Vec<f32> = (0..rows * cols).map(|_| n.float()).collect();
        let w = WholeRows::new(&values, rows, cols, team).unwrap().unwrap();
        let x: Vec<f32> = (0..tokens * cols).map(|_| n.float()).collect();
        let mut out = vec![0.0; tokens * rows];
        let again = Quantized::new(&x, tokens, cols, Bits::default());
        let product = fastest(rounds * 20, || matmul_whole(team, &mut out, &again, &w, None));
        let both = fastest(rounds * 20, || {
            matmul_whole(
                team,
                &mut out,
                &Quantized::new(&x, tokens, cols, Bits::default()),
                &w,
                None,
            );
        });
        let macs = (tokens * rows * cols) as f64 / 1e9;
        println!(
            "whole rows, {tokens} tokens by [{rows}, {cols}]: {:.1} GMAC/s, {:.1} with the rounding of activations",
            macs / product,
            macs / both
        );
    }
}

fn attention(team: &Team, rounds: usize, n: &mut Numbers) {
    let params = Params {
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        scale: 0.125,
        window: None,
        softcap: None,
    };
    let pages: Vec<u32> = (0..64).collect();
    let size = pages.len() * PAGE_TOKENS * params.kv_heads * params.head_dim;
    let x: Vec<f32> = (0..size).map(|_| n.float()).collect();
    let halves: Vec<f16> = x.iter().map(|x| f16::from_f32(*x)).collect();
    let numbers: Vec<i8> = x.iter().map(|x| (x * 127.0) as i8).collect();
    let scales = vec![1.0 / 127.0; size / params.head_dim];
    let bytes = Bytes {
        numbers: &numbers,
        scales: &scales,
    };
    let layers = [
        KvLayer::F16 {
            keys: &halves,
            values: &halves,
        },
        KvLayer::Q8 {
            keys: bytes,
            values: bytes,
        },
    ];
    for (past, len) in [(1023, 1), (0, 512), (512, 512)] {
        let q: Vec<f32> = (0..len * 576).map(|_| n.float()).collect();
        let mut out = vec![0.0; q.len()];
        let segments = [Segment {
            past,
            len,
            pages: &pages,
        }];
        let pairs: usize = (0..len).map(|t| past + t + 1).sum();
        let macs = (pairs * params.heads * params.head_dim * 2) as f64;
        for (layer, kept, bytes) in [
            (&layers[0], "f16", 4 * params.head_dim),
            (&layers[1], "q8", 2 * params.head_dim + 8),
        ] {
            let seconds = fastest(rounds, || attend(team, &mut out, &q, &segments, layer, &params));
            println!(
                "attention in {kept}, 9 heads on 3, {len} tokens after {past}: {:.1} us, {:.1} GMAC/s, {:.1} GB/s",
                seconds * 1e6,
                macs / seconds / 1e9,
                ((past + len) * params.kv_heads * bytes) as f64 / seconds / 1e9
            );
        }
    }
}
