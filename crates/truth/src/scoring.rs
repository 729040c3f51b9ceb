//! Whether texts mean the same: by their words, and by their vectors where there is a model for them.

use crate::words::words;
use crate::{Embedder, TruthError};

/// Texts whose vectors are nearer than this mean the same, as far as this is asked.
const NEAR: f32 = 0.85;

/// The share of `others` that mean the same as `text`.
pub(crate) async fn same_meaning(
    embedder: Option<&Embedder>,
    text: &str,
    others: &[String],
) -> Result<f64, TruthError> {
    let own = plain(text);
    if own.is_empty() || others.is_empty() {
        return Ok(0.0);
    }
    let mut same: Vec<bool> = others.iter().map(|other| plain(other) == own).collect();
    if let Some(embedder) = embedder {
        let texts: Vec<String> = std::iter::once(text.to_owned()).chain(others.iter().cloned()).collect();
        // A text of no words has no vector.
        let texts: Vec<String> = texts
            .into_iter()
            .map(|text| if text.trim().is_empty() { ".".into() } else { text })
            .collect();
        let vectors = embedder.embed(&texts).await?;
        let (own, rest) = vectors.split_at(1);
        for (same, vector) in same.iter_mut().zip(rest) {
            let cosine: f32 = vector.iter().zip(&own[0]).map(|(a, b)| a * b).sum();
            *same |= cosine >= NEAR;
        }
    }
    Ok(same.iter().filter(|same| **same).count() as f64 / others.len() as f64)
}

fn plain(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    words(text, |word| all.push(word.to_owned()));
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::same_meaning;

    #[tokio::test]
    async fn the_same_words_mean_the_same() {
        let others = [
            "the mill.".to_owned(),
            "A bridge".to_owned(),
            "The mills".to_owned(),
            String::new(),
        ];
        assert!((same_meaning(None, "The mill", &others).await.unwrap() - 0.5).abs() < 1e-9);
        assert!(same_meaning(None, "...", &others).await.unwrap() < 1e-9);
    }
}
