//! XQuAD (Artetxe, Ruder and Yogatama 2020, arXiv:1910.11856; CC BY-SA 4.0) as grounded questions over all its passages.
//! Every question is asked twice: as it is, and with its own passage removed, where the right answer is to abstain. What is
//! fitted (a few weights and thresholds) is fitted on other articles than those it is judged on, in five folds.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use candor_engine::Generator;
use candor_store::{NewSource, NewText, Store};
use candor_truth::answer::{Calibration, Dial, Known};
use candor_truth::{Answerer, Embedder, Encoders, Found, Index, Library, Query, Stages};
use serde::Deserialize;

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
struct Paragraph {
    title: String,
    context: String,
    qas: Vec<Asked>,
}

#[derive(Deserialize)]
struct Asked {
    question: String,
    answers: Vec<Right>,
}

#[derive(Deserialize)]
struct Right {
    text: String,
    /// In characters.
    answer_start: Option<usize>,
}

/// What one question gave, with its passage (`there`) and without.
struct Case {
    known: Known,
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
    let library = library(home.path(), &paragraphs, embedder, threads).await?;
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
            stages: Stages::Fused,
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
    Ok(judge(cases, options))
}

async fn library(
    home: &Path,
    paragraphs: &[Paragraph],
    embedder: Option<Embedder>,
    threads: usize,
) -> anyhow::Result<Library> {
    let store = Store::open(home.join("candor.db")).await?;
    let sources = paragraphs.iter().enumerate().map(|(n, one)| NewSource {
        name: n.to_string(),
        kind: "text".into(),
        origin: Some(format!("paragraph:{n}")),
        title: Some(one.title.replace('_', " ")),
        text: Some(NewText {
            text: one.context.clone(),
            layout: serde_json::json!({}),
        }),
        ..NewSource::default()
    });
    store.put_sources(sources.collect()).await?;
    let index = Arc::new(Index::open(home.join("index"), threads)?);
    index.sync(&store, embedder.as_ref(), &|_| {}).await?;
    Ok(Library { store, index, embedder })
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
            candidates: reading.candidates,
        },
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

/// The other two columns: the model by itself, and with passages in its prompt.
fn beside(report: &mut Report, cases: &[Case]) {
    for (n, name) in ["bare model", "plain retrieval"].into_iter().enumerate() {
        let said: Vec<(&Case, &Said)> = cases
            .iter()
            .filter_map(|case| Some((case, &case.beside.as_ref()?[n])))
            .collect();
        if said.is_empty() {
            continue;
        }
        let of = |there: bool| said.iter().filter(move |(case, _)| case.there == there);
        let f1: Vec<f64> = of(true)
            .map(|(case, said)| {
                if said.declined {
                    0.0
                } else {
                    scores::f1(&said.text, &case.right)
                }
            })
            .collect();
        let share = |cases: Vec<bool>| cases.into_iter().map(|is| f64::from(u8::from(is))).collect::<Vec<_>>();
        report.mean(&format!("{name}: F1"), &f1);
        report.mean(
            &format!("{name}: holds the answer"),
            &share(
                of(true)
                    .map(|(case, said)| !said.declined && said.holds(&case.right))
                    .collect(),
            ),
        );
        report.mean(
            &format!("{name}: answered without the answer"),
            &share(
                of(true)
                    .map(|(case, said)| !said.declined && !said.holds(&case.right))
                    .collect(),
            ),
        );
        report.mean(
            &format!("{name}: unanswerable questions answered"),
            &share(of(false).map(|(_, said)| !said.declined).collect()),
        );
    }
}

