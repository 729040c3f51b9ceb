//! Tokenizers described by a tokenizer.json, run by the `tokenizers` crate. That crate and the regex engine under it may fail
//! or panic on hostile descriptions and on very long words; both end here, as an error at load or as smaller pieces later.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde_json::Value;

use super::bpe::chars_to_bytes;
use super::unicode::lossy;
use super::vocab::{Strings, TokenKind, Vocab, parse_byte_token};
use crate::Error;

/// Text is given to the crate whole up to this size; beyond it, it is cut first, where that changes nothing.
const WHOLE: usize = 1 << 16;
/// Where cutting is needed because the crate failed, pieces become no smaller than this.
const SMALLEST: usize = 64;
const MAX_TOKENS: usize = 1 << 22;

/// Two copies of a tokenizer: one finds special tokens in text, one takes them as text.
#[derive(Debug)]
pub(super) struct Json {
    special: tokenizers::Tokenizer,
    plain: tokenizers::Tokenizer,
    unknown: Option<u32>,
    seams: Seams,
}

/// Where text can be cut so that the parts' tokens are those of the whole, between letters or digits.
#[derive(Debug, Default)]
struct Seams {
    /// Behind a line end.
    lines: bool,
    /// Before a space.
    spaces: bool,
    /// At a space, which the part behind it gets again from the tokenizer (Llama 2 puts one before every text).
    dropped: bool,
}

/// What a tokenizer.json says, besides how to encode.
pub(super) struct Parts {
    pub(super) json: Json,
    pub(super) vocab: Vocab,
    pub(super) bytes: Strings,
    /// Tokens that its post-processor puts before and after a text.
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
    /// Its first token begins with a space that its decoder takes away again.
    pub(super) space_before: bool,
}

impl Json {
    /// Reads the description in `text`, the contents of the file at `path`. `outputs`: how many tokens the network knows.
    pub(super) fn parse(path: &Path, text: &[u8], outputs: Option<usize>) -> Result<Parts, Error> {
        let fail = |cause: &dyn std::fmt::Display| {
            Error::file(path, format!("is not a usable tokenizer.json: {cause}; get it again"))
        };
        let mut raw: Value = serde_json::from_slice(text).map_err(|e| fail(&e))?;
        let shortened = outputs.and_then(|outputs| without_tokens_from(&mut raw, outputs as u64));
        let text = shortened.as_deref().unwrap_or(text);
        let parsed = catch_unwind(|| tokenizers::Tokenizer::from_bytes(text))
            .map_err(|_| fail(&"the tokenizers library stopped on it"))?;
        let mut special = parsed.map_err(|e| fail(&e))?;
        special.with_truncation(None).map_err(|e| fail(&e))?;
        special.with_padding(None);
        let mut plain = special.clone();
        plain.set_encode_special_tokens(true);

        let added = special.get_added_tokens_decoder();
        let listed = special
            .get_vocab(true)
            .into_values()
            .max()
            .map_or(0, |max| max as usize + 1);
        if listed == 0 || listed > MAX_TOKENS {
            return Err(fail(&format!(
                "its highest token id is {listed}, 1 to {MAX_TOKENS} are possible"
            )));
        }
        let spelling = Spelling::of(&raw);
        let (mut texts, mut bytes, mut kinds) = (Strings::default(), Strings::default(), Vec::with_capacity(listed));
        for id in 0..listed as u32 {
            let token = special.id_to_token(id).unwrap_or_default();
            let kind = match added.get(&id) {
                Some(added) if added.special => TokenKind::Control,
                Some(_) => TokenKind::UserDefined,
                None if spelling == Spelling::Spm && parse_byte_token(token.as_bytes()).is_some() => TokenKind::Byte,
                None => TokenKind::Normal,
            };
            bytes.push(&spelling.bytes(&token, kind));
            texts.push(token.as_bytes());
            kinds.push(kind);
        }
        let vocab = Vocab::new(texts, kinds);
        let unknown = raw
            .pointer("/model/unk_token")
            .and_then(Value::as_str)
            .and_then(|t| vocab.id(t.as_bytes()));
        let mut json = Self {
            special,
            plain,
            unknown,
            seams: Seams::default(),
        };
        json.seams = json.seams();
        let (before, after) = json.frame();
        // Its own decoder knows.
        let space_before = json.try_encode("a", true, false).is_some_and(|ids| {
            let ours = ids.first().map(|&id| bytes.get(id)).unwrap_or_default();
            let theirs = catch_unwind(AssertUnwindSafe(|| json.special.decode(&ids, false)));
            ours.starts_with(b" ") && matches!(theirs, Ok(Ok(text)) if !text.starts_with(' '))
        });
        Ok(Parts {
            json,
            vocab,
            bytes,
            before,
            after,
            space_before,
        })
    }

    /// Appends the tokens of `text`.
    pub(super) fn encode(&self, text: &[u8], special: bool, out: &mut Vec<u32>) {
        let text = lossy(text);
        let mut rest: &str = &text;
        while let Some(seam) = self.seams.find(rest) {
            self.encode_part(&rest[..seam], special, out);
            let space = self.seams.dropped && rest[seam..].starts_with(' ');
            rest = &rest[seam + usize::from(space)..];
        }
        self.encode_part(rest, special, out);
    }

