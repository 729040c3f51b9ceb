//! `candor calibrate`: how sure answers are, fitted to someone's own questions.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use candor_eval::scores;
use candor_store::SourceFilter;
use candor_truth::answer::{Calibration, Calibrations, Dial, FEWEST, Known, TooFew, Which};
use candor_truth::{Answerer, Encoders, Question};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use crate::context::{CALIBRATION, Context};
use crate::library::Meaning;
use crate::open::{self, EngineArgs};
use crate::terminal::{Style, print};
use crate::{folder_library, library};

/// Questions of a file that are read.
const MOST: usize = 20_000;

/// Fit how sure answers are to your own questions and sources
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor calibrate questions.jsonl
  candor calibrate questions.jsonl --sources ~/contracts --dry-run
  candor calibrate --reset

The file has one question a line, with its answers as they stand in the sources, or null where the sources do not
answer it (a third of such questions is a good share):
  {\"question\": \"When is the rent due?\", \"answer\": [\"the first of each month\", \"1 May\"]}
  {\"question\": \"Who is the landlord's dentist?\", \"answer\": null}
An answer counts as right where the sentence that is quoted holds one of them, word for word. Questions in English and in
Chinese are fitted by themselves; a language with too few of them keeps the calibration in force.")]
pub(crate) struct Calibrate {
    /// Questions with their answers, one JSON object a line; - is stdin
    #[arg(value_name = "FILE", required_unless_present = "reset")]
    questions: Option<PathBuf>,
    /// Ask these files and folders instead of the sources
    #[arg(long, value_name = "PATH")]
    sources: Vec<PathBuf>,
    /// Show what would come of it and keep the calibration in force
    #[arg(long)]
    dry_run: bool,
    /// Go back to the calibration that comes with the program
    #[arg(long, conflicts_with_all = ["questions", "dry_run"])]
    reset: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Deserialize)]
struct Labelled {
    question: String,
    #[serde(deserialize_with = "answers")]
    answer: Vec<String>,
}

/// A text, a list of texts, or null; a line without the key is an error and no unanswerable question.
fn answers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Answers {
        None(()),
        One(String),
        Some(Vec<String>),
    }
    Ok(match Answers::deserialize(deserializer)? {
        Answers::None(()) => Vec::new(),
        Answers::One(one) => vec![one],
        Answers::Some(all) => all,
    })
}

/// What a calibration would do with the questions of one kind, each judged by a fit on others.
#[derive(Debug, serde::Serialize)]
struct Outlook {
    #[serde(rename = "calibration")]
    which: Which,
    questions: usize,
    answerable: usize,
    /// Of the sentences that would be quoted first, dial off, over the answerable questions.
    right: f64,
    calibration_error: f64,
    calibration_error_before: f64,
    dials: Vec<Outcome>,
}

#[derive(Debug, serde::Serialize)]
struct Outcome {
    dial: f64,
    /// From which confidence on answers are given; none where the questions do not show that any is enough.
    threshold: Option<f64>,
    answered: f64,
    wrong: f64,
}

