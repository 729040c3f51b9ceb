//! What each kind of server understands, and requests put into its words. One table says what there is; whatever a
//! server cannot be told is refused with a sentence, never left out. Neutral values are sent where a server has other
//! defaults of its own. Knows nothing of connections.

use candor_wire::chat::{Message, ToolChoice};
use serde_json::{Map, Value, json};

use super::config::{Kind, UpstreamModel};
use super::structure::{Structure, constrain};
use crate::{EngineError, GenerateRequest, Prompt, Sampling, Stop};

/// What a kind of server understands.
#[derive(Debug)]
pub(super) struct Dialect {
    pub(super) name: &'static str,
    /// Where its health is, below the root; `None`: the list of models serves.
    pub(super) health: Option<&'static str>,
    /// Name of the repetition penalty.
    repetition: Option<&'static str>,
    /// The `top_k` that means off; `None`: it has neither `top_k` nor `min_p`.
    top_k_off: Option<i64>,
    typical: bool,
    dry: bool,
    stop_tokens: bool,
    ignore_eos: bool,
    /// Whether `/v1/completions` takes token ids.
    pub(super) token_prompts: bool,
    /// Largest seed.
    seed_max: u64,
    /// Most stop strings.
    stops: usize,
    /// The key for the longest answer in chat.
    max_tokens: &'static str,
    /// How `/v1/completions` is told "no limit"; its own default is a few tokens.
    unlimited: Unlimited,
    /// Whether `/tokenize` and `/detokenize` are vLLM's.
    pub(super) tokenize: bool,
    /// Whether `/tokenize` takes `parse_special`.
    pub(super) parse_special: bool,
    pub(super) structure: Structure,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Unlimited {
    Never,
    Null,
    MinusOne,
}

static OPENAI: Dialect = Dialect {
    name: "a plain OpenAI server",
    health: None,
    repetition: None,
    top_k_off: None,
    typical: false,
    dry: false,
    stop_tokens: false,
    ignore_eos: false,
    token_prompts: true,
    seed_max: i64::MAX as u64,
    stops: 4,
    max_tokens: "max_completion_tokens",
    unlimited: Unlimited::Never,
    tokenize: false,
    parse_special: false,
    structure: Structure::Format,
};
static VLLM: Dialect = Dialect {
    name: "vLLM",
    health: Some("/health"),
    repetition: Some("repetition_penalty"),
    top_k_off: Some(-1),
    typical: false,
    dry: false,
    stop_tokens: true,
    ignore_eos: true,
    token_prompts: true,
    seed_max: i64::MAX as u64,
    stops: usize::MAX,
    max_tokens: "max_tokens",
    unlimited: Unlimited::Null,
    tokenize: true,
    parse_special: false,
    structure: Structure::Outputs,
};
static SGLANG: Dialect = Dialect {
    name: "SGLang",
    health: Some("/health"),
    repetition: Some("repetition_penalty"),
    top_k_off: Some(-1),
    typical: false,
    dry: false,
    stop_tokens: true,
    ignore_eos: true,
    token_prompts: true,
    seed_max: i64::MAX as u64,
    stops: usize::MAX,
    max_tokens: "max_tokens",
    unlimited: Unlimited::Never,
    tokenize: false,
    parse_special: false,
    structure: Structure::Fields,
};
static LLAMACPP: Dialect = Dialect {
    name: "llama-server",
    health: Some("/health"),
    repetition: Some("repeat_penalty"),
    top_k_off: Some(0),
    typical: true,
    dry: true,
    stop_tokens: false,
    ignore_eos: true,
    token_prompts: true,
    seed_max: (u32::MAX - 1) as u64,
    stops: usize::MAX,
    max_tokens: "max_tokens",
    unlimited: Unlimited::MinusOne,
    tokenize: false,
    parse_special: false,
    structure: Structure::Schema,
};
static LLAMACPP_PYTHON: Dialect = Dialect {
    name: "llama-cpp-python's server",
    health: None,
    repetition: Some("repeat_penalty"),
    top_k_off: Some(0),
    typical: false,
    dry: false,
    stop_tokens: false,
    ignore_eos: false,
    token_prompts: false,
    seed_max: (u32::MAX - 1) as u64,
    stops: usize::MAX,
    max_tokens: "max_tokens",
    unlimited: Unlimited::Null,
    tokenize: false,
    parse_special: false,
    structure: Structure::ObjectSchema,
};
static CANDOR: Dialect = Dialect {
    name: "Candor",
    health: Some("/health"),
    repetition: Some("repetition_penalty"),
    top_k_off: Some(0),
    typical: true,
    dry: true,
    stop_tokens: true,
    ignore_eos: true,
    token_prompts: true,
    seed_max: u64::MAX,
    stops: usize::MAX,
    max_tokens: "max_tokens",
    unlimited: Unlimited::Never,
    tokenize: true,
    parse_special: true,
    structure: Structure::Candor,
};

impl Kind {
    pub(super) fn dialect(self) -> &'static Dialect {
        match self {
            Self::Openai => &OPENAI,
            Self::Vllm => &VLLM,
            Self::Sglang => &SGLANG,
            Self::Llamacpp => &LLAMACPP,
            Self::LlamacppPython => &LLAMACPP_PYTHON,
            Self::Candor => &CANDOR,
        }
    }
}

