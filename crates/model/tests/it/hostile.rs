//! Files that lie, are cut or are damaged (threats 1 to 3): each ends in a sentence, never in a panic, and never in an
//! allocation that the file's size does not justify.

use std::path::{Path, PathBuf};

use candor_kernels::team::Team;
use candor_model::{Counts, Kind, Model, Segment, Step};

use crate::tiny::{EXACT, fixture};

pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("candor-model-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Opens a file and, if that works, uses it; returns the sentence otherwise.
fn open_and_use(path: &Path) -> Option<String> {
    let model = match Model::open(path, &EXACT) {
        Ok(model) => model,
        Err(error) => return Some(error.to_string()),
    };
    let tokens = [0, 7, 3];
    if let Kind::Decoder(decoder) = &model.kind {
        let mut kv = decoder.new_kv(Counts::both(1)).unwrap();
        let segments = [Segment {
            past: 0,
            len: 3,
            pages: &[0],
        }];
        decoder.forward(
            &Team::new(1),
            &Step {
                tokens: &tokens,
                segments: &segments,
                near: &segments,
                wanted: &[2],
            },
            &mut kv,
        );
    }
    let ids = model.tokenizer.encode_bytes(b"ab <eos> \xff\xf0\x9f", true);
    model.tokenizer.decode(&ids);
    None
}

fn position(bytes: &[u8], needle: &str) -> usize {
    bytes
        .windows(needle.len())
        .position(|window| window == needle.as_bytes())
        .unwrap()
}

#[test]
fn a_gguf_file_cut_anywhere_is_refused_with_a_sentence() {
    let (bytes, scratch) = (std::fs::read(fixture("llama.gguf")).unwrap(), Scratch::new("cut"));
    let lengths = (0..7000)
        .step_by(97)
        .chain((7000..bytes.len()).step_by(9001))
        .chain([bytes.len() - 1]);
    for len in lengths {
        let said = open_and_use(&scratch.file("cut.gguf", &bytes[..len])).unwrap();
        assert!(
            said.contains("cut.gguf: ") && (said.contains("get it again") || said.contains("name a .gguf")),
            "{len}: {said}"
        );
    }
}

#[test]
fn a_gguf_file_with_any_damaged_byte_in_its_header_does_not_panic() {
    let (bytes, scratch) = (std::fs::read(fixture("llama.gguf")).unwrap(), Scratch::new("damaged"));
    for at in (0..8000).step_by(11) {
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            open_and_use(&scratch.file("damaged.gguf", &damaged));
        }
    }
}

