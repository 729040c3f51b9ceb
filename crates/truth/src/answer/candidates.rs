//! The sentences that could answer a question: every sentence of the best passages, with the words in it that the reader
//! takes for the answer and with signals of how well it fits. Which sentence is quoted is decided from these signals alone.

use std::collections::HashMap;
use std::hash::{Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::Arc;

use candor_model::PairEncoder;
use candor_model::pair::{Pair, States};

use super::letters::{self, Shared};
use super::lexical::Lexical;
use super::meaning::Meaning;
use super::outlook;
use super::wanted::Wanted;
use crate::encoders::Encoders;
use crate::words::is_cjk;
use crate::{Found, Seen, TruthError, sentences};

/// Tokens of a short answer.
const LONGEST: usize = 20;
/// Words of a short answer.
const MOST_WORDS: usize = 15;
/// Spans of a sentence that could be the short answer.
const CONSIDERED: usize = 8;
/// Words that begin or end no answer.
const BARE: &[&str] = &[
    "about", "also", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do", "does", "for",
    "from", "had", "has", "have", "he", "her", "his", "how", "if", "in", "into", "is", "it", "its", "may", "not", "of",
    "on", "or", "she", "so", "such", "than", "that", "their", "them", "then", "there", "these", "they", "this", "to",
    "was", "we", "were", "what", "when", "where", "which", "while", "who", "whose", "why", "will", "with", "would",
    "you",
];
/// A log-probability that stands for "none".
const NONE: f64 = -30.0;

/// The signals, in the order of a candidate's features.
pub const FEATURES: [&str; 23] = [
    "evidence",
    "span",
    "mass",
    "span share",
    "rank",
    "answerable",
    "overlap",
    "before",
    "after",
    "passage overlap",
    "cosine",
    "similarity",
    "passage cosine",
    "passage bm25",
    "kind of span",
    "kind of sentence",
    "place",
    "length",
    "asked again",
    "refers back",
    "pairs of letters",
    "letters in order",
    "longest run",
];

/// A sentence that could answer.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Which of the passages it stands in.
    pub passage: usize,
    /// Its bytes in the passage.
    pub sentence: Range<usize>,
    /// The bytes of the short answer in the passage, where the reader saw the sentence.
    pub span: Option<Range<usize>>,
    /// Its signals, by [`FEATURES`]; NaN where one is not known.
    pub features: Vec<f64>,
    /// What the question's chances are with its passage, by [`OUTLOOK`](super::OUTLOOK): no help in choosing a sentence.
    pub outlook: Vec<f64>,
    /// What it says, as sorted hashes of its words (of scripts without spaces, of their letters).
    pub words: Vec<u64>,
}

impl Candidate {
    /// Whether it is a sentence of another passage that says nearly the same, such as another year of the same event: then
    /// it bears this one out or disputes it, and is no rival.
    pub(crate) fn twin_of(&self, other: &Self) -> bool {
        let same = self
            .words
            .iter()
            .filter(|word| other.words.binary_search(word).is_ok())
            .count();
        let either = self.words.len() + other.words.len() - same;
        self.passage != other.passage && same > 0 && same as f64 >= TWIN * either as f64
    }
}

/// The share of the words of two sentences that both have, from which on they say nearly the same.
const TWIN: f64 = 0.7;

fn hashed_words(sentence: &str) -> Vec<u64> {
    let hash = |word: &str| {
        let mut hasher = std::hash::DefaultHasher::new();
        word.to_lowercase().hash(&mut hasher);
        hasher.finish()
    };
    let words = sentence.split(|c: char| !c.is_alphanumeric() || is_cjk(c));
    let letters = sentence.char_indices().filter(|(_, c)| is_cjk(*c));
    let letters = letters.map(|(at, c)| hash(&sentence[at..at + c.len_utf8()]));
    let mut all: Vec<u64> = words.filter(|word| !word.is_empty()).map(hash).chain(letters).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What is known of a question before its passages are read.
pub(crate) struct Asked<'a> {
    pub(crate) question: &'a str,
    pub(crate) lexical: &'a Lexical,
    /// For each sentence the cosine with the question and the likeness of their tokens, where there are vectors.
    pub(crate) meaning: Option<Vec<Meaning>>,
}