fn judge(cases: Vec<Case>, options: &Options) -> (Report, Calibration) {
    let mut report = Report::new(&format!(
        "XQuAD {}: grounded questions over all passages",
        options.language
    ));
    let known: Vec<Known> = cases.iter().map(|case| case.known.clone()).collect();
    let (mut first, mut short, mut exact, mut scored, mut answerable) = (vec![], vec![], vec![], vec![], vec![]);
    let mut dials: HashMap<&str, [f64; 4]> = HashMap::new();
    for fold in 0..FOLDS {
        let rest: Vec<Known> = known.iter().filter(|one| one.fold != fold).cloned().collect();
        let fitted = Calibration::fit(&rest, "folds");
        for case in cases.iter().filter(|case| case.known.fold == fold) {
            let Some(best) = fitted.best(&case.known.candidates) else {
                continue;
            };
            let p = fitted.confidence_of(&case.known.candidates, best);
            let right = case.known.right[best];
            if case.there {
                first.push(f64::from(u8::from(right)));
                short.push(scores::f1(&case.shorts[best], &case.right));
                exact.push(f64::from(u8::from(scores::f1(&case.shorts[best], &case.right) > 0.999)));
            }
            scored.push((p, right));
            answerable.push((p, case.there));
            for (name, risk) in [("1%", 0.01), ("5%", 0.05), ("10%", 0.1)] {
                let given = fitted.threshold(Dial(Some(risk))).is_some_and(|from| p >= from);
                let entry = dials.entry(name).or_default();
                if given {
                    entry[0] += 1.0;
                    entry[1] += f64::from(u8::from(!right));
                    entry[2] += f64::from(u8::from(case.there));
                    entry[3] += f64::from(u8::from(!case.there));
                }
            }
        }
    }
    let there: Vec<&Case> = cases.iter().filter(|case| case.there).collect();
    let share = |of: &dyn Fn(&Case) -> bool| {
        there
            .iter()
            .map(|case| f64::from(u8::from(of(case))))
            .collect::<Vec<_>>()
    };
    report.mean("passage among those read", &share(&|case| case.retrieved));
    report.mean(
        "a sentence among the candidates holds the answer",
        &share(&|case| case.known.right.contains(&true)),
    );
    report.mean("first quoted sentence holds the answer", &first);
    report.mean("short answer, F1", &short);
    report.mean("short answer, exact", &exact);
    report.value(
        "answerable told from unanswerable, AUROC",
        scores::auroc(&answerable),
        answerable.len(),
    );
    report.value("right told from wrong, AUROC", scores::auroc(&scored), scored.len());
    report.value("calibration error", scores::calibration_error(&scored), scored.len());
    let (brier, base) = scores::brier(&scored);
    report.value("Brier score", brier, scored.len());
    report.value("Brier score of the base rate", base, scored.len());
    let half = there.len().max(1) as f64;
    for name in ["1%", "5%", "10%"] {
        let [given, wrong, there, gone] = dials.get(name).copied().unwrap_or_default();
        report.value(
            &format!("dial {name}: realised error"),
            wrong / given.max(1.0),
            given as usize,
        );
        report.value(
            &format!("dial {name}: answerable questions answered"),
            there / half,
            half as usize,
        );
        report.value(
            &format!("dial {name}: unanswerable questions answered"),
            gone / half,
            half as usize,
        );
    }
    beside(&mut report, &cases);
    for (n, feature) in candor_truth::answer::FEATURES.iter().enumerate() {
        let picked = there.iter().map(|case| {
            let value = |k: &usize| case.known.candidates[*k].features[n];
            let best = (0..case.known.candidates.len()).max_by(|a, b| value(a).total_cmp(&value(b)));
            f64::from(u8::from(best.is_some_and(|best| case.known.right[best])))
        });
        let picked: Vec<f64> = picked.collect();
        report.value(
            &format!("first sentence by \"{feature}\" alone"),
            picked.iter().sum::<f64>() / half,
            picked.len(),
        );
    }
    let on = format!(
        "XQuAD {}, every {}. question with its passage and without",
        options.language,
        options.every.max(1)
    );
    (report, Calibration::fit(&known, &on))
}
