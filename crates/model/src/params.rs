//! A model's sizes and constants, read from GGUF metadata or from config.json, and checked once: what passes here can be
//! divided by, indexed with and multiplied without further thought.

use candor_kernels::ops::rope::{Rope, RopeScaling, RopeStyle};
use serde_json::Value;

use crate::arch::Arch;
use crate::gguf::Gguf;

/// How an encoder makes one vector of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    Mean,
    First,
}

/// Sizes and constants of a network.
#[derive(Debug, Clone)]
pub(crate) struct Params {
    pub(crate) arch: String,
    pub(crate) context: usize,
    pub(crate) layers: usize,
    pub(crate) dim: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) feed_forward: usize,
    pub(crate) norm_eps: f32,
    /// Added to norm weights (Gemma's safetensors keep them less one).
    pub(crate) norm_offset: f32,
    pub(crate) query_scale: f32,
    pub(crate) rope_style: RopeStyle,
    pub(crate) rope_dim: usize,
    pub(crate) rope_theta: f32,
    pub(crate) rope_scaling: RopeScaling,
    /// Base of the layers that have a window, where it differs.
    pub(crate) local_rope_theta: f32,
    pub(crate) window: Option<usize>,
    /// Which layers have the window.
    pub(crate) sliding: Vec<bool>,
    pub(crate) experts: usize,
    pub(crate) experts_used: usize,
    pub(crate) expert_feed_forward: usize,
    pub(crate) normalise_experts: bool,
    /// The output layer is the embeddings, whatever else the file holds.
    pub(crate) tied: bool,
    pub(crate) pooling: Pooling,
}

const MAX_LAYERS: u64 = 1024;
const MAX_DIM: u64 = 1 << 20;
const MAX_CONTEXT: u64 = 1 << 26;
const MAX_EXPERTS: u64 = 4096;

type Fault = String;

/// `value` of the setting `key`, within `min..=max`.
fn within(key: &str, value: Option<u64>, min: u64, max: u64) -> Result<usize, Fault> {
    match value {
        Some(value) if (min..=max).contains(&value) => Ok(value as usize),
        Some(value) => Err(format!(
            "`{key}` is {value}, {min} to {max} are possible; the file is damaged, get it again"
        )),
        None => Err(format!("has no `{key}`; the file is incomplete, get it again")),
    }
}