/// The sentences of the passages, passage after passage.
pub(crate) fn all_sentences(passages: &[Found]) -> Vec<Vec<Range<usize>>> {
    let of = |found: &Found| {
        sentences(found.quote.text(), &[])
            .into_iter()
            .map(|one| one.range)
            .collect()
    };
    passages.iter().map(of).collect()
}

/// Reads the passages, as far as they are not in `seen`, and gives each of their sentences its signals.
pub(crate) fn candidates(
    encoders: &Encoders,
    asked: &Asked<'_>,
    passages: &[Found],
    places: &[Vec<Range<usize>>],
    seen: &Seen,
) -> Result<Vec<Candidate>, TruthError> {
    let reader = encoders.reader()?;
    let windows = windows(reader, asked.question, passages, places);
    let pairs: Vec<Pair> = windows.iter().map(|window| window.pair.clone()).collect();
    let states = seen.states(reader, encoders.team(), &pairs);
    let read = Read::new(reader, &windows, &states);
    let wanted = Wanted::of(asked.question);
    let texts = passages.iter().zip(places).flat_map(|(found, ranges)| {
        let text = found.quote.text();
        ranges.iter().map(move |range| &text[range.clone()])
    });
    let outlook = outlook::of_passages(asked.question, passages);
    let letters = letters::shared(asked.question, &texts.collect::<Vec<_>>());
    let mut all = Vec::new();
    for (n, (found, sentences)) in passages.iter().zip(places).enumerate() {
        let text = found.quote.text();
        let passage_overlap = asked.lexical.passages.get(n).copied().unwrap_or_default();
        for (k, range) in sentences.iter().enumerate() {
            let sentence = &text[range.clone()];
            let overlap = |k: Option<usize>| {
                let of_passage = asked.lexical.sentences.get(n);
                k.and_then(|k| of_passage?.get(k)).copied().unwrap_or_default()
            };
            let spans = read.spans(&windows, n, range);
            let best = spans.as_ref().map(|spans| spans.best(text, wanted, asked));
            let words = best.clone().map_or("", |span| &text[span]);
            let of = |value: fn(&Spans) -> f64| spans.as_ref().map_or(f64::NAN, value);
            let letters = letters.get(all.len()).copied().unwrap_or(Shared::UNKNOWN);
            let meaning = asked.meaning.as_ref().and_then(|meaning| meaning.get(all.len()));
            let features = vec![
                of(|spans| spans.evidence),
                of(|spans| spans.top().0),
                of(|spans| spans.mass),
                of(|spans| spans.top().0 - spans.total),
                read.rank(n),
                read.answerable(n),
                overlap(Some(k)),
                overlap(k.checked_sub(1)),
                overlap(Some(k + 1)),
                passage_overlap,
                meaning.map_or(f64::NAN, |one| f64::from(one.cosine)),
                meaning.map_or(f64::NAN, |one| f64::from(one.likeness)),
                found.scores.meaning.map_or(f64::NAN, f64::from),
                found.scores.words.map_or(0.0, f64::from),
                f64::from(wanted.fits(words)),
                f64::from(wanted.fits(sentence)),
                n as f64,
                (sentence.len() as f64).ln(),
                asked.lexical.repeats(reader, words),
                f64::from(u8::from(refers_back(sentence))),
                letters.pairs,
                letters.in_order,
                letters.run,
            ];
            all.push(Candidate {
                passage: n,
                sentence: range.clone(),
                span: best,
                features,
                outlook: outlook.get(n).map_or_else(Vec::new, |one| one.to_vec()),
                words: hashed_words(sentence),
            });
        }
    }
    Ok(all)
}

