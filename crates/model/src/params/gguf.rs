//! Sizes and constants from a GGUF file's metadata, whose keys begin with the architecture's name.

use candor_kernels::ops::rope::{RopeScaling, RopeStyle};

use super::scaling::{self, Yarn};
use super::{Fault, MAX_CONTEXT, MAX_DIM, MAX_EXPERTS, MAX_LAYERS, Params, Pooling, within};
use crate::arch::Arch;
use crate::gguf::{Gguf, Kind, Value};

/// One architecture's keys of a file.
struct Keys<'a> {
    gguf: &'a Gguf,
    arch: &'a str,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.arch)
    }

    fn int(&self, name: &str, min: u64, max: u64) -> Result<usize, Fault> {
        let key = self.key(name);
        within(&key, self.gguf.u64(&key), min, max)
    }

    fn int_or(&self, name: &str, default: usize, min: u64, max: u64) -> Result<usize, Fault> {
        match self.gguf.get(&self.key(name)) {
            Some(_) => self.int(name, min, max),
            None => Ok(default),
        }
    }

    fn float(&self, name: &str) -> Option<f32> {
        self.gguf.f64(&self.key(name)).map(|v| v as f32)
    }

    fn str(&self, name: &str) -> Option<&str> {
        self.gguf.str(&self.key(name))
    }

    /// Refuses what would change the results and is not computed here.
    fn refuse(&self) -> Result<(), Fault> {
        let caps = ["attn_logit_softcapping", "final_logit_softcapping"];
        if caps.iter().any(|name| self.float(name).is_some_and(|v| v != 0.0)) {
            return Err("asks for soft-capped logits, which are not supported; get another model".into());
        }
        if self.arch != "bert" && self.gguf.bool(&self.key("attention.causal")) == Some(false) {
            return Err(format!(
                "makes embeddings with attention in both directions, which is not supported for {}; get another model",
                self.arch
            ));
        }
        // `embedding_scale` and `logit_scale` are Granite's and Cohere's; files of these architectures have none.
        let scales = [
            "embedding_scale",
            "residual_scale",
            "logit_scale",
            "attention.scale",
            "expert_weights_scale",
        ];
        match scales
            .iter()
            .find(|name| self.float(name).is_some_and(|v| v != 0.0 && v != 1.0))
        {
            Some(name) => Err(format!(
                "asks for `{}`, which is not supported for {}; get another model",
                self.key(name),
                self.arch
            )),
            None => Ok(()),
        }
    }

    /// The layers that have a window: as the file lists them, or all but every sixth, which Gemma 3's files leave unsaid.
    fn sliding(&self, layers: usize) -> Result<Vec<bool>, Fault> {
        let name = "attention.sliding_window_pattern";
        let every = |n: usize| (0..layers).map(|i| (i + 1) % n != 0).collect();
        match self.gguf.get(&self.key(name)) {
            Some(Value::Array(array)) if array.kind == Kind::Bool => {
                let list = self.gguf.numbers(&self.key(name)).unwrap_or_default();
                if list.len() != layers {
                    return Err(format!(
                        "`{}` has {} entries for {layers} layers; the file is damaged, get it again",
                        self.key(name),
                        list.len()
                    ));
                }
                Ok(list.into_iter().map(|v| v != 0.0).collect())
            }
            Some(_) => Ok(every(self.int(name, 1, MAX_LAYERS)?)),
            None => Ok(every(6)),
        }
    }

    fn yarn(&self, factor: Option<f32>, context: usize) -> Result<RopeScaling, Fault> {
        let part = |name: &str| self.float(&format!("rope.scaling.{name}"));
        if part("yarn_ext_factor").is_some_and(|v| v != 1.0 && v >= 0.0)
            || part("yarn_log_multiplier").is_some_and(|v| v != 0.0)
        {
            return Err(scaling::unknown("yarn with factors of its own"));
        }
        let factor = factor.ok_or_else(|| scaling::incomplete("factor"))?;
        let original = self.int_or("rope.scaling.original_context_length", context, 1, MAX_CONTEXT)?;
        let magnitude = part("yarn_attn_factor").unwrap_or_else(|| scaling::yarn_magnitude(factor));
        Ok(Yarn {
            beta_fast: part("yarn_beta_fast"),
            beta_slow: part("yarn_beta_slow"),
            magnitude: Some(magnitude * part("attn_factor").unwrap_or(1.0)),
            ..Yarn::new(factor, original as f32)
        }
        .finish())
    }

    fn scaling(&self, context: usize) -> Result<RopeScaling, Fault> {
        let factors = self.gguf.tensor("rope_freqs.weight").map(|tensor| {
            // One per pair of a head; a size beyond that is refused with the others, in `checked`.
            let mut values = vec![0.0; tensor.shape.iter().product::<usize>().min(MAX_DIM as usize)];
            candor_kernels::formats::dequantize(tensor.format, tensor.bytes, &mut values)
                .map_err(|e| format!("`rope_freqs.weight` cannot be read: {e}"))?;
            Ok::<_, Fault>(RopeScaling::Factors(values))
        });
        let factors = factors.transpose()?;
        // Old files call it `scale_linear`; 0 stands for none.
        let factor = self.float("rope.scaling.factor").or(self.float("rope.scale_linear"));
        let factor = factor.filter(|&factor| factor != 0.0);
        let named = match self.str("rope.scaling.type") {
            Some("none") => None,
            None | Some("linear") => factor.map(RopeScaling::Linear),
            Some("yarn") => Some(self.yarn(factor, context)?),
            Some(other) => return Err(scaling::unknown(other)),
        };
        match (factors, named) {
            (Some(_), Some(RopeScaling::Yarn { .. })) => Err(scaling::unknown("yarn beside `rope_freqs`")),
            (Some(factors), _) => Ok(factors),
            (None, named) => Ok(named.unwrap_or(RopeScaling::None)),
        }
    }
}

