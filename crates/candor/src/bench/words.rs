//! Prompts of a wished length, where a trace holds none: common English words from a seeded generator. Most tokenizers
//! have a token for each of them with the space before it; what a server really counts is what is reported.

use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const WORDS: [&str; 128] = [
    "the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "was", "with", "be", "by", "on", "not", "he",
    "his", "but", "at", "are", "this", "have", "from", "or", "had", "an", "they", "which", "one", "you", "were", "her",
    "all", "she", "there", "would", "their", "we", "him", "been", "has", "when", "who", "will", "more", "no", "if",
    "out", "so", "said", "what", "up", "its", "about", "into", "than", "them", "can", "only", "other", "new", "some",
    "could", "time", "these", "two", "may", "then", "do", "first", "any", "my", "now", "such", "like", "our", "over",
    "man", "me", "even", "most", "made", "after", "also", "did", "many", "before", "must", "through", "back", "years",
    "where", "much", "your", "way", "well", "down", "should", "because", "each", "just", "those", "people", "how",
    "too", "little", "state", "good", "very", "make", "world", "still", "own", "see", "men", "work", "long", "get",
    "here", "between", "both", "life", "being", "under", "never", "day", "same",
];

/// A generator whose words depend on nothing but `seed` and `stream`.
pub(crate) fn random(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    random
}

/// Appends `count` words, each after a space.
pub(crate) fn append(text: &mut String, count: usize, random: &mut impl Rng) {
    for _ in 0..count {
        text.push(' ');
        text.push_str(WORDS.choose(random).copied().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: usize, seed: u64, stream: u64) -> String {
        let mut text = String::new();
        append(&mut text, count, &mut random(seed, stream));
        text
    }

    #[test]
    fn a_seed_gives_the_same_words_and_another_stream_others() {
        assert_eq!(words(50, 1, 2), words(50, 1, 2));
        assert_ne!(words(50, 1, 2), words(50, 1, 3));
        assert_ne!(words(50, 1, 2), words(50, 2, 2));
        assert_eq!(words(50, 1, 2).split_whitespace().count(), 50);
    }

    #[test]
    fn no_word_is_there_twice() {
        let mut sorted = WORDS;
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
