//! Scores, and how sure they are.

/// The words of an answer as SQuAD's script compares them (Rajpurkar et al. 2016, arXiv:1606.05250): lower case, without
/// punctuation and articles; Chinese by the character, as CMRC's does.
pub fn normal(text: &str) -> Vec<String> {
    let mut spaced = String::new();
    for c in text.to_lowercase().chars() {
        match c {
            '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' => spaced.extend([' ', c, ' ']),
            c if c.is_ascii_punctuation() || "，。、；：？！“”‘’（）《》【】".contains(c) => {}
            c => spaced.push(c),
        }
    }
    let words = spaced
        .split_whitespace()
        .filter(|word| !matches!(*word, "a" | "an" | "the"));
    words.map(str::to_owned).collect()
}

/// Whether a text holds one of the right answers, word for word as SQuAD compares them.
pub fn holds(text: &str, right: &[String]) -> bool {
    let text = format!(" {} ", normal(text).join(" "));
    right.iter().any(|right| {
        let right = normal(right).join(" ");
        !right.is_empty() && text.contains(&format!(" {right} "))
    })
}

/// SQuAD's F1 of an answer against the best of the right ones.
pub fn f1(given: &str, right: &[String]) -> f64 {
    let given = normal(given);
    let one = |right: &String| {
        let right = normal(right);
        let mut left = right.clone();
        let same = given.iter().filter(|word| {
            let at = left.iter().position(|other| other == *word);
            at.map(|at| left.swap_remove(at)).is_some()
        });
        let same = same.count() as f64;
        if same == 0.0 {
            return f64::from(u8::from(given.is_empty() && right.is_empty()));
        }
        2.0 * same / (given.len() + right.len()) as f64
    };
    right.iter().map(one).fold(0.0, f64::max)
}

/// The probability that a right one is scored above a wrong one; ties count half.
pub fn auroc(scored: &[(f64, bool)]) -> f64 {
    let mut order = scored.to_vec();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut at) = (0.0, 0);
    while at < order.len() {
        let same = order[at..]
            .iter()
            .take_while(|(s, _)| s.total_cmp(&order[at].0).is_eq())
            .count();
        let rank = at as f64 + (same as f64 + 1.0) / 2.0;
        rank_sum += rank * order[at..at + same].iter().filter(|(_, right)| *right).count() as f64;
        at += same;
    }
    let right = order.iter().filter(|(_, right)| *right).count() as f64;
    let wrong = order.len() as f64 - right;
    (rank_sum - right * (right + 1.0) / 2.0) / (right * wrong)
}

/// How far probabilities are from what came true: the mean gap over fifteen bins of equal size.
pub fn calibration_error(scored: &[(f64, bool)]) -> f64 {
    let mut order = scored.to_vec();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = order.len().div_ceil(15).max(1);
    let gap = |bin: &[(f64, bool)]| {
        let said: f64 = bin.iter().map(|(p, _)| p).sum();
        let true_ones = bin.iter().filter(|(_, right)| *right).count() as f64;
        (said - true_ones).abs()
    };
    order.chunks(size).map(gap).sum::<f64>() / order.len().max(1) as f64
}

/// The mean squared distance of probabilities from what came true, and the same of always saying the base rate.
pub fn brier(scored: &[(f64, bool)]) -> (f64, f64) {
    let n = scored.len().max(1) as f64;
    let truth = |right: bool| f64::from(u8::from(right));
    let base = scored.iter().map(|(_, right)| truth(*right)).sum::<f64>() / n;
    let score = |of: &dyn Fn(f64) -> f64| {
        scored
            .iter()
            .map(|(p, right)| (of(*p) - truth(*right)).powi(2))
            .sum::<f64>()
            / n
    };
    (score(&|p| p), score(&|_| base))
}

/// A mean with its 95% interval by the bootstrap: a thousand draws of as many values, always the same draws.
pub fn mean_with_interval(values: &[f64]) -> [f64; 3] {
    let n = values.len();
    if n == 0 {
        return [f64::NAN; 3];
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut means: Vec<f64> = (0..1000)
        .map(|_| (0..n).map(|_| values[draw()]).sum::<f64>() / n as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    [values.iter().sum::<f64>() / n as f64, means[24], means[974]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn f1_is_squads() {
        let right = |text: &str| vec![text.to_owned()];
        assert!(near(f1("The Denver Broncos!", &right("Denver Broncos")), 1.0));
        assert!(near(f1("Broncos", &right("Denver Broncos")), 2.0 / 3.0));
        assert!(near(f1("the the", &right("cat")), 0.0) && near(f1("cat cat", &right("cat")), 2.0 / 3.0));
        assert!(near(f1("北京大学", &right("北京")), 2.0 / 3.0));
    }

    #[test]
    fn a_text_holds_an_answer_by_whole_words() {
        let right = ["The Denver Broncos".to_owned(), "1876".to_owned()];
        assert!(holds("It was won by the Denver Broncos, in 2016.", &right) && holds("in 1876.", &right));
        assert!(
            !holds("in 18761", &right) && !holds("Broncos of Denver", &right) && !holds("anything", &["the".into()])
        );
    }

    #[test]
    fn ranking_and_calibration_are_what_their_definitions_say() {
        assert!(near(auroc(&[(0.9, true), (0.1, false)]), 1.0) && near(auroc(&[(0.5, true), (0.5, false)]), 0.5));
        let sure: Vec<_> = (0..30).map(|n| (0.8, n % 5 != 0)).collect();
        assert!(calibration_error(&sure) < 0.3 && calibration_error(&[(1.0, false)]) > 0.99);
        let (score, base) = brier(&[(1.0, true), (0.0, false)]);
        assert!(near(score, 0.0) && near(base, 0.25));
        let [mean, low, high] = mean_with_interval(&[0.0, 1.0, 1.0, 0.0]);
        assert!(near(mean, 0.5) && low < 0.5 && high > 0.5);
    }
}
