//! Llama (Touvron et al. 2023, arXiv:2302.13971; grouped queries: Ainslie et al. 2023, arXiv:2305.13245): also SmolLM2,
//! Llama 3 with its scaled positions, and Mistral with its sliding window.

use std::sync::Arc;

use candor_kernels::ops::add;
use candor_kernels::team::Team;

use super::blocks::{Attention, Ends, Gate, Mlp, Pass};
use crate::Error;
use crate::decoder::{Decoder, Step};
use crate::kv::{KvPages, KvShape};
use crate::linear::{Loader, Norm};

struct Llama {
    ends: Ends,
    layers: Vec<Layer>,
    context: usize,
    kv: KvShape,
}

struct Layer {
    attn_norm: Norm,
    attn: Attention,
    ffn_norm: Norm,
    ffn: Mlp,
}

pub(super) fn load(loader: &Loader<'_>, kv: KvShape) -> Result<Arc<dyn Decoder>, Error> {
    let p = loader.params;
    let rope = Arc::new(p.rope());
    let layer = |i: usize| {
        Ok(Layer {
            attn_norm: loader.norm(&format!("blk.{i}.attn_norm"), p.dim)?,
            attn: Attention::load(loader, i, &rope)?,
            ffn_norm: loader.norm(&format!("blk.{i}.ffn_norm"), p.dim)?,
            ffn: Mlp::load(loader, i, Gate::Silu)?,
        })
    };
    let layers = (0..p.layers).map(layer).collect::<Result<_, Error>>()?;
    Ok(Arc::new(Llama {
        ends: Ends::load(loader)?,
        layers,
        context: p.context,
        kv,
    }))
}

impl Decoder for Llama {
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
        let (mut h, mut y) = (Vec::new(), Vec::new());
        let mut pass = Pass::new(team, step, kv);
        for (i, layer) in self.layers.iter().enumerate() {
            layer.attn_norm.apply_to(team, &x, &mut h);
            layer.attn.apply(&mut pass, i, &h, &mut y);
            add(team, &mut x, &y);
            layer.ffn_norm.apply_to(team, &x, &mut h);
            layer.ffn.apply(&mut pass, &h, &mut y);
            add(team, &mut x, &y);
        }
        self.ends.leave(team, step, &x) // [W, V]
    }
}