impl Params {
    /// From a GGUF file's metadata.
    pub(crate) fn from_gguf(gguf: &Gguf, arch: &Arch) -> Result<Self, Fault> {
        let key = |name: &str| format!("{}.{name}", arch.gguf);
        let int = |name: &str, min, max| within(&key(name), gguf.u64(&key(name)), min, max);
        let int_or = |name: &str, default: usize, min, max| match gguf.get(&key(name)) {
            Some(_) => int(name, min, max),
            None => Ok(default),
        };
        let float = |name: &str| gguf.f64(&key(name)).map(|v| v as f32);
        let (layers, dim) = (int("block_count", 1, MAX_LAYERS)?, int("embedding_length", 1, MAX_DIM)?);
        let heads = int("attention.head_count", 1, MAX_DIM)?;
        let kv_heads = int_or("attention.head_count_kv", heads, 1, MAX_DIM)?;
        let head_dim = int_or("attention.key_length", dim / heads, 1, MAX_DIM)?;
        if int_or("attention.value_length", head_dim, 1, MAX_DIM)? != head_dim {
            return Err("has keys and values of different lengths, which is not supported; get another model".into());
        }
        let gemma = arch.gguf == "gemma3";
        let bert = arch.gguf == "bert";
        let epsilon = if bert {
            "attention.layer_norm_epsilon"
        } else {
            "attention.layer_norm_rms_epsilon"
        };
        let experts = int_or("expert_count", 0, 0, MAX_EXPERTS)?;
        let factor = match gguf.str(&key("rope.scaling.type")) {
            Some("linear") => float("rope.scaling.factor"),
            None | Some("none") => None,
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                return Err(format!(
                    "asks for rotary scaling of the kind `{other}`; `linear` and `rope_freqs` are supported, get another model"
                ));
            }
        };
        let factors = gguf.tensor("rope_freqs.weight").and_then(|tensor| {
            let mut values = vec![0.0; tensor.shape.iter().product::<usize>().min(tensor.bytes.len())];
            candor_kernels::formats::dequantize(tensor.format, tensor.bytes, &mut values).ok()?;
            Some(values)
        });
        // The file does not say which layers see everything: in Gemma 3 it is every sixth.
        let window = if gemma {
            Some(int("attention.sliding_window", 1, MAX_CONTEXT)?)
        } else {
            None
        };
        let wide = gemma && layers == 62; // the 27B model scales its queries by the width per head instead
        let params = Self {
            arch: arch.gguf.to_owned(),
            context: int("context_length", 1, MAX_CONTEXT)?,
            layers,
            dim,
            heads,
            kv_heads,
            head_dim,
            feed_forward: int_or("feed_forward_length", 0, 0, MAX_DIM)?,
            norm_eps: float(epsilon)
                .ok_or_else(|| format!("has no `{}`; the file is incomplete, get it again", key(epsilon)))?,
            norm_offset: 0.0,
            query_scale: 1.0
                / (if wide {
                    dim as f32 / heads as f32
                } else {
                    head_dim as f32
                })
                .sqrt(),
            rope_style: if arch.interleaved {
                RopeStyle::Interleaved
            } else {
                RopeStyle::Halves
            },
            rope_dim: int_or("rope.dimension_count", head_dim, 1, MAX_DIM)?,
            rope_theta: float("rope.freq_base").unwrap_or(10_000.0),
            rope_scaling: match (factors, factor) {
                (Some(factors), _) => RopeScaling::Factors(factors),
                (None, Some(factor)) => RopeScaling::Linear(factor),
                (None, None) => RopeScaling::None,
            },
            local_rope_theta: 10_000.0,
            window,
            sliding: (0..layers).map(|i| (i + 1) % 6 != 0).collect(),
            experts,
            experts_used: if experts > 0 {
                int("expert_used_count", 1, experts as u64)?
            } else {
                0
            },
            expert_feed_forward: int_or("expert_feed_forward_length", 0, 0, MAX_DIM)?,
            normalise_experts: true,
            tied: false,
            pooling: if gguf.u64(&key("pooling_type")) == Some(2) {
                Pooling::First
            } else {
                Pooling::Mean
            },
        };
        params.checked()
    }

    /// From a config.json of `transformers`.
    pub(crate) fn from_config(config: &Value, arch: &Arch) -> Result<Self, Fault> {
        let int = |key: &str, min, max| within(key, config.get(key).and_then(Value::as_u64), min, max);
        let int_or = |key: &str, default: usize, min, max| match config.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(_) => int(key, min, max),
        };
        let float = |value: Option<&Value>| value.and_then(Value::as_f64).map(|v| v as f32);
        let flag = |key: &str| config.get(key).and_then(Value::as_bool);
        let (layers, dim) = (
            int("num_hidden_layers", 1, MAX_LAYERS)?,
            int("hidden_size", 1, MAX_DIM)?,
        );
        let heads = int("num_attention_heads", 1, MAX_DIM)?;
        let head_dim = int_or("head_dim", dim / heads, 1, MAX_DIM)?;
        let (gemma, bert) = (arch.gguf == "gemma3", arch.gguf == "bert");
        let activation = config
            .get("hidden_activation")
            .or(config.get("hidden_act"))
            .and_then(Value::as_str);
        let expected: &[&str] = if gemma {
            &["gelu_pytorch_tanh"]
        } else if bert {
            &["gelu"]
        } else {
            &["silu"]
        };
        if let Some(name) = activation.filter(|name| !expected.contains(name)) {
            return Err(format!(
                "asks for the activation `{name}`, which is not supported for {}; get another model",
                arch.gguf
            ));
        }
        if config.get("attn_logit_softcapping").is_some_and(|v| !v.is_null())
            || config.get("final_logit_softcapping").is_some_and(|v| !v.is_null())
        {
            return Err("asks for soft-capped logits, which are not supported; get another model".into());
        }
        // Rotary settings stand at the top, in `rope_scaling`, or (since transformers 5) in `rope_parameters`, for
        // Gemma once per kind of layer.
        let rope = config
            .get("rope_parameters")
            .or(config.get("rope_scaling"))
            .filter(|v| v.is_object());
        let far = rope.and_then(|r| r.get("full_attention")).or(rope);
        let near = rope.and_then(|r| r.get("sliding_attention"));
        let theta = |of: Option<&Value>, key: &str| float(of.and_then(|r| r.get("rope_theta")).or(config.get(key)));
        let window = config.get("sliding_window").and_then(Value::as_u64);
        let window = window
            .filter(|_| flag("use_sliding_window") != Some(false))
            .map(|w| within("sliding_window", Some(w), 1, MAX_CONTEXT))
            .transpose()?;
        let sliding = match config.get("layer_types").and_then(Value::as_array) {
            Some(kinds) => kinds
                .iter()
                .map(|kind| kind.as_str() == Some("sliding_attention"))
                .collect(),
            None if gemma => {
                let pattern = int_or("sliding_window_pattern", 6, 1, MAX_LAYERS)?;
                (0..layers).map(|i| (i + 1) % pattern != 0).collect()
            }
            None => vec![true; layers],
        };
        if sliding.len() != layers {
            return Err(format!(
                "`layer_types` has {} entries for {layers} layers; the file is damaged, get it again",
                sliding.len()
            ));
        }
        // `num_local_experts` since transformers 5.
        let experts = int_or(
            if config.get("num_experts").is_some() {
                "num_experts"
            } else {
                "num_local_experts"
            },
            0,
            0,
            MAX_EXPERTS,
        )?;
        let scalar = float(config.get("query_pre_attn_scalar"))
            .filter(|_| gemma)
            .unwrap_or(head_dim as f32);
        let partial = float(
            far.and_then(|r| r.get("partial_rotary_factor"))
                .or(config.get("partial_rotary_factor")),
        )
        .unwrap_or(1.0);
        if partial != 1.0 {
            return Err("turns only a part of each head, which is not supported here; get another model".into());
        }
        let params = Self {
            arch: arch.gguf.to_owned(),
            context: int("max_position_embeddings", 1, MAX_CONTEXT)?,
            layers,
            dim,
            heads,
            kv_heads: int_or("num_key_value_heads", heads, 1, MAX_DIM)?,
            head_dim,
            feed_forward: int("intermediate_size", 1, MAX_DIM)?,
            norm_eps: float(config.get(if bert { "layer_norm_eps" } else { "rms_norm_eps" })).unwrap_or(if bert {
                1e-12
            } else {
                1e-6
            }),
            norm_offset: if gemma { 1.0 } else { 0.0 },
            query_scale: 1.0 / scalar.sqrt(),
            rope_style: RopeStyle::Halves,
            rope_dim: head_dim,
            rope_theta: theta(far, "rope_theta").unwrap_or(if gemma { 1e6 } else { 10_000.0 }),
            rope_scaling: rope_scaling(far)?,
            local_rope_theta: theta(near, "rope_local_base_freq").unwrap_or(10_000.0),
            window,
            sliding,
            experts,
            experts_used: if experts > 0 {
                int("num_experts_per_tok", 1, experts as u64)?
            } else {
                0
            },
            expert_feed_forward: int_or("moe_intermediate_size", 0, 0, MAX_DIM)?,
            normalise_experts: flag("norm_topk_prob").unwrap_or(false),
            tied: flag("tie_word_embeddings").unwrap_or(gemma),
            pooling: Pooling::Mean,
        };
        params.checked()
    }

    fn checked(self) -> Result<Self, Fault> {
        let Self {
            heads,
            kv_heads,
            head_dim,
            rope_dim,
            dim,
            ..
        } = self;
        if heads % kv_heads != 0 {
            return Err(format!(
                "has {heads} query heads for {kv_heads} key/value heads, which does not divide; the file is damaged, get it again"
            ));
        }
        if self.arch == "bert" && (heads != kv_heads || heads * head_dim != dim) {
            return Err(format!(
                "has {heads} heads of {head_dim} for a width of {dim}, which does not fit; the file is damaged, get it again"
            ));
        }
        if heads.checked_mul(head_dim).is_none_or(|width| width > MAX_DIM as usize) {
            return Err(format!(
                "has {heads} heads of {head_dim}, more than is possible; the file is damaged, get it again"
            ));
        }
        if self.arch != "bert" && (rope_dim % 2 != 0 || rope_dim > head_dim) {
            return Err(format!(
                "turns {rope_dim} elements of heads of {head_dim}, which does not fit; the file is damaged, get it again"
            ));
        }
        let positive = |name: &str, value: f32| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(format!(
                "{name} is {value}, which cannot be; the file is damaged, get it again"
            )),
        };
        positive("the epsilon of the norms", self.norm_eps)?;
        positive("the base of the rotary positions", self.rope_theta)?;
        positive("the base of the local rotary positions", self.local_rope_theta)?;
        positive("the scale of the queries", self.query_scale)?;
        match &self.rope_scaling {
            RopeScaling::None => {}
            RopeScaling::Linear(factor) => positive("the factor of the rotary positions", *factor)?,
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_context,
            } => {
                for value in [factor, low_freq_factor, high_freq_factor, original_context] {
                    positive("a factor of the rotary positions", *value)?;
                }
            }
            RopeScaling::Factors(factors) if factors.len() != rope_dim / 2 => {
                return Err(format!(
                    "`rope_freqs.weight` has {} values for {} pairs; the file is damaged, get it again",
                    factors.len(),
                    rope_dim / 2
                ));
            }
            RopeScaling::Factors(factors) => factors
                .iter()
                .try_for_each(|f| positive("a factor in `rope_freqs.weight`", *f))?,
        }
        Ok(self)
    }

    /// The window of a layer, where it has one.
    pub(crate) fn window_of(&self, layer: usize) -> Option<usize> {
        self.window
            .filter(|_| self.sliding.get(layer).copied().unwrap_or(false))
    }

    /// Rotary positions of the layers that see everything.
    pub(crate) fn rope(&self) -> Rope {
        Rope::new(
            self.head_dim,
            self.rope_dim,
            self.rope_theta,
            &self.rope_scaling,
            self.rope_style,
        )
    }

    /// Rotary positions of the layers with a window.
    pub(crate) fn local_rope(&self) -> Rope {
        Rope::new(
            self.head_dim,
            self.rope_dim,
            self.local_rope_theta,
            &RopeScaling::None,
            self.rope_style,
        )
    }
}

fn rope_scaling(rope: Option<&Value>) -> Result<RopeScaling, Fault> {
    let Some(rope) = rope else { return Ok(RopeScaling::None) };
    let number = |key: &str| {
        let value = rope.get(key).and_then(Value::as_f64).map(|v| v as f32);
        value.ok_or_else(|| format!("its rotary scaling has no `{key}`; the file is incomplete, get it again"))
    };
    match rope
        .get("rope_type")
        .or(rope.get("type"))
        .and_then(Value::as_str)
        .unwrap_or("default")
    {
        "default" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear(number("factor")?)),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_context: number("original_max_position_embeddings")?,
        }),
        other => Err(format!(
            "asks for rotary scaling of the kind `{other}`; `linear` and `llama3` are supported, get another model"
        )),
    }
}
