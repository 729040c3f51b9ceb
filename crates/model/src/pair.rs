//! Encoders of two texts at once (a question and a passage, a claim and its evidence) with linear heads over their last
//! states, as Candor's own recipes export them: one .safetensors file of int8 rows, `NAME` [rows, columns] with `NAME.scale`
//! `[rows]`, everything else F32, and a JSON text under the metadata key `candor`. All bytes come with the program.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use candor_kernels::formats::Format;
use candor_kernels::team::Team;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::arch::{ARCHS, Kind};
use crate::hf::names_of;
use crate::kv::KvFormat;
use crate::linear::{Loader, Precision};
use crate::params::Params;
use crate::weights::{Source, Tensor, TensorSummary};
use crate::{Encoder, Error, Tokenizer};

/// Tokens of the first text; what is longer is cut.
const FIRST: usize = 96;

/// What the metadata says.
#[derive(Debug, Deserialize)]
struct About {
    layers: u64,
    width: u64,
    heads: u64,
    feed_forward: u64,
    norm_epsilon: f64,
    max_tokens: usize,
    /// Words that are no sign of a match.
    stop_words: HashSet<String>,
    /// What a stem loses, the first that fits.
    suffixes: Vec<String>,
}

/// A linear head, `[outputs, inputs]` with a bias.
#[derive(Debug, Clone)]
pub struct Head {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    /// One value per output.
    pub fn apply(&self, state: &[f32]) -> Vec<f32> {
        let row = |(weights, bias): (&[f32], &f32)| {
            let dot: f64 = weights
                .iter()
                .zip(state)
                .map(|(w, x)| f64::from(*w) * f64::from(*x))
                .sum();
            (dot + f64::from(*bias)) as f32
        };
        self.weight.chunks_exact(state.len()).zip(&self.bias).map(row).collect()
    }
}

/// Two texts as tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Pair {
    /// `[CLS] first [SEP] second [SEP]`.
    pub ids: Vec<u32>,
    /// 0 and 1 for the first and the second text, 2 and 3 for tokens of words whose stem stands in both.
    pub kinds: Vec<u8>,
    /// The bytes of the first text that its tokens stand for; they begin at token 1.
    pub first: Vec<Range<usize>>,
    /// The bytes of the second text that its tokens stand for; they begin at token `first.len() + 2`.
    pub second: Vec<Range<usize>>,
}

impl Pair {
    /// The token where the second text begins.
    pub fn begins(&self) -> usize {
        self.first.len() + 2
    }
}

/// The last states of a pair, `[tokens, width]`.
#[derive(Debug, Clone)]
pub struct States {
    values: Vec<f32>,
    width: usize,
}

impl States {
    /// The state of a token.
    ///
    /// # Panics
    /// If there is no such token.
    pub fn token(&self, at: usize) -> &[f32] {
        &self.values[at * self.width..][..self.width]
    }

    /// The mean over tokens.
    ///
    /// # Panics
    /// If one of them does not exist.
    pub fn mean(&self, tokens: Range<usize>) -> Vec<f32> {
        let mut mean = vec![0.0; self.width];
        let share = 1.0 / tokens.len().max(1) as f32;
        for at in tokens {
            mean.iter_mut().zip(self.token(at)).for_each(|(m, x)| *m += x * share);
        }
        mean
    }

    /// The state of `[CLS]`, and the mean over the first text and its `[SEP]` behind it: what heads for the whole pair read.
    pub fn pair(&self, pair: &Pair) -> Vec<f32> {
        let mut joined = self.token(0).to_vec();
        joined.extend(self.mean(1..pair.begins()));
        joined
    }
}

/// An encoder of pairs.
pub struct PairEncoder {
    encoder: Arc<dyn Encoder>,
    tokenizer: Tokenizer,
    heads: HashMap<String, Head>,
    max_tokens: usize,
    stop_words: HashSet<String>,
    suffixes: Vec<String>,
}

