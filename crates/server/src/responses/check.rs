//! All 400s of `POST /v1/responses`: numbers in range, words that are known, items that can be read. What comes out is
//! ready for the engine; whatever cannot be honoured is refused with a sentence.

use std::time::{SystemTime, UNIX_EPOCH};

use candor_engine::{Constraint, Dry, Sampling, Stop};
use candor_wire::candor::CandorRequest;
use candor_wire::chat::{Tool, ToolChoice as EngineChoice};
use candor_wire::responses::{CreateResponse, Input, Item, Reasoning, Response, TextField, TextFormat, ToolChoice};
use serde_json::Value;

use super::{items, tools};
use crate::ApiError;
use crate::vector_stores::search::Wanted;

/// A request that can be honoured.
pub(super) struct Checked {
    /// The response as it begins: the request's settings, no output.
    pub(super) answer: Response,
    pub(super) input: Vec<Item>,
    /// Items that the input names by their ids, with their places in it.
    pub(super) references: Vec<(usize, String)>,
    pub(super) tools: Vec<Tool>,
    pub(super) tool_choice: EngineChoice,
    /// Which files to search first.
    pub(super) search: Option<Wanted>,
    /// To be answered from sources.
    pub(super) candor: Option<CandorRequest>,
    /// Whether what a search found is sent.
    pub(super) results: bool,
    pub(super) sampling: Sampling,
    pub(super) stop: Stop,
    pub(super) constraint: Constraint,
    pub(super) logprobs: Option<u32>,
    pub(super) stream: bool,
}

impl Checked {
    pub(super) fn new(request: CreateResponse) -> Result<Self, ApiError> {
        refuse_what_is_not_here(&request)?;
        let model = request.model.filter(|model| !model.is_empty());
        let model = model
            .ok_or_else(|| ApiError::param("model", "`model` is missing; /v1/models lists the models there are"))?;
        let id = id("resp");
        let (input, references) = match request.input {
            None => (Vec::new(), Vec::new()),
            Some(Input::Text(text)) => (vec![items::user(&id, text)], Vec::new()),
            Some(Input::Items(items)) => items::all(&id, items)?,
        };
        if input.is_empty() && references.is_empty() && request.previous_response_id.is_none() {
            return Err(ApiError::param(
                "input",
                "`input` is missing or empty; send a string or at least one item",
            ));
        }
        let (stream, background) = (request.stream.unwrap_or(false), request.background.unwrap_or(false));
        let store = request.store.unwrap_or(true);
        if background && !store {
            return Err(ApiError::param(
                "store",
                "a response in the background must be stored; leave `store` out",
            ));
        }
        if background && stream {
            return Err(ApiError::param(
                "stream",
                "a response in the background is not streamed; fetch it when it is done",
            ));
        }
        let (offered, search) = tools::offered(request.tools.unwrap_or_default())?;
        let echoed = request.tool_choice.clone().unwrap_or(ToolChoice::Mode("auto".into()));
        let chosen = tools::choose(&offered, request.tool_choice)?;
        let format = request.text.and_then(|text| text.format).unwrap_or_default();
        let constraint = constraint(&format)?;
        let asked = request
            .include
            .iter()
            .flatten()
            .any(|what| what == "message.output_text.logprobs");
        let results = request
            .include
            .iter()
            .flatten()
            .any(|what| what == "file_search_call.results");
        let top = whole("top_logprobs", request.top_logprobs.unwrap_or(0), 0, 20)?;
        let max = request
            .max_output_tokens
            .map(|max| whole("max_output_tokens", max, 1, i64::from(u32::MAX)))
            .transpose()?;
        let sampling = Sampling {
            temperature: number("temperature", request.temperature, 1.0, 0.0, 2.0)?,
            top_k: 0,
            top_p: number("top_p", request.top_p, 1.0, 0.0, 1.0)?,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            presence_penalty: number("presence_penalty", request.presence_penalty, 0.0, -2.0, 2.0)?,
            frequency_penalty: number("frequency_penalty", request.frequency_penalty, 0.0, -2.0, 2.0)?,
            dry: Dry {
                multiplier: 0.0,
                base: 1.75,
                allowed_length: 2,
                sequence_breakers: Vec::new(),
            },
            logit_bias: Vec::new(),
            seed: None,
        };
        let answer = Response {
            id,
            object: "response".into(),
            created_at: now(),
            completed_at: None,
            status: "in_progress".into(),
            incomplete_details: None,
            model,
            previous_response_id: request.previous_response_id,
            instructions: request.instructions,
            output: Vec::new(),
            error: None,
            tools: offered,
            tool_choice: echoed,
            truncation: "disabled".into(),
            parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
            text: TextField { format },
            top_p: decimal(sampling.top_p),
            presence_penalty: decimal(sampling.presence_penalty),
            frequency_penalty: decimal(sampling.frequency_penalty),
            top_logprobs: top,
            temperature: decimal(sampling.temperature),
            reasoning: Some(Reasoning::default()),
            usage: None,
            max_output_tokens: max.map(u64::from),
            max_tool_calls: None,
            store,
            background,
            service_tier: "default".into(),
            metadata: crate::api::checked::metadata(request.metadata.unwrap_or_default())?,
            safety_identifier: request.safety_identifier,
            prompt_cache_key: request.prompt_cache_key.filter(|key| !key.is_empty()),
            user: request.user,
            candor: None,
        };
        let stop = Stop {
            max_tokens: max.map(|max| max as usize),
            ..Stop::default()
        };
        let logprobs = (asked || top > 0).then_some(top);
        if request.candor.is_some() {
            let refused = [
                ("tools", !answer.tools.is_empty()),
                ("text.format", !matches!(constraint, Constraint::None)),
                ("top_logprobs", logprobs.is_some()),
            ];
            if let Some((param, _)) = refused.iter().find(|(_, given)| *given) {
                let message = format!(
                    "`{param}` cannot be honoured together with `candor`, whose answers are quotes of the vector stores in `candor.sources`; leave one of them out"
                );
                return Err(ApiError::param(*param, message));
            }
        }
        Ok(Self {
            answer,
            input,
            candor: request.candor,
            references,
            tools: chosen.functions,
            tool_choice: chosen.choice,
            search: search.filter(|_| chosen.searches),
            results,
            sampling,
            stop,
            constraint,
            logprobs,
            stream,
        })
    }
}

