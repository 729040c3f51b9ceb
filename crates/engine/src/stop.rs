//! From token bytes to text that may be shown: whole characters only, and nothing that may turn out to be a stop string.
//!
//! Positions are byte offsets into the raw answer, so a token stays tied to its text while the text is held back.

use std::collections::VecDeque;

use crate::TokenLogprob;

/// Text that may be shown now, with the tokens it came from.
#[derive(Debug, Default)]
pub(crate) struct Released {
    /// Whole characters.
    pub(crate) text: String,
    /// Tokens whose text begins in it.
    pub(crate) tokens: Vec<TokenLogprob>,
}

/// The end of the answer so far, held back until it is known to be text.
#[derive(Debug)]
pub(crate) struct TextStream {
    stops: Vec<Vec<u8>>,
    held: Vec<u8>,
    /// Where `held` begins in the raw answer.
    start: usize,
    tokens: VecDeque<(usize, TokenLogprob)>,
    stopped: bool,
}

impl TextStream {
    /// A stream that ends before the first of `stops`.
    pub(crate) fn new(stops: &[String]) -> Self {
        let stops = stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .map(|stop| stop.clone().into_bytes())
            .collect();
        Self {
            stops,
            held: Vec::new(),
            start: 0,
            tokens: VecDeque::new(),
            stopped: false,
        }
    }

    /// Whether a stop string was met.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Adds a token's bytes; returns what may be shown.
    pub(crate) fn push(&mut self, bytes: &[u8], token: Option<TokenLogprob>) -> Released {
        if self.stopped {
            return Released::default();
        }
        let from = self.held.len();
        self.tokens.extend(token.map(|token| (self.start + from, token)));
        self.held.extend_from_slice(bytes);
        if let Some(at) = self.find_stop() {
            self.stopped = true;
            self.held.truncate(at);
            let limit = self.start + at;
            self.tokens.retain(|(begin, _)| *begin < limit);
            return self.release(self.held.len(), true);
        }
        let safe = self.held.len() - self.longest_stop_beginning();
        self.release(safe, false)
    }

    /// The rest, when the answer ends. A character that is still incomplete becomes U+FFFD.
    pub(crate) fn finish(&mut self) -> Released {
        self.release(self.held.len(), true)
    }

    /// The earliest stop string in what is held.
    fn find_stop(&self) -> Option<usize> {
        self.stops
            .iter()
            .filter_map(|stop| self.held.windows(stop.len()).position(|window| window == stop))
            .min()
    }

    /// Length of the longest end of `held` that begins some stop string.
    fn longest_stop_beginning(&self) -> usize {
        let longest = |stop: &Vec<u8>| {
            (1..stop.len().min(self.held.len() + 1))
                .rev()
                .find(|n| self.held.ends_with(&stop[..*n]))
                .unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }

    fn release(&mut self, upto: usize, last: bool) -> Released {
        let cut = if last {
            upto
        } else {
            upto - incomplete(&self.held[..upto])
        };
        let text = String::from_utf8_lossy(&self.held[..cut]).into_owned();
        self.held.drain(..cut);
        self.start += cut;
        let mut tokens = Vec::new();
        while self
            .tokens
            .front()
            .is_some_and(|(begin, _)| last || *begin < self.start || self.held.is_empty())
        {
            tokens.extend(self.tokens.pop_front().map(|(_, token)| token));
        }
        Released { text, tokens }
    }
}

/// How many bytes at the end are the beginning of a character that needs more.
pub(crate) fn incomplete(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let lead = bytes[bytes.len() - back];
        let needs = match lead {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        let tail = &bytes[bytes.len() - back..];
        // An error of no length means that all there is could still begin a character.
        let open = std::str::from_utf8(tail).is_err_and(|error| error.error_len().is_none());
        return if back < needs && open { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let mut stream = TextStream::new(&stops.iter().map(ToString::to_string).collect::<Vec<_>>());
        let mut out: Vec<String> = pieces.iter().map(|piece| stream.push(piece, None).text).collect();
        out.push(stream.finish().text);
        (out, stream.stopped())
    }

    #[test]
    fn a_stop_string_across_tokens_is_held_back_and_cut() {
        assert_eq!(
            run(&["END"], &[b"abE", b"N", b"Dxyz"]),
            (vec!["ab".into(), "".into(), "".into(), "".into()], true)
        );
    }

    #[test]
    fn what_only_looked_like_a_stop_string_is_given_out() {
        assert_eq!(run(&["END"], &[b"abE", b"N", b"T"]).0.concat(), "abENT");
        assert_eq!(run(&["END"], &[b"abEN"]).0, ["ab", "EN"]);
    }

    #[test]
    fn the_earliest_of_several_stop_strings_wins() {
        assert_eq!(
            run(&["later", "st"], &[b"first later"]),
            (vec!["fir".into(), "".into()], true)
        );
    }

    #[test]
    fn a_character_in_pieces_comes_out_whole() {
        let heart = "❤".as_bytes();
        assert_eq!(
            run(&[], &[&heart[..1], &heart[1..2], &heart[2..], b"!"]).0,
            ["", "", "❤", "!", ""]
        );
        assert_eq!(run(&[], &[&heart[..2]]).0, ["", "\u{FFFD}"]);
    }

    #[test]
    fn tokens_come_with_their_text_and_none_of_the_stop_string() {
        let token = |id| TokenLogprob {
            id: Some(id),
            text: String::new(),
            bytes: vec![],
            logprob: None,
            top: vec![],
        };
        let mut stream = TextStream::new(&["##".into()]);
        let ids = |released: Released| released.tokens.iter().filter_map(|token| token.id).collect::<Vec<_>>();
        assert_eq!(ids(stream.push(b"a", Some(token(1)))), [1]);
        assert_eq!(ids(stream.push(b"#", Some(token(2)))), [0u32; 0]);
        assert_eq!(ids(stream.push(b"b", Some(token(3)))), [2, 3]);
        assert_eq!(ids(stream.push(b"c#", Some(token(4)))), [4]);
        assert_eq!(ids(stream.push(b"#", Some(token(5)))), [0u32; 0]);
        assert!(stream.stopped());
        assert_eq!(ids(stream.finish()), [0u32; 0]);
    }

    proptest! {
        #[test]
        fn any_cut_into_tokens_gives_the_same_text(text in "[ab#é❤😀]{0,40}", cuts in proptest::collection::vec(1usize..5, 0..60), stop in "[ab#]{1,3}") {
            let bytes = text.as_bytes();
            let expected = text.split(&stop as &str).next().unwrap();
            let mut stream = TextStream::new(std::slice::from_ref(&stop));
            let mut out = String::new();
            let mut rest = bytes;
            for cut in cuts.iter().cycle().take(if cuts.is_empty() { 0 } else { 200 }) {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                out += &stream.push(piece, None).text;
                rest = after;
            }
            out += &stream.push(rest, None).text;
            out += &stream.finish().text;
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn bytes_that_are_no_text_never_break_the_stream(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..6), 0..40)) {
            let mut stream = TextStream::new(&["stop".into()]);
            let mut out = String::new();
            for piece in &pieces { out += &stream.push(piece, None).text; }
            out += &stream.finish().text;
            let all = String::from_utf8_lossy(&pieces.concat()).into_owned();
            if !stream.stopped() { prop_assert_eq!(out, all); }
        }
    }
}
