//! The one place where a request's numbers and words are checked. What comes out of here is in range; every refusal
//! names the field, its range, and what was sent.

use axum::extract::{FromRequest, Request};
use candor_engine::{Abilities, Constraint, Dry, Sampling, Stop};
use candor_wire::chat::{Content, Message, Tool, ToolChoice};
use candor_wire::chat_completions::{ResponseFormat, ToolChoiceField, ToolChoiceMode};
use candor_wire::options::Options;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{constraint, refused};
use crate::{ApiError, App, body};

/// A generation request: the route's own fields, and the common ones.
#[derive(Debug)]
pub struct Generation<T>(pub T, pub Options);

impl<T: DeserializeOwned> FromRequest<App> for Generation<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let bytes = body::read(request, app).await?;
        let (own, options) = (body::parse(&bytes)?, body::parse(&bytes)?);
        refused::check(&bytes)?;
        Ok(Self(own, options))
    }
}

/// The common fields, in range.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How to sample.
    pub sampling: Sampling,
    /// When to stop; `max_tokens` is the route's to fill in.
    pub stop: Stop,
    /// What the output must look like.
    pub constraint: Constraint,
    /// How many answers.
    pub n: usize,
    /// Whether to stream.
    pub stream: bool,
    /// Whether the stream ends with the usage.
    pub include_usage: bool,
    /// Whether tokens are written as `token_id:ID`.
    pub tokens_as_ids: bool,
    /// Which replica to prefer.
    pub affinity: Option<String>,
}

/// Checks the common fields.
///
/// # Errors
/// 400, naming the field.
pub fn options(options: Options, format: Option<&ResponseFormat>) -> Result<Settings, ApiError> {
    let constraint = constraint::constraint(&options, format)?;
    let n = within("n", options.n.unwrap_or(1), 1, 128)? as usize;
    let stream = options.stream.unwrap_or(false);
    if options.stream_options.is_some() && !stream {
        return Err(ApiError::param(
            "stream_options",
            "`stream_options` needs `stream: true`",
        ));
    }
    Ok(Settings {
        sampling: sampling(&options)?,
        constraint,
        n,
        stream,
        include_usage: options
            .stream_options
            .and_then(|wanted| wanted.include_usage)
            .unwrap_or(false),
        tokens_as_ids: options.return_tokens_as_token_ids.unwrap_or(false),
        affinity: options.prompt_cache_key.clone().filter(|key| !key.is_empty()),
        stop: stop(options)?,
    })
}

fn sampling(options: &Options) -> Result<Sampling, ApiError> {
    let top_k = within("top_k", options.top_k.unwrap_or(0), -1, i32::MAX)?;
    Ok(Sampling {
        temperature: within("temperature", options.temperature.unwrap_or(1.0), 0.0, 2.0)?,
        top_k: u32::try_from(top_k).unwrap_or(0),
        top_p: within("top_p", options.top_p.unwrap_or(1.0), 0.0, 1.0)?,
        min_p: within("min_p", options.min_p.unwrap_or(0.0), 0.0, 1.0)?,
        typical_p: above_zero("typical_p", options.typical_p.unwrap_or(1.0), 1.0)?,
        repetition_penalty: above_zero("repetition_penalty", options.repetition_penalty.unwrap_or(1.0), 10.0)?,
        presence_penalty: within("presence_penalty", options.presence_penalty.unwrap_or(0.0), -2.0, 2.0)?,
        frequency_penalty: within("frequency_penalty", options.frequency_penalty.unwrap_or(0.0), -2.0, 2.0)?,
        dry: dry(options)?,
        logit_bias: logit_bias(options)?,
        seed: options.seed.map(i64::cast_unsigned),
    })
}

