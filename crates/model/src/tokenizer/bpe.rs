//! Byte-level byte-pair encoding (Sennrich et al. 2016; bytes as in GPT-2): each word starts as single bytes, and the
//! pair with the best rank is joined until none is left. A heap keeps this at n log n for a word of n bytes.

use std::collections::HashMap;

use super::queue::Queue;
use super::split::Split;
use super::unicode::lossy;
use super::vocab::Vocab;

/// A byte-pair tokenizer over a vocabulary.
#[derive(Debug)]
pub(super) struct Bpe {
    split: Split,
    /// (left, right) -> (rank, joined).
    merges: hashbrown::HashMap<(u32, u32), (u32, u32)>,
    /// The token of each single byte.
    bytes: [Option<u32>; 256],
    /// Whole words that are tokens need no merging (Llama 3).
    whole_words: bool,
}

/// GPT-2's way to write bytes as printable characters.
pub(super) fn byte_to_char(byte: u8) -> char {
    let (byte, shown) = (
        u32::from(byte),
        |b: u32| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff),
    );
    let code = if shown(byte) {
        byte
    } else {
        0x100 + (0..byte).filter(|&b| !shown(b)).count() as u32
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// A text written in GPT-2's characters, as bytes; `None` where a character is none of them.
pub(super) fn chars_to_bytes(text: &[u8]) -> Option<Vec<u8>> {
    static BACK: std::sync::OnceLock<HashMap<char, u8>> = std::sync::OnceLock::new();
    let back = BACK.get_or_init(|| (0..=255).map(|b| (byte_to_char(b), b)).collect());
    std::str::from_utf8(text)
        .ok()?
        .chars()
        .map(|c| back.get(&c).copied())
        .collect()
}

#[derive(Clone, Copy)]
struct Symbol {
    token: u32,
    prev: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;
/// A byte that has no token: it gives none, and its neighbours do not become one.
const MISSING: u32 = u32::MAX - 1;

impl Bpe {
    /// `merges` in order of rank, each as "left right".
    pub(super) fn new<'m>(
        vocab: &Vocab,
        split: Split,
        merges: impl Iterator<Item = &'m [u8]>,
        whole_words: bool,
    ) -> Self {
        let mut map = hashbrown::HashMap::new();
        for (rank, merge) in merges.enumerate() {
            // A space cannot be part of a token's text here, so the first one separates (but not one at the very start).
            let Some(space) = merge.iter().skip(1).position(|&b| b == b' ').map(|at| at + 1) else {
                continue;
            };
            let (left, right) = (&merge[..space], &merge[space + 1..]);
            let joined = [left, right].concat();
            if let (Some(left), Some(right), Some(joined)) = (vocab.id(left), vocab.id(right), vocab.id(&joined)) {
                map.entry((left, right)).or_insert((rank as u32, joined));
            }
        }
        let byte = |b: usize| vocab.id(byte_to_char(b as u8).encode_utf8(&mut [0; 4]).as_bytes());
        Self {
            split,
            merges: map,
            bytes: std::array::from_fn(byte),
            whole_words,
        }
    }

    /// Appends the tokens of `text`.
    pub(super) fn encode(&self, vocab: &Vocab, text: &[u8], out: &mut Vec<u32>) {
        let text = lossy(text);
        // Words repeat: the second time, their tokens are copied.
        let mut seen: hashbrown::HashMap<&str, (usize, usize)> = hashbrown::HashMap::new();
        let mut merger = Merger::default();
        self.split.words(&text, &mut |word| {
            if let Some(&(start, end)) = seen.get(word) {
                out.extend_from_within(start..end);
                return;
            }
            let start = out.len();
            self.word(vocab, word.as_bytes(), &mut merger, out);
            if word.len() <= 64 && word.len() > 1 {
                seen.insert(word, (start, out.len()));
            }
        });
    }

    fn word(&self, vocab: &Vocab, word: &[u8], merger: &mut Merger, out: &mut Vec<u32>) {
        if self.whole_words && word.len() <= 256 {
            let text: String = word.iter().map(|&b| byte_to_char(b)).collect();
            if let Some(id) = vocab.id(text.as_bytes()) {
                out.push(id);
                return;
            }
        }
        // Link fields are 32 bits wide; longer words are cut (there are none: requests are far smaller).
        for part in word.chunks(1 << 30) {
            let tokens = part.iter().map(|&b| self.bytes[b as usize].unwrap_or(MISSING));
            merger.run(&self.merges, tokens, out);
        }
    }
}

/// Memory of the merging loop, kept between words.
#[derive(Default)]
struct Merger {
    symbols: Vec<Symbol>,
    /// Left symbols of pairs, by rank; an entry holds only while the pair still has that rank.
    queue: Queue,
}

impl Merger {
    fn run(
        &mut self,
        merges: &hashbrown::HashMap<(u32, u32), (u32, u32)>,
        tokens: impl Iterator<Item = u32>,
        out: &mut Vec<u32>,
    ) {
        let Self { symbols, queue } = self;
        symbols.clear();
        symbols.extend(tokens.enumerate().map(|(i, token)| Symbol {
            token,
            prev: (i as u32).wrapping_sub(1),
            next: i as u32 + 1,
        }));
        let Some(last) = symbols.last_mut() else { return };
        last.next = NONE;
        queue.reset(symbols.len());
        for (at, pair) in symbols.windows(2).enumerate() {
            if let Some(&(rank, _)) = merges.get(&(pair[0].token, pair[1].token)) {
                queue.push(rank, at as u32);
            }
        }
        while let Some((rank, at)) = queue.pop() {
            let Symbol { token, prev, next } = symbols[at as usize];
            // A symbol that was joined away has the token NONE, which is in no merge.
            if token == NONE || next == NONE {
                continue;
            }
            let joined = match merges.get(&(token, symbols[next as usize].token)) {
                Some(&(now, joined)) if now == rank => joined,
                _ => continue,
            };
            let after = symbols[next as usize].next;
            symbols[next as usize].token = NONE;
            symbols[at as usize] = Symbol {
                token: joined,
                prev,
                next: after,
            };
            if prev != NONE
                && let Some(&(rank, _)) = merges.get(&(symbols[prev as usize].token, joined))
            {
                queue.push(rank, prev);
            }
            if after != NONE {
                symbols[after as usize].prev = at;
                if let Some(&(rank, _)) = merges.get(&(joined, symbols[after as usize].token)) {
                    queue.push(rank, at);
                }
            }
        }
        let mut at = 0;
        while at != NONE {
            let Symbol { token, next, .. } = symbols[at as usize];
            if token != MISSING {
                out.push(token);
            }
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_their_characters_are_one_to_one() {
        assert_eq!(
            (byte_to_char(b' '), byte_to_char(b'\n'), byte_to_char(b'a')),
            ('Ġ', 'Ċ', 'a')
        );
        for b in 0..=255 {
            assert_eq!(chars_to_bytes(byte_to_char(b).to_string().as_bytes()), Some(vec![b]));
        }
    }

    #[test]
    fn a_byte_without_a_token_is_left_out_and_keeps_its_neighbours_apart() {
        let mut texts = crate::tokenizer::Strings::default();
        ["a", "b", "ab"].iter().for_each(|text| texts.push(text.as_bytes()));
        let vocab = Vocab::new(texts, Vec::new());
        let bpe = Bpe::new(&vocab, Split::Gpt2, [&b"a b"[..]].into_iter(), false);
        let ids = |text: &str| {
            let mut out = Vec::new();
            bpe.encode(&vocab, text.as_bytes(), &mut out);
            out
        };
        assert_eq!((ids("ab"), ids("axb"), ids("x")), (vec![2], vec![0, 1], vec![]));
    }
}
