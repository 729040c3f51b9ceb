//! Finds the models that tests use, and runs requests on them.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use candor_engine::{
    Constraint, EngineError, EngineOptions, Event, EventStream, FinishReason, GenerateRequest, Local, Parts, Prompt,
    Sampling, Stop, TokenLogprob, Usage,
};
use candor_model::{KvFormat, LoadOptions, Model, Precision};
use futures::StreamExt;

/// The default small model: its file, in a folder of its name or not.
pub(crate) const SMOLLM2: &str = "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";
/// A model of which five layers in six have a window of 512 tokens.
const GEMMA3: &str = "gemma3-270m/gemma-3-270m-q4_k_m.gguf";
pub(crate) const MINILM: &str = "all-minilm-l6-v2/model.safetensors";

/// One model-heavy test at a time: two cores and their memory are all there may be.
pub(crate) static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Where a model lies, or a note that it is absent.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CANDOR_MODELS")
        .map(PathBuf::from)
        .or_else(data_folder);
    let flat = name.rsplit('/').next().unwrap_or(name);
    let found = folder.and_then(|folder| {
        [folder.join(name), folder.join(flat)]
            .into_iter()
            .find(|path| path.exists())
    });
    if found.is_none() {
        assert!(
            std::env::var_os("CANDOR_REQUIRE_MODELS").is_none_or(|value| value != "1"),
            "{name} is required and absent"
        );
        eprintln!("skipped: {name} is absent; `candor pull` gets it");
    }
    found
}

fn data_folder() -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")))?;
    Some(data.join("candor/models"))
}

/// The small model in a precision, opened once.
pub(crate) fn smollm2(precision: Precision) -> Option<&'static Model> {
    static QUANTIZED: OnceLock<Option<Model>> = OnceLock::new();
    static EXACT: OnceLock<Option<Model>> = OnceLock::new();
    match precision {
        Precision::Quantized | Precision::Fast | Precision::Compact => {
            opened(&QUANTIZED, SMOLLM2, precision, KvFormat::F16)
        }
        Precision::F32 => opened(&EXACT, SMOLLM2, precision, KvFormat::F32),
    }
}

/// The small model with keys and values in 8 bits, opened once.
pub(crate) fn smollm2_in_bytes() -> Option<&'static Model> {
    static OPENED: OnceLock<Option<Model>> = OnceLock::new();
    opened(&OPENED, SMOLLM2, Precision::Quantized, KvFormat::Q8)
}

/// The model with a window, opened once.
pub(crate) fn gemma3() -> Option<&'static Model> {
    static OPENED: OnceLock<Option<Model>> = OnceLock::new();
    opened(&OPENED, GEMMA3, Precision::Quantized, KvFormat::F16)
}

fn opened(
    cell: &'static OnceLock<Option<Model>>,
    name: &str,
    precision: Precision,
    kv: KvFormat,
) -> Option<&'static Model> {
    static OPENING: Mutex<()> = Mutex::new(());
    let _opening = OPENING.lock().unwrap();
    cell.get_or_init(|| {
        let path = find(name)?;
        Some(
            Model::open(
                &path,
                &LoadOptions {
                    precision,
                    kv,
                    threads: 2,
                },
            )
            .unwrap(),
        )
    })
    .as_ref()
}

/// An engine of its own over an opened model.
pub(crate) fn engine(model: &Model, options: &EngineOptions) -> Local {
    let options = EngineOptions {
        kv_bytes: options.kv_bytes.or(Some(256 << 20)),
        ..options.clone()
    };
    Local::from_parts(Parts::from(model), &options).unwrap()
}

pub(crate) fn request(prompt: Prompt, max_tokens: usize) -> GenerateRequest {
    GenerateRequest {
        prompt,
        sampling: Sampling {
            temperature: 0.0,
            ..Sampling::default()
        },
        stop: Stop {
            max_tokens: Some(max_tokens),
            ..Stop::default()
        },
        constraint: Constraint::None,
        logprobs: Some(5),
        prompt_logprobs: None,
        affinity: None,
    }
}

/// Bits of a token's report: its id, its log-probability, its alternatives.
pub(crate) type Bits = (Option<u32>, Option<u32>, Vec<(Option<u32>, u32)>);

fn bits(token: &TokenLogprob) -> Bits {
    let top = token
        .top
        .iter()
        .map(|(id, _, logprob)| (*id, logprob.to_bits()))
        .collect();
    (token.id, token.logprob.map(f32::to_bits), top)
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Whole {
    pub text: String,
    pub tokens: Vec<Bits>,
    pub prompt: Vec<Bits>,
    pub calls: Vec<(String, String)>,
    pub finish: Option<FinishReason>,
    pub usage: (usize, usize, usize),
}

impl Whole {
    /// Without what may differ: how much came from the cache.
    pub(crate) fn answer(self) -> Self {
        Self {
            usage: (self.usage.0, 0, self.usage.2),
            ..self
        }
    }
}

pub(crate) async fn collect(mut stream: EventStream) -> Result<Whole, EngineError> {
    let mut whole = Whole::default();
    while let Some(event) = stream.next().await {
        match event? {
            Event::Prompt(tokens) => whole.prompt = tokens.iter().map(bits).collect(),
            Event::Text { text, tokens } => {
                whole.text += &text;
                whole.tokens.extend(tokens.iter().map(bits));
            }
            Event::ToolCall(call) => whole.calls.push((call.function.name, call.function.arguments)),
            Event::Finish {
                reason,
                usage:
                    Usage {
                        prompt_tokens,
                        cached_tokens,
                        completion_tokens,
                    },
            } => {
                whole.finish = Some(reason);
                whole.usage = (prompt_tokens, cached_tokens, completion_tokens);
            }
        }
    }
    Ok(whole)
}
