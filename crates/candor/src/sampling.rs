//! Sampling settings from three places: the configuration, options of a command, and `/set` in a chat.

use candor_engine::{Dry, Sampling, Stop};
use clap::Args;

use crate::config::Config;

/// Names that `/set` takes, with what each does.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("temperature", "0 (always the likeliest token) to 5"),
    ("top_p", "0 to 1; 1 is off"),
    ("top_k", "0 is off"),
    ("min_p", "0 to 1; 0 is off"),
    ("typical_p", "0 to 1; 1 is off"),
    ("repetition_penalty", "more than 0, at most 10; 1 is off"),
    ("presence_penalty", "-2 to 2; 0 is off"),
    ("frequency_penalty", "-2 to 2; 0 is off"),
    ("seed", "a number for the same text each time, or `none`"),
    ("max_tokens", "0: as long as the context has room"),
];

/// Options of a command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// 0 takes the likeliest token always; higher is more varied
    #[arg(short = 't', long, value_name = "X", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Keep the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Keep this many of the likeliest tokens
    #[arg(long, value_name = "K")]
    top_k: Option<u32>,
    /// Keep tokens at least this likely, relative to the likeliest
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f32>,
    /// Make tokens that were used less likely (1 is off)
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    repetition_penalty: Option<f32>,
    /// The same seed gives the same text
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// At most this many tokens in an answer
    #[arg(short = 'n', long, value_name = "N")]
    max_tokens: Option<usize>,
}

/// How to sample and when to stop.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) sampling: Sampling,
    pub(crate) stop: Stop,
}

impl Settings {
    /// The configuration, over which options win.
    pub(crate) fn new(config: &Config, args: &SamplingArgs) -> anyhow::Result<Self> {
        let from = &config.sampling;
        let sampling = Sampling {
            temperature: from.temperature,
            top_k: from.top_k,
            top_p: from.top_p,
            min_p: from.min_p,
            repetition_penalty: from.repetition_penalty,
            seed: args.seed,
            typical_p: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            dry: Dry {
                multiplier: 0.0,
                base: 1.75,
                allowed_length: 2,
                sequence_breakers: Vec::new(),
            },
            logit_bias: Vec::new(),
        };
        let stop = Stop {
            max_tokens: Some(from.max_tokens).filter(|max| *max > 0),
            ..Stop::default()
        };
        let mut settings = Self { sampling, stop };
        let given = [
            ("temperature", args.temperature.map(|value| value.to_string())),
            ("top_p", args.top_p.map(|value| value.to_string())),
            ("top_k", args.top_k.map(|value| value.to_string())),
            ("min_p", args.min_p.map(|value| value.to_string())),
            (
                "repetition_penalty",
                args.repetition_penalty.map(|value| value.to_string()),
            ),
            ("max_tokens", args.max_tokens.map(|value| value.to_string())),
        ];
        for (key, value) in given {
            if let Some(value) = value {
                settings
                    .set(key, &value)
                    .map_err(|error| anyhow::anyhow!("--{}: {error}", key.replace('_', "-")))?;
            }
        }
        Ok(settings)
    }

    /// Changes one setting.
    ///
    /// # Errors
    /// A sentence that says what the setting takes.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let key = key.replace('-', "_");
        let Some((_, takes)) = SETTINGS.iter().find(|(name, _)| *name == key) else {
            let names: Vec<&str> = SETTINGS.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no setting `{key}`; there are {}", names.join(", ")));
        };
        let bad = || format!("`{key}` takes {takes}, not `{value}`");
        let number = |low: f32, high: f32| match value.parse::<f32>() {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            _ => Err(bad()),
        };
        let sampling = &mut self.sampling;
        match key.as_str() {
            "temperature" => sampling.temperature = number(0.0, 5.0)?,
            "top_p" => sampling.top_p = number(0.0, 1.0)?,
            "min_p" => sampling.min_p = number(0.0, 1.0)?,
            "typical_p" => sampling.typical_p = number(0.0, 1.0)?,
            "repetition_penalty" => sampling.repetition_penalty = number(f32::MIN_POSITIVE, 10.0)?,
            "presence_penalty" => sampling.presence_penalty = number(-2.0, 2.0)?,
            "frequency_penalty" => sampling.frequency_penalty = number(-2.0, 2.0)?,
            "top_k" => sampling.top_k = value.parse().map_err(|_| bad())?,
            "seed" if value == "none" => sampling.seed = None,
            "seed" => sampling.seed = Some(value.parse().map_err(|_| bad())?),
            _ => {
                let max: usize = value.parse().map_err(|_| bad())?;
                self.stop.max_tokens = (max > 0).then_some(max);
            }
        }
        Ok(())
    }

    /// All settings, one per line, with what they take.
    pub(crate) fn list(&self) -> String {
        let s = &self.sampling;
        let value = |key: &str| match key {
            "temperature" => s.temperature.to_string(),
            "top_p" => s.top_p.to_string(),
            "top_k" => s.top_k.to_string(),
            "min_p" => s.min_p.to_string(),
            "typical_p" => s.typical_p.to_string(),
            "repetition_penalty" => s.repetition_penalty.to_string(),
            "presence_penalty" => s.presence_penalty.to_string(),
            "frequency_penalty" => s.frequency_penalty.to_string(),
            "seed" => s.seed.map_or("none".into(), |seed| seed.to_string()),
            _ => self.stop.max_tokens.unwrap_or(0).to_string(),
        };
        SETTINGS
            .iter()
            .map(|(key, takes)| format!("  {key:20} {:8} {takes}\n", value(key)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_setting_can_be_set_and_is_listed() {
        let mut settings = Settings::new(&Config::default(), &SamplingArgs::default()).unwrap();
        for (key, _) in SETTINGS {
            let before = settings.list();
            settings
                .set(
                    key,
                    if ["seed", "top_k", "max_tokens"].contains(key) {
                        "7"
                    } else {
                        "0.25"
                    },
                )
                .unwrap();
            assert_ne!(settings.list(), before, "{key}");
        }
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_the_range() {
        let mut settings = Settings::new(&Config::default(), &SamplingArgs::default()).unwrap();
        assert_eq!(
            settings.set("top_p", "1.5").unwrap_err(),
            "`top_p` takes 0 to 1; 1 is off, not `1.5`"
        );
        assert!(settings.set("temperature", "NaN").is_err());
        assert!(
            settings
                .set("warmth", "1")
                .unwrap_err()
                .starts_with("there is no setting `warmth`; there are temperature,")
        );
    }
}
