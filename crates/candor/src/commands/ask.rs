//! `candor ask`: a question, answered with quotes from the sources.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use candor_store::SourceFilter;
use candor_truth::answer::{Answer, Dial, Mark, Outcome};
use candor_truth::receipt::Model;
use candor_truth::{Encoders, Question};
use clap::Args;

use crate::context::Context;
use crate::library::Meaning;
use crate::open::{self, EngineArgs};
use crate::terminal::{Style, print, printable};
use crate::{folder_library, library};

/// The exit status of an abstention.
const ABSTAINED: u8 = 3;
/// Characters of a near passage that are shown.
const EXCERPT: usize = 200;

/// Answer a question with quotes from the sources, or say that they do not answer it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor ask \"who signed the treaty?\"
  candor ask \"when is the rent due?\" --sources ~/contracts
  pdftotext report.pdf - | candor ask \"what did it cost?\" --sources -
  candor ask \"who signed the treaty?\" --dial off --json

The answer is made of sentences of the sources, to the byte, with the probability that they hold the answer. Where
that is too low for the dial, candor abstains, says what would help, and exits with status 3.")]
pub(crate) struct Ask {
    /// The question
    #[arg(required = true, value_name = "QUESTION")]
    question: Vec<String>,
    /// Answer from these files and folders alone, which are not added to the sources; - is what comes through a pipe
    #[arg(long, value_name = "PATH", conflicts_with = "collection")]
    sources: Vec<PathBuf>,
    /// Only from this collection
    #[arg(long, value_name = "NAME")]
    collection: Vec<String>,
    /// How many of the given answers may be wrong: 1%, 5%, 10%, or off
    #[arg(long, value_name = "RISK", default_value = "10%", value_parser = dial)]
    dial: Dial,
    /// Have this model say the answer in its own words; what the quotes do not bear out is replaced by the quote
    #[arg(long, value_name = "MODEL")]
    phrase: Option<String>,
    /// Write the receipt to a file, for `candor verify FILE --alone`
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// `5%`, `0.05` or `off`.
fn dial(text: &str) -> Result<Dial, String> {
    if text == "off" {
        return Ok(Dial(None));
    }
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    match number.trim().parse::<f64>().map(|risk| risk / unit) {
        Ok(risk) if risk > 0.0 && risk < 1.0 => Ok(Dial(Some(risk))),
        _ => Err(format!("`{text}` is no risk; write 5%, 0.05 or off")),
    }
}

impl Ask {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let runtime = crate::runtime::start()?;
        let answer = runtime.block_on(self.answer(context))?;
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&answer)?))?;
        } else {
            print(&shown(&answer, Style::for_stdout()))?;
        }
        Ok(match answer.outcome {
            Outcome::Answered => ExitCode::SUCCESS,
            Outcome::Abstained => ExitCode::from(ABSTAINED),
        })
    }

    async fn answer(&self, context: &Context) -> anyhow::Result<Answer> {
        let text = self.question.join(" ");
        if text.trim().is_empty() {
            bail!("there is no question; write one in quotes");
        }
        let library = match self.sources.as_slice() {
            [] => library::open(context, &self.engine, Meaning::Now).await?,
            paths => folder_library::open(context, &self.engine, paths).await?,
        };
        let filter = SourceFilter {
            collections: super::sources::collections(&library.store, &self.collection).await?,
            ..SourceFilter::default()
        };
        let encoders = Encoders::new(open::threads(context, &self.engine));
        let mut question = Question {
            text,
            filter,
            dial: self.dial,
            ..Question::default()
        };
        let store = library.store.clone();
        let answerer = library::answerer(context, library, encoders)?;
        let answer = match &self.phrase {
            None => answerer.ask(&question).await?,
            Some(name) => {
                let model = open::generator(context, name, &self.engine).await?;
                question.model = Some(Model::of(&model.card()));
                answerer.ask_phrased(&question, &*model).await?
            }
        };
        if let (Some(path), Some(id)) = (&self.receipt, &answer.receipt) {
            let text = serde_json::to_string_pretty(&store.receipt(id).await?)?;
            std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(answer)
    }
}

