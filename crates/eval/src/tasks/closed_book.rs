//! Questions without a source that answers them: NQ-open (Kwiatkowski et al. 2019, as by Lee et al. 2019; CC BY-SA 3.0) and
//! SelfAware (Yin et al. 2023, arXiv:2305.18153; CC BY-SA 4.0), half of whose questions nobody can answer. Each goes to
//! the bare model, to plain retrieval over sources on other matters, and to Candor over the same sources at the 10% dial;
//! and, without any source, to Candor's answers from memory, whose confidence is fitted on the calibration splits and
//! judged on the test splits.

use candor_truth::Question;
use candor_truth::answer::memory::{self, Memory, Recalled};
use candor_truth::answer::{Dial, Outcome};
use serde::Deserialize;

use crate::bench::Bench;
use crate::data::records;
use crate::plain::{self, Said};
use crate::report::Report;

/// The dial of the Candor column.
const DIAL: f64 = 0.1;

/// A question; without answers it has none.
struct Asked {
    question: String,
    right: Vec<String>,
    answerable: bool,
}

#[derive(Deserialize)]
struct Nq {
    question: String,
    answer: Vec<String>,
}

#[derive(Deserialize)]
struct SelfAware {
    question_id: u64,
    question: String,
    answer: Option<Vec<String>>,
    answerable: bool,
}

/// Runs the task. Gives a report per set, and the fit of memory's confidence.
///
/// # Errors
/// If the data are not there or a model fails.
pub async fn run(bench: &Bench) -> anyhow::Result<(Vec<Report>, Memory)> {
    let held = [
        bench.sample(nq(bench, "efficientqa.dev")?),
        bench.sample(self_aware(bench, true)?),
    ]
    .into_iter()
    .flatten();
    let held: Vec<Asked> = held.collect();
    let nq_test = bench.sample(nq(bench, "NQ-open.dev")?);
    let aware_test = bench.sample(self_aware(bench, false)?);
    let total = held.len() + nq_test.len() + aware_test.len();
    let mut rows = Vec::with_capacity(held.len());
    for (n, one) in held.iter().enumerate() {
        (bench.step)(n, total);
        let recalled = recall(bench, one).await?;
        rows.push((recalled.signals(), right(&recalled, one)));
    }
    let fitted = Memory::fit(&rows, "calibration splits of NQ-open (EfficientQA) and SelfAware");
    let mut done = held.len();
    let mut reports = Vec::new();
    for (name, asked) in [("NQ-open, closed book", nq_test), ("SelfAware", aware_test)] {
        reports.push(judge(bench, &fitted, name, &asked, &mut done, total).await?);
    }
    Ok((reports, fitted))
}

async fn judge(
    bench: &Bench,
    fitted: &Memory,
    name: &str,
    asked: &[Asked],
    done: &mut usize,
    total: usize,
) -> anyhow::Result<Report> {
    // For each system and question: whether it answered, and rightly.
    let mut given: [Vec<(bool, bool)>; 3] = Default::default();
    let mut points = Vec::new();
    for one in asked {
        (bench.step)(*done, total);
        *done += 1;
        let recalled = recall(bench, one).await?;
        points.push((fitted.confidence(&recalled), right(&recalled, one)));
        let bare = Said::new(recalled.text);
        given[0].push((!bare.declined, !bare.declined && bare.holds(&one.right)));
        let passages = bench.passages(&one.question).await?;
        let plain = plain::ask(&*bench.model, &one.question, &passages).await?;
        given[1].push((!plain.declined, !plain.declined && plain.holds(&one.right)));
        let question = Question {
            text: one.question.clone(),
            dial: Dial(Some(DIAL)),
            ..Question::default()
        };
        let answer = bench.answerer.ask(&question).await?;
        let first = answer
            .sentences
            .first()
            .map_or(String::new(), |sentence| sentence.text.clone());
        given[2].push((answer.outcome == Outcome::Answered, Said::new(first).holds(&one.right)));
    }
    let mut report = Report::new(&format!(
        "{name}: sources on other matters, Candor at dial {:.0}%",
        DIAL * 100.0
    ));
    let of = |answerable: bool, what: &dyn Fn(&(bool, bool)) -> bool| {
        given.each_ref().map(|column| {
            let some = column.iter().zip(asked).filter(|(_, one)| one.answerable == answerable);
            some.map(|(said, _)| f64::from(u8::from(what(said))))
                .collect::<Vec<_>>()
        })
    };
    report.row("answered rightly", of(true, &|(answered, right)| *answered && *right));
    report.row("answered wrongly", of(true, &|(answered, right)| *answered && !right));
    report.row("declined", of(true, &|(answered, _)| !answered));
    if asked.iter().any(|one| !one.answerable) {
        report.row("unanswerable questions answered", of(false, &|(answered, _)| *answered));
    }
    for risk in [0.1, 0.05] {
        let from_memory: Vec<f64> = points
            .iter()
            .filter(|(p, _)| *p >= 1.0 - risk)
            .map(|(_, right)| f64::from(u8::from(!right)))
            .collect();
        let name = format!("from memory, dial {:.0}%", risk * 100.0);
        report.value(
            &format!("{name}: answered"),
            from_memory.len() as f64 / points.len().max(1) as f64,
            points.len(),
        );
        if !from_memory.is_empty() {
            report.mean(&format!("{name}: realised error"), &from_memory);
        }
    }
    report.calibration("from memory", points);
    Ok(report)
}

async fn recall(bench: &Bench, one: &Asked) -> anyhow::Result<Recalled> {
    let request = plain::request(&one.question, &[]);
    Ok(memory::draw(&*bench.model, request, &bench.answerer).await?)
}

/// An answer that declines is no right one, and neither is any answer to a question without one.
fn right(recalled: &Recalled, one: &Asked) -> bool {
    let said = Said::new(recalled.text.clone());
    one.answerable && !said.declined && said.holds(&one.right)
}

fn nq(bench: &Bench, split: &str) -> anyhow::Result<Vec<Asked>> {
    let name = match split {
        "NQ-open.dev" => "nq_open/NQ-open.dev".to_owned(),
        other => format!("nq_open/{other}"),
    };
    let rows: Vec<Nq> = records(&bench.data, &name)?;
    let asked = |row: Nq| Asked {
        question: format!("{}?", row.question),
        right: row.answer,
        answerable: true,
    };
    Ok(rows.into_iter().map(asked).collect())
}

/// The split is by the number of the question, as the set's SOURCE.txt says.
fn self_aware(bench: &Bench, calibrate: bool) -> anyhow::Result<Vec<Asked>> {
    let rows: Vec<SelfAware> = records(&bench.data, "selfaware/selfaware")?;
    let split = rows.into_iter().filter(|row| (row.question_id % 10 < 3) == calibrate);
    let asked = |row: SelfAware| Asked {
        question: row.question,
        right: row.answer.unwrap_or_default(),
        answerable: row.answerable,
    };
    Ok(split.map(asked).collect())
}
