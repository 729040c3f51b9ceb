//! SentencePiece with scores (Kudo & Richardson 2018), as Llama 2 and Gemma use it: the text starts as characters, the
//! neighbours whose joined text has the best score are joined until none is a token, and what is left without a token
//! is written byte by byte. A heap keeps this at n log n.

use super::queue::Queue;
use super::vocab::Vocab;

/// How SentencePiece writes a space.
const SPACE: &str = "\u{2581}";

/// Scores of a vocabulary's tokens.
#[derive(Debug)]
pub(super) struct Spm {
    /// As integers that sort like the scores.
    scores: Vec<u32>,
    /// The tokens `<0x00>` to `<0xFF>`, or of the bytes themselves.
    bytes: [Option<u32>; 256],
    unknown: Option<u32>,
    /// A space goes before the text and after every special token.
    pub(super) space_prefix: bool,
}

#[derive(Clone, Copy)]
struct Symbol {
    start: u32,
    len: u32,
    prev: u32,
    next: u32,
}

const NONE: u32 = u32::MAX;

impl Spm {
    pub(super) fn new(vocab: &Vocab, scores: &[f64], unknown: Option<u32>, space_prefix: bool) -> Self {
        let sortable = |id: usize| {
            let bits = scores.get(id).map_or(0, |&s| (s as f32).to_bits());
            if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
        };
        let byte = |b: usize| vocab.byte(b as u8).or_else(|| vocab.id(&[b as u8]));
        Self {
            scores: (0..vocab.len()).map(sortable).collect(),
            bytes: std::array::from_fn(byte),
            unknown,
            space_prefix,
        }
    }

    /// Appends the tokens of `text`. `first`: nothing or a special token stands before it.
    pub(super) fn encode(&self, vocab: &Vocab, text: &[u8], first: bool, out: &mut Vec<u32>) {
        let spaces = text.iter().filter(|&&b| b == b' ').count();
        let mut escaped = Vec::with_capacity(text.len() + 2 * spaces + 3);
        if self.space_prefix && first {
            escaped.extend_from_slice(SPACE.as_bytes());
        }
        for part in text.split_inclusive(|&b| b == b' ') {
            match part.strip_suffix(b" ") {
                Some(word) => {
                    escaped.extend_from_slice(word);
                    escaped.extend_from_slice(SPACE.as_bytes());
                }
                None => escaped.extend_from_slice(part),
            }
        }
        // Link fields are 32 bits wide; longer texts are cut (there are none: requests are far smaller).
        for part in escaped.chunks(1 << 30) {
            self.merge(vocab, part, out);
        }
    }

    fn merge(&self, vocab: &Vocab, text: &[u8], out: &mut Vec<u32>) {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
        let mut start = 0;
        while start < text.len() {
            let len = utf8_len(text[start]).min(text.len() - start);
            let i = symbols.len() as u32;
            symbols.push(Symbol {
                start: start as u32,
                len: len as u32,
                prev: i.wrapping_sub(1),
                next: i + 1,
            });
            start += len;
        }
        let Some(last) = symbols.last_mut() else { return };
        last.next = NONE;
        let piece = |s: Symbol| &text[s.start as usize..(s.start + s.len) as usize];
        // The best score comes first, so keys are scores upside down. An entry holds only while its pair has that score.
        let key = |symbols: &[Symbol], at: u32, right: u32| {
            let (l, r) = (symbols[at as usize], symbols[right as usize]);
            let id = vocab.id(&text[l.start as usize..(r.start + r.len) as usize])?;
            Some(!self.scores.get(id as usize).copied().unwrap_or(0))
        };
        let mut queue = Queue::default();
        queue.reset(symbols.len());
        for right in 1..symbols.len() as u32 {
            if let Some(key) = key(&symbols, right - 1, right) {
                queue.push(key, right - 1);
            }
        }
        while let Some((popped, at)) = queue.pop() {
            let l = symbols[at as usize];
            if l.len == 0 || l.next == NONE || key(&symbols, at, l.next) != Some(popped) {
                continue;
            }
            let r = symbols[l.next as usize];
            symbols[l.next as usize].len = 0;
            symbols[at as usize] = Symbol {
                len: l.len + r.len,
                next: r.next,
                ..l
            };
            if l.prev != NONE
                && let Some(key) = key(&symbols, l.prev, at)
            {
                queue.push(key, l.prev);
            }
            if r.next != NONE {
                symbols[r.next as usize].prev = at;
                if let Some(key) = key(&symbols, at, r.next) {
                    queue.push(key, at);
                }
            }
        }
        let mut at = 0;
        while at != NONE {
            let symbol = symbols[at as usize];
            match vocab.id(piece(symbol)) {
                Some(id) => out.push(id),
                None => out.extend(
                    piece(symbol)
                        .iter()
                        .filter_map(|&b| self.bytes[b as usize].or(self.unknown)),
                ),
            }
            at = symbol.next;
        }
    }
}

/// Bytes of a UTF-8 character by its first byte; 1 where none can begin so.
fn utf8_len(first: u8) -> usize {
    match first >> 4 {
        0xc | 0xd => 2,
        0xe => 3,
        0xf => 4,
        _ => 1,
    }
}