/// Whether a sentence begins with a word for something that was named before it.
pub(super) fn refers_back(sentence: &str) -> bool {
    const BACK: &[&str] = &[
        "he", "she", "it", "they", "this", "these", "his", "her", "its", "their", "such", "both",
    ];
    let first = sentence
        .split(|c: char| !c.is_alphanumeric())
        .find(|word| !word.is_empty());
    first.is_some_and(|word| BACK.contains(&word.to_lowercase().as_str()))
        || ["它", "他", "她", "这", "该", "其"]
            .iter()
            .any(|word| sentence.starts_with(word))
}

/// As much of a passage as the reader takes at once.
struct Window {
    passage: usize,
    /// The bytes of the passage that it begins at.
    from: usize,
    /// The bytes of the passage that it ends at.
    to: usize,
    pair: Pair,
}

/// The first passages in windows of whole sentences; nearly all fit into one.
fn windows(reader: &PairEncoder, question: &str, passages: &[Found], places: &[Vec<Range<usize>>]) -> Vec<Window> {
    let mut windows = Vec::new();
    for (passage, (found, sentences)) in passages.iter().zip(places).enumerate() {
        let text = found.quote.text();
        let mut next = 0;
        while let Some(first) = sentences.get(next) {
            let from = first.start;
            let pair = reader.pair(question, &text[from..]);
            let to = from + pair.second.last().map_or(0, |place| place.end);
            let whole = sentences[next..]
                .iter()
                .take_while(|one| text[one.start..one.end].trim_end().len() + one.start <= to)
                .count();
            windows.push(Window {
                passage,
                from,
                to,
                pair,
            });
            // A sentence that is longer than the reader takes is read as far as it goes.
            next += whole.max(1);
        }
    }
    windows
}

/// What the reader says of a sentence.
struct Spans {
    /// The best spans with start plus end logit, the best first.
    spans: Vec<(f64, Range<usize>)>,
    /// Log-sum of the start logits plus that of the end logits of its tokens.
    mass: f64,
    /// The same over all windows.
    total: f64,
    /// The mean of the evidence logits of its tokens.
    evidence: f64,
}

impl Spans {
    fn top(&self) -> (f64, Range<usize>) {
        self.spans.first().cloned().unwrap_or((NONE, 0..0))
    }

    /// The short answer: of the best spans the one that also looks most like an answer, by weights that were fitted beside
    /// the reader (`runs/truth/fit.py`).
    fn best(&self, text: &str, wanted: Wanted, asked: &Asked<'_>) -> Range<usize> {
        let score = |(logit, span): &(f64, Range<usize>)| {
            let words: Vec<&str> = text[span.clone()].split_whitespace().collect();
            let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
            let edge = |word: Option<&String>| word.is_some_and(|word| BARE.contains(&word.as_str()));
            let bare = f64::from(u8::from(edge(lower.first()) || edge(lower.last())));
            let fits = f64::from(u8::from(wanted.fits(&text[span.clone()]) > 0.0));
            0.432 * logit - 1.393 * asked.lexical.repeats_plain(&text[span.clone()])
                + 1.476 * fits
                + 0.1 * (words.len().max(1) as f64).ln()
                - 1.536 * bare
        };
        let best = self.spans.iter().max_by(|a, b| score(a).total_cmp(&score(b)));
        best.map_or(0..0, |(_, span)| span.clone())
    }
}

/// The heads' outputs for all windows.
struct Read {
    /// Start and end logits per window and token of the passage.
    spans: Vec<Vec<(f64, f64)>>,
    /// Log-sums of both over all windows, added.
    total: f64,
    evidence: Option<Vec<Vec<f64>>>,
    ranks: HashMap<usize, (f64, f64)>,
    best_rank: f64,
}

