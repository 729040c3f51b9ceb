//! What answers are worth: whether the first sentence holds the right one, what the dial gives, what is cited.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use candor_truth::answer::{Calibration, Calibrations, Dial, FEATURES};
use candor_truth::{Answerer, Question};

use super::{Case, FOLDS, Options, Set, Shelf};
use crate::plain::Said;
use crate::report::Report;
use crate::scores;

/// What Candor does with a case at a dial: whether it answers, and whether its first sentence holds the answer.
struct Judged {
    best: usize,
    p: f64,
    right: bool,
    f1: f64,
    given: [bool; 3],
}

const DIALS: [(&str, f64); 3] = [("1%", 0.01), ("5%", 0.05), ("10%", 0.1)];

/// The figures of a set, and the calibration fitted on all of it where it may be used for that.
pub(super) fn judge(
    answerer: &Answerer,
    cases: &[Case],
    options: &Options,
) -> anyhow::Result<(Report, Option<Calibration>)> {
    let set = &options.set;
    let mut report = Report::new(&format!("{}: grounded questions over all passages", set.name));
    let there: Vec<&Case> = cases.iter().filter(|case| case.there).collect();
    let of = |what: &dyn Fn(&Case) -> bool| there.iter().map(|case| share(what(case))).collect::<Vec<_>>();
    report.mean("passage among those read", &of(&|case| case.retrieved));
    report.mean(
        "a sentence among the candidates holds the answer",
        &of(&|case| case.known.right.contains(&true)),
    );
    let shipped = |case: &Case| answerer.calibration(&case.question).clone();
    let as_shipped = || cases.iter().map(shipped).collect();
    let by_folds = set.fitted.then(|| folds(cases));
    if !set.shipped {
        let name = if set.fitted { "as the program answers: " } else { "" };
        let fits: Vec<Calibration> = as_shipped();
        let judged = judged(cases, &fits);
        let all = beside_each_other(cases, &judged);
        figures(&mut report, name, set.name, &all);
        parts(&mut report, name, set, &all);
    }
    if let Some(fits) = &by_folds {
        let judged = judged(cases, fits);
        let all = beside_each_other(cases, &judged);
        figures(&mut report, "", set.name, &all);
        parts(&mut report, "", set, &all);
    }
    let fits = by_folds.unwrap_or_else(as_shipped);
    let judged = judged(cases, &fits);
    if let Some(path) = &options.answers {
        write_down(path, cases, &judged)?;
    }
    citations(&mut report, cases, &fits, answerer)?;
    beside(&mut report, cases, &judged);
    for (n, feature) in FEATURES.iter().enumerate() {
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
    let fitted = set.fitted.then(|| {
        let known: Vec<_> = cases.iter().map(|case| case.known.clone()).collect();
        let every = options.every.max(1);
        let libraries = if options.small {
            ", in large and small libraries"
        } else {
            ""
        };
        let what = format!(
            "{}, every {every}. question with its passage and without{libraries}",
            set.name
        );
        Calibration::fit(&known, &what)
    });
    Ok((report, fitted))
}

fn beside_each_other<'a>(cases: &'a [Case], judged: &'a [Option<Judged>]) -> Vec<(&'a Case, Option<&'a Judged>)> {
    cases.iter().zip(judged.iter().map(Option::as_ref)).collect()
}

/// The figures of each kind of text by itself, where there are several.
fn parts(report: &mut Report, name: &str, set: &Set, all: &[(&Case, Option<&Judged>)]) {
    let kinds: BTreeSet<u8> = all.iter().map(|(case, _)| case.known.kind).collect();
    for kind in kinds.iter().filter(|_| kinds.len() > 1) {
        let of: Vec<_> = all
            .iter()
            .filter(|(case, _)| case.known.kind == *kind)
            .copied()
            .collect();
        let file = set.files[usize::from(kind / Shelf::COUNT)];
        figures(report, &format!("{name}{file}, {}: ", Shelf::of(*kind)), "these", &of);
    }
}

