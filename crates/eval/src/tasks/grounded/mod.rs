//! XQuAD (Artetxe, Ruder and Yogatama 2020, arXiv:1910.11856; CC BY-SA 4.0) as grounded questions over all its passages.
//! Every question is asked twice: as it is, and with its own passage removed, where the right answer is to abstain. What is
//! fitted (a few weights and thresholds) is fitted on other articles than those it is judged on, in five folds.

use std::collections::HashMap;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candor_engine::Generator;
use candor_truth::answer::{Calibration, Dial, Known, Reading};
use candor_truth::{Answerer, Embedder, Encoders, Found, Query, Question};
use serde::Deserialize;

use crate::bench::library;
use crate::data::records;
use crate::plain::{self, Said};
use crate::report::Report;
use crate::scores;

/// Folds of articles.
const FOLDS: usize = 5;
/// Passages that are found, so that some are left where the right one is taken away.
const DEEP: usize = 4;
/// Passages that are read.
const READ: usize = 3;

#[derive(Deserialize)]
pub(crate) struct Paragraph {
    pub(crate) title: String,
    pub(crate) context: String,
    pub(crate) qas: Vec<Asked>,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    pub(crate) question: String,
    pub(crate) answers: Vec<Right>,
}

#[derive(Deserialize)]
pub(crate) struct Right {
    pub(crate) text: String,
    /// In characters.
    answer_start: Option<usize>,
}

/// What one question gave, with its passage (`there`) and without.
struct Case {
    known: Known,
    question: String,
    /// The number of the right passage.
    gold: String,
    reading: Reading,
    right: Vec<String>,
    shorts: Vec<String>,
    there: bool,
    retrieved: bool,
    /// What the bare model and plain retrieval say, where a model stands beside.
    beside: Option<[Said; 2]>,
}

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// `en` or `zh`.
    pub language: String,
    /// Every so many questions.
    pub every: usize,
    /// Where every answer is written down, to be read by people: one JSON object a line.
    pub answers: Option<PathBuf>,
    /// Of those, every so many are also put to a model with and without passages.
    pub beside_every: usize,
}

/// Runs the task; `step` hears how many questions are done of how many. Gives the figures, and a calibration fitted on all.
///
/// # Errors
/// If the data are not there or the library fails.
pub async fn run(
    data: &Path,
    embedder: Option<Embedder>,
    threads: usize,
    model: Option<Arc<dyn Generator>>,
    options: &Options,
    step: &(dyn Fn(usize, usize) + Send + Sync),
) -> anyhow::Result<(Report, Calibration)> {
    let paragraphs: Vec<Paragraph> = records(data, &format!("xquad/xquad.{}", options.language))?;
    let home = tempfile::tempdir()?;
    let texts = paragraphs.iter().map(|one| (one.title.clone(), one.context.clone()));
    let library = library(home.path(), texts, embedder, threads).await?;
    let answerer = Answerer::new(library, Encoders::new(threads));
    answerer.encoders.warm().await?;
    let mut titles = HashMap::new();
    let mut all = Vec::new();
    for (n, paragraph) in paragraphs.iter().enumerate() {
        let next = titles.len();
        let article = *titles.entry(paragraph.title.clone()).or_insert(next);
        all.extend(paragraph.qas.iter().map(|asked| (n, article % FOLDS, asked)));
    }
    let asked: Vec<_> = all.into_iter().step_by(options.every.max(1)).collect();
    let mut cases = Vec::with_capacity(2 * asked.len());
    let total = asked.len();
    for (done, (gold, fold, asked)) in asked.iter().enumerate() {
        step(done, total);
        let query = Query {
            text: asked.question.clone(),
            limit: DEEP,
            ..Query::default()
        };
        let found = answerer.library.search(&query).await?;
        let places = places(&paragraphs[*gold].context, asked);
        for there in [true, false] {
            let mut case = case(&answerer, &found, asked, &places, *gold, *fold, there).await?;
            if let Some(model) = model.as_ref().filter(|_| done % options.beside_every.max(1) == 0) {
                let passages: Vec<Found> = found
                    .iter()
                    .filter(|one| there || one.source.name != gold.to_string())
                    .cloned()
                    .collect();
                let bare = plain::ask(&**model, &asked.question, &[]).await?;
                case.beside = Some([bare, plain::ask(&**model, &asked.question, &passages).await?]);
            }
            cases.push(case);
        }
    }
    judge(&answerer, cases, options)
}

