//! Answers in a model's own words (`ask --phrase`), on questions of XQuAD with their passages there and the dial off: how much of
//! what the model writes is borne out by its quotes, and how often the whole holds the right answer, beside the quotes alone.

use std::io::Write as _;
use std::path::Path;

use candor_truth::Question;
use candor_truth::answer::{AnswerSentence, Dial, Mark};

use crate::bench::Bench;
use crate::data::records;
use crate::report::Report;
use crate::scores;
use crate::tasks::grounded::Paragraph;

/// Runs the task; `answers` is where every answer is written down, one JSON object a line.
///
/// # Errors
/// If the data are not there or a model fails.
pub async fn run(bench: &Bench, answers: Option<&Path>) -> anyhow::Result<Report> {
    let paragraphs: Vec<Paragraph> = records(&bench.data, "xquad/xquad.en")?;
    let asked = bench.sample(paragraphs.into_iter().flat_map(|one| one.qas).collect());
    let mut file = answers.map(std::fs::File::create).transpose()?;
    let [mut wrote, mut kept, mut own, mut partly] = <[Vec<f64>; 4]>::default();
    let mut holds: [Vec<f64>; 3] = Default::default();
    let share = |is: bool| f64::from(u8::from(is));
    for (n, one) in asked.iter().enumerate() {
        (bench.step)(n, asked.len());
        let question = Question {
            text: one.question.clone(),
            dial: Dial(None),
            ..Question::default()
        };
        let quoted = bench.answerer.ask(&question).await?;
        let phrased = bench.answerer.ask_phrased(&question, &*bench.model).await?;
        let Some(phrasing) = &phrased.phrasing else { continue };
        wrote.push(share(phrasing.kept + phrasing.replaced > 0));
        kept.extend(std::iter::repeat_n(1.0, phrasing.kept));
        kept.extend(std::iter::repeat_n(0.0, phrasing.replaced));
        let supported = phrased
            .sentences
            .iter()
            .filter(|one| one.mark == Mark::Supported)
            .count();
        partly.push(share(supported > 0));
        own.push(share(supported == phrased.sentences.len()));
        let right: Vec<String> = one.answers.iter().map(|right| right.text.clone()).collect();
        let texts = [
            joined(&quoted.sentences),
            phrasing.text.clone(),
            joined(&phrased.sentences),
        ];
        for (holds, text) in holds.iter_mut().zip(&texts) {
            holds.push(share(scores::holds(text, &right)));
        }
        if let Some(file) = &mut file {
            let line = serde_json::json!({
                "question": one.question, "answers": right, "quoted": texts[0], "wrote": texts[1], "phrased": phrased.sentences
                    .iter().map(|one| serde_json::json!({ "text": one.text, "mark": one.mark })).collect::<Vec<_>>(),
            });
            writeln!(file, "{line}")?;
        }
    }
    let mut report = Report::new("Answers in a model's own words, XQuAD en, passage there, dial off");
    report.mean("the model wrote sentences with their quotes", &wrote);
    report.mean("of these sentences, borne out by their quote and kept", &kept);
    report.mean("answers with a sentence in its own words", &partly);
    report.mean("answers in its own words alone", &own);
    let [quoted, said, phrased] = holds;
    report.mean("the quotes hold the right answer", &quoted);
    report.mean("what the model wrote holds the right answer, before the check", &said);
    report.mean("the phrased answer holds the right answer", &phrased);
    Ok(report)
}

fn joined(sentences: &[AnswerSentence]) -> String {
    sentences
        .iter()
        .map(|one| one.text.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}
