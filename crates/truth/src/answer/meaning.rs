//! How near sentences are to a question by the embedding model: as wholes (the cosine of their means), and token by token
//! (late interaction: for each word of the question the nearest token of the sentence; Khattab and Zaharia 2020,
//! arXiv:2004.12832), where a word counts as much as it tells.

use crate::{Embedder, TruthError};

/// How near a sentence is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meaning {
    /// Of the means.
    pub(crate) cosine: f32,
    /// The weighted mean of the best cosines of the question's tokens.
    pub(crate) likeness: f32,
}

/// Compares each sentence with the question, whose tokens have `weights`. `None` where the model gives no token states.
pub(crate) async fn meanings(
    embedder: &Embedder,
    question: &str,
    weights: &[f64],
    sentences: Vec<String>,
) -> Result<Option<Vec<Meaning>>, TruthError> {
    let Some(width) = embedder.width().filter(|width| *width > 0) else {
        return Ok(None);
    };
    let mut texts = vec![question.to_owned()];
    texts.extend(
        sentences
            .into_iter()
            .map(|text| if text.trim().is_empty() { ".".to_owned() } else { text }),
    );
    let Some(states) = embedder.token_states(&texts).await? else {
        return Ok(None);
    };
    let Some((question, sentences)) = states.split_first() else {
        return Ok(None);
    };
    let mean_of_question = mean(question, width);
    let asked = unit(question, width);
    let total: f64 = weights.iter().sum::<f64>().max(1e-9);
    let one = |sentence: &Vec<f32>| {
        let tokens = unit(sentence, width);
        let best = |token: &[f32]| {
            tokens
                .chunks_exact(width)
                .map(|other| dot(token, other))
                .fold(-1.0f32, f32::max)
        };
        let likeness = asked
            .chunks_exact(width)
            .zip(weights)
            .filter(|(_, weight)| **weight > 0.0);
        let likeness = likeness
            .map(|(token, weight)| f64::from(best(token)) * weight)
            .sum::<f64>()
            / total;
        Meaning {
            cosine: dot(&mean_of_question, &mean(sentence, width)),
            likeness: likeness as f32,
        }
    };
    Ok(Some(sentences.iter().map(one).collect()))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The mean of all tokens, frame included, at length 1: the model's own sentence vector.
fn mean(states: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0f32; width];
    states
        .chunks_exact(width)
        .for_each(|row| sum.iter_mut().zip(row).for_each(|(s, x)| *s += x));
    let length = dot(&sum, &sum).sqrt().max(1e-12);
    sum.iter_mut().for_each(|x| *x /= length);
    sum
}

/// Each token without the frame, at length 1.
fn unit(states: &[f32], width: usize) -> Vec<f32> {
    let rows = states.len() / width;
    if rows < 3 {
        return Vec::new();
    }
    let inner = &states[width..(rows - 1) * width];
    let mut out = inner.to_vec();
    for row in out.chunks_exact_mut(width) {
        let length = dot(row, row).sqrt().max(1e-12);
        row.iter_mut().for_each(|x| *x /= length);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{mean, unit};

    #[test]
    fn the_frame_counts_for_the_mean_and_not_for_tokens() {
        let states = [1.0, 0.0, 0.0, 2.0, 1.0, 0.0];
        assert_eq!(unit(&states, 2), [0.0, 1.0]);
        assert!(mean(&states, 2).iter().all(|x| (x - 0.5f32.sqrt()).abs() < 1e-6));
        assert!(unit(&[1.0, 0.0], 2).is_empty() && unit(&[], 2).is_empty());
    }
}
