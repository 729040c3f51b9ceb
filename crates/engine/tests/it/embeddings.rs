//! Embeddings of the small encoder.

use candor_engine::{EmbedInput, EngineError, EngineOptions, Generator};
use candor_model::{LoadOptions, Model};

use crate::models::{MINILM, TURN, engine, find};

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn near_meanings_have_near_vectors_and_batches_change_no_bit() {
    let _turn = TURN.lock().await;
    let Some(path) = find(MINILM) else { return };
    let folder = path.parent().unwrap();
    let model = Model::open(folder, &LoadOptions::default()).unwrap();
    let local = engine(
        &model,
        &EngineOptions {
            threads: 2,
            ..EngineOptions::default()
        },
    );
    let texts = [
        "A cat sits on the mat.",
        "A kitten is sitting on a rug.",
        "The central bank raised its rates.",
    ];
    let inputs = texts.map(|text| EmbedInput::Text(text.into())).to_vec();
    let all = local.embed(inputs.clone()).await.unwrap().vectors;
    assert!(dot(&all[0], &all[1]) > dot(&all[0], &all[2]) + 0.3);
    for (vector, input) in all.iter().zip(inputs) {
        assert!((dot(vector, vector) - 1.0).abs() < 1e-5);
        assert_eq!(&local.embed(vec![input]).await.unwrap().vectors[0], vector);
    }
    let long = EmbedInput::Text("word ".repeat(2000));
    assert!(matches!(
        local.embed(vec![long]).await,
        Err(EngineError::TooLong { .. })
    ));
}
