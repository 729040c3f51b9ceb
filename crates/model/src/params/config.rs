//! Sizes and constants from a config.json of `transformers`. What a file leaves out has the default of its model type
//! there: Gemma's larger models, for one, say little more than their width.

use candor_kernels::ops::rope::{RopeScaling, RopeStyle};
use serde_json::Value;

use super::{Fault, MAX_CONTEXT, MAX_DIM, MAX_EXPERTS, MAX_LAYERS, Params, Pooling, scaling, within};
use crate::arch::Arch;

/// What `transformers` takes where config.json is silent, by model type.
struct Defaults {
    heads: Option<usize>,
    kv_heads: Option<usize>,
    /// `hidden_size` by heads where there is none.
    head_dim: Option<usize>,
    context: Option<usize>,
    theta: f32,
    /// A window even where the file names none.
    window: Option<usize>,
    activation: &'static str,
}

const DEFAULTS: Defaults = Defaults {
    heads: None,
    kv_heads: None,
    head_dim: None,
    context: None,
    theta: 10_000.0,
    window: None,
    activation: "silu",
};

/// One line per model type that differs.
fn defaults(model_type: &str) -> Defaults {
    match model_type {
        "mistral" => Defaults {
            kv_heads: Some(8),
            window: Some(4096),
            ..DEFAULTS
        },
        "qwen2" => Defaults {
            kv_heads: Some(32),
            ..DEFAULTS
        },
        "qwen3" => Defaults {
            kv_heads: Some(32),
            head_dim: Some(128),
            ..DEFAULTS
        },
        "qwen3_moe" => Defaults {
            kv_heads: Some(4),
            ..DEFAULTS
        },
        "gemma3_text" | "gemma3" => Defaults {
            heads: Some(8),
            kv_heads: Some(4),
            head_dim: Some(256),
            context: Some(131_072),
            theta: 1e6,
            window: Some(4096),
            activation: "gelu_pytorch_tanh",
        },
        "bert" => Defaults {
            context: Some(512),
            activation: "gelu",
            ..DEFAULTS
        },
        _ => DEFAULTS,
    }
}

/// A config.json.
struct Config<'a>(&'a Value);

