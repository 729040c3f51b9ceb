//! Gemma 3 (Gemma Team 2025, arXiv:2503.19786): norms before and after each block, normalised queries and keys, and
//! five layers with a sliding window and short-range positions for each layer that sees everything.

use std::sync::Arc;

use candor_kernels::ops::{add, scale};
use candor_kernels::team::Team;

use super::blocks::{Attention, Ends, Gate, Mlp, Pass};
use crate::Error;
use crate::decoder::{Decoder, Step};
use crate::kv::{KvPages, KvShape};
use crate::linear::{Loader, Norm};

struct Gemma3 {
    ends: Ends,
    /// √D, by which embeddings are scaled.
    embed_scale: f32,
    layers: Vec<Layer>,
    context: usize,
    kv: KvShape,
}

struct Layer {
    attn_norm: Norm,
    attn: Attention,
    after_attn: Norm,
    ffn_norm: Norm,
    ffn: Mlp,
    after_ffn: Norm,
}

pub(super) fn load(loader: &Loader<'_>, kv: KvShape) -> Result<Arc<dyn Decoder>, Error> {
    let p = loader.params;
    let (far, near) = (Arc::new(p.rope()), Arc::new(p.local_rope()));
    let layer = |i: usize| {
        let norm = |part: &str| loader.norm(&format!("blk.{i}.{part}"), p.dim);
        let rope = if p.window_of(i).is_some() { &near } else { &far };
        Ok(Layer {
            attn_norm: norm("attn_norm")?,
            attn: Attention::load(loader, i, rope)?,
            after_attn: norm("post_attention_norm")?,
            ffn_norm: norm("ffn_norm")?,
            ffn: Mlp::load(loader, i, Gate::Gelu)?,
            after_ffn: norm("post_ffw_norm")?,
        })
    };
    let layers = (0..p.layers).map(layer).collect::<Result<_, Error>>()?;
    let embed_scale = (p.dim as f32).sqrt();
    Ok(Arc::new(Gemma3 {
        ends: Ends::load(loader)?,
        embed_scale,
        layers,
        context: p.context,
        kv,
    }))
}

impl Decoder for Gemma3 {
    fn vocab(&self) -> usize {
        self.ends.vocab()
    }

    fn context(&self) -> usize {
        self.context
    }

    fn kv_shape(&self) -> &KvShape {
        &self.kv
    }

    fn forward(&self, team: &Team, step: &Step<'_>, kv: &mut KvPages) -> Vec<f32> {
        let mut x = self.ends.enter(step); // [T, D]
        scale(team, &mut x, self.embed_scale);
        let (mut h, mut y) = (Vec::new(), Vec::new());
        let mut pass = Pass::new(team, step, kv);
        for (i, layer) in self.layers.iter().enumerate() {
            layer.attn_norm.apply_to(team, &x, &mut h);
            layer.attn.apply(&mut pass, i, &h, &mut y);
            layer.after_attn.apply_to(team, &y, &mut h);
            add(team, &mut x, &h);
            layer.ffn_norm.apply_to(team, &x, &mut h);
            layer.ffn.apply(&mut pass, &h, &mut y);
            layer.after_ffn.apply_to(team, &y, &mut h);
            add(team, &mut x, &h);
        }
        self.ends.leave(team, step, &x) // [W, V]
    }
}
