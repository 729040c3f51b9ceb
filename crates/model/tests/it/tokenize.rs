//! Token ids against llama.cpp's and the `tokenizers` package's, and speed on texts that have stopped other tokenizers.

use candor_model::Tokenizer;
use candor_model::gguf::Gguf;
use serde_json::Value;

use crate::at_hand::{golden, model};

fn gguf_tokenizer(name: &str) -> Option<Tokenizer> {
    Some(Tokenizer::from_gguf(&Gguf::open(&model(name)?).unwrap()).unwrap())
}

fn ids(value: &Value) -> Option<Vec<u32>> {
    value
        .as_array()
        .map(|ids| ids.iter().map(|id| id.as_u64().unwrap() as u32).collect())
}

fn text(line: &Value) -> Vec<u8> {
    match (line["text"].as_str(), line["bytes_hex"].as_str()) {
        (Some(text), _) => text.into(),
        (None, hex) => hex::decode(hex.unwrap()).unwrap(),
    }
}

fn agrees_with_llama_cpp(name: &str) {
    let (Some(lines), Some(tokenizer)) = (golden("tokenize.jsonl"), gguf_tokenizer(name)) else {
        return;
    };
    let mut wrong = Vec::new();
    for line in &lines {
        let text = text(line);
        for (kind, special) in [("plain", false), ("special", true)] {
            let ours = tokenizer.encode_bytes(&text, special);
            let Some(theirs) = ids(&line[name][kind]) else { continue };
            if ours != theirs && line.get("bytes_hex").is_none() {
                wrong.push(format!(
                    "{} {kind} {:?}\n ours {ours:?}\n llama.cpp {theirs:?}",
                    line["i"],
                    String::from_utf8_lossy(&text)
                ));
            } else if ours != theirs {
                println!(
                    "invalid UTF-8, for information: {} ours {ours:?} llama.cpp {theirs:?}",
                    line["bytes_hex"]
                );
            }
            if line.get("bytes_hex").is_none() && special {
                assert_eq!(tokenizer.decode(&ours), text, "decoding gives the text back");
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn byte_level_bpe_gives_the_ids_of_llama_cpp() {
    agrees_with_llama_cpp("smollm2");
}

#[test]
fn sentencepiece_gives_the_ids_of_llama_cpp() {
    agrees_with_llama_cpp("gemma3");
}

#[test]
fn tokenizer_json_and_our_wordpiece_give_the_ids_of_the_tokenizers_package() {
    let (Some(lines), Some(folder)) = (golden("tokenize.jsonl"), model("minilm")) else {
        return;
    };
    let json = Tokenizer::from_json(&folder.join("tokenizer.json"), &[]).unwrap();
    let own = Tokenizer::from_wordpiece_vocab(&std::fs::read_to_string(folder.join("vocab.txt")).unwrap());
    for line in &lines {
        let Some(theirs) = ids(&line["minilm"]["ids_no_special"]) else {
            continue;
        };
        let text = line["text"].as_str().unwrap();
        assert_eq!(json.encode(text, true), theirs, "tokenizer.json, {text:?}");
        assert_eq!(own.encode(text, true), theirs, "our own, {text:?}");
        assert_eq!(json.framed(theirs), ids(&line["minilm"]["ids"]).unwrap());
    }
}

#[test]
fn prompts_of_the_golden_conversations_have_the_same_ids() {
    let Some(tokenizer) = gguf_tokenizer("smollm2") else {
        return;
    };
    for line in golden("chat_template.jsonl").unwrap_or_default() {
        assert_eq!(
            tokenizer.encode(line["rendered"].as_str().unwrap(), true),
            ids(&line["ids_special"]).unwrap()
        );
    }
}

#[test]
fn ten_megabytes_of_anything_repetitive_take_seconds() {
    for name in ["smollm2", "gemma3"] {
        let Some(tokenizer) = gguf_tokenizer(name) else { return };
        for unit in ["a", " ", "\n", "ab", "<", "1", "哈", "the ", "\u{301}"] {
            let text = unit.repeat(10_000_000 / unit.len());
            let start = std::time::Instant::now();
            let ids = tokenizer.encode(&text, true);
            println!(
                "{name}: {:>8} tokens from 10 MB of {unit:?} in {:?}",
                ids.len(),
                start.elapsed()
            );
            assert!(start.elapsed().as_secs() < 60);
            assert_eq!(tokenizer.decode(&ids).len(), text.len());
        }
    }
}

#[test]
fn ends_of_text_are_known() {
    if let Some(smollm2) = gguf_tokenizer("smollm2") {
        assert_eq!(smollm2.eos_ids(), [0, 2]);
        assert!(!smollm2.add_bos());
    }
    if let Some(gemma3) = gguf_tokenizer("gemma3") {
        assert_eq!(gemma3.eos_ids(), [1, 106, 212]);
        assert_eq!((gemma3.bos(), gemma3.add_bos()), (Some(2), true));
    }
}

#[test]
fn a_way_to_cut_text_that_is_not_known_is_refused() {
    let scratch = crate::hostile::Scratch::new("pre");
    let mut bytes = std::fs::read(crate::tiny::fixture("llama.gguf")).unwrap();
    let at = bytes.windows(5).rposition(|window| window == b"gpt-2").unwrap();
    bytes[at..at + 5].copy_from_slice(b"gpt-9");
    let said = Tokenizer::from_gguf(&Gguf::open(&scratch.file("pre.gguf", &bytes)).unwrap()).unwrap_err();
    assert!(said.to_string().contains("`gpt-9`"), "{said}");
}

#[test]
fn the_space_before_a_text_is_not_part_of_the_text() {
    // As Llama 2's tokenizer.json has it.
    let description = serde_json::json!({
        "added_tokens": [{"id": 0, "content": "<s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u{2581}"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}
        ]},
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}
        ]},
        "model": {
            "type": "BPE", "fuse_unk": true, "byte_fallback": false, "unk_token": "<s>",
            "vocab": {"<s>": 0, "\u{2581}": 1, "a": 2, "b": 3, "\u{2581}a": 4, "c": 5, "d": 6, "e": 7, "f": 8, "1": 9, "2": 10, "\n": 11},
            "merges": ["\u{2581} a"]
        },
    });
    let path = std::path::Path::new("tokenizer.json");
    let tokenizer = Tokenizer::from_json_bytes(path, description.to_string().as_bytes(), &[]).unwrap();
    for text in ["a b", " a", "b", "ab a", ""] {
        assert_eq!(
            tokenizer.decode(&tokenizer.encode(text, true)),
            text.as_bytes(),
            "{text:?}"
        );
    }
    assert_eq!(tokenizer.encode("a a", true), [4, 4]);
    // Long texts are cut for the sake of speed; no space gets in where they are.
    let long = "ab a ".repeat(50_000) + "b";
    let ids = tokenizer.encode(&long, true);
    assert_eq!(tokenizer.decode(&ids), long.as_bytes());
    assert_eq!(ids.iter().filter(|&&id| id == 4).count(), 100_000);
}

#[test]
fn long_texts_have_the_tokens_of_their_parts() {
    let tokenizer = Tokenizer::from_json(&crate::tiny::fixture("llama").join("tokenizer.json"), &[]).unwrap();
    for unit in ["ab\n\n\n  cd ", "<bos>x y\n", "\u{4f60}\u{597d}", "  ", "\r\n"] {
        let one = tokenizer.encode(unit, true);
        let many = tokenizer.encode(&unit.repeat(40_000), true);
        assert_eq!(many, one.repeat(40_000), "{unit:?}");
    }
}
