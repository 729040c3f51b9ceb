//! Claims with evidence: FEVER-symmetric (Schuster et al. 2019, arXiv:1908.05267; CC BY-SA 3.0) and WiCE (Kamoi et al. 2023,
//! arXiv:2303.01432). The fit comes from the dev splits of both, the figures from the test splits; a partially supported
//! claim counts as not supported. Lexical overlap alone stands beside the checker, with a threshold from the same splits.

use std::collections::HashMap;
use std::path::Path;

use candor_truth::check::{self, Checking, Mix, Pairing, pairings};
use candor_truth::{Encoders, words};
use serde::Deserialize;

use crate::bench::Bench;
use crate::data::records;
use crate::report::Report;
use crate::{likelihood, scores};

/// Words of a document that are shown to the checker.
const EVIDENCE_WORDS: usize = 110;
/// Pairs that are computed together.
const TOGETHER: usize = 64;
/// Where lexical overlap stands among the signals.
const OVERLAP: usize = 3;

/// Both spellings stand in the files, sometimes only one.
#[derive(Deserialize)]
struct Fever {
    claim: Option<String>,
    sentence2: Option<String>,
    evidence: Option<String>,
    sentence1: Option<String>,
    label: Option<String>,
    gold_label: Option<String>,
}

#[derive(Deserialize)]
struct Wice {
    claim: String,
    evidence: Vec<String>,
    label: String,
}

/// A claim, its evidence, and whether it is supported.
type Case = (String, String, bool);

/// A claim with what the checker makes of it.
struct Row {
    case: Case,
    features: Vec<f64>,
}

/// A set: its name and splits.
struct Set {
    name: &'static str,
    dev: Vec<Row>,
    test: Vec<Row>,
}

/// What the task gave.
pub struct Measured {
    /// The figures.
    pub report: Report,
    /// The fit.
    pub checking: Checking,
    sets: Vec<Set>,
}

/// A claim's log-odds by the checker, by a model that sees the evidence, and by one that does not; and whether it is supported.
type Beside = ([f64; 3], bool);

/// The other two columns, on at most `most` claims of each split: the verdict of a language model, without the evidence (which
/// of "True" and "False" is likelier) and with it (as the checker asks). The latter is mixed with the checker's by a fit on dev
/// claims, which becomes part of the fit, under the model's name.
///
/// # Errors
/// If a model fails.
pub async fn beside(bench: &Bench, measured: &mut Measured) -> anyhow::Result<()> {
    let Measured { report, checking, sets } = measured;
    let model = bench.model.card().id;
    let sample = |rows: &'_ [Row]| bench.sample(rows.iter().collect::<Vec<_>>()).len();
    let total: usize = sets.iter().map(|set| sample(&set.dev) + sample(&set.test)).sum();
    let mut asked = Vec::new();
    let mut done = 0;
    for set in sets.iter() {
        let mut splits = [Vec::new(), Vec::new()];
        for (rows, split) in [&set.dev, &set.test].into_iter().zip(&mut splits) {
            for row in bench.sample(rows.iter().collect()) {
                (bench.step)(done, total);
                done += 1;
                split.push(ask(bench, checking, row).await?);
            }
        }
        asked.push((set.name, splits));
    }
    let most = asked.iter().map(|(_, [dev, _])| dev.len()).max().unwrap_or(1);
    let pooled = asked.iter().flat_map(|(_, [dev, _])| dev.iter().cycle().take(most));
    let pooled: Vec<([f64; 2], bool)> = pooled.map(|([own, with, _], right)| ([*own, *with], *right)).collect();
    let mix = Mix::fit(
        &pooled,
        &format!(
            "{model} on dev splits of FEVER-symmetric and WiCE, {} claims",
            pooled.len()
        ),
    );
    for (name, [dev, test]) in &asked {
        let column = |n: usize, rows: &[Beside]| rows.iter().map(|(odds, right)| (odds[n], *right)).collect::<Vec<_>>();
        let mixed = |rows: &[Beside]| -> Vec<(f64, bool)> {
            rows.iter()
                .map(|([own, with, _], right)| (mix.probability(*own, *with), *right))
                .collect()
        };
        let by_dev = |n: usize| vec![balanced(&column(n, test), cut(&column(n, dev)))];
        report.row(
            &format!("{name} test, balanced accuracy, the same {} claims", test.len()),
            [by_dev(2), by_dev(1), by_dev(0)],
        );
        let ours: Vec<(f64, bool)> = column(0, test)
            .into_iter()
            .map(|(own, right)| (1.0 / (1.0 + (-own).exp()), right))
            .collect();
        for (what, scored, threshold) in [
            ("checker alone", ours, checking.threshold),
            ("checker with the model", mixed(test), mix.threshold),
        ] {
            report.value(
                &format!("{name} test, {what}, one threshold for both sets"),
                balanced(&scored, threshold),
                scored.len(),
            );
            report.value(
                &format!("{name} test, {what}, AUROC"),
                scores::auroc(&scored),
                scored.len(),
            );
        }
        report.value(
            &format!("{name} test, the model's verdict alone, AUROC"),
            scores::auroc(&column(1, test)),
            test.len(),
        );
    }
    for (name, weight) in ["the checker", "the model"].into_iter().zip(&mix.supported.weights) {
        report.value(
            &format!("weight of {name} in the mix (standardised)"),
            *weight,
            pooled.len(),
        );
    }
    checking.models.insert(model, mix);
    Ok(())
}