fn share(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// For each case a calibration that was fitted on other articles.
fn folds(cases: &[Case]) -> Vec<Calibration> {
    let fits: Vec<Calibration> = (0..FOLDS)
        .map(|fold| {
            let rest = cases.iter().filter(|case| case.known.fold != fold);
            Calibration::fit(&rest.map(|case| case.known.clone()).collect::<Vec<_>>(), "folds")
        })
        .collect();
    cases.iter().map(|case| fits[case.known.fold].clone()).collect()
}

/// What each case comes to under its calibration; none where nothing was found.
fn judged(cases: &[Case], fits: &[Calibration]) -> Vec<Option<Judged>> {
    let one = |(case, fit): (&Case, &Calibration)| {
        let best = fit.best(&case.known.candidates)?;
        let p = fit.confidence_of(&case.known.candidates, best);
        Some(Judged {
            best,
            right: case.known.right[best],
            f1: scores::f1(&case.shorts[best], &case.right),
            given: DIALS.map(|(_, risk)| fit.threshold(Dial(Some(risk))).is_some_and(|from| p >= from)),
            p,
        })
    };
    cases.iter().zip(fits).map(one).collect()
}

/// The first sentence, the short answer, how sure they are, and what each dial gives.
fn figures(report: &mut Report, name: &str, set: &str, all: &[(&Case, Option<&Judged>)]) {
    let with: Vec<(&Case, &Judged)> = all.iter().filter_map(|(case, own)| Some((*case, (*own)?))).collect();
    // A question for which nothing was found has no answer, and counts.
    let there = all.iter().filter(|(case, _)| case.there);
    let first =
        |what: &dyn Fn(&Judged) -> f64| -> Vec<f64> { there.clone().map(|(_, own)| own.map_or(0.0, what)).collect() };
    report.mean(
        &format!("{name}first quoted sentence holds the answer"),
        &first(&|own| share(own.right)),
    );
    report.mean(&format!("{name}short answer, F1"), &first(&|own| own.f1));
    report.mean(
        &format!("{name}short answer, exact"),
        &first(&|own| share(own.f1 > 0.999)),
    );
    let answerable: Vec<(f64, bool)> = with.iter().map(|(case, own)| (own.p, case.there)).collect();
    report.value(
        &format!("{name}answerable told from unanswerable, AUROC"),
        scores::auroc(&answerable),
        answerable.len(),
    );
    report.calibration(
        &format!("{name}{set}"),
        with.iter().map(|(_, own)| (own.p, own.right)).collect(),
    );
    for (n, (dial, _)) in DIALS.iter().enumerate() {
        let given: Vec<f64> = with
            .iter()
            .filter(|(_, own)| own.given[n])
            .map(|(_, own)| share(!own.right))
            .collect();
        match given.is_empty() {
            true => report.value(
                &format!("{name}dial {dial}: realised error (nothing was answered)"),
                f64::NAN,
                0,
            ),
            false => report.mean(&format!("{name}dial {dial}: realised error"), &given),
        }
        for (what, there) in [("answerable", true), ("unanswerable", false)] {
            let answered: Vec<f64> = all
                .iter()
                .filter(|(case, _)| case.there == there)
                .map(|(_, own)| share(own.is_some_and(|own| own.given[n])))
                .collect();
            report.mean(&format!("{name}dial {dial}: {what} questions answered"), &answered);
        }
    }
}

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
fn citations(report: &mut Report, cases: &[Case], fits: &[Calibration], answerer: &Answerer) -> anyhow::Result<()> {
    for (name, dial) in [("dial off", None), ("dial 10%", Some(0.1))] {
        let (mut precise, mut recalled, mut equal) = (Vec::new(), Vec::new(), Vec::new());
        for (case, fit) in cases.iter().zip(fits).filter(|(case, _)| case.there) {
            let question = Question {
                text: case.question.clone(),
                dial: Dial(dial),
                ..Question::default()
            };
            let answer = answerer
                .clone()
                .calibrated(Calibrations::all(fit.clone()))
                .compose(&question, &case.reading)?;
            let cited: Vec<_> = answer.sentences.iter().flat_map(|one| &one.citations).collect();
            if cited.is_empty() {
                continue;
            }
            precise.extend(
                cited
                    .iter()
                    .map(|one| f64::from(u8::from(case.places.of(&one.source.name).is_some()))),
            );
            recalled.push(f64::from(u8::from(
                cited.iter().any(|one| case.places.of(&one.source.name).is_some()),
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