/// A request in a server's words.
#[derive(Debug)]
pub(super) struct Call {
    /// Below the API's address.
    pub(super) path: &'static str,
    pub(super) body: Map<String, Value>,
}

impl Dialect {
    /// Puts a request into this server's words.
    pub(super) fn call(&self, model: &UpstreamModel, request: &GenerateRequest) -> Result<Call, EngineError> {
        let mut body = Map::new();
        body.insert("model".into(), json!(model.id));
        let chat = match &request.prompt {
            Prompt::Chat {
                messages,
                tools,
                tool_choice,
            } => {
                body.insert("messages".into(), messages.iter().map(|m| self.message(m)).collect());
                if !tools.is_empty() {
                    body.insert("tools".into(), json!(tools));
                    body.insert("tool_choice".into(), choice(tool_choice));
                }
                true
            }
            Prompt::Text(text) => {
                body.insert("prompt".into(), json!(text));
                false
            }
            Prompt::Tokens(ids) if self.token_prompts => {
                body.insert("prompt".into(), json!(ids));
                false
            }
            Prompt::Tokens(_) => return Err(self.lacks("prompt", "prompts of token ids")),
        };
        self.sampling(&mut body, &request.sampling)?;
        self.stop(&mut body, &request.stop, model, chat)?;
        constrain(self, &mut body, &request.constraint, chat)?;
        match (request.logprobs, chat) {
            (Some(count), true) => {
                body.insert("logprobs".into(), json!(true));
                body.insert("top_logprobs".into(), json!(count));
            }
            (Some(count), false) => {
                body.insert("logprobs".into(), json!(count));
            }
            (None, _) => {}
        }
        if let (Structure::Candor, Some(affinity)) = (self.structure, &request.affinity) {
            body.insert("prompt_cache_key".into(), json!(affinity));
        }
        if request.prompt_logprobs.is_some() {
            if chat {
                return Err(self.lacks("prompt_logprobs", "log-probabilities of a conversation's prompt"));
            }
            body.insert("echo".into(), json!(true));
            body.insert("logprobs".into(), json!(request.logprobs.unwrap_or(0)));
            body.insert("stream".into(), json!(false)); // tokens of prompt and answer come apart by usage alone
        } else {
            body.insert("stream".into(), json!(true));
            body.insert("stream_options".into(), json!({ "include_usage": true }));
        }
        Ok(Call {
            path: if chat { "/chat/completions" } else { "/completions" },
            body,
        })
    }

    /// `developer` is OpenAI's word; templates of open models know `system`.
    pub(super) fn message(&self, message: &Message) -> Value {
        let mut value = json!(message);
        if message.role == "developer" && !std::ptr::eq(self, &raw const OPENAI) {
            value["role"] = json!("system");
        }
        value
    }

    /// A refusal of what this kind of server has no word for.
    pub(super) fn lacks(&self, param: &str, what: &str) -> EngineError {
        EngineError::Invalid {
            param: Some(param.into()),
            message: format!(
                "the model is served by {}, which does not take {what}; leave it out or use another model",
                self.name
            ),
        }
    }