fn dry(options: &Options) -> Result<Dry, ApiError> {
    let breakers = match &options.dry_sequence_breakers {
        None => ["\n", ":", "\"", "*"].map(str::to_owned).to_vec(),
        Some(given) => given.clone(),
    };
    if breakers.len() > 64 || breakers.iter().any(|breaker| breaker.is_empty() || breaker.len() > 256) {
        let message = "`dry_sequence_breakers` takes at most 64 strings of 1 to 256 bytes";
        return Err(ApiError::param("dry_sequence_breakers", message));
    }
    Ok(Dry {
        multiplier: within("dry_multiplier", options.dry_multiplier.unwrap_or(0.0), 0.0, 100.0)?,
        base: within("dry_base", options.dry_base.unwrap_or(1.75), 1.0, 10.0)?,
        allowed_length: within(
            "dry_allowed_length",
            options.dry_allowed_length.unwrap_or(2),
            0,
            1_000_000,
        )?,
        sequence_breakers: breakers,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "checked to lie between -100 and 100")]
fn logit_bias(options: &Options) -> Result<Vec<(u32, f32)>, ApiError> {
    let Some(given) = &options.logit_bias else {
        return Ok(Vec::new());
    };
    if given.len() > 4096 {
        return Err(ApiError::param("logit_bias", "`logit_bias` takes at most 4096 tokens"));
    }
    let entry = |(key, value): (&String, &serde_json::Value)| {
        let id = key.parse::<u32>().ok()?;
        let bias = value.as_f64().filter(|bias| (-100.0..=100.0).contains(bias))?;
        Some((id, bias as f32))
    };
    given.iter().map(entry).collect::<Option<_>>().ok_or_else(|| {
        let message = "`logit_bias` maps token ids, written as strings, to numbers between -100 and 100";
        ApiError::param("logit_bias", message)
    })
}

fn stop(options: Options) -> Result<Stop, ApiError> {
    let strings = options
        .stop
        .map(candor_wire::options::StringOrArray::into_vec)
        .unwrap_or_default();
    if strings.len() > 16 || strings.iter().any(|stop| stop.is_empty() || stop.len() > 1024) {
        return Err(ApiError::param(
            "stop",
            "`stop` takes at most 16 strings of 1 to 1024 bytes",
        ));
    }
    let tokens = options.stop_token_ids.unwrap_or_default();
    if tokens.len() > 256 {
        return Err(ApiError::param(
            "stop_token_ids",
            "`stop_token_ids` takes at most 256 ids",
        ));
    }
    Ok(Stop {
        max_tokens: None,
        strings,
        tokens,
        ignore_eos: options.ignore_eos.unwrap_or(false),
    })
}

/// A number between `low` and `high`, both included; NaN is in no range.
pub(crate) fn within<T: PartialOrd + std::fmt::Display>(name: &str, value: T, low: T, high: T) -> Result<T, ApiError> {
    if value >= low && value <= high {
        return Ok(value);
    }
    Err(ApiError::param(
        name,
        format!("`{name}` must lie between {low} and {high}; it is {value}"),
    ))
}

fn above_zero(name: &str, value: f32, high: f32) -> Result<f32, ApiError> {
    if value > 0.0 && value <= high {
        return Ok(value);
    }
    Err(ApiError::param(
        name,
        format!("`{name}` must be greater than 0 and at most {high}; it is {value}"),
    ))
}

/// Checks a conversation: known roles, and text only.
///
/// # Errors
/// 400, naming the message.
pub fn messages(messages: &[Message]) -> Result<(), ApiError> {
    if messages.is_empty() {
        return Err(ApiError::param(
            "messages",
            "`messages` is empty; send at least one message",
        ));
    }
    for (i, message) in messages.iter().enumerate() {
        if !matches!(
            message.role.as_str(),
            "system" | "developer" | "user" | "assistant" | "tool"
        ) {
            let role: String = message.role.chars().take(50).collect();
            let known = "`system`, `developer`, `user`, `assistant` or `tool`";
            return Err(ApiError::param(
                format!("messages[{i}].role"),
                format!("the role must be {known}, not `{role}`"),
            ));
        }
        match &message.content {
            Some(Content::Text(_)) => {}
            Some(Content::Parts(parts)) => {
                if let Some(part) = parts.iter().find(|part| part.kind != "text" || part.text.is_none()) {
                    let kind: String = part.kind.chars().take(50).collect();
                    let message = format!(
                        "models here read text only; a part of type `{kind}` with no text cannot be used, send parts of type `text`"
                    );
                    return Err(ApiError::param(format!("messages[{i}].content"), message));
                }
            }
            // A turn that only calls tools, or in which the model said nothing: clients send back what they got.
            None if message.role == "assistant" => {}
            None => {
                let message = "this message has no content; send a string or an array of text parts";
                return Err(ApiError::param(format!("messages[{i}].content"), message));
            }
        }
    }
    Ok(())
}

/// Checks tools and the choice among them.
///
/// # Errors
/// 400, naming the field.
pub fn tools(tools: &[Tool], choice: Option<ToolChoiceField>) -> Result<ToolChoice, ApiError> {
    if tools.len() > 128 {
        return Err(ApiError::param("tools", "`tools` takes at most 128 functions"));
    }
    for (i, tool) in tools.iter().enumerate() {
        if tool.kind != "function" {
            let message = "only tools of type `function` are supported";
            return Err(ApiError::param(format!("tools[{i}].type"), message));
        }
        let name = &tool.function.name;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let message = "a function's name has 1 to 64 letters, digits, dashes, dots and underscores";
            return Err(ApiError::param(format!("tools[{i}].function.name"), message));
        }
    }
    let choice = match choice {
        None | Some(ToolChoiceField::Mode(ToolChoiceMode::Auto)) => ToolChoice::Auto,
        Some(ToolChoiceField::Mode(ToolChoiceMode::None)) => ToolChoice::None,
        Some(ToolChoiceField::Mode(ToolChoiceMode::Required)) if tools.is_empty() => {
            return Err(ApiError::param(
                "tool_choice",
                "`tool_choice` is `required` and there are no `tools`",
            ));
        }
        Some(ToolChoiceField::Mode(ToolChoiceMode::Required)) => ToolChoice::Required,
        Some(ToolChoiceField::Named(named)) => {
            if !tools.iter().any(|tool| tool.function.name == named.function.name) {
                let message = "`tool_choice` names a function that is not among `tools`";
                return Err(ApiError::param("tool_choice", message));
            }
            ToolChoice::Function(named.function.name)
        }
    };
    Ok(choice)
}

