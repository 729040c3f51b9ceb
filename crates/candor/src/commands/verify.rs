//! `candor verify`: checks the receipt of an answer.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use candor_store::{Receipt, SourceFilter, Store};
use candor_truth::answer::Dial;
use candor_truth::receipt::{self, Body, Finding, Model, Soundness};
use candor_truth::{Encoders, Question};
use clap::Args;

use crate::context::{Context, STORE};
use crate::library::{self, Meaning};
use crate::open::{self, EngineArgs};
use crate::terminal::{Style, print, printable};

/// Bytes of a receipt's file.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Check the receipt of an answer: quotes, digests, signature, and its place in the chain
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor verify rcpt-8c1f…                  with the store of this machine
  candor verify rcpt-8c1f… --save r.json    and write it to a file, to be checked elsewhere
  candor verify r.json --alone              a file by itself: text, digest and signature
  candor verify rcpt-8c1f… --replay         answer the question again and compare
  candor verify rcpt-8c1f… --forget         delete what the answer said; the chain stays whole

A quote is \"changed\" where its source says something else now, or is gone; the receipt itself is sound then.

Exit status: 0 where nothing is broken (what changed or was deleted is not), 1 where something is.")]
pub(crate) struct Verify {
    /// The receipt's id, or a file that holds one
    #[arg(value_name = "RECEIPT")]
    receipt: String,
    /// Check the file by itself, without this machine's store
    #[arg(long)]
    alone: bool,
    /// Answer the question again, from the sources as they are now
    #[arg(long, conflicts_with = "alone")]
    replay: bool,
    /// Where the model that phrased the answer is, if it is not to be found under its name
    #[arg(short, long, value_name = "NAME|PATH", requires = "replay")]
    model: Option<String>,
    /// Write the receipt to a file
    #[arg(long, value_name = "FILE")]
    save: Option<std::path::PathBuf>,
    /// Delete what the answer said
    #[arg(long, conflicts_with_all = ["alone", "replay", "save"])]
    forget: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

impl Verify {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let runtime = crate::runtime::start()?;
        let findings = runtime.block_on(self.findings(context))?;
        let broken = findings.iter().any(|one| one.verdict == Soundness::Broken);
        match self.json {
            true => print(&format!("{}\n", serde_json::to_string_pretty(&findings)?))?,
            false => print(&shown(&findings, Style::for_stdout()))?,
        }
        Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    async fn findings(&self, context: &Context) -> anyhow::Result<Vec<Finding>> {
        let path = Path::new(&self.receipt);
        let from_file = if path.exists() { Some(read(path)?) } else { None };
        if self.alone {
            let Some(receipt) = from_file else {
                bail!("{}: there is no such file; --alone checks a file", self.receipt)
            };
            return Ok(receipt::verify_alone(&receipt));
        }
        let store = Store::open(context.made_data_dir()?.join(STORE)).await?;
        let receipt = match from_file {
            Some(receipt) => receipt,
            None => store.receipt(&self.receipt).await?,
        };
        if let Some(path) = &self.save {
            let text = serde_json::to_string_pretty(&receipt)?;
            std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        if self.forget {
            store.empty_receipt(&receipt.id).await?;
            return Ok(receipt::verify(&store.receipt(&receipt.id).await?, &store).await?);
        }
        let mut findings = receipt::verify(&receipt, &store).await?;
        if self.replay {
            store.close().await?;
            findings.push(self.replayed(context, &receipt).await?);
        }
        Ok(findings)
    }

    async fn replayed(&self, context: &Context, receipt: &Receipt) -> anyhow::Result<Finding> {
        let finding = |verdict, why: Option<String>| Finding {
            what: "replay".into(),
            verdict,
            why,
        };
        let Some(body) = &receipt.body else {
            return Ok(finding(Soundness::Deleted, Some("the question was deleted".into())));
        };
        let body: Body = serde_json::from_str(body).context("the receipt cannot be read")?;
        if body.sentences.iter().any(|one| one.mark == "memory") {
            let why = "the answer came from a language model's memory, which is not asked again here";
            return Ok(finding(Soundness::Deleted, Some(why.into())));
        }
        let library = library::open(context, &self.engine, Meaning::Now).await?;
        let encoders = Encoders::new(open::threads(context, &self.engine));
        let answerer = library::answerer(context, library, encoders)?.unsigned();
        let mut question = Question {
            text: body.question.clone(),
            before: body.before.clone(),
            filter: SourceFilter {
                collections: body.collections.clone(),
                ..SourceFilter::default()
            },
            dial: Dial(body.dial),
            model: None,
        };
        question.model.clone_from(&body.made_by.model);
        let answer = match (&body.made_by.phrasing, &body.made_by.model) {
            (Some(phrasing), _) if !phrasing.replayable => {
                let why = "an upstream model phrased the answer, which cannot be replayed; `--alone` checks its quotes";
                return Ok(finding(Soundness::Deleted, Some(why.into())));
            }
            (Some(_), Some(model)) => {
                let opened = open::open(context, Some(self.model.as_ref().unwrap_or(&model.name)), &self.engine)
                    .await?
                    .generator;
                question.model = Some(Model::of(&opened.card()));
                answerer.ask_phrased(&question, &*opened).await?
            }
            _ => answerer.ask(&question).await?,
        };
        let now = Body::new(&question, &answer, &answerer);
        if now.made_by != body.made_by {
            return Ok(finding(
                Soundness::Broken,
                Some("another version of the program, its weights or its calibration made it".into()),
            ));
        }
        let texts = |body: &Body| body.sentences.iter().map(|one| one.text.clone()).collect::<Vec<_>>();
        Ok(
            match texts(&now) == texts(&body) && now.outcome == body.outcome && now.short == body.short {
                true => finding(Soundness::Sound, None),
                false => finding(
                    Soundness::Broken,
                    Some("the sources give another answer now; `candor sources list` shows what changed".into()),
                ),
            },
        )
    }
}

fn read(path: &Path) -> anyhow::Result<Receipt> {
    let what = || format!("{} is no receipt that can be read", path.display());
    if std::fs::metadata(path).with_context(what)?.len() > MOST_BYTES {
        bail!("{} is too large for a receipt", path.display());
    }
    receipt::parse(&std::fs::read(path).with_context(what)?).with_context(what)
}

fn shown(findings: &[Finding], style: Style) -> String {
    let line = |one: &Finding| {
        let word = match one.verdict {
            Soundness::Sound => style.green("sound  "),
            Soundness::Changed => style.yellow("changed"),
            Soundness::Deleted => style.yellow("deleted"),
            Soundness::Broken => style.red("broken "),
        };
        let why = one.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
        format!("{word}  {}{}\n", printable(&one.what), printable(&why))
    };
    findings.iter().map(line).collect()
}