    /// Tries out where text can be cut.
    fn seams(&self) -> Seams {
        let ids = |parts: &[&str]| {
            let parts: Option<Vec<_>> = parts.iter().map(|part| self.try_encode(part, true, false)).collect();
            parts.map(|parts| parts.concat())
        };
        let same = |whole: &str, parts: &[&str]| {
            let whole = ids(&[whole]);
            whole.is_some() && whole == ids(parts)
        };
        let spaces = same("ab cd 12", &["ab", " cd", " 12"]);
        Seams {
            lines: same("ab\ncd\n\n12", &["ab\n", "cd\n\n", "12"]),
            spaces,
            dropped: !spaces && same("ab cd 12", &["ab", "cd", "12"]),
        }
    }

    fn encode_part(&self, text: &str, special: bool, out: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        match self.try_encode(text, special, false) {
            Some(ids) => out.extend(ids),
            None if text.len() > SMALLEST => {
                let (head, tail) = text.split_at(cut_before(text, text.len() / 2));
                self.encode_part(head, special, out);
                self.encode_part(tail, special, out);
            }
            None => out.extend(self.unknown),
        }
    }

    fn try_encode(&self, text: &str, special: bool, framed: bool) -> Option<Vec<u32>> {
        let tokenizer = if special { &self.special } else { &self.plain };
        let encoded = catch_unwind(AssertUnwindSafe(|| tokenizer.encode_fast(text, framed)))
            .ok()?
            .ok()?;
        Some(encoded.get_ids().to_vec())
    }

    /// What the post-processor adds, seen on a text of one letter.
    fn frame(&self) -> (Vec<u32>, Vec<u32>) {
        let both = self.try_encode("a", true, false).zip(self.try_encode("a", true, true));
        let Some((bare, framed)) = both.filter(|(bare, _)| !bare.is_empty()) else {
            return Default::default();
        };
        match framed.windows(bare.len()).position(|window| window == bare) {
            Some(at) => (framed[..at].to_vec(), framed[at + bare.len()..].to_vec()),
            None => Default::default(),
        }
    }
}

impl Seams {
    /// The last seam within `WHOLE` bytes of a longer text, or the first behind them.
    fn find(&self, text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        if bytes.len() <= WHOLE {
            return None;
        }
        // Letters and digits of ASCII: what else stands beside a space may belong to it.
        let word = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_alphanumeric);
        let seam = |&i: &usize| match bytes[i - 1..] {
            [b'\n', ..] => self.lines && word(i),
            [_, b' ', ..] => (self.spaces || self.dropped) && word(i - 1) && word(i + 1),
            _ => false,
        };
        (WHOLE / 2..WHOLE)
            .rev()
            .find(seam)
            .or_else(|| (WHOLE..bytes.len()).find(seam))
    }
}

/// The description without added tokens that the network has no row for (Gemma 3's small models know no image, their
/// tokenizer does); `None` where there are none such.
fn without_tokens_from(raw: &mut Value, outputs: u64) -> Option<Vec<u8>> {
    let added = raw.get_mut("added_tokens")?.as_array_mut()?;
    let mut dropped = Vec::new();
    added.retain(|token| match token.get("id").and_then(Value::as_u64) {
        Some(id) if id >= outputs => {
            dropped.extend(token.get("content").and_then(Value::as_str).map(str::to_owned));
            false
        }
        _ => true,
    });
    if dropped.is_empty() {
        return None;
    }
    if let Some(vocab) = raw.pointer_mut("/model/vocab").and_then(Value::as_object_mut) {
        vocab.retain(|text, id| !dropped.contains(text) || id.as_u64().is_none_or(|id| id < outputs));
    }
    serde_json::to_vec(raw).ok()
}

/// A place to cut at or before `at`, where the crate failed on the whole: behind a line end, before a space, or else between characters.
fn cut_before(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    let head = &text[..at];
    let best = head
        .rfind('\n')
        .map(|i| i + 1)
        .or_else(|| head.rfind(' '))
        .filter(|&i| i > at / 2)
        .unwrap_or(at);
    if best == 0 {
        text.chars().next().map_or(0, char::len_utf8)
    } else {
        best
    }
}

/// How token texts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// Bytes as GPT-2's characters.
    Bytes,
    /// `▁` for a space, `<0xNN>` for a byte.
    Spm,
    /// `##` before a continuation.
    WordPiece,
}

impl Spelling {
    fn of(raw: &Value) -> Self {
        let mentions = |part: &str, what: &str| raw.get(part).is_some_and(|part| part.to_string().contains(what));
        if mentions("decoder", "\"ByteLevel\"") || mentions("pre_tokenizer", "\"ByteLevel\"") {
            Self::Bytes
        } else if raw.pointer("/model/type").and_then(Value::as_str) == Some("WordPiece") {
            Self::WordPiece
        } else {
            Self::Spm
        }
    }

    fn bytes(self, token: &str, kind: TokenKind) -> Vec<u8> {
        match (self, kind) {
            (Self::Spm, TokenKind::Byte) => parse_byte_token(token.as_bytes()).into_iter().collect(),
            (_, TokenKind::Control | TokenKind::UserDefined) => token.as_bytes().to_vec(),
            (Self::Bytes, _) => chars_to_bytes(token.as_bytes()).unwrap_or_else(|| token.as_bytes().to_vec()),
            (Self::Spm, _) => token.replace('\u{2581}', " ").into_bytes(),
            (Self::WordPiece, _) => match token.strip_prefix("##") {
                Some(rest) => rest.as_bytes().to_vec(),
                None => format!(" {token}").into_bytes(),
            },
        }
    }
}
