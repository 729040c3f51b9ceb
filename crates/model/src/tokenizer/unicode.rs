//! Classes of Unicode characters as the split patterns of tokenizers use them: `\p{L}`, `\p{N}`, `\p{P}`, `\s`.

use std::sync::OnceLock;

const LETTER: u8 = 1;
const NUMBER: u8 = 2;
const PUNCTUATION: u8 = 4;
const SPACE: u8 = 8;
const NONSPACING_MARK: u8 = 16;

/// Class bits of one character; zero for the end of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class(u8);

/// Every character's class, made once from the regex engine's tables.
static TABLE: OnceLock<Vec<u8>> = OnceLock::new();

fn table() -> &'static [u8] {
    TABLE.get_or_init(|| {
        let mut table = vec![0; 0x11_0000];
        let classes = [
            (r"\p{L}", LETTER),
            (r"\p{N}", NUMBER),
            (r"\p{P}", PUNCTUATION),
            (r"\s", SPACE),
            (r"\p{Mn}", NONSPACING_MARK),
        ];
        for (pattern, bit) in classes {
            let Ok(hir) = regex_syntax::parse(pattern) else {
                continue;
            };
            let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = hir.kind() else {
                continue;
            };
            for range in class.ranges() {
                table[range.start() as usize..=range.end() as usize]
                    .iter_mut()
                    .for_each(|bits| *bits |= bit);
            }
        }
        table
    })
}

/// The class of `c`.
pub(super) fn class(c: char) -> Class {
    Class(table()[c as usize])
}

impl Class {
    /// `\p{L}`
    pub(super) fn letter(self) -> bool {
        self.0 & LETTER != 0
    }
    /// `\p{N}`
    pub(super) fn number(self) -> bool {
        self.0 & NUMBER != 0
    }
    /// `\p{P}`
    pub(super) fn punctuation(self) -> bool {
        self.0 & PUNCTUATION != 0
    }
    /// `\s`
    pub(super) fn space(self) -> bool {
        self.0 & SPACE != 0
    }
    /// `\p{Mn}`
    pub(super) fn nonspacing_mark(self) -> bool {
        self.0 & NONSPACING_MARK != 0
    }
    /// `[^\s\p{L}\p{N}]`
    pub(super) fn other(self) -> bool {
        self.0 & (SPACE | LETTER | NUMBER) == 0
    }
}

/// UTF-8 text of any bytes: each byte that is not part of a character becomes U+FFFD.
pub(super) fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out.into()
}
