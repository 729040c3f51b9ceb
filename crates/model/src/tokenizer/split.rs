//! Cuts text into words before byte-pair merging: the `pre` variants of GGUF files. The patterns are public as regular
//! expressions; here they are written as scanners, because a backtracking engine gives up on ten megabytes of spaces.

use super::unicode::{Class, class};

/// A way to cut text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// GPT-2's pattern.
    Gpt2,
    /// Single digits first, then GPT-2's pattern (SmolLM, StarCoder).
    DigitsThenGpt2,
    /// Llama 3's pattern; numbers in groups of three.
    Llama3,
    /// Qwen 2's pattern: Llama 3's with single digits.
    Qwen2,
    /// Mistral's Tekken: words also break between cases.
    Tekken,
    /// What llama.cpp uses where a file names nothing.
    Default,
}

/// What a file's `tokenizer.ggml.pre` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pre {
    pub(super) split: Split,
    /// Whole words that are tokens need no merging.
    pub(super) whole_words: bool,
    /// A text begins with BOS where the file does not say otherwise.
    pub(super) add_bos: bool,
}

impl Pre {
    /// By name; `None` where it is not known, and text would be cut in a way that the model was not made with.
    pub(super) fn named(pre: &str) -> Option<Self> {
        let (split, whole_words, add_bos) = match pre {
            "gpt-2" | "phi-2" | "jina-es" | "jina-de" | "gigachat" | "jina-v2-es" | "jina-v2-de" | "a.x-4.0"
            | "mellum" | "modern-bert" | "roberta-bpe" | "jina-v1-en" | "jina-v2-code" | "exaone4" | "mpt" | "olmo"
            | "jais" | "trillion" | "granite-docling" => (Split::Gpt2, false, false),
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" | "mellum2" => {
                (Split::DigitsThenGpt2, false, false)
            }
            "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2"
            | "jina-v5-nano" => (Split::Llama3, true, true),
            "glm4" | "glm5" => (Split::Llama3, true, false),
            "dbrx" | "smaug-bpe" | "chatglm-bpe" => (Split::Llama3, false, false),
            "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "hunyuan" | "megrez" | "kormo" | "solar-open" | "grok-2"
            | "f2llmv2" => (Split::Qwen2, false, false),
            "tekken" => (Split::Tekken, true, true),
            "default" | "" => (Split::Default, false, false),
            _ => return None,
        };
        Some(Self {
            split,
            whole_words,
            add_bos,
        })
    }
}

impl Split {
    /// Calls `word` with each word of `text`, in order; joined they are the text.
    pub(super) fn words<'t>(self, text: &'t str, word: &mut dyn FnMut(&'t str)) {
        match self {
            Self::Gpt2 => scan(text, gpt2, word),
            Self::DigitsThenGpt2 => scan(text, |at| at.matching_or_gap(1, Class::number), &mut |part| {
                scan(part, gpt2, word)
            }),
            Self::Llama3 => scan(text, |at| llama3(at, 3), word),
            Self::Qwen2 => scan(text, |at| llama3(at, 1), word),
            Self::Tekken => scan(text, tekken, word),
            Self::Default => scan(text, punctuation_or_gap, &mut |part| {
                scan(part, gpt2, &mut |part| {
                    scan(part, |at| at.matching_or_gap(usize::MAX, Class::number), &mut |part| {
                        scan(part, triples_or_gap, word)
                    });
                });
            }),
        }
    }
}

/// The text from a position on.
#[derive(Clone, Copy)]
struct At<'t>(&'t str);

impl<'t> At<'t> {
    fn first(self) -> Option<char> {
        self.0.chars().next()
    }

    fn is(self, test: impl Fn(char) -> bool) -> bool {
        self.first().is_some_and(test)
    }

    fn is_class(self, test: impl Fn(Class) -> bool) -> bool {
        self.is(|c| test(class(c)))
    }

    fn skip(self, bytes: usize) -> Self {
        At(&self.0[bytes..])
    }

    fn first_len(self) -> usize {
        self.first().map_or(0, char::len_utf8)
    }

    /// Bytes of the run of at most `max` characters that pass.
    fn run_of(self, max: usize, test: impl Fn(char) -> bool) -> usize {
        self.0
            .chars()
            .take(max)
            .take_while(|&c| test(c))
            .map(char::len_utf8)
            .sum()
    }

    fn run(self, test: impl Fn(Class) -> bool) -> usize {
        self.run_of(usize::MAX, |c| test(class(c)))
    }

    /// A run of the class (at most `max` characters), or all that comes before one.
    fn matching_or_gap(self, max: usize, test: impl Fn(Class) -> bool) -> usize {
        match self.run_of(max, |c| test(class(c))) {
            0 => self.run(|c| !test(c)),
            found => found,
        }
    }
}

