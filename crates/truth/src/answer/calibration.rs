//! How signals become a probability, and what risk a threshold has. Fitted on questions whose answers are known (what comes
//! with the program: `calibrations.rs`); `candor calibrate` fits it to a user's own questions.

use serde::{Deserialize, Serialize};

use super::candidates::{Candidate, FEATURES};
use super::logistic::{Logistic, sigmoid, six_decimals};
use super::outlook::OUTLOOK;
use crate::receipt::sha256;

/// Pulls weights to zero where there are few questions.
const PENALTY: f64 = 1.0;

/// Questions without which nothing is fitted.
pub const FEWEST: usize = 20;
/// A user's questions are judged by a fit on the other folds.
const REFIT_FOLDS: usize = 5;
/// A confidence never falls where the signals rise.
const FLATTEST: f64 = 0.05;
/// Answers to questions of a kind of text from which on their risk counts by itself. Of fewer nobody can tell.
const TELLING: usize = 30;
/// The logit of a question for which nothing was found.
const SILENT: f64 = -6.0;

/// There are too few questions to fit anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{given} questions are too few: at least {FEWEST} are needed, and some hundreds for a strict dial")]
pub struct TooFew {
    /// How many there are.
    pub given: usize,
}

/// The share of wrong answers among those given that is allowed: `None` answers always.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dial(pub Option<f64>);

/// A fitted calibration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What it was fitted on, for people.
    pub fitted_on: String,
    /// Names of the signals it was fitted with; another list makes it useless.
    pub features: Vec<String>,
    /// Which sentence to quote: the one with the greatest logit.
    pub choose: Logistic,
    /// Whether a sentence by itself holds the answer.
    pub each: Logistic,
    /// Whether the quoted sentence holds the answer.
    pub confidence: Logistic,
    /// Confidences of held-out questions with whether the answer was right, for thresholds.
    pub points: Vec<(f32, bool)>,
    /// Of which kind of text each point is; empty where all are of one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<u8>,
}

/// A question whose answer is known, with what the reader made of it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its sentences.
    pub candidates: Vec<Candidate>,
    /// Which of them hold the answer.
    pub right: Vec<bool>,
    /// Questions of a fold are judged by a fit on all others.
    pub fold: usize,
    /// Of which kind of text it is: dials are kept on each.
    pub kind: u8,
}

/// Names of the signals that this version computes.
fn signals() -> Vec<String> {
    let all = FEATURES.iter().chain(&OUTLOOK);
    all.map(|name| (*name).to_owned()).collect()
}

impl Calibration {
    /// From its JSON; `None` where that is none, or was fitted on other signals.
    pub fn read(json: &[u8]) -> Option<Self> {
        let read: Self = serde_json::from_slice(json).ok()?;
        read.fits_signals().then_some(read)
    }

    /// Whether it was fitted on the signals that this version computes.
    pub(super) fn fits_signals(&self) -> bool {
        self.features == signals()
    }

