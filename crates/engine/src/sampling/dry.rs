//! DRY, "don't repeat yourself" (p-e-w, 2024): a token that would go on with a repetition is penalised by
//! multiplier * base^(length of the repetition - allowed length).
//!
//! The lengths come from the Z function of the reversed history, in time linear in it. A sequence breaker is looked for
//! inside single tokens; such a token ends a match.

use std::collections::{HashMap, HashSet};

use crate::Dry;
use crate::lexicon::Lexicon;

/// Powers stop here: base^50 is beyond any logit already, and must stay a number.
const LONGEST: u32 = 50;

/// Tokens that contain a sequence breaker.
pub(crate) fn breakers(dry: &Dry, lexicon: &dyn Lexicon) -> HashSet<u32> {
    let contains = |bytes: &[u8], needle: &[u8]| bytes.windows(needle.len().max(1)).any(|window| window == needle);
    let ids = 0..lexicon.vocab() as u32;
    ids.filter(|id| {
        dry.sequence_breakers
            .iter()
            .any(|text| contains(lexicon.bytes(*id), text.as_bytes()))
    })
    .collect()
}

/// Lowers the logits of tokens that would continue a repetition.
pub(crate) fn penalize(logits: &mut [f32], history: &[u32], dry: &Dry, breakers: &HashSet<u32>) {
    let mut longest: HashMap<u32, u32> = HashMap::new();
    let reach = history
        .iter()
        .rev()
        .take_while(|token| !breakers.contains(token))
        .count();
    let lengths = z_of_reversed(history);
    for (back, length) in lengths.iter().enumerate().skip(1) {
        let length = (*length).min(reach) as u32;
        if length > 0 && length >= dry.allowed_length {
            // `back` tokens before the end stands the end of an earlier match; the token after it is the repetition's.
            let next = history[history.len() - back];
            let entry = longest.entry(next).or_default();
            *entry = (*entry).max(length);
        }
    }
    for (token, length) in longest {
        let power = (length - dry.allowed_length).min(LONGEST);
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit -= (dry.multiplier * dry.base.powi(power as i32)).min(1e9);
        }
    }
}

/// For each distance back from the end: how many tokens before that point equal those before the end.
fn z_of_reversed(history: &[u32]) -> Vec<usize> {
    let n = history.len();
    let at = |i: usize| history[n - 1 - i];
    let mut z = vec![0; n];
    let (mut left, mut right) = (0, 0);
    for i in 1..n {
        if i < right {
            z[i] = (right - i).min(z[i - left]);
        }
        while i + z[i] < n && at(z[i]) == at(i + z[i]) {
            z[i] += 1;
        }
        if i + z[i] > right {
            (left, right) = (i, i + z[i]);
        }
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dry() -> Dry {
        Dry {
            multiplier: 1.0,
            base: 2.0,
            allowed_length: 2,
            sequence_breakers: vec![],
        }
    }

    #[test]
    fn a_token_that_continues_a_repetition_is_penalised_by_its_length() {
        let mut logits = [0.0; 10];
        penalize(&mut logits, &[1, 2, 3, 4, 9, 1, 2, 3], &dry(), &HashSet::new());
        assert_eq!(logits[4], -2.0); // a match of 3, one beyond what is free: 2^1
        assert_eq!(logits.iter().filter(|logit| **logit != 0.0).count(), 1);
    }

    #[test]
    fn short_repetitions_are_free_and_breakers_end_them() {
        let mut logits = [0.0; 10];
        penalize(&mut logits, &[3, 4, 9, 3], &dry(), &HashSet::new());
        penalize(&mut logits, &[1, 2, 3, 4, 9, 1, 2, 3], &dry(), &HashSet::from([2]));
        assert_eq!(logits, [0.0; 10]);
    }
}
