//! Any text through the tokenizers of tiny models and, where `CANDOR_MODELS` has GGUF files, of real ones: the ids give
//! the text back, none is outside the vocabulary, and time stays in proportion.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use candor_model::{KvFormat, LoadOptions, Model, Precision, Tokenizer};
use libfuzzer_sys::fuzz_target;

static TOKENIZERS: LazyLock<Vec<std::sync::Arc<Tokenizer>>> = LazyLock::new(|| {
    let mut files = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/model/fixtures/llama.gguf"))];
    if let Some(folder) = std::env::var_os("CANDOR_MODELS") {
        let entries = std::fs::read_dir(folder).expect("the folder of models").flatten();
        files.extend(entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "gguf")));
    }
    let options = LoadOptions { precision: Precision::Quantized, kv: KvFormat::F16, threads: 1 };
    files.iter().map(|file| Model::open(file, &options).expect("a model").tokenizer).collect()
});

fuzz_target!(|input: (bool, String)| {
    let (special, text) = input;
    for tokenizer in TOKENIZERS.iter() {
        let begin = Instant::now();
        let ids = tokenizer.encode(&text, special);
        assert!(begin.elapsed() < Duration::from_secs(5), "{} bytes took {:?}", text.len(), begin.elapsed());
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab()));
        // Some vocabularies have no token for a few bytes, which every tokenizer of them drops; SentencePiece writes a
        // space as U+2581, and cannot tell the two apart. Nothing is invented and nothing changes its place.
        if !special && !text.contains('\u{2581}') {
            let mut rest = text.bytes();
            assert!(tokenizer.decode(&ids).iter().all(|&byte| rest.any(|other| other == byte)), "{text:?}");
        }
    }
});