impl PairEncoder {
    /// Reads `weights`; what is missing there, such as word embeddings that two encoders share, is looked up in `shared`.
    /// `vocabulary` are the lines of a vocab.txt.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn open(weights: &[u8], shared: Option<&[u8]>, vocabulary: &str, team: &Team) -> Result<Self, Error> {
        let (mut rows, about) = Rows::read(weights)?;
        if let Some(shared) = shared {
            let (more, _) = Rows::read(shared)?;
            more.tensors.into_iter().for_each(|(name, tensor)| {
                rows.tensors.entry(name).or_insert(tensor);
            });
        }
        let config = serde_json::json!({
            "model_type": "bert", "num_hidden_layers": about.layers, "hidden_size": about.width,
            "num_attention_heads": about.heads, "intermediate_size": about.feed_forward,
            "layer_norm_eps": about.norm_epsilon, "max_position_embeddings": about.max_tokens,
        });
        let bert = ARCHS.iter().find(|arch| arch.gguf == "bert");
        let arch = bert.ok_or_else(|| damaged("there is no such architecture"))?;
        let params = Params::from_config(&config, arch).map_err(damaged)?;
        let loader = Loader {
            source: &rows,
            team,
            precision: Precision::Compact,
            params: &params,
            work: std::cell::Cell::default(),
        };
        let Kind::Encoder(encoder) = arch.load(&loader, params.kv_shape(KvFormat::default()))? else {
            return Err(damaged("it is no encoder"));
        };
        let tokenizer = Tokenizer::from_wordpiece_vocab(vocabulary);
        if tokenizer.vocab() > encoder.vocab() || tokenizer.bos().is_none() || tokenizer.eos().is_none() {
            return Err(damaged("its vocabulary does not fit"));
        }
        Ok(Self {
            heads: rows.heads(params.dim)?,
            max_tokens: about.max_tokens.min(encoder.max_tokens()),
            stop_words: about.stop_words,
            suffixes: about.suffixes,
            encoder,
            tokenizer,
        })
    }

    /// A head by its name.
    pub fn head(&self, name: &str) -> Option<&Head> {
        self.heads.get(name)
    }

    /// Both texts as tokens; the first is cut at 96 tokens, the second where the encoder's length ends.
    pub fn pair(&self, first: &str, second: &str) -> Pair {
        let tokens = |text: &str, most: usize| {
            let (mut ids, mut places) = self.tokenizer.encode_with_places(text).unwrap_or_default();
            ids.truncate(most);
            places.truncate(most);
            (ids, places)
        };
        let (bos, eos) = (self.tokenizer.bos(), self.tokenizer.eos());
        let (mut first, first_places) = tokens(first, FIRST);
        let (second, second_places) = tokens(second, self.max_tokens.saturating_sub(first.len() + 3));
        let stems = [self.stems(&first), self.stems(&second)];
        let shared = |n: usize| -> HashSet<&String> { stems[n].iter().flatten().collect() };
        let both: HashSet<&String> = &shared(0) & &shared(1);
        let kinds = |n: usize| -> Vec<u8> {
            let kind = |stem: &Option<String>| {
                n as u8
                    + if stem.as_ref().is_some_and(|stem| both.contains(stem)) {
                        2
                    } else {
                        0
                    }
            };
            stems[n].iter().map(kind).collect()
        };
        let kinds = [vec![0], kinds(0), vec![0], kinds(1), vec![1]].concat();
        let mut ids = Vec::with_capacity(kinds.len());
        ids.extend(bos);
        ids.append(&mut first);
        ids.extend(eos);
        ids.extend(second);
        ids.extend(eos);
        Pair {
            ids,
            kinds,
            first: first_places,
            second: second_places,
        }
    }

    /// For each token of the first text the stem of the word that it is part of; `None` for stop words and marks.
    pub fn first_stems(&self, pair: &Pair) -> Vec<Option<String>> {
        self.stems(&pair.ids[1..pair.begins() - 1])
    }

    /// For each token the stem of the word that it is part of; `None` for stop words and marks.
    fn stems(&self, ids: &[u32]) -> Vec<Option<String>> {
        let mut words: Vec<String> = Vec::new();
        let mut at = Vec::with_capacity(ids.len());
        for id in ids {
            let piece = self.tokenizer.text_of(*id);
            match (piece.strip_prefix("##"), words.last_mut()) {
                (Some(rest), Some(word)) => word.push_str(rest),
                _ => words.push(piece),
            }
            at.push(words.len() - 1);
        }
        let stems: Vec<Option<String>> = words.iter().map(|word| self.stem(word)).collect();
        at.into_iter().map(|n| stems[n].clone()).collect()
    }

    /// A word without its ending; at least three characters stay.
    pub fn stem(&self, word: &str) -> Option<String> {
        if self.stop_words.contains(word) || !word.starts_with(char::is_alphanumeric) {
            return None;
        }
        let ending = self
            .suffixes
            .iter()
            .find(|suffix| word.ends_with(suffix.as_str()))
            .map_or("", |suffix| suffix);
        let cut = word
            .strip_suffix(ending)
            .filter(|cut| !ending.is_empty() && cut.chars().count() >= 3);
        let word = cut.unwrap_or(word);
        let shorter = word
            .strip_suffix(['e', 'y', 'i'])
            .filter(|cut| cut.chars().count() >= 3);
        Some(shorter.unwrap_or(word).to_owned())
    }

    /// The last states of each pair.
    pub fn states(&self, team: &Team, pairs: &[Pair]) -> Vec<States> {
        // Pairs of a length are computed side by side, so that no thread waits for a long one at the end.
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|&n| std::cmp::Reverse(pairs[n].ids.len()));
        let texts: Vec<Vec<u32>> = order.iter().map(|&n| pairs[n].ids.clone()).collect();
        let kinds: Vec<Vec<u8>> = order.iter().map(|&n| pairs[n].kinds.clone()).collect();
        let width = self.encoder.dim();
        let mut states: Vec<(usize, States)> = order
            .into_iter()
            .zip(self.encoder.hidden(team, &texts, &kinds))
            .map(|(n, values)| (n, States { values, width }))
            .collect();
        states.sort_by_key(|(n, _)| *n);
        states.into_iter().map(|(_, states)| states).collect()
    }
}

