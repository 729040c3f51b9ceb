//! Perplexity of GGUF files on a text, in windows of 512 tokens of which the second halves are scored: how a quantized
//! file compares with what it was made from, and keys and values in 8 bits (`--kv q8`) or f32 with those in f16,
//! and activations in 8 bits (`--fast`) with those in 16.
//! `cargo run --release -p candor-model --example perplexity [--kv FORMAT] [--fast] TEXT FILE…`
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::path::Path;

use candor_kernels::ops::log_sum_exp;
use candor_kernels::team::Team;
use candor_model::{Counts, KvFormat, LoadOptions, Model, PAGE_TOKENS, Precision, Segment, Step};

const WINDOW: usize = 512;

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    let kv = match arguments
        .next_if(|first| first == "--kv")
        .and_then(|_| arguments.next())
        .as_deref()
    {
        None | Some("f16") => KvFormat::F16,
        Some("f32") => KvFormat::F32,
        Some("q8") => KvFormat::Q8,
        Some(other) => panic!("--kv takes f16, f32 or q8, and not {other}"),
    };
    let precision = match arguments.next_if(|next| next == "--fast") {
        Some(_) => Precision::Fast,
        None => Precision::Quantized,
    };
    let text = arguments.next().expect("the first argument is a text file");
    let text = std::fs::read_to_string(text).expect("the text can be read");
    let options = LoadOptions {
        kv,
        precision,
        ..LoadOptions::default()
    };
    let team = Team::new(options.threads);
    for file in arguments {
        let model = Model::open(Path::new(&file), &options).expect("the model can be opened");
        let decoder = model.decoder().expect("the model makes text");
        let tokens = model.tokenizer.framed(model.tokenizer.encode(&text, false));
        let pages: Vec<u32> = (0..(WINDOW / PAGE_TOKENS) as u32).collect();
        let wanted: Vec<usize> = (WINDOW / 2..WINDOW - 1).collect();
        let mut sums = Vec::new();
        for window in tokens.chunks_exact(WINDOW) {
            let mut tokens = window.to_vec();
            if let Some(bos) = model.tokenizer.bos().filter(|_| model.tokenizer.add_bos()) {
                tokens[0] = bos;
            }
            let mut kv = decoder
                .new_kv(Counts::both(pages.len()))
                .expect("there is memory for 512 tokens");
            let segments = [Segment {
                past: 0,
                len: WINDOW,
                pages: &pages,
            }];
            let step = Step {
                tokens: &tokens,
                segments: &segments,
                near: &segments,
                wanted: &wanted,
            };
            let logits = decoder.forward(&team, &step, &mut kv);
            let rows = logits.chunks_exact(decoder.vocab()).zip(&tokens[WINDOW / 2 + 1..]);
            sums.push(
                rows.map(|(row, id)| f64::from(log_sum_exp(row) - row[*id as usize]))
                    .sum::<f64>(),
            );
        }
        let nll = sums.iter().sum::<f64>() / (sums.len() * wanted.len()) as f64;
        println!("{:.4} {} windows {file}", nll.exp(), sums.len());
    }
}
