//! `candor eval`: measures what Candor says, on data sets at hand.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use candor_eval::bench::Bench;
use candor_eval::plots;
use candor_eval::report::Report;
use candor_eval::tasks::grounded::{self, Set};
use candor_eval::tasks::{claims, closed_book, halueval, phrased, truthfulqa};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::context::Context;
use crate::library;
use crate::open::{self, EngineArgs};
use crate::terminal::print;

/// The model that stands beside where none is named.
const MODEL: &str = "smollm2-135m-instruct";

/// Measure answers on data sets with known answers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor eval xquad --data ../shared/data
  candor eval xquad --data ../shared/data --language zh --every 4
  candor eval xquad --data ../shared/data --beside smollm2-135m-instruct
  candor eval cmrc --data ../shared/data
  candor eval claims --data ../shared/data --json > claims.json
  candor eval claims --data ../shared/data --beside smollm2-135m-instruct --fit checking.json
  candor eval truth --data ../shared/data --most 200 --plots ./plots

XQuAD and the like: every question is asked with its passage among the sources and with its passage taken away; what is
fitted is fitted on other articles than those it is judged on, in five folds. Claims: fitted on dev splits, judged on test splits.")]
pub(crate) struct Eval {
    /// What to measure
    task: Task,
    /// The folder of data sets
    #[arg(long, value_name = "DIR", default_value = "../shared/data")]
    data: PathBuf,
    /// The language of the questions of `xquad`
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    language: Language,
    /// Only every so many questions
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: usize,
    /// Ask each question also of a small library: the passages of its article, or a single one
    #[arg(long)]
    small: bool,
    /// Also put every so many questions to this model, alone and with passages in its prompt
    #[arg(long, value_name = "MODEL")]
    beside: Option<String>,
    /// How many questions apart those are
    #[arg(long, value_name = "N", default_value_t = 12)]
    beside_every: usize,
    /// At most so many cases of a split, in tasks that put each to a language model
    #[arg(long, value_name = "N", default_value_t = 200)]
    most: usize,
    /// Draw reliability, and risk against coverage, into this folder
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Write every answer of grounded questions or `phrased` here, one JSON object a line, to be read
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Write what was fitted here: for `english`, `chinese` and `closed-book` how sure answers are, for `claims` how they are judged, with
    /// the mix of the model that stands beside
    #[arg(long, value_name = "FILE")]
    fit: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    En,
    Zh,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Task {
    /// XQuAD: questions over paragraphs of Wikipedia
    Xquad,
    /// CMRC 2018: Chinese questions, as the program answers them
    Cmrc,
    /// What English confidences are fitted on: XQuAD and the validation part of FairytaleQA
    English,
    /// What Chinese confidences are fitted on: XQuAD and the trial part of CMRC 2018
    Chinese,
    /// ExpMRC: questions over other paragraphs of Wikipedia, as the program answers them
    Expmrc,
    /// FairytaleQA: questions over stories, as the program answers them
    Fairytales,
    /// FEVER-symmetric and WiCE: claims with evidence
    Claims,
    /// NQ-open and SelfAware: questions that no source at hand answers
    ClosedBook,
    /// TruthfulQA: questions that invite misconceptions
    Truthfulqa,
    /// HaluEval: right answers and invented ones
    Halueval,
    /// XQuAD: answers that a model says in its own words
    Phrased,
    /// All of them, with a model beside
    Truth,
}

impl Eval {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let runtime = crate::runtime::start()?;
        runtime.block_on(self.measure(context))
    }