impl Read {
    fn new(reader: &PairEncoder, windows: &[Window], states: &[Arc<States>]) -> Self {
        let per_token = |name: &str, k: usize| -> Option<Vec<Vec<f64>>> {
            let head = reader.head(name)?;
            let of = |(window, states): (&Window, &Arc<States>)| {
                let tokens = window.pair.begins()..window.pair.begins() + window.pair.second.len();
                tokens
                    .map(|at| head.apply(states.token(at)).get(k).copied().map_or(0.0, f64::from))
                    .collect()
            };
            Some(windows.iter().zip(states).map(of).collect())
        };
        let starts = per_token("span", 0).unwrap_or_default();
        let ends = per_token("span", 1).unwrap_or_default();
        let mut ranks: HashMap<usize, (f64, f64)> = HashMap::new();
        for (window, states) in windows.iter().zip(states) {
            let pair = states.pair(&window.pair);
            let of = |name: &str| {
                let head = reader.head(name);
                head.and_then(|head| head.apply(&pair).first().copied())
                    .map_or(0.0, f64::from)
            };
            let (rank, answerable) = (of("rank"), of("answerable"));
            let entry = ranks.entry(window.passage).or_insert((rank, answerable));
            *entry = (entry.0.max(rank), entry.1.max(answerable));
        }
        Self {
            total: log_sum(starts.iter().flatten()) + log_sum(ends.iter().flatten()),
            spans: starts
                .into_iter()
                .zip(ends)
                .map(|(s, e)| s.into_iter().zip(e).collect())
                .collect(),
            evidence: per_token("evidence", 0),
            best_rank: ranks.values().map(|(rank, _)| *rank).fold(f64::NEG_INFINITY, f64::max),
            ranks,
        }
    }

    /// How far a passage is behind the best one.
    fn rank(&self, passage: usize) -> f64 {
        self.ranks.get(&passage).map_or(NONE, |(rank, _)| rank - self.best_rank)
    }

    fn answerable(&self, passage: usize) -> f64 {
        self.ranks.get(&passage).map_or(NONE, |(_, answerable)| *answerable)
    }

    /// The best spans in a sentence of a passage, if a window holds the sentence.
    fn spans(&self, windows: &[Window], passage: usize, sentence: &Range<usize>) -> Option<Spans> {
        let holds =
            |window: &Window| window.passage == passage && window.from <= sentence.start && window.to > sentence.start;
        // The last window that begins before it: the one that holds it whole.
        let n = windows.iter().rposition(holds)?;
        let (window, logits) = (&windows[n], self.spans.get(n)?);
        let places = &window.pair.second;
        let inside = |place: &Range<usize>| {
            window.from + place.start >= sentence.start && window.from + place.end <= sentence.end
        };
        let first = places.iter().position(inside)?;
        let last = places.iter().rposition(inside)?;
        let mut spans = Vec::new();
        for i in first..=last {
            for j in i..=last.min(i + LONGEST - 1) {
                spans.push((logits[i].0 + logits[j].1, i, j));
            }
        }
        spans.sort_by(|a, b| b.0.total_cmp(&a.0));
        spans.truncate(CONSIDERED);
        let tokens = &logits[first..=last];
        let evidence = self.evidence.as_ref().and_then(|all| all.get(n)).map(|logits| {
            let tokens = &logits[first..=last];
            tokens.iter().sum::<f64>() / tokens.len() as f64
        });
        Some(Spans {
            spans: spans
                .into_iter()
                .map(|(score, i, j)| (score, window.from + places[i].start..window.from + places[j].end))
                .collect(),
            mass: log_sum(tokens.iter().map(|(start, _)| start)) + log_sum(tokens.iter().map(|(_, end)| end)),
            total: self.total,
            evidence: evidence.unwrap_or(f64::NAN),
        })
    }
}