/// Checks that a model can do what a request asks for.
///
/// # Errors
/// 400, naming the field.
pub(crate) fn abilities(can: Abilities, settings: &Settings, logprobs: bool) -> Result<(), ApiError> {
    if logprobs && !can.logprobs {
        return Err(ApiError::param(
            "logprobs",
            "this model does not report log-probabilities; leave `logprobs` out",
        ));
    }
    if !can.constraints && !matches!(settings.constraint, Constraint::None) {
        let message = "this model cannot be held to a schema, expression or grammar; leave it out or use another model";
        return Err(ApiError::param("response_format", message));
    }
    Ok(())
}

/// Fields that outlive the request are bounded as OpenAI bounds them.
pub(crate) fn metadata(given: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let short = |text: &str, most| text.chars().count() <= most;
    let fits =
        |(key, value): (&String, &Value)| short(key, 64) && value.as_str().is_some_and(|value| short(value, 512));
    if given.len() > 16 || !given.iter().all(fits) {
        let message = "`metadata` takes at most 16 pairs of strings, keys up to 64 and values up to 512 characters";
        return Err(ApiError::param("metadata", message));
    }
    Ok(given)
}

/// Whether a list begins with the oldest; the newest where nothing is said.
pub(crate) fn ascending(order: Option<&str>) -> Result<bool, ApiError> {
    match order {
        None | Some("desc") => Ok(false),
        Some("asc") => Ok(true),
        Some(_) => Err(ApiError::param("order", "`order` must be `asc` or `desc`")),
    }
}