impl<'a> Config<'a> {
    /// A setting that is there and not null.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn int(&self, key: &str, default: Option<usize>, min: u64, max: u64) -> Result<usize, Fault> {
        match (self.get(key), default) {
            (None, Some(default)) => Ok(default),
            (value, _) => within(key, value.and_then(Value::as_u64), min, max),
        }
    }

    fn float(&self, key: &str) -> Option<f32> {
        self.get(key).and_then(Value::as_f64).map(|v| v as f32)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(Value::as_bool)
    }

    /// Refuses what would change the results and is not computed here.
    fn refuse(&self, arch: &Arch, defaults: &Defaults) -> Result<(), Fault> {
        let activation = self.get("hidden_activation").or(self.get("hidden_act"));
        if let Some(name) = activation
            .and_then(Value::as_str)
            .filter(|name| *name != defaults.activation)
        {
            return Err(format!(
                "asks for the activation `{name}`, which is not supported for {}; get another model",
                arch.gguf
            ));
        }
        if ["attn_logit_softcapping", "final_logit_softcapping"]
            .iter()
            .any(|key| self.get(key).is_some())
        {
            return Err("asks for soft-capped logits, which are not supported; get another model".into());
        }
        // Gemma's and others' embedding models.
        let both_ways = self
            .get("use_bidirectional_attention")
            .is_some_and(|v| *v != Value::Bool(false));
        if arch.gguf != "bert" && (both_ways || self.flag("is_causal") == Some(false)) {
            return Err(format!(
                "makes embeddings with attention in both directions, which is not supported for {}; get another model",
                arch.gguf
            ));
        }
        if let Some(kind) = self.get("position_embedding_type").and_then(Value::as_str)
            && kind != "absolute"
        {
            return Err(format!(
                "asks for positions of the kind `{kind}`, which are not supported; get another model"
            ));
        }
        if arch.gguf == "bert" && self.flag("is_decoder") == Some(true) {
            return Err("is an encoder made to continue text, which is not supported; get another model".into());
        }
        Ok(())
    }

    /// Settings of the rotary positions of the layers that see everything, and of those with a window: at the top, in
    /// `rope_scaling`, or (since transformers 5) in `rope_parameters`, for Gemma once per kind of layer.
    fn rope(&self) -> (Option<&'a Value>, Option<&'a Value>) {
        let rope = [self.get("rope_parameters"), self.get("rope_scaling")]
            .into_iter()
            .flatten()
            .find(|v| v.is_object());
        let of = |kind: &str| rope.and_then(|r| r.get(kind)).filter(|v| v.is_object());
        let (far, near) = (of("full_attention"), of("sliding_attention"));
        (far.or(rope.filter(|_| near.is_none())), near)
    }

    /// The window, and which layers have it.
    fn window(
        &self,
        model_type: &str,
        layers: usize,
        defaults: &Defaults,
    ) -> Result<(Option<usize>, Vec<bool>), Fault> {
        let qwen = model_type.starts_with("qwen");
        let used = match model_type {
            "mistral" | "gemma3_text" | "gemma3" => true,
            _ => qwen && self.flag("use_sliding_window") == Some(true),
        };
        let window = match (used, self.0.get("sliding_window")) {
            (false, _) | (true, Some(Value::Null)) => None,
            (true, None) => defaults.window.or(qwen.then_some(4096)),
            (true, Some(value)) => Some(within("sliding_window", value.as_u64(), 1, MAX_CONTEXT)?),
        };
        let kinds = self.get("layer_types").and_then(Value::as_array);
        let sliding: Vec<bool> = match (model_type, kinds) {
            // These two look at the window alone.
            ("mistral" | "qwen3_moe", _) => vec![true; layers],
            (_, Some(kinds)) => kinds.iter().map(|kind| kind == "sliding_attention").collect(),
            _ if qwen => {
                let full = self.int("max_window_layers", Some(28), 0, MAX_LAYERS)?;
                (0..layers).map(|i| i >= full).collect()
            }
            _ => {
                let pattern = ["sliding_window_pattern", "_sliding_window_pattern"];
                let key = pattern.into_iter().find(|key| self.get(key).is_some());
                let pattern = self.int(key.unwrap_or(pattern[0]), Some(6), 1, MAX_LAYERS)?;
                (0..layers).map(|i| (i + 1) % pattern != 0).collect()
            }
        };
        if sliding.len() != layers {
            return Err(format!(
                "`layer_types` has {} entries for {layers} layers; the file is damaged, get it again",
                sliding.len()
            ));
        }
        Ok((window, sliding))
    }
}