impl std::fmt::Debug for PairEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut heads: Vec<&String> = self.heads.keys().collect();
        heads.sort();
        f.debug_struct("PairEncoder")
            .field("heads", &heads)
            .finish_non_exhaustive()
    }
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::file(
        Path::new("(the weights of the truth layer)"),
        format!("cannot be used: {what}; build the program again"),
    )
}

/// The file's tensors as f32.
struct Rows {
    tensors: HashMap<String, (Vec<usize>, Vec<u8>)>,
}

impl Rows {
    fn read(bytes: &[u8]) -> Result<(Self, About), Error> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let about = metadata.metadata().as_ref().and_then(|all| all.get("candor"));
        let about = about.ok_or_else(|| damaged("the description is missing"))?;
        let about: About = serde_json::from_str(about).map_err(damaged)?;
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let mut tensors = HashMap::new();
        for (name, view) in file.iter() {
            let values = match view.dtype() {
                Dtype::F32 if name.ends_with(".scale") => continue,
                Dtype::F32 => view.data().to_vec(),
                Dtype::I8 => {
                    let scales = file.tensor(&format!("{name}.scale")).map_err(damaged)?;
                    let cols = view.shape().last().copied().unwrap_or(1);
                    let rows = view.data().chunks_exact(cols.max(1));
                    let scales = scales.data().as_chunks::<4>().0;
                    if rows.len() != scales.len() {
                        return Err(damaged(format!(
                            "`{name}` has {} rows and {} scales",
                            rows.len(),
                            scales.len()
                        )));
                    }
                    rows.zip(scales)
                        .flat_map(|(row, scale)| {
                            let scale = f32::from_le_bytes(*scale);
                            row.iter()
                                .flat_map(move |&q| (f32::from(q.cast_signed()) * scale).to_le_bytes())
                        })
                        .collect()
                }
                other => return Err(damaged(format!("`{name}` has the type {other:?}"))),
            };
            tensors.insert(name.to_owned(), (view.shape().to_vec(), values));
        }
        Ok((Self { tensors }, about))
    }

    /// What is no part of the trunk: `NAME.weight` [outputs, inputs] with `NAME.bias`.
    fn heads(&self, width: usize) -> Result<HashMap<String, Head>, Error> {
        let floats = |bytes: &[u8]| {
            bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect::<Vec<_>>()
        };
        let mut heads = HashMap::new();
        for (name, (shape, bytes)) in &self.tensors {
            let Some(head) = name.strip_suffix(".weight").filter(|head| !head.contains('.')) else {
                continue;
            };
            let bias = self.tensors.get(&format!("{head}.bias"));
            match (shape.as_slice(), bias) {
                ([outputs, inputs], Some((_, bias))) if inputs % width == 0 && bias.len() == 4 * outputs => {
                    let (weight, bias) = (floats(bytes), floats(bias));
                    heads.insert(head.to_owned(), Head { weight, bias });
                }
                _ => return Err(damaged(format!("the head `{head}` does not fit"))),
            }
        }
        Ok(heads)
    }
}

impl Source for Rows {
    fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        let (shape, bytes) = names_of(name).iter().find_map(|name| self.tensors.get(name))?;
        Some(Tensor {
            format: Format::F32,
            shape,
            bytes,
        })
    }

    fn tensors(&self) -> Vec<TensorSummary> {
        Vec::new()
    }

    fn name(&self) -> String {
        "the weights of the truth layer".into()
    }
}
