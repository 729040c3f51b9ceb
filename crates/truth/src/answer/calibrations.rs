//! Which calibration judges a question: the reader and the vectors know English, so a question in Chinese has other signals
//! that mean something, and another fit. English's was fitted on XQuAD and FairytaleQA (`candor eval english --fit`), Chinese's
//! on XQuAD and the part of CMRC 2018 that is meant for it (`candor eval chinese --fit`).

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use crate::words::mostly_cjk;

const ENGLISH: &str = include_str!("../../weights/calibration.json");
const CHINESE: &str = include_str!("../../weights/calibration.zh.json");

/// What a question is written in, as far as calibrations tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Whatever is not mostly in a script without spaces.
    English,
    /// Mostly Chinese, or Japanese or Korean, which no fit knows better.
    Chinese,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// A question's.
    pub fn of(question: &str) -> Self {
        if mostly_cjk(question) {
            Self::Chinese
        } else {
            Self::English
        }
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "Chinese",
        }
    }
}

/// A calibration for each language.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibrations {
    /// Of questions in English.
    pub english: Calibration,
    /// Of questions in Chinese.
    pub chinese: Calibration,
}

impl Calibrations {
    /// Those that come with the program.
    pub fn shipped() -> Self {
        let read = |json: &str| Calibration::read(json.as_bytes()).unwrap_or_default();
        Self {
            english: read(ENGLISH),
            chinese: read(CHINESE),
        }
    }

    /// One for all questions.
    pub fn all(one: Calibration) -> Self {
        Self {
            english: one.clone(),
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
        (read.english.fits_signals() && read.chinese.fits_signals()).then_some(read)
    }

    /// The one that judges a question.
    pub fn of(&self, question: &str) -> &Calibration {
        self.by(Language::of(question))
    }

    /// The one of a language.
    pub fn by(&self, language: Language) -> &Calibration {
        match language {
            Language::English => &self.english,
            Language::Chinese => &self.chinese,
        }
    }

    /// Puts another in the place of a language's.
    pub fn put(&mut self, language: Language, one: Calibration) {
        match language {
            Language::English => self.english = one,
            Language::Chinese => self.chinese = one,
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
        for language in Language::ALL {
            let one = shipped.by(language);
            assert!(
                !one.points.is_empty() && one.threshold(Dial(Some(0.1))).is_some(),
                "{}",
                language.name()
            );
        }
        assert_ne!(shipped.english, shipped.chinese);
    }

    #[test]
    fn a_question_is_judged_by_the_calibration_of_its_language() {
        let shipped = Calibrations::shipped();
        assert_eq!(shipped.of("Who built the lighthouse (灯塔)?"), &shipped.english);
        assert_eq!(shipped.of("谁在 1874 年建造了灯塔（lighthouse）？"), &shipped.chinese);
        assert_eq!(shipped.of("1874?"), &shipped.english);
    }

    #[test]
    fn both_are_read_back_as_written_and_one_alone_is_of_english() {
        let shipped = Calibrations::shipped();
        let mut own = shipped.clone();
        own.english.points.truncate(3);
        assert_eq!(Calibrations::read(&serde_json::to_vec(&own).unwrap()).unwrap(), own);
        let alone = Calibrations::read(&serde_json::to_vec(&own.english).unwrap()).unwrap();
        assert_eq!((alone.english, alone.chinese), (own.english.clone(), shipped.chinese));
        own.chinese.features.pop();
        assert_eq!(Calibrations::read(&serde_json::to_vec(&own).unwrap()), None);
        assert_eq!(Calibrations::read(b"{}"), None);
    }
}