    fn sampling(&self, body: &mut Map<String, Value>, s: &Sampling) -> Result<(), EngineError> {
        let plain = self.top_k_off.is_none();
        let mut put = |key: &str, value: Value| body.insert(key.into(), value);
        // Some models behind plain servers refuse these keys at all, and their defaults are neutral.
        if !plain || s.temperature != 1.0 {
            put("temperature", number(s.temperature));
        }
        if !plain || s.top_p != 1.0 {
            put("top_p", number(s.top_p));
        }
        match self.top_k_off {
            Some(off) => {
                put("top_k", json!(if s.top_k == 0 { off } else { i64::from(s.top_k) }));
                put("min_p", number(s.min_p));
            }
            None if s.top_k != 0 => return Err(self.lacks("top_k", "`top_k`")),
            None if s.min_p != 0.0 => return Err(self.lacks("min_p", "`min_p`")),
            None => {}
        }
        if s.typical_p != 1.0 {
            if !self.typical {
                return Err(self.lacks("typical_p", "`typical_p`"));
            }
            put("typical_p", number(s.typical_p));
        }
        match self.repetition {
            Some(key) => {
                put(key, number(s.repetition_penalty));
            }
            None if s.repetition_penalty != 1.0 => return Err(self.lacks("repetition_penalty", "`repetition_penalty`")),
            None => {}
        }
        if s.presence_penalty != 0.0 {
            put("presence_penalty", number(s.presence_penalty));
        }
        if s.frequency_penalty != 0.0 {
            put("frequency_penalty", number(s.frequency_penalty));
        }
        if s.dry.multiplier != 0.0 {
            if !self.dry {
                return Err(self.lacks("dry_multiplier", "the DRY penalty"));
            }
            put("dry_multiplier", number(s.dry.multiplier));
            put("dry_base", number(s.dry.base));
            put("dry_allowed_length", json!(s.dry.allowed_length));
            put("dry_sequence_breakers", json!(s.dry.sequence_breakers));
        }
        if !s.logit_bias.is_empty() {
            let bias: Map<String, Value> = s
                .logit_bias
                .iter()
                .map(|(id, v)| (id.to_string(), number(*v)))
                .collect();
            put("logit_bias", Value::Object(bias));
        }
        if let Some(seed) = s.seed {
            let seed = match self.structure {
                Structure::Candor => json!(seed.cast_signed()), // which the other Candor turns back
                _ if seed > self.seed_max => json!(seed % self.seed_max),
                _ => json!(seed),
            };
            put("seed", seed);
        }
        Ok(())
    }

    fn stop(
        &self,
        body: &mut Map<String, Value>,
        stop: &Stop,
        model: &UpstreamModel,
        chat: bool,
    ) -> Result<(), EngineError> {
        let limit = match (stop.max_tokens, model.max_tokens) {
            (Some(asked), Some(most)) if asked > most => {
                return Err(EngineError::Invalid {
                    param: Some("max_tokens".into()),
                    message: format!(
                        "`max_tokens` is {asked} and the model `{}` writes at most {most}; ask for less",
                        model.alias()
                    ),
                });
            }
            (asked, most) => asked.or(most),
        };
        match (limit, chat, self.unlimited) {
            (Some(limit), true, _) => body.insert(self.max_tokens.into(), json!(limit)),
            (Some(limit), false, _) => body.insert("max_tokens".into(), json!(limit)),
            (None, true, _) => None,
            (None, false, Unlimited::Null) => body.insert("max_tokens".into(), Value::Null),
            (None, false, Unlimited::MinusOne) => body.insert("max_tokens".into(), json!(-1)),
            (None, false, Unlimited::Never) => {
                return Err(self.lacks(
                    "max_tokens",
                    "a text prompt without `max_tokens` (it would stop after 16)",
                ));
            }
        };
        if stop.strings.len() > self.stops {
            return Err(self.lacks("stop", &format!("more than {} stop strings", self.stops)));
        }
        if !stop.strings.is_empty() {
            body.insert("stop".into(), json!(stop.strings));
        }
        if !stop.tokens.is_empty() {
            if !self.stop_tokens {
                return Err(self.lacks("stop_token_ids", "`stop_token_ids`"));
            }
            body.insert("stop_token_ids".into(), json!(stop.tokens));
        }
        if stop.ignore_eos {
            if !self.ignore_eos {
                return Err(self.lacks("ignore_eos", "`ignore_eos`"));
            }
            body.insert("ignore_eos".into(), json!(true));
        }
        Ok(())
    }
}

/// The shortest decimal that is this f32: 0.7 and not 0.699999988079071.
fn number(value: f32) -> Value {
    value
        .to_string()
        .parse::<f64>()
        .map_or(Value::Null, |value| json!(value))
}

fn choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Function(name) => json!({ "type": "function", "function": { "name": name } }),
    }
}
