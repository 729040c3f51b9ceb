//! What architectures share: attention, feed-forward, mixture of experts, and the way in and out.
//!
//! T tokens in this step, D width, H query heads, K key/value heads, d elements per head, F feed-forward width, V vocabulary.

use std::sync::Arc;

use candor_kernels::gemm::tokens_at_once;
use candor_kernels::ops;
use candor_kernels::ops::attention::{self, Params as Shape, attend};
use candor_kernels::ops::rope::Rope;
use candor_kernels::team::Team;

use crate::Error;
use crate::decoder::Step;
use crate::kv::KvPages;
use crate::linear::{Linear, Loader, Norm};

/// One step on its way through the layers.
pub(super) struct Pass<'a> {
    pub(super) team: &'a Team,
    pub(super) step: &'a Step<'a>,
    pub(super) kv: &'a mut KvPages,
    room: Room,
}

/// What every layer writes anew, kept so that memory is asked for once a step.
#[derive(Default)]
struct Room {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(team: &'a Team, step: &'a Step<'a>, kv: &'a mut KvPages) -> Self {
        Self {
            team,
            step,
            kv,
            room: Room::default(),
        }
    }

    /// The position of each token of the step.
    fn positions(&self) -> impl Iterator<Item = usize> {
        self.step.segments.iter().flat_map(|s| s.past..s.past + s.len)
    }
}

/// Self-attention with grouped queries and rotary positions; heads are normalised first where the model says so.
pub(super) struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
    rope: Arc<Rope>,
    shape: Shape,
}

impl Attention {
    pub(super) fn load(loader: &Loader<'_>, layer: usize, rope: &Arc<Rope>) -> Result<Self, Error> {
        let p = loader.params;
        let (queries, keys) = (p.heads * p.head_dim, p.kv_heads * p.head_dim);
        let name = |part: &str| format!("blk.{layer}.{part}");
        Ok(Self {
            q: loader.linear(&name("attn_q"), queries, p.dim)?,
            k: loader.linear(&name("attn_k"), keys, p.dim)?,
            v: loader.linear(&name("attn_v"), keys, p.dim)?,
            out: loader.linear(&name("attn_output"), p.dim, queries)?,
            q_norm: loader.optional_norm(&name("attn_q_norm"), p.head_dim)?,
            k_norm: loader.optional_norm(&name("attn_k_norm"), p.head_dim)?,
            rope: Arc::clone(rope),
            shape: attention::Params {
                heads: p.heads,
                kv_heads: p.kv_heads,
                head_dim: p.head_dim,
                scale: p.query_scale,
                window: p.window_of(layer),
                softcap: None,
            },
        })
    }

    /// `[T, D]` to `[T, D]`, with keys and values appended to layer `layer`.
    pub(super) fn apply(&self, pass: &mut Pass<'_>, layer: usize, h: &[f32], out: &mut Vec<f32>) {
        let team = pass.team;
        let positions: Vec<usize> = pass.positions().collect();
        let Room { q, k, v, mixed, .. } = &mut pass.room;
        let h = self.q.prepare(h);
        Linear::apply_together(team, &h, [(&self.q, &mut *q), (&self.k, &mut *k), (&self.v, &mut *v)]);
        for (norm, rows) in [(&self.q_norm, &mut *q), (&self.k_norm, &mut *k)] {
            if let Some(norm) = norm {
                norm.heads(team, rows);
            }
        }
        let Shape { heads, kv_heads, .. } = self.shape;
        self.rope.rotate_rows(team, q, heads, &positions);
        self.rope.rotate_rows(team, k, kv_heads, &positions);
        let segments = if self.shape.window.is_some() {
            pass.step.near
        } else {
            pass.step.segments
        };
        pass.kv.append(team, layer, segments, k, v);
        mixed.resize(q.len(), 0.0);
        attend(team, mixed, q, segments, &pass.kv.layer(layer), &self.shape);
        self.out.apply_to(team, &self.out.prepare(mixed), out);
    }
}

/// The nonlinearity of a gate.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gate {
    /// SwiGLU (Shazeer 2020, arXiv:2002.05202).
    Silu,
    /// GeGLU, GELU by its tanh form.
    Gelu,
}

/// down(gate(x) · up(x)).
pub(super) struct Mlp {
    gate: Linear,
    up: Linear,
    down: Linear,
    kind: Gate,
}

impl Mlp {
    pub(super) fn load(loader: &Loader<'_>, layer: usize, kind: Gate) -> Result<Self, Error> {
        let (dim, width) = (loader.params.dim, loader.params.feed_forward);
        let name = |part: &str| format!("blk.{layer}.{part}");
        Ok(Self {
            gate: loader.linear(&name("ffn_gate"), width, dim)?,
            up: loader.linear(&name("ffn_up"), width, dim)?,
            down: loader.linear(&name("ffn_down"), dim, width)?,
            kind,
        })
    }

