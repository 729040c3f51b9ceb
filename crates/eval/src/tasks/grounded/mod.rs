//! Span questions as grounded questions over all passages of a set. Every question is asked twice: as it is, and with all
//! passages removed that have its answer, where the right answer is to abstain; and, if wanted, twice more of a small library.
//! They are judged as the program judges them, and, where the set may be used for that, with a few weights and thresholds
//! fitted on other articles than those that are judged, in five folds.

mod judge;
mod places;
mod set;
mod shelves;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candor_engine::Generator;
use candor_truth::answer::{Calibration, Candidate, Known, Reading};
use candor_truth::rerank::READ;
use candor_truth::{Answerer, Embedder, Encoders, Found, Query, Seen};
use serde::Deserialize;

use places::Places;
pub use set::Set;
use shelves::{Shelf, Shelves};

use crate::data::records;
use crate::plain::{self, Said};
use crate::report::Report;

/// Folds of articles.
const FOLDS: usize = 5;
/// Passages that are found, so that enough are left where the right ones are taken away.
const DEEP: usize = READ + 8;

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
    /// In characters; some sets write -1 where it stands nowhere.
    pub(crate) answer_start: Option<i64>,
}

/// What one question gave, with its passage (`there`) and without.
struct Case {
    known: Known,
    question: String,
    /// Where its answers stand.
    places: Arc<Places>,
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
    /// Which questions.
    pub set: Set,
    /// Every so many questions.
    pub every: usize,
    /// Where every answer is written down, to be read by people: one JSON object a line.
    pub answers: Option<PathBuf>,
    /// Of those, every so many are also put to a model with and without passages.
    pub beside_every: usize,
    /// Every question is also asked of a small library: its article's, or of one passage, in turn.
    pub small: bool,
}

/// Runs the task; `step` hears how many questions are done of how many. Gives the figures, and a calibration fitted on all of
/// a set that may be used for that.
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
) -> anyhow::Result<(Report, Option<Calibration>)> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let mut ends = Vec::new();
    for file in options.set.files {
        paragraphs.extend(records(data, file)?);
        ends.push(paragraphs.len());
    }
    if let Some(other) = options.set.without {
        let known: Vec<Paragraph> = records(data, other)?;
        let known: HashSet<&str> = known.iter().map(|one| one.context.as_str()).collect();
        paragraphs.retain(|one| !known.contains(one.context.as_str()));
    }
    let home = tempfile::tempdir()?;
    let mut shelves = Shelves::new(home.path(), &paragraphs, embedder, threads).await?;
    let answerer = Answerer::new(shelves.all.clone(), Encoders::new(threads));
    answerer.encoders.warm().await?;
    let mut titles = HashMap::new();
    let mut all = Vec::new();
    for (n, paragraph) in paragraphs.iter().enumerate() {
        let next = titles.len();
        let article = *titles.entry(paragraph.title.clone()).or_insert(next);
        for asked in &paragraph.qas {
            if let Some(places) = Places::new(&paragraphs, n, asked) {
                all.push((n, article % FOLDS, asked, Arc::new(places)));
            }
        }
    }
    let asked: Vec<_> = all.into_iter().step_by(options.every.max(1)).collect();
    let mut cases = Vec::with_capacity(2 * asked.len());
    let total = asked.len();
    for (done, (gold, fold, asked, places)) in asked.iter().enumerate() {
        step(done, total);
        let query = Query {
            text: asked.question.clone(),
            limit: DEEP,
            ..Query::default()
        };
        let file = u8::try_from(ends.partition_point(|end| end <= gold))?;
        let (found, seen) = (shelves.all.search(&query).await?, Seen::default());
        for there in [true, false] {
            let mut case = case(&answerer, &found, asked, places, *fold, there, &seen).await?;
            case.known.kind = Shelf::All.kind(file);
            if let Some(model) = model.as_ref().filter(|_| done % options.beside_every.max(1) == 0) {
                let passages: Vec<Found> = found
                    .iter()
                    .filter(|one| there || places.of(&one.source.name).is_none())
                    .cloned()
                    .collect();
                let bare = plain::ask(&**model, &asked.question, &[]).await?;
                case.beside = Some([bare, plain::ask(&**model, &asked.question, &passages).await?]);
            }
            cases.push(case);
        }
        let shelf = if done % 2 == 0 { Shelf::Article } else { Shelf::Alone };
        for there in [true, false].into_iter().filter(|_| options.small) {
            if let Some(library) = shelves.small(shelf, *gold, places, there).await? {
                let found = library.search(&query).await?;
                let mut case = case(&answerer, &found, asked, places, *fold, there, &seen).await?;
                case.known.kind = shelf.kind(file);
                cases.push(case);
            }
        }
    }
    judge::judge(&answerer, &cases, options)
}

async fn case(
    answerer: &Answerer,
    found: &[Found],
    asked: &Asked,
    places: &Arc<Places>,
    fold: usize,
    there: bool,
    seen: &Seen,
) -> anyhow::Result<Case> {
    let is_gold = |one: &Found| places.of(&one.source.name).is_some();
    let passages: Vec<Found> = found
        .iter()
        .filter(|one| there || !is_gold(one))
        .take(READ)
        .cloned()
        .collect();
    let reading = answerer.read_passages(asked.question.clone(), passages, seen).await?;
    let holds = |candidate: &Candidate| {
        let passage = &reading.passages[candidate.passage];
        let from = passage.quote.range().start;
        let place = from + candidate.sentence.start..from + candidate.sentence.end;
        let right = places.of(&passage.source.name).unwrap_or_default();
        right
            .iter()
            .any(|right| place.start <= right.start && right.end <= place.end)
    };
    let right = reading.candidates.iter().map(holds).collect();
    let short = |candidate: &Candidate| {
        let span = answerer.short(&reading, candidate);
        span.map_or(String::new(), |quote| quote.text().to_owned())
    };
    Ok(Case {
        shorts: reading.candidates.iter().map(short).collect(),
        retrieved: reading.passages.iter().any(is_gold),
        known: Known {
            right,
            fold,
            kind: 0,
            candidates: reading.candidates.clone(),
        },
        question: asked.question.clone(),
        places: Arc::clone(places),
        reading,
        right: asked.answers.iter().map(|right| right.text.clone()).collect(),
        there,
        beside: None,
    })
}