#[test]
fn lying_sizes_are_refused_with_a_sentence() {
    let (bytes, scratch) = (std::fs::read(fixture("llama.gguf")).unwrap(), Scratch::new("lying"));
    for key in [
        "embedding_length",
        "block_count",
        "attention.head_count",
        "attention.head_count_kv",
        "feed_forward_length",
        "context_length",
    ] {
        let at = position(&bytes, &format!("llama.{key}")) + "llama.".len() + key.len() + 4;
        for value in [0u32, 3, 5, 65, 1 << 20, u32::MAX] {
            let mut lying = bytes.clone();
            // `attention.head_count` is also the beginning of the other key; each is followed by its type, 4 bytes.
            lying[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let said = open_and_use(&scratch.file("lying.gguf", &lying));
            assert!(
                said.is_some() || key == "context_length" && value != 0,
                "{key} = {value}"
            );
        }
    }
    for (what, at, value) in [
        ("tensors", 8, u64::MAX),
        ("tensors", 8, 1 << 19),
        ("metadata", 16, u64::MAX),
        ("metadata", 16, 1 << 15),
    ] {
        let mut lying = bytes.clone();
        lying[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let said = open_and_use(&scratch.file("lying.gguf", &lying)).unwrap();
        assert!(said.contains("get it again"), "{what}: {said}");
    }
    // A tensor's info: name, dimensions (4), sizes (8 each), type (4), offset (8).
    let at = position(&bytes, "token_embd.weight") + "token_embd.weight".len();
    for (offset, value, expect) in [
        (4, 0u64, "zero"),
        (4, u64::MAX, "shape"),
        (4, 1 << 62, "shape"),
        (12, 1 << 40, "get it again"),
        (24, u64::MAX - 31, "get it again"),
        (24, 1 << 40, "in the middle of tensor `token_embd.weight`"),
        (24, 7, "not a multiple"),
    ] {
        let mut lying = bytes.clone();
        lying[at + offset..at + offset + 8].copy_from_slice(&value.to_le_bytes());
        let said = open_and_use(&scratch.file("lying.gguf", &lying)).unwrap();
        assert!(said.contains(expect), "{offset} = {value}: {said}");
    }
    let mut foreign = bytes.clone();
    foreign[at + 20..at + 24].copy_from_slice(&16u32.to_le_bytes());
    let said = open_and_use(&scratch.file("foreign.gguf", &foreign)).unwrap();
    assert!(said.contains("IQ2_XXS") && said.contains("not supported"), "{said}");
}

#[test]
fn damaged_folders_are_refused_with_a_sentence() {
    let scratch = Scratch::new("folder");
    let copy = |name: &str| std::fs::read(fixture("llama").join(name)).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        scratch.file(name, &copy(name));
    }
    assert_eq!(open_and_use(&scratch.0), None);
    let tensors = copy("model.safetensors");
    for len in [0, 7, 8, 9, 100, 1000, 3000, tensors.len() / 2, tensors.len() - 1] {
        scratch.file("model.safetensors", &tensors[..len]);
        let said = open_and_use(&scratch.0).unwrap();
        assert!(
            said.contains("model.safetensors") && said.contains("get it again"),
            "{len}: {said}"
        );
    }
    for value in [u64::MAX, 1 << 40, 0] {
        let mut lying = tensors.clone();
        lying[..8].copy_from_slice(&value.to_le_bytes());
        scratch.file("model.safetensors", &lying);
        assert!(open_and_use(&scratch.0).is_some());
    }
    for at in (8..2600).step_by(13) {
        let mut damaged = tensors.clone();
        damaged[at] = damaged[at].wrapping_add(1);
        scratch.file("model.safetensors", &damaged);
        open_and_use(&scratch.0);
    }
    scratch.file("model.safetensors", &tensors);
    let config = String::from_utf8(copy("config.json")).unwrap();
    for (from, to) in [
        ("\"hidden_size\": 64", "\"hidden_size\": 0"),
        ("\"hidden_size\": 64", "\"hidden_size\": 128"),
        ("\"num_attention_heads\": 4", "\"num_attention_heads\": 3"),
        ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 0"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1000000000000"),
        ("\"model_type\": \"llama\"", "\"model_type\": \"mamba\""),
        ("\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": -1"),
        ("{", ""),
    ] {
        assert!(config.contains(from), "{from}");
        scratch.file("config.json", config.replacen(from, to, 1).as_bytes());
        let said = open_and_use(&scratch.0).unwrap();
        assert!(said.contains(&scratch.0.display().to_string()), "{to}: {said}");
    }
    scratch.file("config.json", config.as_bytes());
    scratch.file(
        "model.safetensors.index.json",
        br#"{"weight_map": {"a": "../../etc/passwd.safetensors"}}"#,
    );
    assert!(
        open_and_use(&scratch.0)
            .unwrap()
            .contains("plain .safetensors file name")
    );
    std::fs::remove_file(scratch.0.join("model.safetensors.index.json")).unwrap();
    let tokenizer = copy("tokenizer.json");
    for len in [0, 1, 500, tokenizer.len() - 1] {
        scratch.file("tokenizer.json", &tokenizer[..len]);
        assert!(open_and_use(&scratch.0).unwrap().contains("tokenizer.json"));
    }
}

#[test]
fn what_is_no_model_is_named() {
    let scratch = Scratch::new("none");
    assert!(
        open_and_use(&scratch.file("x.gguf", b"hello"))
            .unwrap()
            .contains("is not a GGUF file")
    );
    assert!(open_and_use(&scratch.0).unwrap().contains("config.json"));
    assert!(
        open_and_use(Path::new("/nonexistent/x.gguf"))
            .unwrap()
            .contains("cannot be opened")
    );
}
