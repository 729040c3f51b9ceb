//! Logits against the f32 reference and llama.cpp's: teacher-forced steps of the golden prompts, and perplexity.

use candor_kernels::ops::log_sum_exp;
use candor_kernels::team::Team;
use candor_model::{Counts, Decoder, LoadOptions, Model, PAGE_TOKENS, Segment, Step};
use serde_json::Value;

use crate::at_hand::{golden, model, shared};

pub(crate) fn open(name: &str, options: &LoadOptions) -> Option<Model> {
    Some(Model::open(&model(name)?, options).unwrap())
}

/// Log-probabilities of every wanted row of one sequence, `[wanted, vocab]`.
pub(crate) fn logprobs(decoder: &dyn Decoder, team: &Team, tokens: &[u32], wanted: &[usize]) -> Vec<Vec<f32>> {
    let pages: Vec<u32> = (0..tokens.len().div_ceil(PAGE_TOKENS) as u32).collect();
    let mut kv = decoder.new_kv(Counts::both(pages.len())).unwrap();
    let segments = [Segment {
        past: 0,
        len: tokens.len(),
        pages: &pages,
    }];
    let logits = decoder.forward(
        team,
        &Step {
            tokens,
            segments: &segments,
            near: &segments,
            wanted,
        },
        &mut kv,
    );
    let rows = logits.chunks_exact(decoder.vocab());
    rows.map(|row| {
        let sum = log_sum_exp(row);
        row.iter().map(|v| v - sum).collect()
    })
    .collect()
}

fn ids(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap() as u32)
        .collect()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn agrees(name: &str) {
    let (Some(lines), Some(model)) = (golden("greedy.jsonl"), open(name, &LoadOptions::default())) else {
        return;
    };
    let (decoder, team) = (model.decoder().unwrap(), Team::new(2));
    let (mut count, mut agree, mut theirs_agree, mut sum, mut theirs_sum, mut max, mut theirs_max) =
        (0, 0, 0, 0.0, 0.0, 0.0f64, 0.0f64);
    let mut behind = Vec::new();
    for line in lines.iter().filter(|line| line["model"] == name) {
        let (prompt, answer) = (ids(&line["prompt_ids"]), ids(&line["ref_ids"]));
        let text = line["text"].as_str().unwrap();
        let mut ours = model.tokenizer.encode(text, line["kind"] == "chat");
        if model.tokenizer.add_bos() {
            ours.insert(0, model.tokenizer.bos().unwrap());
        }
        assert_eq!(ours, prompt, "ids of prompt {}", line["i"]);
        let tokens: Vec<u32> = prompt.iter().chain(&answer[..answer.len() - 1]).copied().collect();
        let wanted: Vec<usize> = (prompt.len() - 1..tokens.len()).collect();
        let rows = logprobs(&**decoder, &team, &tokens, &wanted);
        let (mut same, mut mean, mut worst) = (0, 0.0, 0.0f64);
        for (step, row) in rows.iter().enumerate() {
            let best = (0..row.len())
                .max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a)))
                .unwrap();
            same += u64::from(best as u32 == answer[step]);
            let reference = floats(&line["ref_top5_logprobs"][step]);
            for (id, reference) in ids(&line["ref_top5_ids"][step]).into_iter().zip(reference) {
                let off = (f64::from(row[id as usize]) - reference).abs();
                mean += off / (5 * rows.len()) as f64;
                worst = worst.max(off);
            }
        }
        let theirs = (
            line["teacher_forced_argmax_agree"].as_u64().unwrap(),
            line["mean_abs_dlogprob"].as_f64().unwrap(),
            line["max_abs_dlogprob"].as_f64().unwrap(),
        );
        (count, agree, theirs_agree) = (count + rows.len(), agree + same, theirs_agree + theirs.0);
        (sum, theirs_sum) = (sum + mean, theirs_sum + theirs.1);
        (max, theirs_max) = (max.max(worst), theirs_max.max(theirs.2));
        if same < theirs.0 || mean > theirs.1 || worst > theirs.2 {
            behind.push(format!(
                "prompt {} ({}): {same} {mean:.5} {worst:.4}, llama.cpp {} {:.5} {:.4}",
                line["i"], line["tag"], theirs.0, theirs.1, theirs.2
            ));
        }
    }
    let lines = (count / 48) as f64;
    println!(
        "{name}: argmax agrees at {agree} of {count} steps (llama.cpp {theirs_agree}); mean |dlogprob| {:.5} ({:.5}), max {max:.4} ({theirs_max:.4})",
        sum / lines,
        theirs_sum / lines
    );
    assert!(
        behind.is_empty(),
        "farther from the reference than llama.cpp:\n{}",
        behind.join("\n")
    );
}

