//! What the reader has read, so that it reads no text twice: the passages that were put into order are quoted from next, and
//! an evaluation asks one question of many libraries.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use candor_kernels::team::Team;
use candor_model::PairEncoder;
use candor_model::pair::{Pair, States};

/// Pairs of a question and a passage with their last states, some 0.4 MB each. Clones share them.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<HashMap<Pair, Arc<States>>>>);

impl Seen {
    /// The states of each pair: those that were read before, and the others read now. They do not depend on what is read
    /// beside them.
    pub(crate) fn states(&self, reader: &PairEncoder, team: &Team, pairs: &[Pair]) -> Vec<Arc<States>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unread: HashSet<&Pair> = pairs.iter().filter(|pair| !known.contains_key(*pair)).collect();
        let unread: Vec<Pair> = unread.into_iter().cloned().collect();
        let read = reader.states(team, &unread).into_iter().map(Arc::new);
        known.extend(unread.into_iter().zip(read));
        pairs
            .iter()
            .filter_map(|pair| known.get(pair).map(Arc::clone))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Encoders;

    #[test]
    fn what_was_read_before_comes_back_to_the_bit_and_in_the_order_that_is_asked_for() {
        let encoders = Encoders::new(1);
        let reader = encoders.reader().unwrap();
        let pair = |passage: &str| reader.pair("Who built the mill?", passage);
        let pairs = [
            pair("It was built by Anna Keller."),
            pair("The mill has seven rooms, all of them empty."),
            pair("It was built by Anna Keller."),
        ];
        let alone = reader.states(encoders.team(), &pairs);
        let seen = Seen::default();
        seen.states(reader, encoders.team(), &pairs[1..2]);
        let again = seen.states(reader, encoders.team(), &pairs);
        assert_eq!(again.len(), 3);
        for ((pair, alone), again) in pairs.iter().zip(&alone).zip(&again) {
            let bits = |states: &States| -> Vec<u32> { states.pair(pair).iter().map(|x| x.to_bits()).collect() };
            assert_eq!(bits(alone), bits(again));
        }
        assert_eq!(seen.0.lock().unwrap().len(), 2);
    }
}
