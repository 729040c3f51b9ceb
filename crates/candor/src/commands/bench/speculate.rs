//! `candor bench speculate`: what guessing ahead gains. The same questions go to two engines of one model, one that
//! guesses and one that does not, in turn; their answers must be the same to the letter before anything is timed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use candor_engine::{
    Constraint, EngineOptions, GenerateRequest, Generator, Local, Parts, Prompt, Sampling, Speculate as How, Stop,
};
use candor_kernels::cpu;
use candor_model::Model;
use candor_wire::chat::{Content, Message, ToolChoice};
use clap::Args;

use crate::answer;
use crate::bench::asks::{self, Question};
use crate::context::Context;
use crate::open::{self, EngineArgs};
use crate::terminal::print;

/// Of a file, this many letters are asked about.
const PASSAGE: usize = 2000;

/// Measure what guessing ahead gains: answers with and without it, in turn
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor bench speculate                    questions that quote, edit and summarise, and ordinary ones
  candor bench speculate --file report.txt --parallel 1,4
  candor bench speculate --draft smaller.gguf --temperature 0.7

Prompts come from the prefix cache after the first round, so that the answers alone are timed. `right` of the `guessed`
tokens were chosen; each of these spared a step.")]
pub(crate) struct Speculate {
    /// A name from `candor models`, or a path
    #[arg(short, long, value_name = "NAME|PATH")]
    model: Option<String>,
    /// Ask about the beginning of this text too; may be given again
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Most tokens of an answer
    #[arg(short = 'n', long = "n-gen", value_name = "N", default_value_t = 256)]
    generate: usize,
    /// The same question this often at once
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1")]
    parallel: Vec<usize>,
    /// 0: always the likeliest token
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f32,
    /// How often each question is asked
    #[arg(short, long, value_name = "N", default_value_t = 3)]
    repetitions: usize,
    #[command(flatten)]
    engine: EngineArgs,
}

/// What one engine did with a question.
struct Run {
    texts: Vec<String>,
    tokens: usize,
    time: Duration,
}

impl Speculate {
    pub(crate) fn run(mut self, context: &Context) -> anyhow::Result<ExitCode> {
        if self.repetitions == 0 || self.generate == 0 || self.parallel.contains(&0) {
            bail!("--repetitions, --n-gen and --parallel take 1 or more");
        }
        if self.engine.speculate.take().is_some() {
            bail!(
                "answers are compared with and without guesses, so there is nothing to choose; leave --speculate out"
            );
        }
        let mut questions = asks::questions();
        for file in &self.file {
            questions.extend(about(file)?);
        }
        let runtime = crate::runtime::start()?;
        let found = runtime.block_on(open::resolve(context, self.model.as_deref()))?;
        let load = open::load_options(context, &self.engine);
        // One copy of the weights for both, so that neither has the better place in memory.
        let model = Model::open(&found.path, &load)?;
        let engine = |speculate| {
            let options = open::engine_options(context, &self.engine, &found.name);
            let options = open::with_draft(context, &self.engine, EngineOptions { speculate, ..options })?;
            anyhow::Ok(Local::from_parts(
                Parts::with_draft(&model, &load, &options)?,
                &options,
            )?)
        };
        let (off, on) = (engine(How::Off)?, engine(How::Lookup)?);
        print(&format!(
            "candor {}, {}; {}\n\n{}",
            env!("CARGO_PKG_VERSION"),
            cpu::describe(),
            found.name,
            HEAD
        ))?;
        for question in &questions {
            for parallel in &self.parallel {
                print(&runtime.block_on(self.row(&off, &on, question, *parallel))?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// One line of the table.
    async fn row(&self, off: &Local, on: &Local, question: &Question, parallel: usize) -> anyhow::Result<String> {
        let (expected, got) = (
            self.ask(off, question, parallel).await?,
            self.ask(on, question, parallel).await?,
        );
        if expected.texts != got.texts {
            bail!(
                "the answer to `{}` depends on guessing; this is a bug in Candor, please report it",
                question.text
            );
        }
        let before = on.speculated();
        let (mut plain, mut guessing) = (Vec::new(), Vec::new());
        for round in 0..self.repetitions {
            // Who goes first changes, so that neither always finds what the other left in the caches.
            for second in [false, true] {
                if second == round.is_multiple_of(2) {
                    guessing.push(self.ask(on, question, parallel).await?.time);
                } else {
                    plain.push(self.ask(off, question, parallel).await?.time);
                }
            }
        }
        let after = on.speculated();
        let rounds = self.repetitions as u64;
        let rate = |times: &mut Vec<Duration>| expected.tokens as f64 / median(times).as_secs_f64();
        let (plain, guessing) = (rate(&mut plain), rate(&mut guessing));
        Ok(format!(
            "| {:20} | {parallel:>3} | {:>6} | {plain:>8.1} | {guessing:>8.1} | {:>5.2} | {:>7} | {:>5} |\n",
            question.kind,
            expected.tokens,
            guessing / plain,
            (after.0 - before.0) / rounds,
            (after.1 - before.1) / rounds,
        ))
    }

    async fn ask(&self, local: &Local, question: &Question, parallel: usize) -> anyhow::Result<Run> {
        let start = Instant::now();
        let asked = (0..parallel as u64).map(|seed| {
            answer::stream(
                local,
                self.request(local, question, seed),
                |_| Ok(()),
                std::future::pending(),
            )
        });
        let answers = futures::future::try_join_all(asked).await?;
        let tokens = answers
            .iter()
            .filter_map(|answer| answer.usage)
            .map(|usage| usage.completion_tokens);
        Ok(Run {
            time: start.elapsed(),
            tokens: tokens.sum(),
            texts: answers.into_iter().map(|answer| answer.text).collect(),
        })
    }

    /// As a turn of a conversation; to a model that was not taught to converse, as the beginning of a text.
    fn request(&self, local: &Local, question: &Question, seed: u64) -> GenerateRequest {
        let text = question.text.clone();
        let prompt = if local.abilities().chat {
            let message = Message {
                role: "user".into(),
                content: Some(Content::Text(text)),
                ..Message::default()
            };
            Prompt::Chat {
                messages: vec![message],
                tools: Vec::new(),
                tool_choice: ToolChoice::None,
            }
        } else {
            Prompt::Text(text)
        };
        GenerateRequest {
            prompt,
            sampling: Sampling {
                temperature: self.temperature,
                seed: Some(seed),
                ..Sampling::default()
            },
            stop: Stop {
                max_tokens: Some(self.generate),
                ..Stop::default()
            },
            constraint: Constraint::None,
            logprobs: None,
            prompt_logprobs: None,
            affinity: None,
        }
    }
}

const HEAD: &str = "\
| question             |  x  | tokens |  off t/s |   on t/s | ratio | guessed | right |
| -------------------- | --: | -----: | -------: | -------: | ----: | ------: | ----: |
";

/// Questions about the beginning of a text file, called by its name.
fn about(file: &Path) -> anyhow::Result<Vec<Question>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {} as text", file.display()))?;
    let passage: String = text.chars().take(PASSAGE).collect();
    let name = file
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().chars().take(12).collect());
    Ok(asks::about(&name, &passage))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
