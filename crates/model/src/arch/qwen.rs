//! Qwen 2 (Yang et al. 2024, arXiv:2407.10671): llama with a bias on queries, keys and values. Qwen 3 (Yang et al. 2025,
//! arXiv:2505.09388): no bias, queries and keys normalised per head; its larger models are mixtures of experts.

use std::sync::Arc;

use candor_kernels::ops::add;
use candor_kernels::team::Team;

use super::blocks::{Attention, Ends, Experts, Gate, Mlp, Pass};
use crate::Error;
use crate::decoder::{Decoder, Step};
use crate::kv::{KvPages, KvShape};
use crate::linear::{Loader, Norm};

struct Qwen {
    ends: Ends,
    layers: Vec<Layer>,
    context: usize,
    kv: KvShape,
}

struct Layer {
    attn_norm: Norm,
    attn: Attention,
    ffn_norm: Norm,
    ffn: Feed,
}

enum Feed {
    Dense(Mlp),
    Sparse(Experts),
}

pub(super) fn load(loader: &Loader<'_>, kv: KvShape) -> Result<Arc<dyn Decoder>, Error> {
    let p = loader.params;
    let rope = Arc::new(p.rope());
    let layer = |i: usize| {
        let router = format!("blk.{i}.ffn_gate_inp.weight");
        Ok(Layer {
            attn_norm: loader.norm(&format!("blk.{i}.attn_norm"), p.dim)?,
            attn: Attention::load(loader, i, &rope)?,
            ffn_norm: loader.norm(&format!("blk.{i}.ffn_norm"), p.dim)?,
            ffn: match p.experts > 0 && loader.has(&router) {
                true => Feed::Sparse(Experts::load(loader, i)?),
                false => Feed::Dense(Mlp::load(loader, i, Gate::Silu)?),
            },
        })
    };
    let layers = (0..p.layers).map(layer).collect::<Result<_, Error>>()?;
    Ok(Arc::new(Qwen {
        ends: Ends::load(loader)?,
        layers,
        context: p.context,
        kv,
    }))
}

impl Decoder for Qwen {
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
            match &layer.ffn {
                Feed::Dense(mlp) => mlp.apply(&mut pass, &h, &mut y),
                Feed::Sparse(experts) => experts.apply(&mut pass, &h, &mut y),
            }
            add(team, &mut x, &y);
        }
        self.ends.leave(team, step, &x) // [W, V]
    }
}