impl Calibrate {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let path = context.made_data_dir()?.join(CALIBRATION);
        if self.reset {
            match std::fs::remove_file(&path) {
                Ok(()) => print("Back to the calibration that comes with the program.\n")?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    print("The calibration that comes with the program is in force already.\n")?;
                }
                Err(error) => return Err(error).with_context(|| format!("{} cannot be removed", path.display())),
            }
            return Ok(ExitCode::SUCCESS);
        }
        let Some(file) = &self.questions else {
            bail!("name a file of questions; `candor calibrate --help` shows its form")
        };
        let labelled = read(file)?;
        let runtime = crate::runtime::start()?;
        let (known, by_meaning) = runtime.block_on(self.ask_all(context, &labelled))?;
        let name = file
            .file_name()
            .map_or("questions".into(), |name| name.to_string_lossy());
        let mut fitted = library::calibrations(context)?;
        let shipped = Calibrations::shipped();
        let mut outlooks = Vec::new();
        let mut too_few = Vec::new();
        for which in Which::ALL {
            let (labelled, known): (Vec<&Labelled>, Vec<Known>) = labelled
                .iter()
                .zip(&known)
                .filter(|(one, _)| Which::of(&one.question, by_meaning) == which)
                .map(|(one, known)| (one, known.clone()))
                .unzip();
            if known.len() < FEWEST {
                too_few.push((which, known.len()));
                continue;
            }
            let what = format!("{} {} questions of {name}", known.len(), which.name());
            let own = shipped.by(which).refit(&known, &what)?;
            outlooks.push(outlook(which, shipped.by(which), &own, &known, &labelled));
            fitted.put(which, own);
        }
        if outlooks.is_empty() {
            return Err(TooFew {
                given: too_few.iter().map(|(_, given)| *given).max().unwrap_or(0),
            }
            .into());
        }
        too_few.retain(|(_, given)| *given > 0);
        if !self.dry_run {
            let new = path.with_extension("new");
            std::fs::write(&new, serde_json::to_vec(&fitted)?)
                .and_then(|()| std::fs::rename(&new, &path))
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        match self.json {
            true => print(&format!("{}\n", serde_json::to_string_pretty(&outlooks)?))?,
            false => {
                let style = Style::for_stdout();
                outlooks.iter().try_for_each(|one| print(&shown(one, style)))?;
                for (which, given) in too_few {
                    let few = format!("{given} questions in {} are too few and change nothing.", which.name());
                    print(&format!("{}\n\n", style.yellow(&few)))?;
                }
                print(match self.dry_run {
                    true => "Nothing was changed (--dry-run).\n",
                    false => "In force for ask, serve and mcp; `candor calibrate --reset` goes back.\n",
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What is known of each question, and whether it was compared by meaning.
    async fn ask_all(&self, context: &Context, labelled: &[Labelled]) -> anyhow::Result<(Vec<Known>, bool)> {
        let library = match self.sources.as_slice() {
            [] => library::open(context, &self.engine, Meaning::Now).await?,
            paths => folder_library::open(context, &self.engine, paths).await?,
        };
        if library.index.size().passages == 0 {
            bail!("there are no sources to ask; `candor sources add PATH` adds some, or name some with --sources");
        }
        let answerer = Answerer::new(library, Encoders::new(open::threads(context, &self.engine)));
        let bar = ProgressBar::new(labelled.len() as u64);
        if let Ok(look) = ProgressStyle::with_template("asking {bar:28} {pos} of {len} {eta:>4}") {
            bar.set_style(look.progress_chars("━╸─"));
        }
        let mut known = Vec::with_capacity(labelled.len());
        for one in labelled {
            let question = Question {
                text: one.question.clone(),
                filter: SourceFilter::default(),
                ..Question::default()
            };
            let reading = answerer.read(&question).await?;
            let holds = |candidate: &candor_truth::answer::Candidate| {
                let text = reading.passages[candidate.passage].quote.text();
                text.get(candidate.sentence.clone())
                    .is_some_and(|sentence| scores::holds(sentence, &one.answer))
            };
            known.push(Known {
                right: reading.candidates.iter().map(holds).collect(),
                candidates: reading.candidates,
                fold: 0,
                kind: 0,
            });
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok((known, answerer.library.embedder.get().is_some()))
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<Labelled>> {
    let what = || format!("{} cannot be read", file.display());
    let input: Box<dyn BufRead> = match file.as_os_str() == "-" {
        true => Box::new(BufReader::new(std::io::stdin())),
        false => Box::new(BufReader::new(std::fs::File::open(file).with_context(what)?)),
    };
    let mut all = Vec::new();
    for (n, line) in input.lines().enumerate() {
        let line = line.with_context(what)?;
        if line.trim().is_empty() {
            continue;
        }
        if all.len() == MOST {
            bail!(
                "{} has more than {MOST} questions; a sample of them is enough",
                file.display()
            );
        }
        let one: Labelled = serde_json::from_str(&line).with_context(|| {
            format!(
                "{}, line {}: not a question with its answer, as in {{\"question\": \"...\", \"answer\": \"...\" or null}}",
                file.display(),
                n + 1
            )
        })?;
        all.push(one);
    }
    Ok(all)
}

fn outlook(
    which: Which,
    shipped: &Calibration,
    fitted: &Calibration,
    known: &[Known],
    labelled: &[&Labelled],
) -> Outlook {
    let points: Vec<(f64, bool)> = fitted.points.iter().map(|(p, right)| (f64::from(*p), *right)).collect();
    let before: Vec<(f64, bool)> = known
        .iter()
        .filter_map(|one| {
            let best = shipped.best(&one.candidates)?;
            Some((shipped.confidence_of(&one.candidates, best), one.right[best]))
        })
        .collect();
    let answerable = labelled.iter().filter(|one| !one.answer.is_empty()).count();
    let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
    let dial = |dial: f64| {
        let threshold = fitted.threshold(Dial(Some(dial)));
        let given: Vec<&(f64, bool)> = points
            .iter()
            .filter(|(p, _)| threshold.is_some_and(|from| *p >= from))
            .collect();
        Outcome {
            dial,
            threshold,
            answered: share(given.len(), points.len()),
            wrong: share(given.iter().filter(|(_, right)| !right).count(), given.len()),
        }
    };
    Outlook {
        which,
        questions: labelled.len(),
        answerable,
        right: share(points.iter().filter(|(_, right)| *right).count(), answerable),
        calibration_error: scores::calibration_error(&points),
        calibration_error_before: scores::calibration_error(&before),
        dials: [0.01, 0.05, 0.1].map(dial).into(),
    }
}

fn shown(outlook: &Outlook, style: Style) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} questions in {}, {} of which the sources answer; the sentence that is quoted holds the answer of {:.0}% of those.",
        outlook.questions,
        outlook.which.name(),
        outlook.answerable,
        outlook.right * 100.0
    );
    let _ = writeln!(
        text,
        "Confidences are off by {:.3} on average, where the calibration that comes with the program is off by {:.3}.\n",
        outlook.calibration_error, outlook.calibration_error_before
    );
    for one in &outlook.dials {
        let name = format!("dial {:>3.0}%", one.dial * 100.0);
        let _ = match one.threshold {
            Some(threshold) => writeln!(
                text,
                "{}  answers from {:.0}% sure on: {:.0}% of the questions, {:.1}% of the answers wrong",
                style.bold(&name),
                threshold * 100.0,
                one.answered * 100.0,
                one.wrong * 100.0
            ),
            // With n right answers in a row the risk is known to be at most 1 / (n + 1).
            None => writeln!(
                text,
                "{}  {}",
                style.bold(&name),
                style.yellow(&format!(
                    "answers nothing: these questions do not show that so few would be wrong (at least {:.0} sure and right answers are needed)",
                    (1.0 / one.dial - 1.0).ceil()
                ))
            ),
        };
    }
    if outlook.questions == outlook.answerable {
        let _ = writeln!(
            text,
            "\n{}",
            style.yellow(
                "All questions have answers in the sources: how sure to be that one has none is not measured by them."
            )
        );
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Labelled;

    #[test]
    fn answers_are_a_text_a_list_or_null_and_never_left_out() {
        let read = |line: &str| serde_json::from_str::<Labelled>(line).map(|one| one.answer);
        assert_eq!(read("{\"question\": \"q\", \"answer\": \"a\"}").unwrap(), ["a"]);
        assert_eq!(
            read("{\"question\": \"q\", \"answer\": [\"a\", \"b\"]}").unwrap(),
            ["a", "b"]
        );
        assert!(read("{\"question\": \"q\", \"answer\": null}").unwrap().is_empty());
        assert!(read("{\"question\": \"q\"}").is_err() && read("{\"question\": \"q\", \"answer\": 3}").is_err());
    }
}
