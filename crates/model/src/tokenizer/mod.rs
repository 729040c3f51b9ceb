//! Text to token ids and back. Ids equal those of llama.cpp (for GGUF files) or of the `tokenizers` library (for
//! tokenizer.json). Never fails on text: bytes that are not UTF-8 become replacement characters or byte tokens.

mod bpe;
mod json;
mod queue;
mod special;
mod split;
mod spm;
mod unicode;
mod vocab;
mod wordpiece;

use std::ops::Range;
use std::path::Path;

use crate::Error;
use crate::gguf::Gguf;
use special::{Piece, Specials};
use vocab::{Strings, TokenKind, Vocab, parse_byte_token};

const MAX_TOKENS: usize = 1 << 22;

/// Texts of tokens that end an answer in the families that are supported, whatever else the file says.
const ENDS: [&str; 17] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|return|>",
    "<EOT>",
    "<|EOT|>",
    "<｜end▁of▁sentence｜>",
    "</s>",
    "<end_of_utterance>",
    // Between files, which a model that was asked for one has no business to begin again.
    "<|fim_pad|>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<|file_sep|>",
];

/// Further texts of structure: filling in the middle.
const STRUCTURE: [&str; 12] = [
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<fim-prefix>",
    "<fim-suffix>",
    "<fim-middle>",
    "<fim_prefix>",
    "<fim_suffix>",
    "<fim_middle>",
    "<PRE>",
    "<SUF>",
    "<MID>",
];

/// A model's tokenizer.
#[derive(Debug)]
pub struct Tokenizer {
    vocab: Vocab,
    /// What each token stands for in output.
    bytes: Strings,
    specials: Specials,
    algorithm: Algorithm,
    bos: Option<u32>,
    add_bos: bool,
    eos: Option<u32>,
    add_eos: bool,
    ends: Vec<u32>,
    /// The first word of a text has a space before it that is not part of the text.
    space_before: bool,
}

#[derive(Debug)]
enum Algorithm {
    Bpe(Box<bpe::Bpe>),
    Spm(Box<spm::Spm>),
    WordPiece(wordpiece::WordPiece),
    Json(Box<json::Json>),
}

impl Tokenizer {
    /// The tokenizer in a GGUF file's metadata.
    ///
    /// # Errors
    /// If there is none, it is of a kind that is not supported, or its parts contradict each other.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, Error> {
        let fail = |what: &str| Error::file(gguf.path(), what);
        let model = gguf
            .str("tokenizer.ggml.model")
            .ok_or_else(|| fail("has no tokenizer (`tokenizer.ggml.model`); get a file that was converted with one"))?;
        let tokens = gguf
            .strings("tokenizer.ggml.tokens")
            .ok_or_else(|| fail("has no list of tokens (`tokenizer.ggml.tokens`); get the file again"))?;
        let mut texts = Strings::default();
        tokens.for_each(|token| texts.push(token));
        if texts.len() == 0 || texts.len() > MAX_TOKENS {
            return Err(fail(&format!(
                "has {} tokens, 1 to {MAX_TOKENS} are possible; the file is damaged, get it again",
                texts.len()
            )));
        }
        let list = |key: &str| match gguf.numbers(key) {
            Some(list) if list.len() != texts.len() => Err(fail(&format!(
                "has {} tokens but {} entries in `{key}`; the file is damaged, get it again",
                texts.len(),
                list.len()
            ))),
            list => Ok(list),
        };
        let (kinds, scores) = (list("tokenizer.ggml.token_type")?, list("tokenizer.ggml.scores")?);
        let kinds = kinds
            .unwrap_or_default()
            .into_iter()
            .map(|code| TokenKind::from_code(code as i64))
            .collect();
        let id = |key: &str| match gguf.u64(key) {
            Some(id) if id >= texts.len() as u64 && id != u64::from(u32::MAX) => Err(fail(&format!(
                "`{key}` is {id}, and there are only {} tokens; the file is damaged, get it again",
                texts.len()
            ))),
            id => Ok(id.filter(|&id| id < texts.len() as u64).map(|id| id as u32)),
        };
        let default = |id: u32| (model != "gpt2" && (id as usize) < texts.len()).then_some(id);
        let (spm, wpm) = (model == "llama", model == "bert");
        let bos = id("tokenizer.ggml.bos_token_id")?;
        let cls = id("tokenizer.ggml.cls_token_id")?;
        let mut eos = id("tokenizer.ggml.eos_token_id")?;
        let sep = id("tokenizer.ggml.seperator_token_id")?; // spelt so in the format
        let unknown = id("tokenizer.ggml.unknown_token_id")?.or(default(if wpm { 100 } else { 0 }));
        let more_ends = [id("tokenizer.ggml.eot_token_id")?, id("tokenizer.ggml.eom_token_id")?];
        let bos = if wpm {
            cls.or(bos).or(default(101))
        } else {
            bos.or(if spm { default(1) } else { None })
        };
        eos = if wpm {
            sep.or(eos).or(default(102))
        } else {
            eos.or(if spm { default(2) } else { None })
        };