async fn ask(bench: &Bench, checking: &Checking, row: &Row) -> anyhow::Result<Beside> {
    let (claim, evidence, right) = &row.case;
    let (_, with) = check::ask(&*bench.model, claim, evidence).await?;
    let context = format!("Claim: {claim}\nTrue or false? Answer:");
    let alone = likelihood::of(&*bench.model, &context, &[" True".into(), " False".into()]).await?;
    Ok(([checking.logit(&row.features), with, alone[0].0 - alone[1].0], *right))
}

/// Runs the task; `step` hears how many pairs are done of how many. Gives the figures and the fit.
///
/// # Errors
/// If the data are not there or the weights are damaged.
pub fn run(data: &Path, threads: usize, step: &dyn Fn(usize, usize)) -> anyhow::Result<Measured> {
    let sets = [
        ("FEVER-symmetric", fever(data, "dev")?, fever(data, "test")?),
        ("WiCE", wice(data, "dev")?, wice(data, "test")?),
    ];
    let all: usize = sets.iter().map(|(_, dev, test)| dev.len() + test.len()).sum();
    let encoders = Encoders::new(threads);
    let mut done = 0;
    let mut compare = |cases: Vec<Case>| -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::with_capacity(cases.len());
        for part in cases.chunks(TOGETHER) {
            let pairs: Vec<(&str, &str)> = part
                .iter()
                .map(|(claim, evidence, _)| (claim.as_str(), evidence.as_str()))
                .collect();
            let found = pairings(&encoders, &pairs)?.into_iter().zip(part);
            rows.extend(found.map(|(Pairing { features, .. }, case)| Row {
                case: case.clone(),
                features,
            }));
            done += part.len();
            step(done, all);
        }
        Ok(rows)
    };
    let mut compared = Vec::new();
    for (name, dev, test) in sets {
        compared.push(Set {
            name,
            dev: compare(dev)?,
            test: compare(test)?,
        });
    }
    // Both sets weigh the same in the fit, however many claims each has.
    let most = compared.iter().map(|set| set.dev.len()).max().unwrap_or(1);
    let pooled = compared.iter().flat_map(|set| set.dev.iter().cycle().take(most));
    let pooled: Vec<(Vec<f64>, bool)> = pooled.map(|row| (row.features.clone(), row.case.2)).collect();
    let fitted = Checking::fit(&pooled, "dev splits of FEVER-symmetric and WiCE");
    let mut report = Report::new("Claims against their evidence: balanced accuracy");
    for Set { name, dev, test } in &compared {
        let column = |rows: &[Row], of: &dyn Fn(&[f64]) -> f64| {
            rows.iter()
                .map(|row| (of(&row.features), row.case.2))
                .collect::<Vec<_>>()
        };
        let scored = |rows| column(rows, &|x| fitted.probability(x));
        let lexical = |rows| column(rows, &|x| x[OVERLAP]);
        let shipped = scored(test);
        report.value(
            &format!("{name} test, one threshold for both sets"),
            balanced(&shipped, fitted.threshold),
            shipped.len(),
        );
        report.value(
            &format!("{name} test, threshold from its dev split"),
            balanced(&shipped, cut(&scored(dev))),
            shipped.len(),
        );
        report.value(&format!("{name} test, AUROC"), scores::auroc(&shipped), shipped.len());
        report.value(
            &format!("{name} test, lexical overlap alone"),
            balanced(&lexical(test), cut(&lexical(dev))),
            test.len(),
        );
        report.value(
            &format!("{name} test, lexical overlap alone, AUROC"),
            scores::auroc(&lexical(test)),
            test.len(),
        );
    }
    Ok(Measured {
        report,
        checking: fitted,
        sets: compared,
    })
}

