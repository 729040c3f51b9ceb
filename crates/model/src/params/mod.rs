//! A model's sizes and constants, read from GGUF metadata or from config.json, and checked once: what passes here can be
//! divided by, indexed with and multiplied without further thought.

mod config;
mod gguf;
mod pooling;
mod scaling;

use candor_kernels::ops::rope::{Rope, RopeScaling, RopeStyle};

use crate::kv::{KvFormat, KvShape};
pub(crate) use pooling::Pooling;

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
    pub(crate) local_rope_scaling: RopeScaling,
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
        positive("the epsilon of the norms", self.norm_eps)?;
        positive("the base of the rotary positions", self.rope_theta)?;
        positive("the base of the local rotary positions", self.local_rope_theta)?;
        positive("the scale of the queries", self.query_scale)?;
        for scaling in [&self.rope_scaling, &self.local_rope_scaling] {
            check_scaling(scaling, rope_dim)?;
        }
        Ok(self)
    }

    /// The window of a layer, where it has one.
    pub(crate) fn window_of(&self, layer: usize) -> Option<usize> {
        self.window
            .filter(|_| self.sliding.get(layer).copied().unwrap_or(false))
    }

    /// What its layers keep of each token.
    pub(crate) fn kv_shape(&self, format: KvFormat) -> KvShape {
        KvShape {
            windows: (0..self.layers).map(|layer| self.window_of(layer)).collect(),
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            format,
        }
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
            &self.local_rope_scaling,
            self.rope_style,
        )
    }
}

fn positive(name: &str, value: f32) -> Result<(), Fault> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => Err(format!(
            "{name} is {value}, which cannot be; the file is damaged, get it again"
        )),
    }
}

fn check_scaling(scaling: &RopeScaling, rope_dim: usize) -> Result<(), Fault> {
    let all = |values: &[f32]| {
        let mut values = values.iter();
        values.try_for_each(|value| positive("a factor of the rotary positions", *value))
    };
    match scaling {
        RopeScaling::None => Ok(()),
        RopeScaling::Linear(factor) => all(&[*factor]),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_context,
        } => all(&[*factor, *low_freq_factor, *high_freq_factor, *original_context]),
        RopeScaling::Yarn {
            factor,
            beta_fast,
            beta_slow,
            original_context,
            magnitude,
            whole: _,
        } => all(&[*factor, *beta_fast, *beta_slow, *original_context, *magnitude]),
        RopeScaling::Factors(factors) if factors.len() != rope_dim / 2 => Err(format!(
            "`rope_freqs.weight` has {} values for {} pairs; the file is damaged, get it again",
            factors.len(),
            rope_dim / 2
        )),
        RopeScaling::Factors(factors) => all(factors),
    }
}
