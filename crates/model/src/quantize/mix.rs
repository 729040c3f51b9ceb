//! Which tensor gets which format: the recipes that people know from llama.cpp by name (`llama-quantize`), since a file
//! called Q4_K_M should be what others call so. A recipe is a base format, and exceptions for the tensors that suffer
//! most: values and the way down of the feed-forward network in some layers, the output, and the embeddings where they
//! are the output too. Rules for architectures that Candor does not run are left out.

use candor_kernels::formats::Format;

use crate::gguf::Gguf;

/// A recipe, named as in llama.cpp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Mix {
    F32,
    F16,
    BF16,
    Q8_0,
    Q6K,
    Q5KM,
    Q5KS,
    Q5_1,
    Q5_0,
    Q4KM,
    Q4KS,
    Q4_1,
    Q4_0,
    Q3KL,
    Q3KM,
    Q3KS,
    Q2K,
}

impl Mix {
    /// Every recipe, largest file first: name, `general.file_type`, base format.
    const TABLE: [(Mix, &'static str, u32, Format); 17] = [
        (Mix::F32, "F32", 0, Format::F32),
        (Mix::F16, "F16", 1, Format::F16),
        (Mix::BF16, "BF16", 32, Format::BF16),
        (Mix::Q8_0, "Q8_0", 7, Format::Q8_0),
        (Mix::Q6K, "Q6_K", 18, Format::Q6K),
        (Mix::Q5KM, "Q5_K_M", 17, Format::Q5K),
        (Mix::Q5KS, "Q5_K_S", 16, Format::Q5K),
        (Mix::Q5_1, "Q5_1", 9, Format::Q5_1),
        (Mix::Q5_0, "Q5_0", 8, Format::Q5_0),
        (Mix::Q4KM, "Q4_K_M", 15, Format::Q4K),
        (Mix::Q4KS, "Q4_K_S", 14, Format::Q4K),
        (Mix::Q4_1, "Q4_1", 3, Format::Q4_1),
        (Mix::Q4_0, "Q4_0", 2, Format::Q4_0),
        (Mix::Q3KL, "Q3_K_L", 13, Format::Q3K),
        (Mix::Q3KM, "Q3_K_M", 12, Format::Q3K),
        (Mix::Q3KS, "Q3_K_S", 11, Format::Q3K),
        (Mix::Q2K, "Q2_K", 10, Format::Q2K),
    ];

    /// The names of all recipes, largest file first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::TABLE.iter().map(|row| row.1)
    }

    /// The recipe called `name`, in any case; `Q3_K`, `Q4_K` and `Q5_K` mean the recipe that ends in `_M`.
    pub fn named(name: &str) -> Option<Self> {
        let find = |name: &str| Self::TABLE.iter().find(|row| row.1.eq_ignore_ascii_case(name));
        find(name).or_else(|| find(&format!("{name}_M"))).map(|row| row.0)
    }

    fn row(self) -> &'static (Mix, &'static str, u32, Format) {
        &Self::TABLE[self as usize]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What `general.file_type` says of a file made by it.
    pub fn file_type(self) -> u32 {
        self.row().2
    }

    /// The format of all tensors that are no exception.
    pub fn base(self) -> Format {
        self.row().3
    }
}

/// What the rules ask of a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    /// Layers.
    layers: usize,
    /// Query heads per key/value head.
    grouped: u64,
    /// Experts per layer; 0 without.
    experts: u64,
    /// Llama with 80 layers and grouped queries, whose values are an eighth of its queries.
    large_llama: bool,
    /// Whether the embeddings are the output too.
    tied: bool,
    /// Tensors of values.
    values: usize,
}

impl Facts {
    pub(super) fn of(gguf: &Gguf) -> Self {
        let arch = gguf.str("general.architecture").unwrap_or_default();
        let number = |key: &str| {
            let key = format!("{arch}.{key}");
            let first = || gguf.numbers(&key)?.first().map(|v| *v as u64);
            gguf.u64(&key).or_else(first).unwrap_or(0)
        };
        let (layers, heads) = (number("block_count"), number("attention.head_count"));
        let kv_heads = match number("attention.head_count_kv") {
            0 => heads,
            kv_heads => kv_heads,
        };
        let tensors = gguf.tensors();
        Self {
            layers: layers as usize,
            grouped: heads.checked_div(kv_heads).unwrap_or(0),
            experts: number("expert_count"),
            large_llama: arch == "llama" && layers == 80 && heads != kv_heads,
            tied: tensors.iter().all(|tensor| tensor.name != "output.weight"),
            values: tensors.iter().filter(|tensor| is_value(&tensor.name)).count(),
        }
    }
}