/// The threshold with the best balanced accuracy.
fn cut(scored: &[(f64, bool)]) -> f64 {
    let best = scored
        .iter()
        .map(|(p, _)| *p)
        .max_by(|a, b| balanced(scored, *a).total_cmp(&balanced(scored, *b)));
    best.unwrap_or(0.5)
}

fn balanced(scored: &[(f64, bool)], threshold: f64) -> f64 {
    let share = |right: bool| {
        let of: Vec<f64> = scored.iter().filter(|(_, is)| *is == right).map(|(p, _)| *p).collect();
        of.iter().filter(|p| (**p >= threshold) == right).count() as f64 / of.len().max(1) as f64
    };
    f64::midpoint(share(true), share(false))
}

fn fever(data: &Path, split: &str) -> anyhow::Result<Vec<Case>> {
    let rows: Vec<Fever> = records(data, &format!("fever_symmetric/v0.2_{split}"))?;
    let plain = |text: String| {
        let text = text
            .replace("-LRB- ", "(")
            .replace(" -RRB-", ")")
            .replace("``", "\"")
            .replace("''", "\"");
        [" .", " ,", " ;", " :", " '"]
            .iter()
            .fold(text, |text, spaced| text.replace(spaced, spaced.trim_start()))
    };
    let case = |row: Fever| {
        let label = row.label.or(row.gold_label)?;
        Some((
            plain(row.claim.or(row.sentence2)?),
            plain(row.evidence.or(row.sentence1)?),
            label == "SUPPORTS",
        ))
    };
    Ok(rows.into_iter().filter_map(case).collect())
}

fn wice(data: &Path, split: &str) -> anyhow::Result<Vec<Case>> {
    let rows: Vec<Wice> = records(data, &format!("wice/claim_{split}"))?;
    Ok(rows
        .into_iter()
        .map(|row| (nearest(&row.claim, &row.evidence), row))
        .map(|(e, row)| (row.claim, e, row.label == "supported"))
        .collect())
}

/// The sentences that share most with the claim, a word counting the less the more sentences have it; in their own order.
fn nearest(claim: &str, sentences: &[String]) -> String {
    let of = |text: &str| {
        let mut all = Vec::new();
        words(text, |word| all.push(word.to_owned()));
        all.sort_unstable();
        all.dedup();
        all
    };
    let sets: Vec<Vec<String>> = sentences.iter().map(|one| of(one)).collect();
    let mut counts: HashMap<&str, f64> = HashMap::new();
    sets.iter()
        .flatten()
        .for_each(|word| *counts.entry(word).or_default() += 1.0);
    let claimed = of(claim);
    let score = |set: &Vec<String>| -> f64 {
        let shared = claimed.iter().filter(|word| set.binary_search(word).is_ok());
        let weight = |word: &String| (1.0 + sets.len() as f64 / counts.get(word.as_str()).copied().unwrap_or(1.0)).ln();
        shared.map(weight).sum::<f64>() / (8.0 + set.len() as f64).sqrt()
    };
    let mut order: Vec<(usize, f64)> = sets.iter().map(score).enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let (mut size, mut chosen) = (0, Vec::new());
    for (n, _) in order {
        size += sentences[n].split_whitespace().count();
        if size > EVIDENCE_WORDS && !chosen.is_empty() {
            break;
        }
        chosen.push(n);
    }
    chosen.sort_unstable();
    chosen
        .into_iter()
        .map(|n| sentences[n].as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_what_shares_most_with_the_claim_in_its_own_order() {
        let filler = "Nothing else of note is told about these years in any of the books that were kept. ".repeat(8);
        let sentences = [
            "Anna Keller built the lighthouse.".to_owned(),
            filler.clone(),
            "It was finished in 1874.".to_owned(),
            filler,
        ];
        let chosen = nearest("The lighthouse of Anna Keller was finished in 1874.", &sentences);
        assert!(
            chosen.starts_with("Anna Keller built the lighthouse. It was finished in 1874."),
            "{chosen}"
        );
    }

    #[test]
    fn balanced_accuracy_weighs_both_sides_alike() {
        let scored = [
            (0.9, true),
            (0.8, true),
            (0.7, false),
            (0.1, false),
            (0.2, false),
            (0.3, false),
        ];
        assert!((balanced(&scored, 0.75) - 1.0).abs() < 1e-9 && (balanced(&scored, 0.5) - 0.875).abs() < 1e-9);
        assert!((cut(&scored) - 0.8).abs() < 1e-9);
    }
}