    /// `[T, D]` to `[T, D]`.
    pub(super) fn apply(&self, pass: &mut Pass<'_>, h: &[f32], out: &mut Vec<f32>) {
        let (team, Room { gate, up, .. }) = (pass.team, &mut pass.room);
        let (inputs, outputs) = (self.gate.inputs(), self.down.outputs());
        out.resize(h.len() / inputs * outputs, 0.0);
        let tokens = tokens_at_once(team);
        for (h, out) in h.chunks(tokens * inputs).zip(out.chunks_mut(tokens * outputs)) {
            let h = self.gate.prepare(h);
            Linear::apply_together(team, &h, [(&self.gate, &mut *gate), (&self.up, &mut *up)]); // [T, F] each
            match self.kind {
                Gate::Silu => ops::silu_mul(team, gate, up),
                Gate::Gelu => ops::gelu_tanh_mul(team, gate, up),
            }
            self.down.apply_into(team, &self.down.prepare(gate), out);
        }
    }
}

/// Mixture of experts (Shazeer et al. 2017, arXiv:1701.06538): each token goes through its best few feed-forward layers,
/// weighted by the router's softmax. Experts add to a token in order of their numbers, whatever else is in the batch.
pub(super) struct Experts {
    router: Linear,
    experts: Vec<Mlp>,
    used: usize,
    normalised: bool,
}

impl Experts {
    pub(super) fn load(loader: &Loader<'_>, layer: usize) -> Result<Self, Error> {
        let p = loader.params;
        let name = |part: &str| format!("blk.{layer}.{part}");
        let gates = loader.experts(&name("ffn_gate"), p.experts, p.expert_feed_forward, p.dim)?;
        let ups = loader.experts(&name("ffn_up"), p.experts, p.expert_feed_forward, p.dim)?;
        let downs = loader.experts(&name("ffn_down"), p.experts, p.dim, p.expert_feed_forward)?;
        let experts = gates.into_iter().zip(ups).zip(downs).map(|((gate, up), down)| Mlp {
            gate,
            up,
            down,
            kind: Gate::Silu,
        });
        Ok(Self {
            router: loader.linear(&name("ffn_gate_inp"), p.experts, p.dim)?,
            experts: experts.collect(),
            used: p.experts_used,
            normalised: p.normalise_experts,
        })
    }

    /// `[T, D]` to `[T, D]`.
    pub(super) fn apply(&self, pass: &mut Pass<'_>, h: &[f32], out: &mut Vec<f32>) {
        let (team, count) = (pass.team, self.experts.len());
        let mut scores = self.router.apply(team, h); // [T, experts]
        let dim = h.len() / (scores.len() / count).max(1);
        let mut takers: Vec<Vec<(usize, f32)>> = vec![Vec::new(); count];
        for (token, scores) in scores.chunks_exact_mut(count).enumerate() {
            ops::softmax(scores);
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
            let chosen = &order[..self.used];
            let total: f32 = if self.normalised {
                chosen.iter().map(|&e| scores[e]).sum()
            } else {
                1.0
            };
            chosen.iter().for_each(|&e| takers[e].push((token, scores[e] / total)));
        }
        out.clear();
        out.resize(h.len(), 0.0);
        let mut done = Vec::new();
        for (expert, takers) in self
            .experts
            .iter()
            .zip(&takers)
            .filter(|(_, takers)| !takers.is_empty())
        {
            let rows: Vec<f32> = takers
                .iter()
                .flat_map(|&(token, _)| &h[token * dim..][..dim])
                .copied()
                .collect();
            expert.apply(pass, &rows, &mut done);
            for (&(token, weight), row) in takers.iter().zip(done.chunks_exact(dim)) {
                out[token * dim..][..dim]
                    .iter_mut()
                    .zip(row)
                    .for_each(|(o, r)| *o += weight * r);
            }
        }
    }
}

/// Token embeddings, the last norm, and the output layer (the embeddings again where the file has none of its own).
pub(super) struct Ends {
    pub(super) embed: Linear,
    norm: Norm,
    head: Option<Linear>,
    dim: usize,
}

impl Ends {
    pub(super) fn load(loader: &Loader<'_>) -> Result<Self, Error> {
        let dim = loader.params.dim;
        let vocab = loader.rows("token_embd.weight", dim)?;
        let own_head = loader.has("output.weight") && !loader.params.tied;
        let (embed, head) = loader.ends(vocab, dim, own_head)?;
        Ok(Self {
            embed,
            norm: loader.norm("output_norm", dim)?,
            head,
            dim,
        })
    }

    pub(super) fn vocab(&self) -> usize {
        self.embed.outputs()
    }

    /// Token ids to `[T, D]`.
    pub(super) fn enter(&self, step: &Step<'_>) -> Vec<f32> {
        self.embed.rows(step.tokens.iter().map(|&id| id as usize))
    }

    /// `[T, D]` to the logits of the wanted rows, `[W, V]`.
    pub(super) fn leave(&self, team: &Team, step: &Step<'_>, x: &[f32]) -> Vec<f32> {
        let rows: Vec<f32> = step
            .wanted
            .iter()
            .flat_map(|&row| &x[row * self.dim..][..self.dim])
            .copied()
            .collect();
        if rows.is_empty() {
            return Vec::new();
        }
        self.head
            .as_ref()
            .unwrap_or(&self.embed)
            .apply(team, &self.norm.apply(team, &rows))
    }
}