async fn case(
    answerer: &Answerer,
    found: &[Found],
    asked: &Asked,
    right_places: &[Range<usize>],
    gold: usize,
    fold: usize,
    there: bool,
) -> anyhow::Result<Case> {
    let is_gold = |one: &Found| one.source.name == gold.to_string();
    let passages: Vec<Found> = found
        .iter()
        .filter(|one| there || !is_gold(one))
        .take(READ)
        .cloned()
        .collect();
    let reading = answerer.read_passages(asked.question.clone(), passages).await?;
    let holds = |candidate: &candor_truth::answer::Candidate| {
        let passage = &reading.passages[candidate.passage];
        let from = passage.quote.range().start;
        let place = from + candidate.sentence.start..from + candidate.sentence.end;
        is_gold(passage)
            && right_places
                .iter()
                .any(|right| place.start <= right.start && right.end <= place.end)
    };
    let right = reading.candidates.iter().map(holds).collect();
    let short = |candidate: &candor_truth::answer::Candidate| {
        let span = answerer.short(&reading, candidate);
        span.map_or(String::new(), |quote| quote.text().to_owned())
    };
    Ok(Case {
        shorts: reading.candidates.iter().map(short).collect(),
        retrieved: reading.passages.iter().any(is_gold),
        known: Known {
            right,
            fold,
            candidates: reading.candidates.clone(),
        },
        question: asked.question.clone(),
        gold: gold.to_string(),
        reading,
        right: asked.answers.iter().map(|right| right.text.clone()).collect(),
        there,
        beside: None,
    })
}

/// Where the right answers stand in the bytes of their paragraph.
fn places(context: &str, asked: &Asked) -> Vec<Range<usize>> {
    let place = |right: &Right| {
        let (start, _) = context.char_indices().nth(right.answer_start?)?;
        Some(start..start + right.text.len())
    };
    asked.answers.iter().filter_map(place).collect()
}

/// What Candor does with a case at a dial: whether it answers, and whether its first sentence holds the answer.
struct Judged {
    best: usize,
    p: f64,
    right: bool,
    f1: f64,
    given: [bool; 3],
}

const DIALS: [(&str, f64); 3] = [("1%", 0.01), ("5%", 0.05), ("10%", 0.1)];

/// Three systems on the questions that went to all of them.
fn beside(report: &mut Report, cases: &[Case], judged: &[Option<Judged>]) {
    let all: Vec<(&Case, &[Said; 2], &Judged)> = cases
        .iter()
        .zip(judged)
        .filter_map(|(case, judged)| Some((case, case.beside.as_ref()?, judged.as_ref()?)))
        .collect();
    if all.is_empty() {
        return;
    }
    let mut row = |name: &str, there: bool, said: &dyn Fn(&Said, &[String]) -> f64, own: &dyn Fn(&Judged) -> f64| {
        let of = || all.iter().filter(|(case, _, _)| case.there == there);
        let column = |n: usize| of().map(|(case, beside, _)| said(&beside[n], &case.right)).collect();
        report.row(
            name,
            [column(0), column(1), of().map(|(_, _, judged)| own(judged)).collect()],
        );
    };
    let share = |is: bool| f64::from(u8::from(is));
    row(
        "short answer, F1 (Candor: dial off)",
        true,
        &|said, right| {
            if said.declined {
                0.0
            } else {
                scores::f1(&said.text, right)
            }
        },
        &|own| own.f1,
    );
    row(
        "answer holds the right one (Candor: dial off)",
        true,
        &|said, right| share(!said.declined && said.holds(right)),
        &|own| share(own.right),
    );
    row(
        "answered wrongly (Candor: dial 10%)",
        true,
        &|said, right| share(!said.declined && !said.holds(right)),
        &|own| share(own.given[2] && !own.right),
    );
    row(
        "answered at all (Candor: dial 10%)",
        true,
        &|said, _| share(!said.declined),
        &|own| share(own.given[2]),
    );
    row(
        "passage taken away: answered all the same (Candor: dial 10%)",
        false,
        &|said, _| share(!said.declined),
        &|own| share(own.given[2]),
    );
}

