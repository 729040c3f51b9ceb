//! Any bytes as a GGUF model that is opened and, where that works, reads a few tokens: numbers or a sentence, never a panic.
//! Start it with crates/model/fixtures/*.gguf as corpus.
#![no_main]

use std::io::Write;

use candor_kernels::team::Team;
use candor_model::{Counts, Kind, KvFormat, LoadOptions, Model, Precision, Segment, Step};
use libfuzzer_sys::fuzz_target;

const OPTIONS: LoadOptions = LoadOptions { precision: Precision::Quantized, kv: KvFormat::F16, threads: 1 };

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::with_suffix(".gguf").expect("a file");
    file.write_all(bytes).expect("room for the file");
    let Ok(model) = Model::open(file.path(), &OPTIONS) else { return };
    let _ = model.tokenizer.encode("Hello, <s>w\u{f6}rld</s> 123", true);
    let Kind::Decoder(decoder) = &model.kind else { return };
    let shape = decoder.kv_shape();
    if decoder.context() < 4 || decoder.vocab() < 4 || shape.windows.len() * shape.kv_heads * shape.head_dim > 1 << 20 {
        return;
    }
    let Ok(mut kv) = decoder.new_kv(Counts::both(1)) else { return };
    let segments = [Segment { past: 0, len: 4, pages: &[0] }];
    let logits = decoder.forward(&Team::new(1), &Step { tokens: &[0, 1, 2, 3], segments: &segments, near: &segments, wanted: &[3] }, &mut kv);
    assert_eq!(logits.len(), decoder.vocab());
});