impl Params {
    /// From a config.json of `transformers`.
    pub(crate) fn from_config(config: &Value, arch: &Arch) -> Result<Self, Fault> {
        let model_type = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let defaults = defaults(model_type);
        let config = Config(config);
        config.refuse(arch, &defaults)?;
        let (gemma, bert) = (arch.gguf == "gemma3", arch.gguf == "bert");
        let layers = config.int("num_hidden_layers", None, 1, MAX_LAYERS)?;
        let dim = config.int("hidden_size", None, 1, MAX_DIM)?;
        let heads = config.int("num_attention_heads", defaults.heads, 1, MAX_DIM)?;
        let head_dim = config.int("head_dim", defaults.head_dim.or(Some(dim / heads)), 1, MAX_DIM)?;
        let kv_heads = config.int("num_key_value_heads", defaults.kv_heads.or(Some(heads)), 1, MAX_DIM)?;
        let context = config.int("max_position_embeddings", defaults.context, 1, MAX_CONTEXT)?;
        let (far, near) = config.rope();
        let theta = |of: Option<&Value>| of.and_then(|r| r.get("rope_theta")?.as_f64()).map(|v| v as f32);
        let (window, sliding) = config.window(model_type, layers, &defaults)?;
        // `num_local_experts` since transformers 5.
        let experts = ["num_experts", "num_local_experts"];
        let experts = experts.into_iter().find(|key| config.get(key).is_some());
        let experts = experts.map_or(Ok(0), |key| config.int(key, None, 0, MAX_EXPERTS))?;
        let scalar = config.float("query_pre_attn_scalar").or(Some(256.0)).filter(|_| gemma);
        let partial = [far, near]
            .into_iter()
            .flatten()
            .filter_map(|rope| rope.get("partial_rotary_factor")?.as_f64())
            .chain(config.float("partial_rotary_factor").map(f64::from));
        if partial.into_iter().any(|part| part != 1.0) {
            return Err("turns only a part of each head, which is not supported here; get another model".into());
        }
        let (epsilon, default_epsilon) = if bert {
            ("layer_norm_eps", 1e-12)
        } else {
            ("rms_norm_eps", 1e-6)
        };
        let params = Self {
            arch: arch.gguf.to_owned(),
            context,
            layers,
            dim,
            heads,
            kv_heads,
            head_dim,
            feed_forward: config.int("intermediate_size", None, 1, MAX_DIM)?,
            norm_eps: config.float(epsilon).unwrap_or(default_epsilon),
            norm_offset: if gemma { 1.0 } else { 0.0 },
            query_scale: 1.0 / scalar.unwrap_or(head_dim as f32).sqrt(),
            rope_style: RopeStyle::Halves,
            rope_dim: head_dim,
            rope_theta: theta(far).or(config.float("rope_theta")).unwrap_or(defaults.theta),
            rope_scaling: if bert {
                RopeScaling::None
            } else {
                scaling::from_config(far, context)?
            },
            local_rope_theta: theta(near).or(config.float("rope_local_base_freq")).unwrap_or(10_000.0),
            local_rope_scaling: scaling::from_config(near, context)?,
            window,
            sliding,
            experts,
            experts_used: if experts > 0 {
                config.int("num_experts_per_tok", None, 1, experts as u64)?
            } else {
                0
            },
            expert_feed_forward: config.int("moe_intermediate_size", Some(0), 0, MAX_DIM)?,
            normalise_experts: config.flag("norm_topk_prob").unwrap_or(false),
            tied: config.flag("tie_word_embeddings").unwrap_or(gemma),
            pooling: Pooling::Mean,
        };
        params.checked()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::arch::ARCHS;

    #[test]
    fn what_a_file_leaves_out_is_what_transformers_takes() {
        let of = |config: Value| {
            let name = config["model_type"].as_str().unwrap();
            let arch = ARCHS.iter().find(|arch| arch.hugging_face.contains(&name)).unwrap();
            Params::from_config(&config, arch).unwrap()
        };
        // As Gemma's own files are.
        let gemma = of(serde_json::json!({
            "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
        }));
        assert_eq!(
            (gemma.heads, gemma.kv_heads, gemma.head_dim, gemma.context, gemma.window),
            (8, 4, 256, 131_072, Some(1024))
        );
        assert_eq!(
            (gemma.query_scale, gemma.rope_theta, gemma.local_rope_theta),
            (1.0 / 16.0, 1e6, 1e4)
        );
        assert_eq!(gemma.rope_scaling, RopeScaling::Linear(8.0));
        assert_eq!(gemma.local_rope_scaling, RopeScaling::None);
        assert!(gemma.tied && gemma.sliding[0] && !gemma.sliding[5]);
        let plain = |model_type: &str| {
            of(serde_json::json!({
                "model_type": model_type, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 30,
                "num_attention_heads": 32, "max_position_embeddings": 100, "sliding_window": 8, "use_sliding_window": true,
            }))
        };
        let windows = |params: Params| (params.window_of(0), params.window_of(29));
        assert_eq!((plain("mistral").kv_heads, plain("llama").kv_heads), (8, 32));
        assert_eq!((plain("qwen3").head_dim, plain("qwen2").head_dim), (128, 2));
        assert_eq!(windows(plain("mistral")), (Some(8), Some(8)));
        assert_eq!(windows(plain("qwen2")), (None, Some(8)));
        assert_eq!(windows(plain("llama")), (None, None));
    }
}
