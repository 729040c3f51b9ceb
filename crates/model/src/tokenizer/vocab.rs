//! The tokens of a vocabulary: their texts as the file has them, an index from text to id, and the bytes that each one
//! stands for in output.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Part of ordinary text.
    Normal,
    /// Stands for text that cannot be written otherwise.
    Unknown,
    /// Structure: never made from ordinary text.
    Control,
    /// Whole strings that are always matched.
    UserDefined,
    /// Not in use.
    Unused,
    /// One byte of text that has no token.
    Byte,
}

impl TokenKind {
    /// By GGUF's code; what is not known is normal.
    pub(super) fn from_code(code: i64) -> Self {
        match code {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }
}

/// Many byte strings in one allocation.
#[derive(Debug, Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    pub(super) fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len());
    }

    /// The string at `i`; empty where there is none.
    pub(super) fn get(&self, i: u32) -> &[u8] {
        let i = i as usize;
        let Some(&end) = self.ends.get(i) else { return &[] };
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start..end]
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// Texts by id and ids by text.
#[derive(Debug)]
pub(super) struct Vocab {
    texts: Strings,
    kinds: Vec<TokenKind>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    longest: usize,
}

impl Vocab {
    /// A vocabulary of these texts. Where a text stands twice, the later id is found.
    pub(super) fn new(texts: Strings, mut kinds: Vec<TokenKind>) -> Self {
        kinds.resize(texts.len(), TokenKind::Normal);
        let hasher = DefaultHashBuilder::default();
        let mut index = HashTable::with_capacity(texts.len());
        let mut longest = 0;
        for id in 0..texts.len() as u32 {
            let text = texts.get(id);
            longest = longest.max(text.len());
            let hash = hasher.hash_one(text);
            match index.find_mut(hash, |&other| texts.get(other) == text) {
                Some(other) => *other = id,
                None => {
                    index.insert_unique(hash, id, |&other| hasher.hash_one(texts.get(other)));
                }
            }
        }
        Self {
            texts,
            kinds,
            index,
            hasher,
            longest,
        }
    }

    /// The id of a text.
    pub(super) fn id(&self, text: &[u8]) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        self.index
            .find(self.hasher.hash_one(text), |&id| self.texts.get(id) == text)
            .copied()
    }

    /// The text of an id, as the file has it.
    pub(super) fn text(&self, id: u32) -> &[u8] {
        self.texts.get(id)
    }

    /// What the token is for.
    pub(super) fn kind(&self, id: u32) -> TokenKind {
        self.kinds.get(id as usize).copied().unwrap_or(TokenKind::Unused)
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Makes a token structure, whatever the file says of it.
    pub(super) fn make_control(&mut self, id: u32) {
        if let Some(kind) = self.kinds.get_mut(id as usize) {
            *kind = TokenKind::Control;
        }
    }

    /// The id of the byte token `<0xNN>`.
    pub(super) fn byte(&self, byte: u8) -> Option<u32> {
        self.id(format!("<0x{byte:02X}>").as_bytes())
    }
}

/// The byte that a byte token's text (`<0xNN>`) names.
pub(super) fn parse_byte_token(text: &[u8]) -> Option<u8> {
    let hex = text.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    if hex.len() != 2 {
        None
    } else {
        u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
    }
}
