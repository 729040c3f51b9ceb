//! What a question in a script without spaces shares with sentences, letter by letter. Where words end is a guess there, and
//! no encoder at hand knows the language; but a question mostly repeats the sentence that answers it, with another word in the
//! place of what is asked for, so that what is shared is shared in order and in long runs.

use std::collections::{HashMap, HashSet};

use crate::words::mostly_cjk;

/// Words that ask or only join.
const ASKING: &[&str] = &[
    "什么时候",
    "什么时间",
    "什么地方",
    "为什么",
    "哪一年",
    "什么",
    "哪些",
    "哪个",
    "哪位",
    "哪里",
    "哪家",
    "哪几",
    "哪种",
    "哪年",
    "多少",
    "怎么",
    "怎样",
    "如何",
    "何时",
    "何处",
    "谁",
    "几",
    "何",
    "哪",
    "吗",
    "呢",
    "是",
    "的",
    "了",
    "在",
    "由",
    "被",
];
/// Letters of a question that count.
const LONGEST: usize = 200;

/// What a sentence has of a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shared {
    /// The share of its pairs of letters, each weighted by how few of the sentences at hand have it.
    pub(crate) pairs: f64,
    /// The share of its letters that stand there in the same order.
    pub(crate) in_order: f64,
    /// The share of its letters that stand there side by side.
    pub(crate) run: f64,
}

impl Shared {
    /// What is said of a question in another script: nothing.
    pub(crate) const UNKNOWN: Self = Self {
        pairs: f64::NAN,
        in_order: f64::NAN,
        run: f64::NAN,
    };
}

/// For each sentence what it shares with the question; nothing for a question in another script.
pub(crate) fn shared(question: &str, sentences: &[&str]) -> Vec<Shared> {
    if !mostly_cjk(question) {
        return Vec::new();
    }
    let mut bare = question.to_owned();
    for word in ASKING {
        bare = bare.replace(word, " ");
    }
    let mut asked = letters(&bare);
    asked.truncate(LONGEST);
    let sentences: Vec<Vec<char>> = sentences.iter().map(|sentence| letters(sentence)).collect();
    let sets: Vec<HashSet<[char; 2]>> = sentences.iter().map(|one| pairs(one)).collect();
    let mut counts: HashMap<[char; 2], f64> = HashMap::new();
    for pair in sets.iter().flatten() {
        *counts.entry(*pair).or_default() += 1.0;
    }
    let wanted = pairs(&asked);
    let weight = |pair: &[char; 2]| {
        let n = counts.get(pair).copied().unwrap_or_default();
        (1.0 + (sets.len() as f64 - n + 0.5) / (n + 0.5)).ln()
    };
    // In order of the letters: a set has none, and sums of floats depend on it.
    let mut order: Vec<[char; 2]> = wanted.into_iter().collect();
    order.sort_unstable();
    let total = order.iter().map(weight).sum::<f64>().max(f64::MIN_POSITIVE);
    let length = asked.len().max(1) as f64;
    let of = |(sentence, set): (&Vec<char>, &HashSet<[char; 2]>)| {
        let (in_order, run) = alike(&asked, sentence);
        let same = order.iter().filter(|pair| set.contains(*pair));
        Shared {
            pairs: same.map(weight).sum::<f64>() / total,
            in_order: in_order as f64 / length,
            run: run as f64 / length,
        }
    };
    sentences.iter().zip(&sets).map(of).collect()
}

fn letters(text: &str) -> Vec<char> {
    let all = text.chars().filter(|c| c.is_alphanumeric());
    all.flat_map(char::to_lowercase).collect()
}

fn pairs(letters: &[char]) -> HashSet<[char; 2]> {
    letters.windows(2).map(|pair| [pair[0], pair[1]]).collect()
}

/// The lengths of the longest common subsequence and of the longest common run.
fn alike(a: &[char], b: &[char]) -> (usize, usize) {
    let mut before = vec![(0, 0); b.len() + 1];
    let mut longest = 0;
    for x in a {
        let mut row = vec![(0, 0); b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            row[j + 1] = if x == y {
                (before[j].0 + 1, before[j].1 + 1)
            } else {
                (before[j + 1].0.max(row[j].0), 0)
            };
            longest = longest.max(row[j + 1].1);
        }
        before = row;
    }
    (before.last().map_or(0, |last| last.0), longest)
}

#[cfg(test)]
mod tests {
    use super::{alike, shared};

    #[test]
    fn the_sentence_that_a_question_repeats_shares_most_with_it() {
        let sentences = [
            "灯塔位于北方海角。",
            "灯塔由安娜·凯勒于一八七四年建造。",
            "磨坊有七个房间。",
        ];
        let all = shared("灯塔是谁在一八七四年建造的？", &sentences);
        assert!(all[1].pairs > all[0].pairs && all[1].in_order > all[0].in_order && all[1].run > all[0].run);
        assert!(
            all[2].pairs == 0.0
                && all
                    .iter()
                    .all(|one| one.pairs <= 1.0 && one.in_order <= 1.0 && one.run <= 1.0)
        );
        assert!(shared("Who built the lighthouse?", &sentences).is_empty());
        assert!(
            shared("谁？", &sentences)
                .iter()
                .all(|one| one.pairs == 0.0 && one.run == 0.0)
        );
    }

    #[test]
    fn letters_in_order_and_side_by_side_are_counted() {
        let of = |a: &str, b: &str| alike(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(of("abcde", "xabyde"), (4, 2));
        assert_eq!((of("", "a"), of("a", ""), of("ab", "ba")), ((0, 0), (0, 0), (1, 1)));
    }
}