fn refuse_what_is_not_here(request: &CreateResponse) -> Result<(), ApiError> {
    let something = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
    let effort = request.reasoning.as_ref().and_then(|reasoning| reasoning.get("effort"));
    let verbosity = request.text.as_ref().and_then(|text| text.verbosity.as_deref());
    // All but the first two are about items that never occur here: there is nothing to include.
    let known = [
        "message.output_text.logprobs",
        "file_search_call.results",
        "reasoning.encrypted_content",
        "web_search_call.results",
        "web_search_call.action.sources",
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "message.input_image.image_url",
    ];
    let refusals = [
        (
            something(&request.conversation),
            "conversation",
            "conversations are not kept under ids of their own; use `previous_response_id`",
        ),
        (
            something(&request.prompt),
            "prompt",
            "stored prompts are not kept here; send `instructions` and `input`",
        ),
        (
            request.truncation.as_deref().is_some_and(|how| how != "disabled"),
            "truncation",
            "input is never cut here; `truncation` must be `disabled`",
        ),
        (
            request.max_tool_calls.is_some(),
            "max_tool_calls",
            "functions are called by you, so their number is yours to limit; leave `max_tool_calls` out",
        ),
        (
            request
                .service_tier
                .as_deref()
                .is_some_and(|tier| !matches!(tier, "auto" | "default")),
            "service_tier",
            "there is one service tier; `service_tier` must be `auto` or `default`",
        ),
        (
            effort.is_some_and(|effort| !effort.is_null() && effort != "none"),
            "reasoning.effort",
            "how much a model thinks cannot be set; leave `reasoning` out",
        ),
        (
            verbosity.is_some_and(|verbosity| verbosity != "medium"),
            "text.verbosity",
            "how much a model says cannot be set; ask for it in `instructions`",
        ),
        (
            request
                .include
                .iter()
                .flatten()
                .any(|what| !known.contains(&what.as_str())),
            "include",
            "`include` knows `message.output_text.logprobs` and `file_search_call.results`, and OpenAI's other words, for which there is nothing here",
        ),
    ];
    match refusals.into_iter().find(|(refused, ..)| *refused) {
        Some((_, param, message)) => Err(ApiError::param(param, message)),
        None => Ok(()),
    }
}

fn constraint(format: &TextFormat) -> Result<Constraint, ApiError> {
    match format {
        TextFormat::Text => Ok(Constraint::None),
        TextFormat::JsonObject => Ok(Constraint::JsonObject),
        TextFormat::JsonSchema { schema, .. } if schema.is_object() => Ok(Constraint::JsonSchema(schema.clone())),
        TextFormat::JsonSchema { .. } => Err(ApiError::param(
            "text.format.schema",
            "`text.format.schema` must be a JSON schema: an object",
        )),
    }
}

fn number(name: &str, given: Option<f32>, default: f32, low: f32, high: f32) -> Result<f32, ApiError> {
    crate::api::checked::within(name, given.unwrap_or(default), low, high)
}

fn whole(name: &str, value: i64, low: i64, high: i64) -> Result<u32, ApiError> {
    let value = crate::api::checked::within(name, value, low, high)?;
    Ok(u32::try_from(value).unwrap_or(u32::MAX))
}

/// The shortest decimal that is this f32.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// The id of an item of a response, from which the response's own can be read: see `response_of`.
pub(super) fn item_id(kind: &str, response: &str, part: char, place: usize) -> String {
    let own = response.split_once('_').map_or(response, |(_, own)| own);
    format!("{kind}_{own}{part}{place}")
}

/// The id of the response that an item belongs to, where the item's id was made here.
pub(super) fn response_of(item: &str) -> Option<String> {
    let own = item.split_once('_')?.1.get(..32)?;
    Some(format!("resp_{own}"))
}

/// A new id.
pub(super) fn id(kind: &str) -> String {
    format!("{kind}_{}", uuid::Uuid::now_v7().simple())
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