        let mut vocab = Vocab::new(texts, kinds);
        if !wpm {
            // Some files call them ordinary words; an end of text is structure all the same.
            ENDS.iter()
                .chain(&STRUCTURE)
                .filter_map(|text| vocab.id(text.as_bytes()))
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|id| vocab.make_control(id));
        }
        let pre = gguf.str("tokenizer.ggml.pre").unwrap_or("default");
        let mut bos_by_default = spm || wpm;
        let algorithm = match model {
            "gpt2" => {
                let pre = split::Pre::named(pre).ok_or_else(|| {
                    let pre: String = pre.chars().take(40).collect();
                    fail(&format!(
                        "cuts text in the way `{pre}` (`tokenizer.ggml.pre`), which this version does not know; get another model"
                    ))
                })?;
                bos_by_default = pre.add_bos;
                let merges = gguf
                    .strings("tokenizer.ggml.merges")
                    .ok_or_else(|| fail("has no merges (`tokenizer.ggml.merges`); get the file again"))?;
                Algorithm::Bpe(Box::new(bpe::Bpe::new(&vocab, pre.split, merges, pre.whole_words)))
            }
            "llama" => {
                let scores =
                    scores.ok_or_else(|| fail("has no scores (`tokenizer.ggml.scores`); get the file again"))?;
                let space_prefix = gguf.bool("tokenizer.ggml.add_space_prefix").unwrap_or(true);
                Algorithm::Spm(Box::new(spm::Spm::new(&vocab, &scores, unknown, space_prefix)))
            }
            "bert" => Algorithm::WordPiece(wordpiece::WordPiece::new(&vocab, unknown, true)),
            other => {
                return Err(fail(&format!(
                    "has a tokenizer of the kind `{other}`; `gpt2`, `llama` and `bert` are supported, get another model"
                )));
            }
        };
        let space_before = match &algorithm {
            Algorithm::Spm(spm) => spm.space_prefix,
            Algorithm::WordPiece(_) => true,
            Algorithm::Bpe(_) | Algorithm::Json(_) => false,
        };
        let mut bytes = Strings::default();
        (0..vocab.len() as u32).for_each(|id| bytes.push(&output_bytes(&vocab, id, &algorithm)));
        let specials = Specials::new(&vocab);
        let add_bos = gguf.bool("tokenizer.ggml.add_bos_token").unwrap_or(bos_by_default);
        let add_eos = gguf.bool("tokenizer.ggml.add_eos_token").unwrap_or(false) || wpm;
        let mut tokenizer = Self {
            vocab,
            bytes,
            specials,
            algorithm,
            bos,
            add_bos,
            eos,
            add_eos,
            ends: Vec::new(),
            space_before,
        };
        tokenizer.find_ends(more_ends.into_iter().flatten().chain(if wpm { None } else { eos }));
        Ok(tokenizer)
    }

    /// The tokenizer in a tokenizer.json. `ends`: ids that the model's other files name as ends of text.
    ///
    /// # Errors
    /// If the file cannot be read as one.
    pub fn from_json(path: &Path, ends: &[u32]) -> Result<Self, Error> {
        let map = crate::mmap::Mapped::open(path)?;
        Self::from_json_bytes(path, &map, ends)
    }

    /// As `from_json`, for a network of `outputs` tokens: added tokens beyond them are taken as text.
    pub(crate) fn from_json_for(path: &Path, ends: &[u32], outputs: Option<usize>) -> Result<Self, Error> {
        let map = crate::mmap::Mapped::open(path)?;
        Self::from_json_parts(json::Json::parse(path, &map, outputs)?, ends)
    }

    /// As `from_json`, from the file's contents.
    ///
    /// # Errors
    /// If they cannot be read as a tokenizer.
    pub fn from_json_bytes(path: &Path, contents: &[u8], ends: &[u32]) -> Result<Self, Error> {
        Self::from_json_parts(json::Json::parse(path, contents, None)?, ends)
    }

    fn from_json_parts(parts: json::Parts, ends: &[u32]) -> Result<Self, Error> {
        let json::Parts {
            json,
            vocab,
            bytes,
            before,
            after,
            space_before,
        } = parts;
        let specials = Specials::new(&vocab);
        let (bos, eos) = (before.last().copied(), after.first().copied());
        let mut tokenizer = Self {
            vocab,
            bytes,
            specials,
            algorithm: Algorithm::Json(Box::new(json)),
            bos,
            add_bos: bos.is_some(),
            eos,
            add_eos: eos.is_some(),
            ends: Vec::new(),
            space_before,
        };
        tokenizer.find_ends(ends.iter().copied());
        Ok(tokenizer)
    }

    /// A WordPiece tokenizer over the lines of a vocab.txt.
    pub fn from_wordpiece_vocab(lines: &str) -> Self {
        let mut texts = Strings::default();
        let mut kinds = Vec::new();
        for line in lines.lines() {
            texts.push(line.as_bytes());
            let special = matches!(line, "[PAD]" | "[UNK]" | "[CLS]" | "[SEP]" | "[MASK]");
            kinds.push(if special { TokenKind::Control } else { TokenKind::Normal });
        }
        let vocab = Vocab::new(texts, kinds);
        let (bos, eos) = (vocab.id(b"[CLS]"), vocab.id(b"[SEP]"));
        let algorithm = Algorithm::WordPiece(wordpiece::WordPiece::new(&vocab, None, true));
        let mut bytes = Strings::default();
        (0..vocab.len() as u32).for_each(|id| bytes.push(&output_bytes(&vocab, id, &algorithm)));
        let specials = Specials::new(&vocab);
        Self {
            vocab,
            bytes,
            specials,
            algorithm,
            bos,
            add_bos: true,
            eos,
            add_eos: true,
            ends: Vec::new(),
            space_before: true,
        }
    }

    fn find_ends(&mut self, named: impl Iterator<Item = u32>) {
        let by_text = ENDS
            .iter()
            .filter_map(|text| self.vocab.id(text.as_bytes()))
            .filter(|&id| self.is_special(id));
        let mut ends: Vec<u32> = named
            .filter(|&id| (id as usize) < self.vocab.len())
            .chain(by_text)
            .collect();
        ends.sort_unstable();
        ends.dedup();
        self.ends = ends;
    }

    /// The ids of `text`. `special`: special tokens in it are parsed, else they are ordinary text. No BOS is added.
    pub fn encode(&self, text: &str, special: bool) -> Vec<u32> {
        self.encode_bytes(text.as_bytes(), special)
    }

    /// As `encode`, of any bytes.
    pub fn encode_bytes(&self, text: &[u8], special: bool) -> Vec<u32> {
        let mut out = Vec::with_capacity(text.len() / 4);
        if let Algorithm::Json(json) = &self.algorithm {
            json.encode(text, special, &mut out);
            return out;
        }
        let mut first = true;
        for piece in self.specials.split(text, special) {
            match (piece, &self.algorithm) {
                (Piece::Token(id), _) => out.push(id),
                (Piece::Text(text), Algorithm::Bpe(bpe)) => bpe.encode(&self.vocab, text, &mut out),
                (Piece::Text(text), Algorithm::Spm(spm)) => spm.encode(&self.vocab, text, first, &mut out),
                (Piece::Text(text), Algorithm::WordPiece(wordpiece)) => {
                    let mut found = wordpiece::Found::default();
                    wordpiece.encode(&self.vocab, text, &mut found);
                    out.append(&mut found.ids);
                }
                (Piece::Text(_), Algorithm::Json(_)) => {}
            }
            first = matches!(piece, Piece::Token(_));
        }
        out
    }

    /// The ids of `text`, and the bytes of it that each one stands for; special tokens are ordinary text. Only WordPiece
    /// vocabularies know the bytes; `None` for others.
    pub fn encode_with_places(&self, text: &str) -> Option<(Vec<u32>, Vec<Range<usize>>)> {
        let Algorithm::WordPiece(wordpiece) = &self.algorithm else {
            return None;
        };
        let mut found = wordpiece::Found::default();
        wordpiece.encode(&self.vocab, text.as_bytes(), &mut found);
        Some((found.ids, found.places))
    }

    /// `ids` with BOS before and EOS behind, where this model's rule is to add them.
    pub fn framed(&self, mut ids: Vec<u32>) -> Vec<u32> {
        if let Some(bos) = self.bos.filter(|_| self.add_bos) {
            ids.insert(0, bos);
        }
        ids.extend(self.eos.filter(|_| self.add_eos));
        ids
    }

    /// The token that begins a text (`[CLS]` for encoders).
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Whether a text begins with `bos` even where nobody wrote it.
    pub fn add_bos(&self) -> bool {
        self.add_bos && self.bos.is_some()
    }

    /// The token that ends a text (`[SEP]` for encoders).
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Whether a text ends with `eos` even where nobody wrote it.
    pub fn add_eos(&self) -> bool {
        self.add_eos && self.eos.is_some()
    }

    /// All tokens that end an answer.
    pub fn eos_ids(&self) -> &[u32] {
        &self.ends
    }

    /// Sets the tokens named as BOS and EOS by other files of the model, where this one names none.
    pub(crate) fn name_ends(&mut self, bos: Option<&str>, eos: Option<&str>) {
        let id = |text: Option<&str>| text.and_then(|text| self.vocab.id(text.as_bytes()));
        let (bos, eos) = (self.bos.or(id(bos)), id(eos));
        self.bos = bos;
        self.eos = self.eos.or(eos);
        let named: Vec<u32> = self.ends.iter().copied().chain(eos).collect();
        self.find_ends(named.into_iter());
    }

    /// The bytes that a token stands for in output; of a special token, its name. Empty where the id does not exist.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id)
    }

    /// Whether a token is structure rather than text.
    pub fn is_special(&self, id: u32) -> bool {
        matches!(self.vocab.kind(id), TokenKind::Control | TokenKind::Unknown)
    }

    /// The id of the token with this text, as the file writes it.
    pub fn id_of(&self, text: &str) -> Option<u32> {
        self.vocab.id(text.as_bytes())
    }

    /// The text of a token, as the file writes it.
    pub fn text_of(&self, id: u32) -> String {
        String::from_utf8_lossy(self.vocab.text(id)).into_owned()
    }

    /// Number of tokens.
    pub fn vocab(&self) -> usize {
        self.vocab.len()
    }

    /// The text of `ids`: their bytes, joined, without the space that the tokenizer puts before every text.
    pub fn decode(&self, ids: &[u32]) -> Vec<u8> {
        let mut text: Vec<u8> = ids.iter().flat_map(|&id| self.bytes(id)).copied().collect();
        if self.space_before && text.first() == Some(&b' ') {
            text.remove(0);
        }
        text
    }
}