fn is_value(name: &str) -> bool {
    ["attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight"]
        .iter()
        .any(|part| name.contains(part))
}

/// Parts of names of matrices that stay as they are: small, or too sensitive.
const KEPT: [&str; 11] = [
    "_norm.weight",
    "ffn_gate_inp.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "time_mix_",
    "attn_rel_b.weight",
    "position_embd",
    "token_types.weight",
];

/// Whether a tensor is converted at all: a matrix (or experts' matrices) of weights that is not among `KEPT`.
pub(super) fn is_converted(name: &str, shape: &[usize]) -> bool {
    let dimensions = shape.len() - shape.iter().take_while(|len| **len == 1).count();
    dimensions >= 2 && name.ends_with("weight") && !KEPT.iter().any(|part| name.contains(part))
}

/// The layer that `blk.N.` names.
pub(super) fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

/// Gives tensors their formats, in the order of the layers: some rules ask how many of a kind came before.
#[derive(Debug)]
pub(super) struct Rules {
    mix: Mix,
    facts: Facts,
    values: usize,
    downs: usize,
}

impl Rules {
    pub(super) fn new(mix: Mix, facts: Facts) -> Self {
        Self {
            mix,
            facts,
            values: 0,
            downs: 0,
        }
    }

    /// The format for the next tensor, `cols` weights a row, whether or not its rows are whole blocks of it.
    pub(super) fn format(&mut self, name: &str, cols: usize) -> Format {
        use Format::{Q3K, Q4K, Q5K, Q6K, Q8_0};
        let (mix, base, eight) = (self.mix, self.mix.base(), self.facts.experts == 8);
        if base.is_float() {
            return base;
        }
        let embeddings = name == "token_embd.weight" || name == "per_layer_token_embd.weight";
        if name == "output.weight" || (embeddings && self.facts.tied) {
            let fits = cols.is_multiple_of(base.block_len());
            return if !fits || base == Q8_0 { Q8_0 } else { Q6K };
        }
        if is_value(name) {
            let i = self.values;
            self.values += 1;
            let format = match mix {
                Mix::Q2K if self.facts.grouped >= 4 => Q4K,
                Mix::Q2K => Q3K,
                Mix::Q3KM if i < 2 => Q5K,
                Mix::Q3KM => Q4K,
                Mix::Q3KL => Q5K,
                Mix::Q4KM | Mix::Q5KM if more_bits(i, self.facts.values) => Q6K,
                Mix::Q4KS if i < 4 => Q5K,
                _ => base,
            };
            return match format {
                _ if eight => Q8_0,
                Q3K | Q4K if self.facts.large_llama => Q5K,
                format => format,
            };
        }
        if name.contains("attn_k.weight") {
            return if eight { Q8_0 } else { base };
        }
        if name.contains("ffn_down") {
            let counted = self.downs;
            self.downs += 1;
            // Experts' matrices do not always come in the order of the layers.
            let i = match self.facts.experts {
                0 | 1 => counted,
                _ => layer(name).unwrap_or(counted),
            };
            let n = self.facts.layers;
            return match mix {
                Mix::Q2K => Q3K,
                Mix::Q3KM if i < n / 16 => Q5K,
                Mix::Q3KM => Q4K,
                Mix::Q3KL => Q5K,
                Mix::Q4KM | Mix::Q5KM if more_bits(i, n) => Q6K,
                Mix::Q4KS if i < n / 8 => Q5K,
                _ => base,
            };
        }
        if name.contains("attn_output.weight") {
            return match mix {
                Mix::Q2K | Mix::Q3KS | Mix::Q3KM | Mix::Q4KS | Mix::Q4KM if eight => Q5K,
                Mix::Q2K => Q3K,
                Mix::Q3KM if !eight => Q4K,
                Mix::Q3KL if !eight => Q5K,
                _ => base,
            };
        }
        base
    }
}