    /// SHA-256 of its JSON, for receipts.
    pub fn sha256(&self) -> String {
        sha256(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Fits to `known`. The points are made by folds, so that none is judged by a fit that has seen it.
    pub fn fit(known: &[Known], fitted_on: &str) -> Self {
        let folds = known.iter().map(|one| one.fold).max().map_or(0, |most| most + 1);
        let (mut points, mut kinds) = (Vec::with_capacity(known.len()), Vec::with_capacity(known.len()));
        for fold in 0..folds {
            let (held, rest): (Vec<&Known>, Vec<&Known>) = known.iter().partition(|one| one.fold == fold);
            let fit = Self::parts(&rest);
            for one in held {
                if let Some(point) = fit.judge(one) {
                    points.push(point);
                    kinds.push(one.kind);
                }
            }
        }
        Self {
            points,
            kinds,
            ..Self::parts(&known.iter().collect::<Vec<_>>())
        }
        .described(fitted_on)
    }

    /// The same choice of sentences with confidences and thresholds of other questions. Too few to fit everything anew, so
    /// only how steep the confidence is and where it begins is fitted (Platt 1999); the points are made by folds.
    ///
    /// # Errors
    /// If there are fewer than [`FEWEST`] questions.
    pub fn refit(&self, known: &[Known], fitted_on: &str) -> Result<Self, TooFew> {
        let judged: Vec<(Vec<f64>, bool)> = known
            .iter()
            .map(|one| match self.best(&one.candidates) {
                Some(best) => (
                    self.confidence.logit(&self.signs(&one.candidates, best)),
                    one.right[best],
                ),
                None => (SILENT, false),
            })
            .map(|(logit, right)| (vec![logit], right))
            .collect();
        if judged.len() < FEWEST {
            return Err(TooFew { given: judged.len() });
        }
        let platt = |rows: &[(Vec<f64>, bool)]| {
            let fit = Logistic::fit(rows, PENALTY);
            // The weights are of the standardised logit.
            let slope = (fit.weights[0] / fit.scale[0]).max(FLATTEST);
            (slope, fit.logit(&[0.0]))
        };
        let points = (0..REFIT_FOLDS).flat_map(|fold| {
            let (held, rest): (Vec<_>, Vec<_>) = judged
                .iter()
                .cloned()
                .enumerate()
                .partition(|(n, _)| n % REFIT_FOLDS == fold);
            let (slope, shift) = platt(&rest.into_iter().map(|(_, row)| row).collect::<Vec<_>>());
            held.into_iter()
                .map(move |(_, (x, right))| (sigmoid(slope * x[0] + shift) as f32, right))
        });
        let points = points.collect();
        let (slope, shift) = platt(&judged);
        Ok(Self {
            fitted_on: fitted_on.to_owned(),
            confidence: self.confidence.rescaled(slope, shift),
            points,
            kinds: Vec::new(),
            ..self.clone()
        })
    }

    fn described(mut self, fitted_on: &str) -> Self {
        fitted_on.clone_into(&mut self.fitted_on);
        self.features = signals();
        self
    }

    fn parts(known: &[&Known]) -> Self {
        let rows_of = |one: &&Known| -> Vec<(Vec<f64>, bool)> {
            let features = one.candidates.iter().map(|candidate| candidate.features.clone());
            features.zip(one.right.iter().copied()).collect()
        };
        let groups: Vec<_> = known.iter().map(rows_of).collect();
        let mut fitted = Self {
            choose: Logistic::choice(&groups, PENALTY),
            each: Logistic::fit(&groups.concat(), PENALTY),
            ..Self::default()
        };
        let rows: Vec<(Vec<f64>, bool)> = known
            .iter()
            .filter_map(|one| {
                let best = fitted.best(&one.candidates)?;
                Some((fitted.signs(&one.candidates, best), one.right[best]))
            })
            .collect();
        fitted.confidence = Logistic::fit(&rows, PENALTY);
        fitted
    }

    fn judge(&self, one: &Known) -> Option<(f32, bool)> {
        let best = self.best(&one.candidates)?;
        Some((self.confidence_of(&one.candidates, best) as f32, one.right[best]))
    }

    /// The sentence to quote.
    pub fn best(&self, candidates: &[Candidate]) -> Option<usize> {
        let logit = |n: &usize| self.choose.logit(&candidates[*n].features);
        (0..candidates.len()).max_by(|a, b| logit(a).total_cmp(&logit(b)).then(b.cmp(a)))
    }

    /// The probability that a sentence holds the answer, by itself.
    pub fn share(&self, candidate: &Candidate) -> f64 {
        six_decimals(self.each.probability(&candidate.features))
    }

    /// The probability that the sentence that is quoted first holds the answer.
    pub fn confidence_of(&self, candidates: &[Candidate], best: usize) -> f64 {
        six_decimals(self.confidence.probability(&self.signs(candidates, best)))
    }

    /// Signals of the whole question: the best sentence's, how far the others are behind, at most eight, and the outlook.
    fn signs(&self, candidates: &[Candidate], best: usize) -> Vec<f64> {
        let logit = |n: usize| self.choose.logit(&candidates[n].features);
        let own = logit(best);
        let other = |elsewhere: bool| {
            let others = (0..candidates.len())
                .filter(|&n| n != best && (!elsewhere || candidates[n].passage != candidates[best].passage))
                .filter(|&n| !candidates[n].twin_of(&candidates[best]));
            own - others.map(logit).fold(own - 8.0, f64::max)
        };
        let mut signs = vec![
            self.each.logit(&candidates[best].features),
            other(false),
            other(true),
            candidates[best].passage as f64,
        ];
        signs.extend(&candidates[best].features);
        signs.extend(&candidates[best].outlook);
        signs
    }

    /// From which confidence on answers are given: the lowest one at which (wrong + 1) / (given + 1) of the points above it
    /// stays within the dial (conformal risk control: Angelopoulos et al. 2022, arXiv:2208.02814, on the questions
    /// answered); and no kind of text that has enough of them is further beyond the dial than chance explains, one standard
    /// error. `None` where no confidence is enough, or there are too few points to know.
    pub fn threshold(&self, dial: Dial) -> Option<f64> {
        let Dial(Some(risk)) = dial else { return Some(0.0) };
        let kind = |n: usize| self.kinds.get(n).copied().unwrap_or(0);
        let mut points: Vec<(f32, bool, u8)> = self
            .points
            .iter()
            .enumerate()
            .map(|(n, (p, right))| (*p, *right, kind(n)))
            .collect();
        points.sort_by(|a, b| b.0.total_cmp(&a.0));
        let within = |Given { given, wrong }: Given| (wrong as f64 + 1.0) / (given as f64 + 1.0) <= risk;
        let explained = |Given { given, wrong }: Given| {
            let given = given as f64;
            wrong as f64 <= risk * given + (risk * (1.0 - risk) * given).sqrt()
        };
        let kinds = self.kinds.iter().max().map_or(1, |most| usize::from(*most) + 1);
        let (mut all, mut of_kinds, mut lowest) = (Given::default(), vec![Given::default(); kinds], None);
        for (n, (p, right, kind)) in points.iter().enumerate() {
            for count in [&mut all, &mut of_kinds[usize::from(*kind)]] {
                count.given += 1;
                count.wrong += usize::from(!right);
            }
            // Equal confidences are answered together.
            let last = points.get(n + 1).is_none_or(|next| next.0 < *p);
            if last && within(all) && of_kinds.iter().all(|kind| kind.given < TELLING || explained(*kind)) {
                lowest = Some(f64::from(*p));
            }
        }
        lowest
    }
}

/// How many answers are given above a confidence, and how many of them are wrong.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    given: usize,
    wrong: usize,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with(points: &[(f32, bool)]) -> Calibration {
        Calibration {
            points: points.to_vec(),
            ..Calibration::default()
        }
    }

    #[test]
    fn the_threshold_keeps_the_wrong_among_the_answered_within_the_dial() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1u32 << 24)
        };
        let mut draw = |n: usize| -> Vec<(f32, bool)> {
            (0..n)
                .map(|_| {
                    let p = next();
                    (p as f32, next() < p)
                })
                .collect()
        };
        let (fitted, fresh) = (with(&draw(4000)), draw(40_000));
        for risk in [0.05, 0.1, 0.2] {
            let from = fitted.threshold(Dial(Some(risk))).unwrap();
            let given: Vec<_> = fresh.iter().filter(|(p, _)| f64::from(*p) >= from).collect();
            let wrong = given.iter().filter(|(_, right)| !right).count() as f64 / given.len() as f64;
            assert!(
                wrong < risk * 1.2 && given.len() > 1000,
                "{risk}: {wrong} of {}",
                given.len()
            );
        }
    }

    #[test]
    fn a_users_questions_move_confidences_to_how_often_they_came_true() {
        let candidate = |x: f64| Candidate {
            passage: 0,
            sentence: 0..1,
            span: None,
            features: vec![x],
            outlook: Vec::new(),
            words: Vec::new(),
        };
        let line = |bias: f64| Logistic {
            mean: vec![0.0; 5],
            scale: vec![1.0; 5],
            weights: vec![0.0, 0.0, 0.0, 0.0, 1.0],
            bias,
        };
        let known: Vec<Known> = (0..400)
            .map(|n| Known {
                candidates: vec![candidate(f64::from(n % 20) / 5.0 - 2.0)],
                right: vec![(n * 7919) % 20 < n % 20],
                ..Known::default()
            })
            .collect();
        // Too sure of itself: everything is said to be nearly certain.
        let sure = Calibration {
            confidence: line(5.0),
            ..Calibration::default()
        };
        let refit = sure.refit(&known, "own questions").unwrap();
        let said: f64 = known
            .iter()
            .map(|one| refit.confidence_of(&one.candidates, 0))
            .sum::<f64>()
            / 400.0;
        let true_share = known.iter().filter(|one| one.right[0]).count() as f64 / 400.0;
        assert!((said - true_share).abs() < 0.02, "{said} for {true_share}");
        assert_eq!(refit.points.len(), 400);
        assert_eq!(sure.refit(&known[..19], "").unwrap_err(), TooFew { given: 19 });
    }

    #[test]
    fn a_sentence_of_another_passage_that_says_nearly_the_same_takes_nothing_from_the_lead() {
        let candidate = |passage: usize, x: f64, words: &[u64]| Candidate {
            passage,
            sentence: 0..1,
            span: None,
            features: vec![x],
            outlook: Vec::new(),
            words: words.to_vec(),
        };
        let unit = |weights: Vec<f64>| Logistic {
            mean: vec![0.0; weights.len()],
            scale: vec![1.0; weights.len()],
            weights,
            bias: 0.0,
        };
        // Confidence is the lead over all other sentences.
        let fit = Calibration {
            choose: unit(vec![1.0]),
            confidence: unit(vec![0.0, 1.0, 0.0, 0.0, 0.0]),
            ..Calibration::default()
        };
        let best = candidate(0, 3.0, &[1, 2, 3, 4, 5, 6]);
        let sure = |other: Candidate| fit.confidence_of(&[best.clone(), candidate(1, 1.0, &[7, 8]), other], 0);
        let lone = sure(candidate(2, 0.0, &[9]));
        assert_eq!(
            sure(candidate(2, 2.9, &[1, 2, 3, 4, 5, 60])),
            lone,
            "another year of the same event"
        );
        assert!(
            sure(candidate(0, 2.9, &[1, 2, 3, 4, 5, 6])) < lone,
            "of the same passage"
        );
        assert!(sure(candidate(2, 2.9, &[1, 2, 30, 40, 50])) < lone, "another statement");
    }

    #[test]
    fn a_dial_is_kept_on_each_kind_of_text_that_has_enough_answers() {
        // Facts are right nine times of ten and more; of tales as sure as they, one in four is wrong below 0.9.
        let facts = (0..900).map(|n| (1.0 - n as f32 / 1000.0, n % 20 != 0, 0));
        let tales = (0..100).map(|n| (1.0 - n as f32 / 110.0, n < 40 || n % 4 != 0, 1));
        let all: Vec<(f32, bool, u8)> = facts.chain(tales).collect();
        let told = |kinds: bool| Calibration {
            points: all.iter().map(|(p, right, _)| (*p, *right)).collect(),
            kinds: all.iter().filter(|_| kinds).map(|one| one.2).collect(),
            ..Calibration::default()
        };
        let (apart, together) = (
            told(true).threshold(Dial(Some(0.1))).unwrap(),
            told(false).threshold(Dial(Some(0.1))).unwrap(),
        );
        let wrong_tales = |from: f64| {
            let given = all.iter().filter(|(p, _, kind)| *kind == 1 && f64::from(*p) >= from);
            let wrong = given.clone().filter(|(_, right, _)| !right).count();
            wrong as f64 / given.count() as f64
        };
        // Of 60 to 100 answers one standard error is 3 to 4 hundredths.
        assert!(wrong_tales(apart) <= 0.14, "{apart}");
        assert!(wrong_tales(together) > 0.14 && together < apart, "{together} {apart}");
    }

    #[test]
    fn too_few_questions_allow_no_answer_and_a_dial_that_is_off_allows_all() {
        assert_eq!(with(&[(0.9, true); 5]).threshold(Dial(Some(0.01))), None);
        assert_eq!(with(&[]).threshold(Dial(None)), Some(0.0));
        assert!(with(&[(0.9, true); 200]).threshold(Dial(Some(0.01))).is_some());
        // Half of those that look the same are wrong.
        let mixed: Vec<_> = (0..100).map(|n| (0.7, n % 2 == 0)).collect();
        assert_eq!(with(&mixed).threshold(Dial(Some(0.1))), None);
    }
}
