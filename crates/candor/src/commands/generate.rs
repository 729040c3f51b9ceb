//! `candor generate`: one answer, for pipes and scripts.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use candor_engine::{Constraint, FinishReason, GenerateRequest, Prompt};
use candor_wire::chat::{Content, Message, ToolChoice};
use clap::Args;
use serde_json::json;

use crate::answer;
use crate::context::Context;
use crate::open::{self, EngineArgs};
use crate::sampling::{SamplingArgs, Settings};
use crate::terminal::{Live, print};

/// The most that is read from a pipe.
const LARGEST_INPUT: u64 = 64 << 20;

/// Answer once and leave: for pipes and scripts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor generate \"Name three rivers.\"
  git diff | candor generate \"explain\"      what comes through the pipe follows the words
  candor generate < question.txt
  candor generate --raw \"Once upon a time\" -n 50
  candor generate --schema person.json \"Invent a person.\" | jq .name
  candor generate --choice yes --choice no \"Is water wet?\"

The answer goes to stdout as it is made, everything else to stderr. Exit status: 0 when the model ended its answer
or the limit of tokens was reached, 1 when something went wrong, 2 for a wrong command line, 130 after Ctrl-C.")]
pub(crate) struct Generate {
    /// What to ask; joined with spaces
    prompt: Vec<String>,
    /// A name from `candor models`, or a path
    #[arg(short, long, value_name = "NAME|PATH")]
    model: Option<String>,
    /// What the conversation begins with
    #[arg(short, long, value_name = "TEXT", conflicts_with = "raw")]
    system: Option<String>,
    /// Continue the text as it is, without the model's chat template
    #[arg(long)]
    raw: bool,
    /// Print one JSON object with text, reason and counts, at the end
    #[arg(long)]
    json: bool,
    /// Draw the answer's Markdown (on a terminal)
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// End the answer before this text; may be given again
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

/// What the answer must look like.
#[derive(Debug, Args)]
#[command(next_help_heading = "Shape of the answer")]
#[group(multiple = false)]
struct Shape {
    /// A JSON object
    #[arg(long)]
    json_object: bool,
    /// JSON that fits the JSON schema in this file
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Text that this regular expression matches as a whole
    #[arg(long, value_name = "REGEX")]
    regex: Option<String>,
    /// Text of the Lark grammar in this file
    #[arg(long, value_name = "FILE")]
    grammar: Option<PathBuf>,
    /// One of these; give the option again for each
    #[arg(long, value_name = "TEXT")]
    choice: Vec<String>,
}

impl Shape {
    fn constraint(self) -> anyhow::Result<Constraint> {
        let read =
            |file: &Path| std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
        Ok(if self.json_object {
            Constraint::JsonObject
        } else if let Some(file) = &self.schema {
            let schema =
                serde_json::from_str(&read(file)?).with_context(|| format!("{} is not JSON", file.display()))?;
            Constraint::JsonSchema(schema)
        } else if let Some(regex) = self.regex {
            Constraint::Regex(regex)
        } else if let Some(file) = &self.grammar {
            Constraint::Lark(read(file)?)
        } else if self.choice.is_empty() {
            Constraint::None
        } else {
            Constraint::Choice(self.choice)
        })
    }
}

impl Generate {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let mut settings = Settings::new(&context.config, &self.sampling)?;
        settings.stop.strings = self.stop;
        let constraint = self.shape.constraint()?;
        let piped = if std::io::stdin().is_terminal() {
            None
        } else {
            Some(piped()?)
        };
        let text = joined(&self.prompt.join(" "), piped.as_deref())?;
        let runtime = crate::runtime::start()?;
        let opened = runtime.block_on(open::open(context, self.model.as_deref(), &self.engine))?;
        let prompt = if self.raw {
            Prompt::Text(text)
        } else {
            open::needs_chat(&opened)?;
            let system = self
                .system
                .or_else(|| Some(context.config.chat.system.clone()).filter(|text| !text.is_empty()));
            let system = system.map(|text| ("system", text));
            let messages = system.into_iter().chain([("user", text)]).map(|(role, text)| Message {
                role: role.into(),
                content: Some(Content::Text(text)),
                ..Message::default()
            });
            Prompt::Chat {
                messages: messages.collect(),
                tools: Vec::new(),
                tool_choice: ToolChoice::None,
            }
        };
        let request = GenerateRequest {
            prompt,
            sampling: settings.sampling,
            stop: settings.stop,
            constraint,
            logprobs: None,
            prompt_logprobs: None,
            affinity: None,
        };
        let mut live = Live::new(self.markdown);
        let silent = self.json;
        let take = |text: &str| if silent { Ok(()) } else { live.push(text) };
        let stop = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let answer = runtime.block_on(answer::stream(opened.generator.as_ref(), request, take, stop))?;
        live.finish()?;
        if self.json {
            let usage = answer.usage.unwrap_or_default();
            let report = json!({
                "model": opened.name,
                "text": answer.text,
                "finish_reason": answer.reason.map_or("interrupted", reason),
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "seconds_to_first_text": answer.first.as_secs_f64(),
                "seconds": answer.total.as_secs_f64(),
            });
            print(&format!("{report}\n"))?;
        }
        Ok(if answer.reason.is_none() {
            ExitCode::from(130)
        } else {
            ExitCode::SUCCESS
        })
    }
}

fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
    }
}

/// What comes through the pipe.
fn piped() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(LARGEST_INPUT + 1)
        .read_to_end(&mut bytes)
        .context("cannot read what is piped in")?;
    if bytes.len() as u64 > LARGEST_INPUT {
        bail!(
            "more than {} MB are piped in; that is longer than any model's context",
            LARGEST_INPUT >> 20
        );
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow::anyhow!(
            "what is piped in is not text: byte {at} is not UTF-8; convert it first, for example with iconv"
        )
    })
}

/// The words of the command line, then what was piped in.
fn joined(words: &str, piped: Option<&str>) -> anyhow::Result<String> {
    let piped = piped.map(str::trim_end).filter(|text| !text.is_empty());
    Ok(match (words.trim().is_empty(), piped) {
        (false, Some(piped)) => format!("{words}\n\n{piped}"),
        (false, None) => words.to_owned(),
        (true, Some(piped)) => piped.to_owned(),
        (true, None) => bail!("there is nothing to answer; give the question as words, or pipe text in"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::joined;

    #[test]
    fn the_words_come_before_what_is_piped_in() {
        assert_eq!(joined("explain", Some("a\nb\n")).unwrap(), "explain\n\na\nb");
        assert_eq!(joined("explain", Some("")).unwrap(), "explain");
        assert_eq!(joined("", Some("x\n")).unwrap(), "x");
        assert!(joined(" ", None).is_err());
    }
}
