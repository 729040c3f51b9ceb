//! The order of joins for both merging tokenizers: smallest key first, leftmost first among equals. Short words use one heap. In
//! very long ones the same few keys come up millions of times, mostly from left to right, so there each key has a
//! queue of its own and a pop costs next to nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Words with more symbols than this are long.
const LONG: usize = 1 << 12;

/// Places to look at, by key.
#[derive(Default)]
pub(super) struct Queue {
    long: bool,
    heap: BinaryHeap<Reverse<(u32, u32)>>,
    /// Keys that have a bucket.
    keys: BinaryHeap<Reverse<u32>>,
    buckets: hashbrown::HashMap<u32, Bucket>,
}

#[derive(Default)]
struct Bucket {
    ascending: VecDeque<u32>,
    late: BinaryHeap<Reverse<u32>>,
}

impl Queue {
    /// Empties it for a word of `symbols` symbols.
    pub(super) fn reset(&mut self, symbols: usize) {
        self.long = symbols > LONG;
        self.heap.clear();
        self.keys.clear();
        self.buckets.clear();
    }

    pub(super) fn push(&mut self, key: u32, at: u32) {
        if !self.long {
            self.heap.push(Reverse((key, at)));
            return;
        }
        let keys = &mut self.keys;
        let bucket = self.buckets.entry(key).or_insert_with(|| {
            keys.push(Reverse(key));
            Bucket::default()
        });
        if bucket.ascending.back().is_none_or(|&last| last <= at) {
            bucket.ascending.push_back(at);
        } else {
            bucket.late.push(Reverse(at));
        }
    }

    pub(super) fn pop(&mut self) -> Option<(u32, u32)> {
        if !self.long {
            return self.heap.pop().map(|Reverse(entry)| entry);
        }
        loop {
            let &Reverse(key) = self.keys.peek()?;
            let bucket = self.buckets.get_mut(&key)?;
            let at = match (bucket.ascending.front(), bucket.late.peek()) {
                (Some(&first), Some(&Reverse(late))) if late < first => bucket.late.pop().map(|Reverse(at)| at),
                (Some(_), _) => bucket.ascending.pop_front(),
                (None, _) => bucket.late.pop().map(|Reverse(at)| at),
            };
            match at {
                Some(at) => return Some((key, at)),
                None => {
                    self.buckets.remove(&key);
                    self.keys.pop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_words_are_joined_in_the_same_order() {
        let entries: Vec<(u32, u32)> = (0..5000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 28, i.wrapping_mul(40_503) % 5000))
            .collect();
        let order = |symbols| {
            let mut queue = Queue::default();
            queue.reset(symbols);
            let mut out = Vec::new();
            for chunk in entries.chunks(7) {
                chunk.iter().for_each(|&(key, at)| queue.push(key, at));
                out.extend(queue.pop());
            }
            out.extend(std::iter::from_fn(|| queue.pop()));
            out
        };
        assert_eq!(order(1), order(LONG + 1));
    }
}
