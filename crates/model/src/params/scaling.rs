//! How rotary positions are stretched for longer contexts: what both file formats say of it.

use candor_kernels::ops::rope::RopeScaling;
use serde_json::Value;

use super::Fault;

/// YaRN's settings with its paper's defaults.
pub(super) struct Yarn {
    pub(super) factor: f32,
    pub(super) original_context: f32,
    pub(super) beta_fast: Option<f32>,
    pub(super) beta_slow: Option<f32>,
    pub(super) magnitude: Option<f32>,
    pub(super) whole: bool,
}

impl Yarn {
    pub(super) fn new(factor: f32, original_context: f32) -> Self {
        Self {
            factor,
            original_context,
            beta_fast: None,
            beta_slow: None,
            magnitude: None,
            whole: true,
        }
    }

    pub(super) fn finish(self) -> RopeScaling {
        RopeScaling::Yarn {
            factor: self.factor,
            beta_fast: self.beta_fast.unwrap_or(32.0),
            beta_slow: self.beta_slow.unwrap_or(1.0),
            original_context: self.original_context,
            magnitude: self.magnitude.unwrap_or_else(|| yarn_magnitude(self.factor)),
            whole: self.whole,
        }
    }
}

/// What YaRN multiplies sines and cosines by, where nothing else is said (its equation 22).
pub(super) fn yarn_magnitude(factor: f32) -> f32 {
    if factor <= 1.0 { 1.0 } else { 0.1 * factor.ln() + 1.0 }
}

pub(super) fn incomplete(key: &str) -> Fault {
    format!("its rotary scaling has no `{key}`; the file is incomplete, get it again")
}

pub(super) fn unknown(kind: &str) -> Fault {
    let kind: String = kind.chars().take(40).collect();
    format!(
        "asks for rotary scaling of the kind `{kind}`; `linear`, `llama3` (`rope_freqs`) and `yarn` are supported, get another model"
    )
}

/// From `rope_scaling` or `rope_parameters` of a config.json; `context` is `max_position_embeddings`.
pub(super) fn from_config(rope: Option<&Value>, context: usize) -> Result<RopeScaling, Fault> {
    let Some(rope) = rope else { return Ok(RopeScaling::None) };
    let float = |key: &str| rope.get(key).and_then(Value::as_f64).map(|v| v as f32);
    let number = |key: &str| float(key).ok_or_else(|| incomplete(key));
    let kind = rope.get("rope_type").or(rope.get("type")).and_then(Value::as_str);
    match kind.unwrap_or("default") {
        "default" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear(number("factor")?)),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_context: number("original_max_position_embeddings")?,
        }),
        "yarn" => {
            let original = float("original_max_position_embeddings").unwrap_or(context as f32);
            // Null, but not silence, stands for the ratio of the contexts.
            let factor = match rope.get("factor") {
                Some(Value::Null) => context as f32 / original,
                _ => number("factor")?,
            };
            let magnitude = |scale: f32, by: f32| {
                if factor <= 1.0 {
                    1.0
                } else {
                    0.1 * by * scale.ln() + 1.0
                }
            };
            Ok(Yarn {
                beta_fast: float("beta_fast"),
                beta_slow: float("beta_slow"),
                magnitude: float("attention_factor").or(match (float("mscale"), float("mscale_all_dim")) {
                    (Some(a), Some(b)) if a != 0.0 && b != 0.0 => Some(magnitude(factor, a) / magnitude(factor, b)),
                    _ => None,
                }),
                whole: rope.get("truncate").and_then(Value::as_bool).unwrap_or(true),
                ..Yarn::new(factor, original)
            }
            .finish())
        }
        other => Err(unknown(other)),
    }
}
