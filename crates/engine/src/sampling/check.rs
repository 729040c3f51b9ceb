//! The ranges of sampling settings. A number outside its range is refused, with the range; none is quietly clipped.

use crate::{EngineError, Sampling};

/// At most this many alternatives are reported per token.
pub(crate) const MAX_LOGPROBS: u32 = 20;
const MAX_BREAKERS: usize = 64;
const MAX_BREAKER_BYTES: usize = 64;
const MAX_BIASES: usize = 4096;

/// Checks every setting.
///
/// # Errors
/// `Invalid` with the setting's name and range.
pub(crate) fn check(settings: &Sampling, vocab: usize) -> Result<(), EngineError> {
    range("temperature", settings.temperature, 0.0..=100.0)?;
    range("top_p", settings.top_p, 0.0..=1.0)?;
    above_zero("typical_p", settings.typical_p)?;
    range("min_p", settings.min_p, 0.0..=1.0)?;
    range("repetition_penalty", settings.repetition_penalty, 0.01..=100.0)?;
    range("presence_penalty", settings.presence_penalty, -2.0..=2.0)?;
    range("frequency_penalty", settings.frequency_penalty, -2.0..=2.0)?;
    range("dry_multiplier", settings.dry.multiplier, 0.0..=100.0)?;
    range("dry_base", settings.dry.base, 1.0..=100.0)?;
    let breakers = &settings.dry.sequence_breakers;
    if breakers.len() > MAX_BREAKERS
        || breakers
            .iter()
            .any(|text| text.is_empty() || text.len() > MAX_BREAKER_BYTES)
    {
        let what = format!("takes at most {MAX_BREAKERS} strings of 1 to {MAX_BREAKER_BYTES} bytes");
        return Err(invalid("dry_sequence_breakers", what));
    }
    if settings.logit_bias.len() > MAX_BIASES {
        return Err(invalid("logit_bias", format!("takes at most {MAX_BIASES} tokens")));
    }
    for (id, bias) in &settings.logit_bias {
        if *id as usize >= vocab {
            return Err(invalid(
                "logit_bias",
                format!("names token {id}, but the vocabulary has {vocab} tokens"),
            ));
        }
        range("logit_bias", *bias, -100.0..=100.0)?;
    }
    Ok(())
}

fn range(param: &str, value: f32, range: std::ops::RangeInclusive<f32>) -> Result<(), EngineError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(invalid(
        param,
        format!("must lie between {} and {}, but is {value}", range.start(), range.end()),
    ))
}

fn above_zero(param: &str, value: f32) -> Result<(), EngineError> {
    if value > 0.0 && value <= 1.0 {
        return Ok(());
    }
    Err(invalid(param, format!("must be above 0 and at most 1, but is {value}")))
}

/// A refusal that names the field.
pub(crate) fn invalid(param: &str, what: impl std::fmt::Display) -> EngineError {
    EngineError::Invalid {
        param: Some(param.into()),
        message: format!("`{param}` {what}"),
    }
}
