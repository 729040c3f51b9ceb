//! Everything about a request that needs no model: rendering, tokenizing, checking, compiling its constraint. It runs
//! off the async threads, and a request that fails here never reaches the engine.

use std::sync::Arc;

use candor_wire::chat::{Tool, ToolChoice};
use tokio::sync::mpsc as channel;

use super::{Engine, Local, render};
use crate::answer::AnswerParts;
use crate::constraint::{self, CallFormat};
use crate::sampling::{MAX_LOGPROBS, Sampler, check, invalid};
use crate::tools::ToolParser;
use crate::{Constraint, EngineError, GenerateRequest, Prompt, Stop};

const MAX_STOPS: usize = 64;
const MAX_STOP_BYTES: usize = 1024;
const MAX_TOOLS: usize = 256;
/// A text is refused without counting its tokens if it is longer than so many times the longest tokens that fit: what a
/// tokenizer takes away before it splits a text (white space, what Unicode writes in two ways) is less.
const FAR: usize = 4;

/// A request that can run.
pub(super) struct Prepared {
    pub(super) tokens: Vec<u32>,
    /// Complete but for where its events go.
    pub(super) answer: AnswerParts,
}

impl Local {
    pub(super) async fn prepare(&self, engine: &Engine, request: GenerateRequest) -> Result<Prepared, EngineError> {
        let GenerateRequest {
            prompt,
            sampling,
            mut stop,
            constraint,
            logprobs,
            prompt_logprobs,
            affinity: _,
        } = request;
        check(&sampling, engine.vocab)?;
        check_stop(&stop, engine.vocab)?;
        if logprobs.is_some_and(|n| n > MAX_LOGPROBS) {
            return Err(invalid("logprobs", format!("must lie between 0 and {MAX_LOGPROBS}")));
        }
        let (tools, choice) = match &prompt {
            Prompt::Chat { tools, tool_choice, .. } => (tools.clone(), tool_choice.clone()),
            _ => (Vec::new(), ToolChoice::None),
        };
        if tools.len() > MAX_TOOLS {
            return Err(invalid("tools", format!("takes at most {MAX_TOOLS} functions")));
        }
        let tokens = self.tokens(engine, prompt).await?;
        check_ids(&tokens, engine.vocab, "prompt")?;
        if tokens.is_empty() {
            return Err(invalid("prompt", "is empty; send at least one token"));
        }
        if prompt_logprobs.is_some_and(|from| from >= tokens.len()) {
            return Err(invalid("prompt_logprobs", "begins behind the prompt"));
        }
        let needs = tokens.len() + usize::from(stop.max_tokens != Some(0));
        if needs > engine.context {
            return Err(EngineError::TooLong {
                tokens: tokens.len(),
                context: engine.context,
            });
        }
        let grammar = self.grammar(&constraint, &tools, &choice)?;
        let matcher = match grammar {
            Some((lark, param)) => Some(engine.compiler.compile(lark, param).await?),
            None => None,
        };
        let parses = !tools.is_empty() && choice != ToolChoice::None;
        let tools = parses.then(|| ToolParser::new(tools.iter().map(|tool| tool.function.name.as_str())));
        stop.max_tokens = stop.max_tokens.map(|max| max.min(engine.context - tokens.len()));
        let lexicon = Arc::clone(&self.lexicon);
        let (events, _) = channel::unbounded_channel();
        let sampler = Sampler::new(sampling, &tokens, &*lexicon);
        let answer = AnswerParts {
            lexicon,
            sampler,
            matcher,
            tools,
            stop,
            logprobs,
            prompt_logprobs,
            events,
        };
        Ok(Prepared { tokens, answer })
    }

    async fn tokens(&self, engine: &Engine, prompt: Prompt) -> Result<Vec<u32>, EngineError> {
        let lexicon = Arc::clone(&self.lexicon);
        let (context, most) = (
            engine.context,
            engine.context.saturating_mul(FAR * engine.longest_token),
        );
        let fits = move |text: &str| match text.len() {
            bytes if bytes > most => Err(EngineError::FarTooLong { bytes, context }),
            _ => Ok(()),
        };
        match prompt {
            Prompt::Tokens(ids) => Ok(ids),
            Prompt::Text(text) => {
                fits(&text)?;
                blocking(move || Ok(lexicon.framed(lexicon.encode(&text, false)))).await
            }
            Prompt::Chat {
                messages,
                tools,
                tool_choice,
            } => {
                let template = Arc::clone(self.template()?);
                blocking(move || {
                    let tools: &[Tool] = if tool_choice == ToolChoice::None { &[] } else { &tools };
                    let text = render(&*template, &messages, tools, true)?;
                    fits(&text)?;
                    // The template writes BOS itself where the model wants it.
                    Ok(lexicon.encode(&text, true))
                })
                .await
            }
        }
    }

    /// The grammar of constraint and tool choice together.
    fn grammar(
        &self,
        constraint: &Constraint,
        tools: &[Tool],
        choice: &ToolChoice,
    ) -> Result<Option<(String, &'static str)>, EngineError> {
        let content = constraint::to_lark(constraint)?;
        let format = self.template.as_ref().map_or(CallFormat::Tagged, |template| {
            CallFormat::of_template(template.source())
        });
        let named = match choice {
            ToolChoice::Function(name) => Some(name.as_str()),
            _ => None,
        };
        match choice {
            ToolChoice::Required | ToolChoice::Function(_) => {
                let calls = constraint::calls(tools, named, format)?;
                Ok(Some((constraint::either(&calls, None), "tools")))
            }
            ToolChoice::Auto if !tools.is_empty() => match content {
                Some((_, "grammar")) => Err(invalid(
                    "grammar",
                    "cannot be combined with `tools`; set `tool_choice` to `none` or leave one out",
                )),
                Some((content, param)) => {
                    let calls = constraint::calls(tools, None, format)?;
                    Ok(Some((constraint::either(&calls, Some(&content)), param)))
                }
                None => Ok(None),
            },
            _ => Ok(content),
        }
    }
}

fn check_stop(stop: &Stop, vocab: usize) -> Result<(), EngineError> {
    let strings = &stop.strings;
    if strings.len() > MAX_STOPS
        || strings
            .iter()
            .any(|text| text.is_empty() || text.len() > MAX_STOP_BYTES)
    {
        return Err(invalid(
            "stop",
            format!("takes at most {MAX_STOPS} strings of 1 to {MAX_STOP_BYTES} bytes"),
        ));
    }
    check_ids(&stop.tokens, vocab, "stop_token_ids")
}

/// Refuses ids that the model does not have.
pub(super) fn check_ids(ids: &[u32], vocab: usize, param: &str) -> Result<(), EngineError> {
    match ids.iter().find(|id| **id as usize >= vocab) {
        Some(id) => Err(invalid(
            param,
            format!("holds token {id}, but the vocabulary has {vocab} tokens"),
        )),
        None => Ok(()),
    }
}

/// Runs work that takes long away from the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let message = "a part of the engine failed on this request; this is a bug in Candor, please report it".into();
        Err(EngineError::Internal { message })
    })
}