#[test]
fn smollm2_is_at_least_as_near_to_the_reference_as_llama_cpp() {
    agrees("smollm2");
}

#[test]
fn gemma3_is_at_least_as_near_to_the_reference_as_llama_cpp() {
    agrees("gemma3");
}

/// The first windows of each text; all of them where CANDOR_ALL_WINDOWS is set.
fn perplexity(name: &str) {
    let (Some(path), Some(model)) = (shared("golden/perplexity.json"), open(name, &LoadOptions::default())) else {
        return;
    };
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (decoder, team) = (model.decoder().unwrap(), Team::new(2));
    let most = if std::env::var_os("CANDOR_ALL_WINDOWS").is_some() {
        usize::MAX
    } else {
        3
    };
    let (mut off, mut theirs_off, mut windows) = (0.0, 0.0, 0);
    for (text, figures) in file["models"][name].as_object().unwrap() {
        let source = shared(&format!("golden/{}", file["texts"][text].as_str().unwrap())).unwrap();
        let tokens = model
            .tokenizer
            .framed(model.tokenizer.encode(&std::fs::read_to_string(source).unwrap(), false));
        assert_eq!(tokens.len() as u64, figures["tokens"].as_u64().unwrap());
        let (reference, theirs) = (
            floats(&figures["ref_nll_per_window"]),
            floats(&figures["llamacpp_nll_per_window"]),
        );
        let (mut ours_sum, mut ref_sum, mut theirs_sum, mut n) = (0.0, 0.0, 0.0, 0);
        for (window, tokens) in tokens.chunks_exact(512).take(most).enumerate() {
            let mut tokens = tokens.to_vec();
            if model.tokenizer.add_bos() {
                tokens[0] = model.tokenizer.bos().unwrap();
            }
            let wanted: Vec<usize> = (256..511).collect();
            let rows = logprobs(&**decoder, &team, &tokens, &wanted);
            let nll = -rows
                .iter()
                .zip(&tokens[257..])
                .map(|(row, &id)| f64::from(row[id as usize]))
                .sum::<f64>()
                / 255.0;
            (ours_sum, ref_sum, theirs_sum, n) = (
                ours_sum + nll,
                ref_sum + reference[window],
                theirs_sum + theirs[window],
                n + 1,
            );
            (off, theirs_off, windows) = (
                off + (nll - reference[window]).abs(),
                theirs_off + (theirs[window] - reference[window]).abs(),
                windows + 1,
            );
        }
        let ppl = |sum: f64| (sum / f64::from(n)).exp();
        println!(
            "{name} {text}: perplexity {:.4}, reference {:.4}, llama.cpp {:.4} ({n} windows)",
            ppl(ours_sum),
            ppl(ref_sum),
            ppl(theirs_sum)
        );
        assert!((ppl(ours_sum) - ppl(ref_sum)).abs() <= (ppl(theirs_sum) - ppl(ref_sum)).abs());
    }
    println!(
        "{name}: mean |dnll| per window {:.5}, llama.cpp {:.5}",
        off / f64::from(windows),
        theirs_off / f64::from(windows)
    );
    assert!(off <= theirs_off);
}

#[test]
fn smollm2s_perplexity_is_nearer_to_the_reference_than_llama_cpps() {
    perplexity("smollm2");
}

#[test]
fn gemma3s_perplexity_is_nearer_to_the_reference_than_llama_cpps() {
    perplexity("gemma3");
}
