//! Which calibration judges a question: the reader and the vectors know English, so a question in Chinese has other signals
//! that mean something, and another fit; so has one in English where there are no vectors. English's were fitted on XQuAD and
//! FairytaleQA (`candor eval english --fit`, for the second one with `CANDOR_SOURCES_MEANING=false`), Chinese's on XQuAD and
//! the part of CMRC 2018 that is meant for it (`candor eval chinese --fit`).

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use crate::words::mostly_cjk;

const ENGLISH: &str = include_str!("../../weights/calibration.json");
const BY_WORDS: &str = include_str!("../../weights/calibration.words.json");
const CHINESE: &str = include_str!("../../weights/calibration.zh.json");

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Of whatever is not mostly in a script without spaces.
    English,
    /// Of the same, where no model makes vectors.
    EnglishByWords,
    /// Of what is mostly Chinese, or Japanese or Korean, which no fit knows better.
    Chinese,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::English, Self::EnglishByWords, Self::Chinese];

    /// A question's; `by_meaning` says whether there are vectors.
    pub fn of(question: &str, by_meaning: bool) -> Self {
        match (mostly_cjk(question), by_meaning) {
            (true, _) => Self::Chinese,
            (false, true) => Self::English,
            (false, false) => Self::EnglishByWords,
        }
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::EnglishByWords => "English (by words alone)",
            Self::Chinese => "Chinese",
        }
    }
}

/// A calibration for each kind of question.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibrations {
    /// Of questions in English.
    pub english: Calibration,
    /// Of questions in English without vectors; earlier versions did not write it.
    #[serde(default = "shipped_by_words")]
    pub english_by_words: Calibration,
    /// Of questions in Chinese.
    pub chinese: Calibration,
}

fn shipped(json: &str) -> Calibration {
    Calibration::read(json.as_bytes()).unwrap_or_default()
}

fn shipped_by_words() -> Calibration {
    shipped(BY_WORDS)
}

impl Calibrations {
    /// Those that come with the program.
    pub fn shipped() -> Self {
        Self {
            english: shipped(ENGLISH),
            english_by_words: shipped_by_words(),
            chinese: shipped(CHINESE),
        }
    }

    /// One for all questions.
    pub fn all(one: Calibration) -> Self {
        Self {
            english: one.clone(),
            english_by_words: one.clone(),
            chinese: one,
        }
    }

    /// From their JSON; `None` where that is none, or was fitted on other signals. One calibration alone, which earlier
    /// versions wrote, is of English questions.
    pub fn read(json: &[u8]) -> Option<Self> {
        if let Some(english) = Calibration::read(json) {
            return Some(Self {
                english,
                ..Self::shipped()
            });
        }
        let read: Self = serde_json::from_slice(json).ok()?;
        let fit = Which::ALL.iter().all(|which| read.by(*which).fits_signals());
        fit.then_some(read)
    }

    /// One of them.
    pub fn by(&self, which: Which) -> &Calibration {
        match which {
            Which::English => &self.english,
            Which::EnglishByWords => &self.english_by_words,
            Which::Chinese => &self.chinese,
        }
    }

    /// Puts another in the place of one.
    pub fn put(&mut self, which: Which, one: Calibration) {
        match which {
            Which::English => self.english = one,
            Which::EnglishByWords => self.english_by_words = one,
            Which::Chinese => self.chinese = one,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::answer::Dial;

    #[test]
    fn what_comes_with_the_program_fits_the_signals_it_computes() {
        let shipped = Calibrations::shipped();
        for which in Which::ALL {
            let one = shipped.by(which);
            assert!(
                !one.points.is_empty() && one.threshold(Dial(Some(0.1))).is_some(),
                "{}",
                which.name()
            );
        }
        assert_ne!(shipped.english, shipped.chinese);
        assert_ne!(shipped.english, shipped.english_by_words);
    }

    #[test]
    fn a_question_is_judged_by_the_calibration_of_its_language_and_of_what_was_compared() {
        assert_eq!(Which::of("Who built the lighthouse (灯塔)?", true), Which::English);
        assert_eq!(
            Which::of("谁在 1874 年建造了灯塔（lighthouse）？", true),
            Which::Chinese
        );
        assert_eq!(Which::of("谁建造了灯塔？", false), Which::Chinese);
        assert_eq!(Which::of("1874?", false), Which::EnglishByWords);
    }

    #[test]
    fn they_are_read_back_as_written_and_one_alone_is_of_english() {
        let shipped = Calibrations::shipped();
        let mut own = shipped.clone();
        own.english.points.truncate(3);
        assert_eq!(Calibrations::read(&serde_json::to_vec(&own).unwrap()).unwrap(), own);
        let alone = Calibrations::read(&serde_json::to_vec(&own.english).unwrap()).unwrap();
        assert_eq!((alone.english, alone.chinese), (own.english.clone(), shipped.chinese));
        let mut of_before = serde_json::to_value(&own).unwrap();
        of_before.as_object_mut().unwrap().remove("english_by_words");
        assert_eq!(
            Calibrations::read(&serde_json::to_vec(&of_before).unwrap()).unwrap(),
            own
        );
        own.chinese.features.pop();
        assert_eq!(Calibrations::read(&serde_json::to_vec(&own).unwrap()), None);
        assert_eq!(Calibrations::read(b"{}"), None);
    }
}
