//! The page's sampling settings: a short list with ranges, kept with each conversation and copied to each answer.

use candor_engine::{Dry, Sampling, Stop};
use serde::{Deserialize, Serialize};

use crate::ApiError;

/// As the page sends and shows them. What is absent takes the page's default.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Knobs {
    temperature: f32,
    top_p: f32,
    top_k: u32,
    min_p: f32,
    repetition_penalty: f32,
    max_tokens: Option<usize>,
    seed: Option<u64>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_p: 0.95,
            top_k: 0,
            min_p: 0.05,
            repetition_penalty: 1.0,
            max_tokens: None,
            seed: None,
        }
    }
}

impl Knobs {
    /// Reads and checks stored or sent settings.
    pub(super) fn checked(value: &serde_json::Value) -> Result<Self, ApiError> {
        let value = if value.is_null() {
            serde_json::json!({})
        } else {
            value.clone()
        };
        let knobs: Self = serde_json::from_value(value)
            .map_err(|error| ApiError::param("sampling", format!("the sampling settings do not fit: {error}")))?;
        within("temperature", knobs.temperature, 0.0, 2.0)?;
        within("top_p", knobs.top_p, 0.0, 1.0)?;
        within("min_p", knobs.min_p, 0.0, 1.0)?;
        within("repetition_penalty", knobs.repetition_penalty, 0.1, 10.0)?;
        if knobs.top_k > 1_000_000 {
            return Err(ApiError::param("top_k", "`top_k` must lie between 0 and 1000000"));
        }
        if knobs.max_tokens == Some(0) {
            return Err(ApiError::param("max_tokens", "`max_tokens` must be at least 1"));
        }
        // JavaScript's numbers are exact up to here.
        if knobs.seed.is_some_and(|seed| seed > (1 << 53)) {
            return Err(ApiError::param("seed", "`seed` must be at most 9007199254740992"));
        }
        Ok(knobs)
    }

    /// Leaves off what a plain OpenAI server does not take, where nobody chose it: the page's own default must not keep
    /// a model from answering.
    pub(super) fn elsewhere(mut self, chosen: &serde_json::Value) -> Self {
        if chosen.get("min_p").is_none() {
            self.min_p = 0.0;
        }
        self
    }

    /// Draws a seed where none was chosen, so that the stored settings can give the same answer again.
    pub(super) fn with_seed(mut self) -> Self {
        let drawn = || u64::from(uuid::Uuid::new_v4().as_fields().0);
        self.seed = Some(self.seed.unwrap_or_else(drawn));
        self
    }

    pub(super) fn max_tokens(&self) -> Option<usize> {
        self.max_tokens
    }

    pub(super) fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            typical_p: 1.0,
            repetition_penalty: self.repetition_penalty,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            dry: Dry {
                multiplier: 0.0,
                base: 1.75,
                allowed_length: 2,
                sequence_breakers: Vec::new(),
            },
            logit_bias: Vec::new(),
            seed: self.seed,
        }
    }

    pub(super) fn stop(&self) -> Stop {
        Stop {
            max_tokens: self.max_tokens,
            ..Stop::default()
        }
    }
}

fn within(name: &str, value: f32, least: f32, most: f32) -> Result<(), ApiError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(ApiError::param(
        name,
        format!("`{name}` must lie between {least} and {most}; it is {value}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_default_that_upstreams_may_not_take_is_not_sent_to_them_unless_it_was_chosen() {
        let min_p = |chosen: serde_json::Value| Knobs::checked(&chosen).unwrap().elsewhere(&chosen).sampling().min_p;
        assert_eq!(min_p(json!({ "temperature": 0.2 })), 0.0);
        assert_eq!(min_p(json!(null)), 0.0);
        assert_eq!(min_p(json!({ "min_p": 0.1 })), 0.1);
    }

    #[test]
    fn settings_out_of_range_or_unknown_are_refused_by_name() {
        for (bad, name) in [
            (json!({ "temperature": -1 }), "temperature"),
            (json!({ "top_p": 1.5 }), "top_p"),
            (json!({ "max_tokens": 0 }), "max_tokens"),
            (json!({ "n_discard": -1 }), "n_discard"),
            (json!({ "top_k": -4 }), "sampling"),
        ] {
            let error = Knobs::checked(&bad).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(Knobs::checked(&json!(null)).unwrap().with_seed().seed.is_some());
    }
}