/// Citations of whole answers (Gao et al. 2023, arXiv:2305.14627), against the right passages: precision is the share of
/// citations that are to the right passage, recall the share of answers with a citation to it. That a sentence follows
/// from its citation, the other half of that paper's recall, is true of a quote by construction.
fn citations(report: &mut Report, cases: &[(&Case, Calibration)], answerer: &Answerer) -> anyhow::Result<()> {
    for (name, dial) in [("dial off", None), ("dial 10%", Some(0.1))] {
        let (mut precise, mut recalled, mut equal) = (Vec::new(), Vec::new(), Vec::new());
        for (case, calibration) in cases.iter().filter(|(case, _)| case.there) {
            let question = Question {
                text: case.question.clone(),
                dial: Dial(dial),
                ..Question::default()
            };
            let answer = answerer
                .clone()
                .calibrated(calibration.clone())
                .compose(&question, &case.reading)?;
            let cited: Vec<_> = answer.sentences.iter().flat_map(|one| &one.citations).collect();
            if cited.is_empty() {
                continue;
            }
            precise.extend(
                cited
                    .iter()
                    .map(|one| f64::from(u8::from(one.source.name == case.gold))),
            );
            recalled.push(f64::from(u8::from(
                cited.iter().any(|one| one.source.name == case.gold),
            )));
            equal.extend(
                answer
                    .sentences
                    .iter()
                    .map(|one| f64::from(u8::from(one.citations.iter().all(|c| c.quote.text() == one.text)))),
            );
        }
        report.mean(&format!("{name}: citations to the right passage (precision)"), &precise);
        report.mean(&format!("{name}: answers with a citation to it (recall)"), &recalled);
        report.mean(&format!("{name}: sentences equal to their source"), &equal);
    }
    Ok(())
}

/// What was quoted first for each question, with what was wanted.
fn write_down(path: &Path, cases: &[Case], judged: &[Option<Judged>]) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for (case, own) in cases.iter().zip(judged) {
        let Some(own) = own else { continue };
        let candidate = &case.known.candidates[own.best];
        let passage = &case.reading.passages[candidate.passage];
        let line = serde_json::json!({
            "question": case.question,
            "answers": case.right,
            "passage_there": case.there,
            "quoted": &passage.quote.text()[candidate.sentence.clone()],
            "short": case.shorts[own.best],
            "confidence": own.p,
            "answered_at": DIALS.iter().zip(own.given).filter(|(_, given)| *given).map(|((name, _), _)| *name).collect::<Vec<_>>(),
            "holds_the_answer": own.right,
        });
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    Ok(())
}