fn shown(answer: &Answer, style: Style) -> String {
    let mut text = String::new();
    let mut notes = String::new();
    let mut number = 0;
    let sure = style.dim(&format!("{:.0}% sure", answer.confidence * 100.0));
    if answer.outcome == Outcome::Abstained {
        let advice = answer.advice.as_deref().unwrap_or("The sources do not answer this.");
        let _ = writeln!(text, "{}  {sure}\n", style.yellow("No answer."));
        let _ = writeln!(text, "{}", printable(advice));
    } else if let Some(short) = &answer.short {
        let _ = writeln!(text, "{}  {sure}\n", style.bold(&one_line(short.text())));
    } else {
        let _ = writeln!(text, "{sure}\n");
    }
    let mut note = |citation: &candor_truth::answer::Citation| {
        number += 1;
        let name = citation.source.title.as_deref().unwrap_or(&citation.source.name);
        let page = citation.page.map_or(String::new(), |page| format!(", page {page}"));
        let range = citation.quote.range();
        let place = style.dim(&format!("{} bytes {}..{}", citation.source.id, range.start, range.end));
        let url = citation.source.url.as_deref();
        let url = url.map_or(String::new(), |url| format!("  {}", printable(url)));
        let caution = style.yellow(super::sources::caution(&citation.source));
        let _ = writeln!(notes, "[{number}] {}{page}{url}  {place}{caution}", printable(name));
        number
    };
    for sentence in &answer.sentences {
        let marks: String = sentence
            .citations
            .iter()
            .map(|one| format!(" [{}]", note(one)))
            .collect();
        // Only what stands in a source word for word stands in quotation marks.
        let _ = match sentence.mark {
            Mark::Supported => writeln!(text, "  {}{marks}", one_line(&sentence.text)),
            _ => writeln!(text, "  \u{201c}{}\u{201d}{marks}", one_line(&sentence.text)),
        };
    }
    if !answer.nearest.is_empty() {
        let _ = writeln!(
            text,
            "\nWhat comes nearest (`--dial off` quotes the likeliest sentence all the same):"
        );
    }
    for passage in &answer.nearest {
        let number = note(passage);
        let _ = writeln!(text, "  {} [{number}]", excerpt(passage.quote.text()));
    }
    if let Some(receipt) = &answer.receipt {
        let _ = writeln!(notes, "{}", style.dim(&format!("receipt {receipt}")));
    }
    if notes.is_empty() {
        text
    } else {
        format!("{text}\n{notes}")
    }
}

/// Text of a source on one line, without anything that moves the cursor.
fn one_line(text: &str) -> String {
    printable(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How a passage begins, on one line, cut between words.
fn excerpt(text: &str) -> String {
    let line = one_line(text);
    let Some((cut, _)) = line.char_indices().nth(EXCERPT) else {
        return line;
    };
    let end = line[..cut].rfind(' ').filter(|&end| end > cut / 2).unwrap_or(cut);
    format!("{}\u{2026}", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::{Dial, EXCERPT, dial, excerpt};

    #[test]
    fn a_passage_is_shown_by_its_first_words_and_text_without_spaces_by_its_first_letters() {
        assert_eq!(excerpt("The mill\nstands  still."), "The mill stands still.");
        let words = excerpt(&"mill ".repeat(100));
        assert!(words.ends_with("mill\u{2026}") && words.chars().count() <= EXCERPT + 1);
        assert_eq!(excerpt(&"磨坊".repeat(200)).chars().count(), EXCERPT + 1);
    }

    #[test]
    fn a_dial_is_a_percentage_a_share_or_off() {
        assert_eq!(dial("5%"), Ok(Dial(Some(0.05))));
        assert_eq!(dial("0.1"), Ok(Dial(Some(0.1))));
        assert_eq!(dial("off"), Ok(Dial(None)));
        assert!(dial("0").is_err() && dial("150%").is_err() && dial("low").is_err() && dial("nan").is_err());
    }
}