    async fn measure(self, context: &Context) -> anyhow::Result<ExitCode> {
        let tasks = match self.task {
            Task::Truth => vec![
                Task::Xquad,
                Task::Expmrc,
                Task::Cmrc,
                Task::Fairytales,
                Task::ClosedBook,
                Task::Truthfulqa,
                Task::Halueval,
                Task::Claims,
                Task::Phrased,
            ],
            one => vec![one],
        };
        let fits = |task: &Task| match self.set(*task) {
            Some(set) => set.fitted,
            None => matches!(task, Task::ClosedBook | Task::Claims),
        };
        if self.fit.is_some() && !tasks.iter().any(fits) {
            anyhow::bail!("this task fits nothing; --fit goes with english, chinese, xquad, closed-book and claims");
        }
        let mut reports = Vec::new();
        let mut fitted = String::new();
        for task in tasks {
            let done = self.one(context, task, &mut fitted).await?;
            if !self.json {
                done.iter()
                    .try_for_each(|report| print(&format!("{}\n", report.table())))?;
            }
            reports.extend(done);
        }
        if let Some(path) = &self.fit {
            std::fs::write(path, fitted).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        if let Some(folder) = &self.plots {
            draw(folder, &reports)?;
        }
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&reports)?))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The questions of a task of grounded questions.
    fn set(&self, task: Task) -> Option<Set> {
        Some(match (task, self.language) {
            (Task::Xquad, Language::En) => Set::XQUAD_EN,
            (Task::Xquad, Language::Zh) => Set::XQUAD_ZH,
            (Task::Cmrc, _) => Set::CMRC,
            (Task::English, _) => Set::ENGLISH,
            (Task::Chinese, _) => Set::CHINESE,
            (Task::Expmrc, _) => Set::EXPMRC,
            (Task::Fairytales, _) => Set::FAIRYTALES,
            _ => return None,
        })
    }

    async fn one(&self, context: &Context, task: Task, fitted: &mut String) -> anyhow::Result<Vec<Report>> {
        let bar = bar();
        let shown = bar.clone();
        let step = move |done: usize, all: usize| {
            shown.set_length(all as u64);
            shown.set_position(done as u64);
        };
        let threads = open::threads(context, &self.engine);
        let beside = match (&self.beside, task) {
            (Some(name), _) => Some(name.as_str()),
            (None, Task::Claims) if self.task != Task::Truth => None,
            (None, task) if self.set(task).is_some() && (self.task != Task::Truth || task != Task::Xquad) => None,
            (None, _) => Some(MODEL),
        };
        let model = match beside {
            Some(name) => Some(open::generator(context, name, &self.engine).await?),
            None => None,
        };
        let bench = match (&model, task) {
            (None, _) => None,
            (_, task) if self.set(task).is_some() => None,
            (Some(model), _) => {
                let embedder = library::embedder(context, &self.engine).await?;
                let step = Box::new(step.clone());
                Some(Bench::new(&self.data, embedder, threads, model.clone(), self.most, step).await?)
            }
        };
        let reports = match (task, &bench) {
            (task, _) if let Some(set) = self.set(task) => {
                let embedder = library::embedder(context, &self.engine).await?;
                let options = grounded::Options {
                    set,
                    every: self.every,
                    answers: self.answers.clone(),
                    beside_every: self.beside_every,
                    small: self.small || set.small,
                };
                let (report, fit) = grounded::run(&self.data, embedder, threads, model, &options, &step).await?;
                if let Some(fit) = fit {
                    *fitted = serde_json::to_string(&fit)?;
                }
                vec![report]
            }
            (Task::ClosedBook, Some(bench)) => {
                let (reports, fit) = closed_book::run(bench).await?;
                *fitted = serde_json::to_string(&fit)?;
                reports
            }
            (Task::Truthfulqa, Some(bench)) => vec![truthfulqa::run(bench).await?],
            (Task::Phrased, Some(bench)) => vec![phrased::run(bench, self.answers.as_deref()).await?],
            (Task::Halueval, Some(bench)) => vec![halueval::run(bench).await?],
            (_, bench) => {
                let mut measured = tokio::task::block_in_place(|| claims::run(&self.data, threads, &step))?;
                if let Some(bench) = bench {
                    claims::beside(bench, &mut measured).await?;
                }
                *fitted = serde_json::to_string(&measured.checking)?;
                vec![measured.report]
            }
        };
        bar.finish_and_clear();
        Ok(reports)
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(look) = ProgressStyle::with_template("{msg} {bar:28} {pos} of {len} {eta:>4}") {
        bar.set_style(look.progress_chars("━╸─"));
    }
    bar.set_message("cases");
    bar
}

/// Two pictures of each curve.
fn draw(folder: &Path, reports: &[Report]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for curve in reports
        .iter()
        .flat_map(|report| report.curves.iter().map(move |curve| (report, curve)))
    {
        let (report, curve) = curve;
        let name: String = format!(
            "{}-{}",
            report.task.split([':', ',']).next().unwrap_or_default(),
            curve.name
        )
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
        for (kind, picture) in [
            ("reliability", plots::reliability(curve)),
            ("risk", plots::risk_coverage(curve)),
        ] {
            let path = folder.join(format!("{name}-{kind}.svg"));
            std::fs::write(&path, picture).with_context(|| format!("{} cannot be written", path.display()))?;
        }
    }
    Ok(())
}