/// The layers that get more bits: the first and the last eighth, and every third between.
fn more_bits(i: usize, n: usize) -> bool {
    i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2
}

/// What a tensor gets whose rows are no whole blocks of `format`: a format with blocks of 32 and about as many bits, or F16.
pub(super) fn fitting(format: Format, cols: usize) -> Format {
    let smaller = match format {
        Format::Q2K | Format::Q3K => Format::Q4_0,
        Format::Q4K => Format::Q5_0,
        Format::Q5K => Format::Q5_1,
        Format::Q6K => Format::Q8_0,
        other => other,
    };
    let fits = |format: &Format| cols.is_multiple_of(format.block_len());
    [format, smaller].into_iter().find(fits).unwrap_or(Format::F16)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_names() {
        for (i, row) in Mix::TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, i);
            assert_eq!(Mix::named(&row.1.to_lowercase()), Some(row.0));
        }
        assert_eq!(Mix::named("q4_k"), Some(Mix::Q4KM));
        assert_eq!(Mix::named("Q3_K"), Some(Mix::Q3KM));
        assert_eq!(Mix::named("Q4_0_M"), None);
        assert_eq!(Mix::named("IQ4_XS"), None);
    }

    #[test]
    fn norms_biases_vectors_and_routers_are_not_converted() {
        for (name, shape, converted) in [
            ("blk.0.attn_q.weight", &[64, 64][..], true),
            ("blk.0.ffn_down_exps.weight", &[4, 64, 64], true),
            ("blk.0.attn_norm.weight", &[64], false),
            ("blk.0.attn_q_norm.weight", &[2, 64], false),
            ("blk.0.attn_q.bias", &[2, 64], false),
            ("blk.0.ffn_gate_inp.weight", &[8, 64], false),
            ("position_embd.weight", &[512, 64], false),
            ("a.weight", &[1, 64], false),
        ] {
            assert_eq!(is_converted(name, shape), converted, "{name}");
        }
    }

    #[test]
    fn rows_that_are_no_whole_blocks_get_a_format_that_fits() {
        assert_eq!(fitting(Format::Q4K, 512), Format::Q4K);
        assert_eq!(fitting(Format::Q4K, 576), Format::Q5_0);
        assert_eq!(fitting(Format::Q6K, 576), Format::Q8_0);
        assert_eq!(fitting(Format::Q2K, 40), Format::F16);
        assert_eq!(fitting(Format::Q8_0, 40), Format::F16);
    }

    /// What llama-quantize of a build of 2026 gave these tensors of a model with 24 layers, 3 query heads per key head.
    #[test]
    fn medium_recipes_give_more_bits_to_values_and_downs_of_some_layers() {
        let facts = Facts {
            layers: 24,
            grouped: 3,
            tied: true,
            values: 24,
            ..Facts::default()
        };
        let run = |mix| {
            let mut rules = Rules::new(mix, facts.clone());
            let names = (0..24).map(|i| format!("blk.{i}.attn_v.weight"));
            let formats: Vec<Format> = names.map(|name| rules.format(&name, 256)).collect();
            (
                formats,
                rules.format("token_embd.weight", 256),
                rules.format("blk.0.attn_q.weight", 256),
            )
        };
        let (values, embeddings, queries) = run(Mix::Q4KM);
        let more: Vec<usize> = (0..24).filter(|i| values[*i] == Format::Q6K).collect();
        assert_eq!(more, [0, 1, 2, 5, 8, 11, 14, 17, 20, 21, 22, 23]);
        assert_eq!((embeddings, queries), (Format::Q6K, Format::Q4K));
        assert_eq!(run(Mix::Q4KS).0[3..5], [Format::Q5K, Format::Q4K]);
        assert_eq!(run(Mix::Q3KM).0[1..3], [Format::Q5K, Format::Q4K]);
        assert_eq!(run(Mix::Q2K).0[0], Format::Q3K);
        assert_eq!(run(Mix::Q8_0).1, Format::Q8_0);
        assert_eq!(run(Mix::Q4_0).1, Format::Q6K);
        assert_eq!(run(Mix::F16).1, Format::F16);
    }
}