/// What a token of a GGUF vocabulary stands for in output.
fn output_bytes(vocab: &Vocab, id: u32, algorithm: &Algorithm) -> Vec<u8> {
    let text = vocab.text(id);
    let spaced = |text: &[u8]| String::from_utf8_lossy(text).replace('\u{2581}', " ").into_bytes();
    match (vocab.kind(id), algorithm) {
        (TokenKind::Control | TokenKind::Unknown, _) => text.to_vec(),
        (TokenKind::Byte, Algorithm::Spm(_)) => parse_byte_token(text).into_iter().collect(),
        (_, Algorithm::Spm(_)) => match std::str::from_utf8(text) {
            Ok(_) => spaced(text),
            Err(_) => text.to_vec(),
        },
        (TokenKind::UserDefined, _) => text.to_vec(),
        (_, Algorithm::Bpe(_)) => bpe::chars_to_bytes(text).unwrap_or_else(|| text.to_vec()),
        (_, Algorithm::WordPiece(_)) => match (text.strip_prefix(b"##"), text.strip_prefix("\u{2581}".as_bytes())) {
            (Some(rest), _) => rest.to_vec(),
            (None, Some(word)) => [b" ", word].concat(),
            (None, None) => text.to_vec(),
        },
        (_, Algorithm::Json(_)) => text.to_vec(),
    }
}