impl Params {
    /// From a GGUF file's metadata.
    pub(crate) fn from_gguf(gguf: &Gguf, arch: &Arch) -> Result<Self, Fault> {
        let keys = Keys { gguf, arch: arch.gguf };
        keys.refuse()?;
        let layers = keys.int("block_count", 1, MAX_LAYERS)?;
        let dim = keys.int("embedding_length", 1, MAX_DIM)?;
        let heads = keys.int("attention.head_count", 1, MAX_DIM)?;
        let kv_heads = keys.int_or("attention.head_count_kv", heads, 1, MAX_DIM)?;
        let head_dim = keys.int_or("attention.key_length", dim / heads, 1, MAX_DIM)?;
        if keys.int_or("attention.value_length", head_dim, 1, MAX_DIM)? != head_dim {
            return Err("has keys and values of different lengths, which is not supported; get another model".into());
        }
        let (gemma, bert) = (arch.gguf == "gemma3", arch.gguf == "bert");
        let epsilon = if bert {
            "attention.layer_norm_epsilon"
        } else {
            "attention.layer_norm_rms_epsilon"
        };
        let context = keys.int("context_length", 1, MAX_CONTEXT)?;
        let experts = keys.int_or("expert_count", 0, 0, MAX_EXPERTS)?;
        let window = match gemma {
            true => Some(keys.int_or("attention.sliding_window", 0, 0, MAX_CONTEXT)?).filter(|&window| window > 0),
            false => None,
        };
        let wide = gemma && layers == 62; // the 27B model scales its queries by the width per head instead
        let scaled_by = if wide {
            dim as f32 / heads as f32
        } else {
            head_dim as f32
        };
        let params = Self {
            arch: arch.gguf.to_owned(),
            context,
            layers,
            dim,
            heads,
            kv_heads,
            head_dim,
            feed_forward: keys.int_or("feed_forward_length", 0, 0, MAX_DIM)?,
            norm_eps: keys
                .float(epsilon)
                .ok_or_else(|| format!("has no `{}`; the file is incomplete, get it again", keys.key(epsilon)))?,
            norm_offset: 0.0,
            query_scale: 1.0 / scaled_by.sqrt(),
            rope_style: if arch.interleaved {
                RopeStyle::Interleaved
            } else {
                RopeStyle::Halves
            },
            rope_dim: keys.int_or("rope.dimension_count", head_dim, 1, MAX_DIM)?,
            rope_theta: keys.float("rope.freq_base").unwrap_or(10_000.0),
            rope_scaling: keys.scaling(context)?,
            local_rope_theta: keys.float("rope.freq_base_swa").unwrap_or(10_000.0),
            local_rope_scaling: RopeScaling::None,
            window,
            sliding: keys.sliding(layers)?,
            experts,
            experts_used: if experts > 0 {
                keys.int("expert_used_count", 1, experts as u64)?
            } else {
                0
            },
            expert_feed_forward: keys.int_or("expert_feed_forward_length", 0, 0, MAX_DIM)?,
            normalise_experts: true,
            tied: false,
            pooling: match gguf.u64(&keys.key("pooling_type")) {
                // Where the file leaves the choice to whoever runs it, the mean is what most encoders are made for.
                None | Some(0 | 1) => Pooling::Mean,
                Some(2) => Pooling::First,
                Some(3) => Pooling::Last,
                Some(4) => {
                    return Err(
                        "is a reranker, which scores pairs of texts and has no embeddings; get another model".into(),
                    );
                }
                Some(other) => {
                    return Err(format!(
                        "asks for pooling of the kind {other}, which is not supported; get another model"
                    ));
                }
            },
        };
        params.checked()
    }
}
