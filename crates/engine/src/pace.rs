//! How much of a step prompts may take while answers are being written. It knows no requests, only counts and times.
//!
//! A token deep in a long prompt costs ten times what one at its beginning does, since attention reads all that came
//! before, and other programs slow the machine at any time. So the size of a step follows the clock: prompts get as many
//! tokens as took at most `STEP` the last time, and who reads an answer waits no longer for its next word. That alone
//! would leave answers one word per `STEP` for as long as a long prompt is read, so what it takes after its start it
//! owes: steps go on without it for the same time before it gets its next part. No result depends on where a prompt is cut.

use candor_model::PAGE_TOKENS;

/// Seconds of a step in which answers and prompts are computed together. Where answers alone take longer, twice that.
const STEP: f64 = 0.15;
/// Tokens of a prompt that are computed without owing: most prompts are shorter, and their first word should come soon.
pub(crate) const START: usize = 1024;

/// Tokens of a step, by whom they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Portions {
    /// Of answers.
    pub(crate) answers: usize,
    /// Of prompts.
    pub(crate) prompts: usize,
    /// Of these, beyond a prompt's first `START` tokens.
    pub(crate) beyond: usize,
}

/// What the steps so far say about the next.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Most tokens of a step, whatever the clock says.
    most: usize,
    /// Prompt tokens for which there is time beside answers.
    tokens: usize,
    /// Seconds that answers alone took last.
    alone: f64,
    /// Seconds that long prompts owe to answers.
    owed: f64,
}

impl Pace {
    /// At first every step has room for `most` tokens.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            tokens: most.max(1),
            alone: 0.0,
            owed: 0.0,
        }
    }

    /// Prompt tokens for the next step beside `answers` that get one each; never none, so that prompts go on.
    pub(crate) fn room(&self, answers: usize) -> usize {
        let room = if answers > 0 { self.tokens } else { self.most };
        room.min(self.most.saturating_sub(answers))
            .max(PAGE_TOKENS.min(self.most))
    }

    /// Whether prompts beyond their start must let `answers` go first.
    pub(crate) fn owes(&self, answers: usize) -> bool {
        answers > 0 && self.owed > 0.0
    }

    /// Learns from a step that took `seconds`.
    pub(crate) fn took(&mut self, step: Portions, seconds: f64) {
        if step.beyond == 0 {
            // Short prompts pay back too, or those that keep coming would shut a long one out.
            self.owed = (self.owed - seconds).max(0.0);
        }
        if step.prompts == 0 {
            self.alone = seconds;
            return;
        }
        let limit = STEP.max(2.0 * self.alone);
        let fits = (step.prompts as f64 * limit / seconds.max(1e-6)) as usize;
        self.tokens = if seconds > limit {
            self.tokens.min(fits).max(PAGE_TOKENS.min(self.most))
        } else {
            // A few cheap tokens say little about many: up by steps.
            self.tokens.max(fits.min(2 * self.tokens)).min(self.most)
        };
        self.owed = if step.answers > 0 {
            let own = (seconds - self.alone).max(0.0);
            self.owed + own * step.beyond as f64 / step.prompts as f64
        } else {
            0.0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside_answers(prompts: usize, beyond: usize) -> Portions {
        Portions {
            answers: 4,
            prompts,
            beyond,
        }
    }

    #[test]
    fn deeper_prompts_get_fewer_tokens_and_shallow_ones_more_again() {
        let mut pace = Pace::new(256);
        assert_eq!(pace.room(4), 252);
        assert_eq!(pace.room(0), 256);
        pace.took(beside_answers(252, 0), 1.5);
        assert_eq!(pace.room(4), 25);
        assert_eq!(pace.room(0), 256, "nobody waits");
        pace.took(beside_answers(25, 0), 0.01);
        assert_eq!(pace.room(4), 50, "up by steps");
        (0..5).for_each(|_| pace.took(beside_answers(25, 0), 0.01));
        assert_eq!(pace.room(4), 252);
    }

    #[test]
    fn a_short_end_of_a_prompt_takes_no_room_from_the_next() {
        let mut pace = Pace::new(256);
        pace.took(beside_answers(2, 0), 0.012);
        assert_eq!(pace.room(4), 252);
    }

    #[test]
    fn prompts_go_on_however_slow_the_machine_is() {
        let mut pace = Pace::new(256);
        (0..9).for_each(|_| pace.took(beside_answers(64, 0), 1e4));
        assert_eq!(pace.room(200), PAGE_TOKENS);
        assert_eq!(pace.room(1000), PAGE_TOKENS);
        let mut small = Pace::new(5);
        small.took(beside_answers(5, 5), 100.0);
        assert_eq!(small.room(9), 5);
    }

    #[test]
    fn where_answers_alone_are_slow_a_step_may_take_twice_as_long() {
        let mut pace = Pace::new(256);
        pace.took(beside_answers(0, 0), 0.5);
        pace.took(beside_answers(100, 0), 1.0);
        assert_eq!(pace.room(4), 252);
        pace.took(beside_answers(100, 0), 2.0);
        assert_eq!(pace.room(4), 50);
    }

    #[test]
    fn a_long_prompt_gives_back_the_time_that_it_takes_after_its_start() {
        let mut pace = Pace::new(256);
        pace.took(beside_answers(0, 0), 0.01);
        pace.took(beside_answers(200, 0), 0.11);
        assert!(!pace.owes(4), "its start is free");
        pace.took(beside_answers(200, 100), 0.11); // half of a tenth of a second
        for _ in 0..5 {
            assert!(pace.owes(4) && !pace.owes(0));
            pace.took(beside_answers(0, 0), 0.01);
        }
        pace.took(beside_answers(0, 0), 0.01);
        assert!(!pace.owes(4));
        pace.took(beside_answers(200, 200), 0.11);
        pace.took(beside_answers(100, 0), 0.11);
        assert!(!pace.owes(4), "short prompts do not shut it out");
        pace.took(beside_answers(200, 200), 0.11);
        let alone = Portions {
            answers: 0,
            ..beside_answers(200, 200)
        };
        pace.took(alone, 0.1);
        assert!(!pace.owes(4), "nobody waited for it");
    }
}
