//! Constraints on the output, compiled by llguidance into a mask over the vocabulary per token.
//!
//! What cannot be honoured is refused: unknown or unsupported schema keywords, remote references, grammars that are too
//! large, too deep, or take too long. Compiling runs on a thread of its own with a large stack and a deadline.

mod grammar;
mod plain;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use tokio::sync::{Semaphore, oneshot};

pub use grammar::{CallFormat, to_lark};
pub(crate) use grammar::{calls, either};

use crate::EngineError;
use crate::lexicon::Lexicon;
use crate::tools::ToolParser;

/// How long a constraint may take to compile.
const DEADLINE: Duration = Duration::from_secs(5);
/// Constraints compiled at once.
const AT_ONCE: usize = 2;
/// Parsers recurse; their thread gets this much stack (only what is touched is taken).
const STACK: usize = 256 << 20;

/// Compiles constraints for one vocabulary.
pub struct Compiler {
    lexicon: Arc<dyn Lexicon>,
    /// Number of logits; may exceed the lexicon's vocabulary.
    vocab: usize,
    factory: OnceLock<Result<Arc<ParserFactory>, String>>,
    places: Arc<Semaphore>,
}

impl Compiler {
    /// A compiler; its tables are built when the first constraint comes.
    pub fn new(lexicon: Arc<dyn Lexicon>, vocab: usize) -> Self {
        Self {
            lexicon,
            vocab,
            factory: OnceLock::new(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Compiles a grammar in Lark's syntax, ready for the first token.
    ///
    /// # Errors
    /// `Invalid` if it cannot be honoured; `Overloaded` where others take too long.
    pub async fn compile(self: &Arc<Self>, lark: String, param: &'static str) -> Result<Matcher, EngineError> {
        let place = tokio::time::timeout(DEADLINE, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(EngineError::Overloaded { retry_after_s: 5 });
        };
        let (sender, receiver) = oneshot::channel();
        let compiler = Arc::clone(self);
        let work = move || {
            let result = compiler.compile_now(lark);
            drop(place);
            // The request may be gone by now.
            let _ = sender.send(result);
        };
        std::thread::Builder::new()
            .name("candor-grammar".into())
            .stack_size(STACK)
            .spawn(work)
            .map_err(|error| EngineError::Unavailable {
                message: format!("no thread for the constraint: {error}; try again"),
            })?;
        let refuse = |message| {
            Err(EngineError::Invalid {
                param: Some(param.into()),
                message,
            })
        };
        match tokio::time::timeout(DEADLINE, receiver).await {
            Ok(Ok(Ok(matcher))) => Ok(matcher),
            Ok(Ok(Err(error))) => {
                let error = if param == "grammar" { error } else { plainly(&error) };
                refuse(format!("the constraint cannot be honoured: {error}"))
            }
            Ok(Err(_)) => refuse("the constraint cannot be honoured: its compiler failed".into()),
            Err(_) => refuse(format!(
                "the constraint takes more than {} seconds to compile; simplify it",
                DEADLINE.as_secs()
            )),
        }
    }

    fn factory(&self) -> Result<&Arc<ParserFactory>, String> {
        self.factory.get_or_init(|| self.build()).as_ref().map_err(Clone::clone)
    }

    fn build(&self) -> Result<Arc<ParserFactory>, String> {
        let words: Vec<Vec<u8>> = (0..self.vocab as u32).map(|id| self.word(id)).collect();
        let ends: Vec<u32> = self
            .lexicon
            .ends()
            .iter()
            .copied()
            .filter(|id| (*id as usize) < self.vocab)
            .collect();
        let Some(first) = ends.first() else {
            return Err("the model's file names no token that ends an answer, so no constraint can end".into());
        };
        let trie = TokTrie::from(&TokRxInfo::new(self.vocab as u32, *first), &words).with_eos_tokens(&ends);
        let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&env).map_err(|error| format!("{error:#}"))?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.verbose_errors = false;
        limits.max_grammar_size = 200_000;
        limits.max_lexer_states = 50_000;
        Ok(Arc::new(factory))
    }

    /// A token as the constraint sees it. Special tokens are no text (the marker byte never matches), except those that
    /// frame tool calls.
    fn word(&self, id: u32) -> Vec<u8> {
        let bytes = self.lexicon.bytes(id);
        let marker = std::str::from_utf8(bytes).is_ok_and(ToolParser::is_marker);
        if !self.lexicon.is_special(id) || marker {
            return bytes.to_vec();
        }
        let mut word = vec![TokTrie::SPECIAL_TOKEN_MARKER];
        word.extend_from_slice(bytes);
        word
    }

    fn compile_now(&self, lark: String) -> Result<Matcher, String> {
        let factory = self.factory()?;
        let mut parser = factory
            .create_parser(TopLevelGrammar::from_lark(lark))
            .map_err(|error| shorten(&error))?;
        if let Some(warning) = parser.grammar_warnings().first() {
            return Err(warning.clone());
        }
        let mut matcher = Matcher::new(Ok(parser));
        // The first mask is the costliest; it is made here and not on the engine's thread.
        matcher.compute_mask_or_eos().map_err(|error| shorten(&error))?;
        Ok(matcher)
    }
}

/// What a compiler says about a grammar that its sender never saw: without places in it and its text.
fn plainly(error: &str) -> String {
    if error.contains("NoExtensionBias") {
        return "no text fits it".into();
    }
    let error = error.split("\n   1 | ").next().unwrap_or(error);
    let mut error = error.replace("<non-verbose/>", "");
    if let Some((_, what)) = error
        .split_once("): ")
        .filter(|(at, _)| at.starts_with("at ") && at.len() < 20)
    {
        error = what.to_owned();
    }
    error.replace("failed to compile JSON schema: ", "").trim().to_owned()
}

fn shorten(error: &impl std::fmt::Display) -> String {
    let text = format!("{error:#}");
    match text.char_indices().nth(500) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
