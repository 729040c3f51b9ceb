//! Tiny random models of every architecture against the `transformers` package: logits in f32, from safetensors and from GGUF.

use std::path::PathBuf;

use candor_kernels::team::Team;
use candor_model::{Counts, Kind, KvFormat, LoadOptions, Model, PAGE_TOKENS, Precision, Segment, Step};
use safetensors::SafeTensors;

pub(crate) const EXACT: LoadOptions = LoadOptions {
    precision: Precision::F32,
    kv: KvFormat::F32,
    threads: 1,
};

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

pub(crate) fn expected(name: &str) -> (Vec<u32>, Vec<f32>) {
    let bytes = std::fs::read(fixture(name).join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| -> Vec<[u8; 4]> { tensors.tensor(name).unwrap().data().as_chunks().0.to_vec() };
    let values = if tensors.names().contains(&"hidden") {
        "hidden"
    } else {
        "logits"
    };
    (
        words("tokens").into_iter().map(u32::from_le_bytes).collect(),
        words(values).into_iter().map(f32::from_le_bytes).collect(),
    )
}

pub(crate) fn computed(model: &Model, tokens: &[u32]) -> Vec<f32> {
    let team = Team::new(1);
    match &model.kind {
        Kind::Encoder(encoder) => encoder.hidden(&team, &[tokens.to_vec()], &[]).remove(0),
        Kind::Decoder(decoder) => {
            let pages: Vec<u32> = (0..tokens.len().div_ceil(PAGE_TOKENS) as u32).rev().collect();
            let mut kv = decoder.new_kv(Counts::both(pages.len())).unwrap();
            let wanted: Vec<usize> = (0..tokens.len()).collect();
            let segments = [Segment {
                past: 0,
                len: tokens.len(),
                pages: &pages,
            }];
            decoder.forward(
                &team,
                &Step {
                    tokens,
                    segments: &segments,
                    near: &segments,
                    wanted: &wanted,
                },
                &mut kv,
            )
        }
    }
}

fn agrees(file: &str, with: &str) {
    let model = Model::open(&fixture(file), &EXACT).unwrap();
    let (tokens, expected) = expected(with);
    let ours = computed(&model, &tokens);
    assert_eq!(ours.len(), expected.len());
    let size = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let worst = ours
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    println!("{file}: largest difference {worst:.2e}, largest value {size:.2}");
    assert!(worst < 1e-4, "{file}: {worst}");
}

#[test]
fn every_architecture_computes_what_transformers_computes() {
    for name in [
        "llama",
        "llama3",
        "llama_yarn",
        "mistral",
        "qwen2",
        "qwen2_window",
        "qwen3",
        "qwen3_moe",
        "gemma3_text",
        "gemma3_plain",
        "bert",
    ] {
        agrees(name, name);
    }
}

#[test]
fn gguf_files_compute_the_same() {
    for name in [
        "llama",
        "llama3",
        "llama_yarn",
        "qwen2",
        "qwen3",
        "qwen3_moe",
        "gemma3_plain",
        "bert",
    ] {
        agrees(&format!("{name}.gguf"), name);
    }
}

#[test]
fn a_model_says_what_it_is() {
    let (info, tensors) = Model::inspect(&fixture("qwen3")).unwrap();
    assert_eq!(
        (
            info.arch.as_str(),
            info.layers,
            info.context,
            info.quantization.as_str()
        ),
        ("qwen3", 2, 256, "BF16")
    );
    assert_eq!(tensors.len(), 2 * 11 + 2);
    let model = Model::open(&fixture("llama.gguf"), &EXACT).unwrap();
    assert_eq!((model.info.arch.as_str(), model.info.vocab), ("llama", 260));
    assert_eq!(model.sha256().unwrap().len(), 64);
    assert_eq!(
        model.tokenizer.encode("a<eos>\u{e9}", true),
        [model.tokenizer.id_of("a").unwrap(), 257, 195, 169]
    );
}

#[test]
fn the_work_for_a_token_is_that_of_its_matrices_and_of_as_many_experts_as_it_uses() {
    for (file, used, experts) in [
        ("llama.gguf", 1, 1),
        ("gemma3_plain.gguf", 1, 1),
        ("qwen3_moe.gguf", 2, 6),
    ] {
        let (_, tensors) = Model::inspect(&fixture(file)).unwrap();
        let work = Model::open(&fixture(file), &EXACT).unwrap().info.work;
        let (mut blocks, mut head, mut bytes) = (0, 0, 0);
        // Where there is an output layer, the embeddings are only looked up.
        let untied = tensors.iter().any(|tensor| tensor.name == "output.weight");
        let looked_up = |name: &str| untied && name == "token_embd.weight";
        for tensor in tensors.iter().filter(|t| t.shape.len() > 1 && !looked_up(&t.name)) {
            let (cols, rows) = (
                tensor.shape[tensor.shape.len() - 1],
                tensor.shape[tensor.shape.len() - 2],
            );
            let stacked: usize = tensor.shape[..tensor.shape.len() - 2].iter().product();
            let expert = tensor.name.contains("_exps.");
            let share = |whole: usize| if expert { whole * used / experts } else { whole } as u64;
            let products = share(stacked * rows * cols);
            match tensor.name.as_str() {
                "token_embd.weight" | "output.weight" => head += products,
                _ => blocks += products,
            }
            bytes += share(stacked * rows.next_multiple_of(16) * cols * 4); // groups of 16 rows, as f32
        }
        assert_eq!((work.multiply_adds, work.head_multiply_adds), (blocks, head), "{file}");
        assert_eq!(work.bytes, bytes, "{file}");
    }
}