/// ln of the sum of exp.
fn log_sum<'a>(logits: impl Iterator<Item = &'a f64> + Clone) -> f64 {
    let most = logits.clone().copied().fold(f64::NEG_INFINITY, f64::max);
    most + logits.map(|x| (x - most).exp()).sum::<f64>().ln()
}

/// The short answer: whole words, at most fifteen of them, without what clings to their ends.
pub(crate) fn tidy(text: &str, sentence: &Range<usize>, span: &Range<usize>) -> Range<usize> {
    let word = |c: char| c.is_alphanumeric();
    let (mut start, mut end) = (span.start, span.end);
    // Half of a number is another number: "ninety" in Chinese ends with "ten".
    while start > sentence.start && in_number(text, start) {
        start = text[..start].char_indices().next_back().map_or(start, |(at, _)| at);
    }
    while end < sentence.end && in_number(text, end) {
        end += text[end..].chars().next().map_or(1, char::len_utf8);
    }
    while start > sentence.start
        && text[..start].ends_with(word)
        && text[start..].starts_with(word)
        && !han_at(&text[..start])
    {
        start = text[..start].char_indices().next_back().map_or(start, |(at, _)| at);
    }
    while end < sentence.end && text[end..].starts_with(word) && text[..end].ends_with(word) && !han_at(&text[..end]) {
        end += text[end..].chars().next().map_or(1, char::len_utf8);
    }
    let mut cut = text[start..end].char_indices().filter(|(_, c)| c.is_whitespace());
    if let Some((at, _)) = cut.nth(MOST_WORDS - 1) {
        end = start + at;
    }
    let inner = text[start..end].trim_matches(|c: char| c.is_whitespace() || ",;:.!?。，；：！？".contains(c));
    match inner.is_empty() {
        true => start..end,
        false => {
            let from = start + (inner.as_ptr() as usize - text[start..].as_ptr() as usize);
            from..from + inner.len()
        }
    }
}

/// Whether a number goes on across `at`.
fn in_number(text: &str, at: usize) -> bool {
    let figure = |c: char| c.is_ascii_digit() || "〇零一二三四五六七八九十百千万亿两点".contains(c);
    let (before, after) = (text[..at].chars().next_back(), text[at..].chars().next());
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    match (before, after) {
        (Some(before), Some(after)) if figure(before) && figure(after) => true,
        (Some('.' | ','), after) => digit(after) && digit(text[..at].chars().rev().nth(1)),
        (before, Some('.' | ',')) => digit(before) && digit(text[at..].chars().nth(1)),
        _ => false,
    }
}

/// Whether the last character is of a script without spaces, where words have no visible ends.
fn han_at(text: &str) -> bool {
    text.chars().next_back().is_some_and(crate::words::is_cjk)
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn a_short_answer_is_whole_words_without_what_clings_to_them() {
        let text = "It was built by Anna Keller, in 1874.";
        let all = 0..text.len();
        let at = |words: &str| text.find(words).map_or(0..0, |at| at..at + words.len());
        assert_eq!(&text[tidy(text, &all, &at("nna Kell"))], "Anna Keller");
        assert_eq!(&text[tidy(text, &all, &at(" Keller, "))], "Keller");
        let long = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen";
        assert_eq!(
            long[tidy(long, &(0..long.len()), &(0..long.len()))].split(' ').count(),
            15
        );
        let permit = "许可证九十天内有效，费用1,200.50元。";
        let within = |words: &str| permit.find(words).map_or(0..0, |at| at..at + words.len());
        let tidied = |words: &str| &permit[tidy(permit, &(0..permit.len()), &within(words))];
        assert_eq!((tidied("十天"), tidied("200")), ("九十天", "1,200.50元"));
        let han = "这座桥建于一八七四年。";
        let year = han.find("一八七四年").map_or(0..0, |at| at..at + "一八七四年".len());
        assert_eq!(&han[tidy(han, &(0..han.len()), &year)], "一八七四年");
    }
}