/// Cuts `text` where `next` says how many bytes the next word has.
fn scan<'t>(text: &'t str, next: impl Fn(At<'t>) -> usize, word: &mut dyn FnMut(&'t str)) {
    let mut rest = text;
    while !rest.is_empty() {
        let len = next(At(rest)).max(At(rest).first_len());
        word(&rest[..len]);
        rest = &rest[len..];
    }
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
fn gpt2(at: At<'_>) -> usize {
    if let Some(len) = contraction(at, false) {
        return len;
    }
    let space = usize::from(at.is(|c| c == ' '));
    let body = at.skip(space);
    for test in [Class::letter, Class::number, Class::other] {
        if body.is_class(test) {
            return space + body.run(test);
        }
    }
    spaces(at)
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
fn llama3(at: At<'_>, digits: usize) -> usize {
    if let Some(len) = contraction(at, true) {
        return len;
    }
    let prefix = if at.is(may_begin_a_word) { at.first_len() } else { 0 };
    match at.skip(prefix).run(Class::letter) {
        0 => numbers_symbols_spaces(at, digits, |c| c == '\r' || c == '\n'),
        letters => prefix + letters,
    }
}

/// `[^\r\n\p{L}\p{N}]`
fn may_begin_a_word(c: char) -> bool {
    c != '\r' && c != '\n' && !class(c).letter() && !class(c).number()
}

/// `[^\r\n\p{L}\p{N}]?(U*L+|U+L*)|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`, where U are letters
/// other than a-z and L letters other than A-Z (letters without case are both).
fn tekken(at: At<'_>) -> usize {
    let upper = |c: char| class(c).letter() && !c.is_ascii_lowercase();
    let lower = |c: char| class(c).letter() && !c.is_ascii_uppercase();
    let prefix = if at.is(may_begin_a_word) { at.first_len() } else { 0 };
    let body = at.skip(prefix);
    let uppers = body.run_of(usize::MAX, upper);
    let lowers = body.skip(uppers).run_of(usize::MAX, lower);
    if lowers > 0 {
        return prefix + uppers + lowers;
    }
    // Nothing lower follows: give back upper ones until the last that is lower too.
    if let Some((start, c)) = body.0[..uppers].char_indices().rfind(|&(_, c)| lower(c)) {
        return prefix + start + c.len_utf8();
    }
    if uppers > 0 {
        return prefix + uppers;
    }
    numbers_symbols_spaces(at, 1, |c| matches!(c, '\r' | '\n' | '/'))
}

/// What llama3 and tekken share: numbers, symbols with line ends behind them, spaces.
fn numbers_symbols_spaces(at: At<'_>, digits: usize, behind_symbols: impl Fn(char) -> bool) -> usize {
    let numbers = at.run_of(digits, |c| class(c).number());
    if numbers > 0 {
        return numbers;
    }
    let space = usize::from(at.is(|c| c == ' '));
    let symbols = at.skip(space).run(Class::other);
    if symbols > 0 {
        let end = space + symbols;
        return end + at.skip(end).run_of(usize::MAX, behind_symbols);
    }
    let run = at.run(Class::space);
    match at.0[..run].rfind(['\r', '\n']) {
        Some(last) => last + 1,
        None => spaces(at),
    }
}

/// `\s+(?!\S)|\s+`: a run of spaces without the last one where a word follows.
fn spaces(at: At<'_>) -> usize {
    let run = at.run(Class::space);
    let last = at.0[..run].chars().next_back().map_or(0, char::len_utf8);
    if run > last && run < at.0.len() {
        run - last
    } else {
        run
    }
}

fn contraction(at: At<'_>, any_case: bool) -> Option<usize> {
    let rest = at.0.strip_prefix('\'')?.as_bytes();
    let lower = |i: usize| rest.get(i).map(|b| if any_case { b.to_ascii_lowercase() } else { *b });
    match (lower(0)?, lower(1)) {
        (b's' | b't' | b'm' | b'd', _) => Some(2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(3),
        _ => None,
    }
}

/// `[\p{P}\$\+<=>\^~\|]+`, or what comes before.
fn punctuation_or_gap(at: At<'_>) -> usize {
    let mark = |c: char| class(c).punctuation() || "$+<=>^~|".contains(c);
    match at.run_of(usize::MAX, mark) {
        0 => at.run_of(usize::MAX, |c| !mark(c)),
        found => found,
    }
}

/// `[0-9][0-9][0-9]`, or what comes before.
fn triples_or_gap(at: At<'_>) -> usize {
    let bytes = at.0.as_bytes();
    let triple = |w: &[u8]| w.iter().all(u8::is_ascii_digit);
    match bytes.windows(3).position(triple) {
        Some(0) => 3,
        Some(start) => start,
        None => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(split: Split, text: &str) -> Vec<&str> {
        let mut out = Vec::new();
        split.words(text, &mut |word| out.push(word));
        out
    }

    #[test]
    fn gpt2_keeps_one_space_with_the_next_word() {
        assert_eq!(
            words(Split::Gpt2, "I'm  here, 2024\n\n x "),
            ["I", "'m", " ", " here", ",", " 2024", "\n\n", " x", " "]
        );
    }

    #[test]
    fn smollm_takes_digits_one_by_one() {
        assert_eq!(words(Split::DigitsThenGpt2, "a 12"), ["a", " ", "1", "2"]);
    }

    #[test]
    fn llama3_groups_three_digits_and_qwen2_none() {
        assert_eq!(
            words(Split::Llama3, "12345 It'S\n\n  (ok)\n"),
            ["123", "45", " It", "'S", "\n\n", " ", " (", "ok", ")\n"]
        );
        assert_eq!(words(Split::Qwen2, "123"), ["1", "2", "3"]);
    }

    #[test]
    fn tekken_breaks_between_cases() {
        assert_eq!(
            words(Split::Tekken, "HelloWorld XMLHttp 中AB"),
            ["Hello", "World", " XMLHttp", " 中", "AB"]
        );
    }

    #[test]
    fn default_breaks_at_punctuation_and_groups_digits() {
        assert_eq!(words(Split::Default, "a<=b 12345"), ["a", "<=", "b", " ", "123", "45"]);
    }

    #[test]
    fn ten_megabytes_of_one_character_are_linear() {
        for c in [' ', 'a', '\n', '1', '!', '\''] {
            let text = c.to_string().repeat(10_000_000);
            for split in [
                Split::Gpt2,
                Split::DigitsThenGpt2,
                Split::Llama3,
                Split::Tekken,
                Split::Default,
            ] {
                let mut bytes = 0;
                split.words(&text, &mut |word| bytes += word.len());
                assert_eq!(bytes, text.len());
            }
        }
    }
}