fn judge(answerer: &Answerer, cases: Vec<Case>, options: &Options) -> anyhow::Result<(Report, Calibration)> {
    let mut report = Report::new(&format!(
        "XQuAD {}: grounded questions over all passages",
        options.language
    ));
    let known: Vec<Known> = cases.iter().map(|case| case.known.clone()).collect();
    let mut judged: Vec<Option<Judged>> = cases.iter().map(|_| None).collect();
    let mut with_fits = Vec::new();
    for fold in 0..FOLDS {
        let rest: Vec<Known> = known.iter().filter(|one| one.fold != fold).cloned().collect();
        let fitted = Calibration::fit(&rest, "folds");
        for (case, judged) in cases
            .iter()
            .zip(&mut judged)
            .filter(|(case, _)| case.known.fold == fold)
        {
            with_fits.push((case, fitted.clone()));
            let Some(best) = fitted.best(&case.known.candidates) else {
                continue;
            };
            let p = fitted.confidence_of(&case.known.candidates, best);
            *judged = Some(Judged {
                best,
                right: case.known.right[best],
                f1: scores::f1(&case.shorts[best], &case.right),
                given: DIALS.map(|(_, risk)| fitted.threshold(Dial(Some(risk))).is_some_and(|from| p >= from)),
                p,
            });
        }
    }
    if let Some(path) = &options.answers {
        write_down(path, &cases, &judged)?;
    }
    let share = |is: bool| f64::from(u8::from(is));
    let there: Vec<&Case> = cases.iter().filter(|case| case.there).collect();
    let of = |what: &dyn Fn(&Case) -> bool| there.iter().map(|case| share(what(case))).collect::<Vec<_>>();
    report.mean("passage among those read", &of(&|case| case.retrieved));
    report.mean(
        "a sentence among the candidates holds the answer",
        &of(&|case| case.known.right.contains(&true)),
    );
    let with: Vec<(&Case, &Judged)> = cases
        .iter()
        .zip(&judged)
        .filter_map(|(case, own)| Some((case, own.as_ref()?)))
        .collect();
    let first = |what: &dyn Fn(&Judged) -> f64| -> Vec<f64> {
        with.iter()
            .filter(|(case, _)| case.there)
            .map(|(_, own)| what(own))
            .collect()
    };
    report.mean(
        "first quoted sentence holds the answer",
        &first(&|own| share(own.right)),
    );
    report.mean("short answer, F1", &first(&|own| own.f1));
    report.mean("short answer, exact", &first(&|own| share(own.f1 > 0.999)));
    let answerable: Vec<(f64, bool)> = with.iter().map(|(case, own)| (own.p, case.there)).collect();
    report.value(
        "answerable told from unanswerable, AUROC",
        scores::auroc(&answerable),
        answerable.len(),
    );
    report.calibration(
        &format!("XQuAD {}", options.language),
        with.iter().map(|(_, own)| (own.p, own.right)).collect(),
    );
    for (n, (name, _)) in DIALS.iter().enumerate() {
        let given: Vec<f64> = with
            .iter()
            .filter(|(_, own)| own.given[n])
            .map(|(_, own)| share(!own.right))
            .collect();
        match given.is_empty() {
            true => report.value(
                &format!("dial {name}: realised error (nothing was answered)"),
                f64::NAN,
                0,
            ),
            false => report.mean(&format!("dial {name}: realised error"), &given),
        }
        for (what, there) in [("answerable", true), ("unanswerable", false)] {
            let answered: Vec<f64> = with
                .iter()
                .filter(|(case, _)| case.there == there)
                .map(|(_, own)| share(own.given[n]))
                .collect();
            report.mean(&format!("dial {name}: {what} questions answered"), &answered);
        }
    }
    citations(&mut report, &with_fits, answerer)?;
    beside(&mut report, &cases, &judged);
    for (n, feature) in candor_truth::answer::FEATURES.iter().enumerate() {
        let picked = there.iter().map(|case| {
            let value = |k: &usize| case.known.candidates[*k].features[n];
            let best = (0..case.known.candidates.len()).max_by(|a, b| value(a).total_cmp(&value(b)));
            share(best.is_some_and(|best| case.known.right[best]))
        });
        let picked: Vec<f64> = picked.collect();
        report.value(
            &format!("first sentence by \"{feature}\" alone"),
            picked.iter().sum::<f64>() / picked.len().max(1) as f64,
            picked.len(),
        );
    }
    let on = format!(
        "XQuAD {}, every {}. question with its passage and without",
        options.language,
        options.every.max(1)
    );
    Ok((report, Calibration::fit(&known, &on)))
}
