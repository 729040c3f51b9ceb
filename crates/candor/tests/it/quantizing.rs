//! `candor quantize`: what it writes, what it refuses, what it leaves behind.

use std::path::{Path, PathBuf};

use crate::program::{Place, Ran};

fn fixture(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../model/fixtures")
        .join(name);
    path.to_str().unwrap().to_owned()
}

fn quantize(place: &Place, from: &str, to: &str, more: &[&str]) -> Ran {
    let out = place.path().join(to);
    let mut arguments = vec!["quantize", from, out.to_str().unwrap(), "--threads", "1"];
    arguments.extend(more);
    place.run(&arguments)
}

fn inspect(place: &Place, file: &str) -> serde_json::Value {
    let path = place.path().join(file);
    serde_json::from_str(&place.run(&["inspect", path.to_str().unwrap(), "--json"]).out).unwrap()
}

/// The names in the folder, but for the configuration.
fn files(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.contains("gguf")).collect();
    names.sort();
    names
}

#[test]
fn a_quantized_model_is_smaller_has_the_same_metadata_and_runs() {
    let place = Place::new();
    let ran = quantize(&place, &fixture("llama.gguf"), "small.gguf", &["--to", "q8_0"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(
        ran.out.contains("bits/parameter") && ran.out.contains("Q8_0"),
        "{}",
        ran.out
    );
    let before: serde_json::Value =
        serde_json::from_str(&place.run(&["inspect", &fixture("llama.gguf"), "--json"]).out).unwrap();
    let after = inspect(&place, "small.gguf");
    let mut metadata = after["metadata"].as_object().unwrap().clone();
    assert_eq!(metadata.remove("general.file_type"), Some(7.into()));
    assert_eq!(metadata.remove("general.quantization_version"), Some(2.into()));
    for (key, value) in &metadata {
        assert_eq!(before["metadata"][key], *value, "{key}");
    }
    let tensors = after["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), before["tensors"].as_array().unwrap().len());
    let format = |name: &str| tensors.iter().find(|tensor| tensor["name"] == name).unwrap()["format"].clone();
    assert_eq!(
        (format("blk.0.attn_q.weight"), format("blk.0.attn_norm.weight")),
        ("Q8_0".into(), "F32".into())
    );
    let small = place.path().join("small.gguf");
    let ran = place.run(&[
        "bench",
        "-m",
        small.to_str().unwrap(),
        "-p",
        "4",
        "-n",
        "2",
        "-r",
        "1",
        "--threads",
        "1",
    ]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(files(&place), ["small.gguf"]);
}

#[test]
fn rows_that_are_no_whole_blocks_get_another_format_and_it_is_said() {
    let place = Place::new();
    let ran = quantize(&place, &fixture("llama.gguf"), "small.gguf", &["--to", "Q4_K_M"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(
        ran.err.contains("no whole blocks of 256: Q5_0 instead of Q4_K"),
        "{}",
        ran.err
    );
}

#[test]
fn a_quantized_file_is_only_quantized_again_when_that_was_said() {
    let place = Place::new();
    quantize(&place, &fixture("llama.gguf"), "q8.gguf", &["--to", "Q8_0"]);
    let from = place.path().join("q8.gguf");
    let from = from.to_str().unwrap();
    let ran = quantize(&place, from, "q4.gguf", &["--to", "Q4_0"]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.err
            .contains("what Q8_0 lost does not come back, and Q4_0 loses more"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("--requantize"), "{}", ran.err);
    let ran = quantize(&place, from, "q4.gguf", &["--to", "Q4_0", "--requantize"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("note:"), "{}", ran.err);
    let ran = quantize(&place, from, "same.gguf", &["--to", "Q8_0"]);
    assert_eq!(ran.status, 0, "nothing changes, so nothing is lost: {}", ran.err);
    assert_eq!(files(&place), ["q4.gguf", "q8.gguf", "same.gguf"]);
}

#[test]
fn what_is_there_is_not_replaced_unasked_and_the_input_never() {
    let place = Place::new();
    let there = place.write("there.gguf", "mine");
    let ran = quantize(&place, &fixture("llama.gguf"), "there.gguf", &["--to", "Q8_0"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("--force"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");
    let ran = quantize(
        &place,
        &fixture("llama.gguf"),
        "there.gguf",
        &["--to", "Q8_0", "--force"],
    );
    assert_eq!(ran.status, 0, "{}", ran.err);
    let before = std::fs::read(&there).unwrap();
    let ran = quantize(
        &place,
        &there,
        "there.gguf",
        &["--to", "F16", "--force", "--requantize"],
    );
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("is the file that is read"), "{}", ran.err);
    assert!(std::fs::read(&there).unwrap() == before);
    let ran = quantize(&place, &fixture("llama.gguf"), ".", &["--to", "Q8_0"]);
    assert!(ran.err.contains("is a folder"), "{}", ran.err);
    let ran = quantize(&place, &fixture("llama.gguf"), "no/such/x.gguf", &["--to", "Q8_0"]);
    assert!(ran.err.contains("its folder is not there"), "{}", ran.err);
}

#[test]
fn what_cannot_be_quantized_is_a_sentence() {
    let place = Place::new();
    let ran = quantize(&place, &fixture("llama"), "out.gguf", &["--to", "Q8_0"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("convert it first"), "{}", ran.err);
    let text = place.write("text.gguf", "this is not a model");
    let ran = quantize(&place, &text, "out.gguf", &["--to", "Q8_0"]);
    assert!(ran.status == 1 && ran.err.contains("is not a GGUF file"), "{}", ran.err);
    let ran = quantize(&place, &fixture("llama.gguf"), "out.gguf", &["--to", "IQ4_XS"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("Q4_K_M"), "{}", ran.err);
    assert_eq!(files(&place), ["text.gguf"]);
}
