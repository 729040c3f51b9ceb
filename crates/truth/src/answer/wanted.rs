//! What kind of answer a question asks for, and whether words are of that kind: exact rules for English, and a few for
//! Chinese. A question of no known kind says nothing.

use crate::words::is_cjk;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// How many, how much, how long.
    Number,
    /// When, which year.
    Date,
    /// Who.
    Name,
    /// Where.
    Place,
    /// Anything else.
    Open,
}

const NUMBERS: &[&str] = &[
    "how many",
    "how much",
    "how long",
    "how old",
    "how far",
    "how tall",
    "how large",
    "how big",
    "how high",
    "how often",
    "how fast",
    "how deep",
    "how wide",
    "what percent",
    "what number",
    "what portion",
    "what proportion",
    "what fraction",
    "what amount",
    "what is the population",
    "what was the population",
    "多少",
    "几个",
    "几次",
    "多长",
    "多大",
    "多高",
];
const DATES: &[&str] = &[
    "when ",
    "what year",
    "which year",
    "what date",
    "which date",
    "what day",
    "which day",
    "what month",
    "which month",
    "what century",
    "which century",
    "what decade",
    "which decade",
    "what time",
    "何时",
    "什么时候",
    "哪一年",
    "哪年",
    "什么时间",
];
const NAMES: &[&str] = &["who ", "whom ", "whose ", "which person", "谁", "哪位"];
const PLACES: &[&str] = &[
    "where ",
    "which country",
    "what country",
    "which city",
    "what city",
    "哪里",
    "哪个国家",
    "哪个城市",
    "什么地方",
];
const NUMBER_WORDS: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "hundreds",
    "thousand",
    "thousands",
    "million",
    "millions",
    "billion",
    "dozen",
    "half",
    "third",
    "quarter",
    "once",
    "twice",
    "double",
    "couple",
    "several",
];
const TIME_WORDS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "century",
    "centuries",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "today",
    "yesterday",
    "spring",
    "summer",
    "autumn",
    "winter",
    "night",
    "morning",
    "midnight",
    "noon",
    "year",
    "years",
    "decade",
    "era",
    "age",
];

/// Why, how, what somebody did: asked for is a whole sentence and no word of it.
const EXPLANATIONS: &[&str] = &[
    "why ",
    "how ",
    "what did",
    "what does",
    "what do ",
    "what will",
    "what would",
    "what happen",
    "为什么",
    "为何",
    "怎么",
    "怎样",
    "如何",
];

/// A question in lower case, with spaces for what is no letter or digit, and one at the end.
fn plain(question: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || c == '\'' { c } else { ' ' };
    question.to_lowercase().chars().map(plain).chain([' ']).collect()
}

/// Whether one of the phrases stands in a plain question, beginning where a word begins.
fn has(question: &str, list: &[&str]) -> bool {
    list.iter().any(|phrase| {
        question
            .find(phrase)
            .is_some_and(|at| phrase.starts_with(is_cjk) || at == 0 || !question[..at].ends_with(char::is_alphanumeric))
    })
}

/// Whether `question` asks for an explanation.
pub(crate) fn explains(question: &str) -> bool {
    let question = plain(question);
    has(&question, EXPLANATIONS) && !has(&question, NUMBERS)
}

impl Wanted {
    /// What `question` asks for.
    pub(crate) fn of(question: &str) -> Self {
        let question = plain(question);
        [
            (NUMBERS, Self::Number),
            (DATES, Self::Date),
            (NAMES, Self::Name),
            (PLACES, Self::Place),
        ]
        .into_iter()
        .find(|(list, _)| has(&question, list))
        .map_or(Self::Open, |(_, wanted)| wanted)
    }

    /// 1 where `words` are of this kind, -1 where they are not, 0 where nothing is known.
    pub(crate) fn fits(self, words: &str) -> f32 {
        let digits = words
            .chars()
            .any(|c| c.is_ascii_digit() || "一二三四五六七八九十百千万亿两".contains(c));
        let has = |list: &[&str]| {
            let mut parts = words.split(|c: char| !c.is_alphanumeric());
            parts.any(|part| list.contains(&part.to_lowercase().as_str()))
        };
        let fits = match self {
            Self::Number => digits || has(NUMBER_WORDS),
            Self::Date => digits || has(TIME_WORDS),
            Self::Name | Self::Place => words.chars().any(|c| c.is_uppercase() || is_cjk(c)),
            Self::Open => return 0.0,
        };
        if fits { 1.0 } else { -1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Wanted, explains};

    #[test]
    fn the_question_word_says_what_is_wanted() {
        assert_eq!(Wanted::of("How many rooms does it have?"), Wanted::Number);
        assert_eq!(Wanted::of("In what year was it built?"), Wanted::Date);
        assert_eq!(Wanted::of("Who built it?"), Wanted::Name);
        assert_eq!(Wanted::of("Where?"), Wanted::Place);
        assert_eq!(Wanted::of("What is a valve?"), Wanted::Open);
        assert_eq!(Wanted::of("这座桥是哪一年建的？"), Wanted::Date);
        assert_eq!(Wanted::of("Somewhere else, nowhere?"), Wanted::Open);
    }

    #[test]
    fn a_question_that_wants_a_whole_sentence_is_told_from_one_that_wants_a_word() {
        for question in [
            "Why was the king sad?",
            "How did she feel?",
            "What did he do then?",
            "他为什么走了？",
        ] {
            assert!(explains(question), "{question}");
        }
        for question in [
            "How many arches has it?",
            "What is a valve?",
            "Who showed him?",
            "谁造的？",
        ] {
            assert!(!explains(question), "{question}");
        }
    }

    #[test]
    fn words_fit_what_is_wanted_or_do_not() {
        assert!(Wanted::Number.fits("about seven") > 0.0 && Wanted::Number.fits("the mill") < 0.0);
        assert!(Wanted::Date.fits("in May 1874") > 0.0 && Wanted::Date.fits("oak") < 0.0);
        assert!(Wanted::Name.fits("Anna Keller") > 0.0 && Wanted::Name.fits("a miller") < 0.0);
        assert!(Wanted::Open.fits("anything").abs() < f32::EPSILON);
    }
}
