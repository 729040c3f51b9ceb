//! Sentence embeddings against sentence-transformers'.

use std::io::Read;

use candor_kernels::team::Team;
use candor_model::{LoadOptions, Precision};
use serde_json::Value;

use crate::at_hand::shared;
use crate::greedy::open;

#[test]
fn minilms_embeddings_are_those_of_sentence_transformers() {
    the_difference_is_below(1e-4, Precision::Quantized);
}

#[test]
fn compact_embeddings_are_nearly_those_of_sentence_transformers() {
    the_difference_is_below(1e-3, Precision::Compact);
}

fn the_difference_is_below(most: f64, precision: Precision) {
    let options = LoadOptions {
        precision,
        ..LoadOptions::default()
    };
    let (Some(path), Some(model)) = (shared("golden/embeddings.jsonl.gz"), open("minilm", &options)) else {
        return;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (encoder, team) = (model.encoder().unwrap(), Team::new(2));
    assert_eq!((encoder.dim(), encoder.max_tokens()), (384, 256));
    let ids: Vec<Vec<u32>> = lines
        .iter()
        .map(|line| {
            let golden: Vec<u32> = line["ids"]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_u64().unwrap() as u32)
                .collect();
            let mut ours = model.tokenizer.encode(line["text"].as_str().unwrap(), true);
            ours.truncate(encoder.max_tokens() - 2);
            assert_eq!(model.tokenizer.framed(ours), golden);
            golden
        })
        .collect();
    let together = encoder.embed(&team, &ids);
    let mut worst = 0.0f64;
    for ((line, ids), ours) in lines.iter().zip(&ids).zip(&together) {
        assert_eq!(
            &encoder.embed(&team, std::slice::from_ref(ids))[0],
            ours,
            "alone and in a batch: the same bits"
        );
        let golden = line["embedding"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap());
        worst = ours
            .iter()
            .zip(golden)
            .map(|(a, b)| (f64::from(*a) - b).abs())
            .fold(worst, f64::max);
    }
    println!("largest difference of an element: {worst:.2e}");
    assert!(worst < most);
}
