//! BERT encoders (Devlin et al. 2018, arXiv:1810.04805) as sentence embedders (Reimers & Gurevych 2019,
//! arXiv:1908.10084): the mean over all tokens, or the first, the last or the largest, scaled to length 1.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use candor_kernels::ops::attention::whole::{Heads, MOST_TOKENS, attend_whole};
use candor_kernels::ops::attention::{Pages, Params as Shape, attend_all};
use candor_kernels::ops::{add, gelu_erf};
use candor_kernels::team::Team;

use crate::Error;
use crate::encoder::Encoder;
use crate::linear::{Linear, Loader, Norm, Precision};
use crate::params::Pooling;

/// Tokens of a group: enough to read the weights seldom, few enough for the cache. A passage is a group by itself, so that
/// threads end together.
const GROUP: usize = 128;

struct Bert {
    words: Linear,
    positions: Vec<f32>,
    /// The embeddings of the kinds of segments: one, or one after the other.
    kinds: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    shape: Shape,
    /// Attention in integers, like the linear layers.
    whole: Option<Heads>,
    dim: usize,
    max_tokens: usize,
    pooling: Pooling,
}

struct Layer {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    after_attn: Norm,
    up: Linear,
    down: Linear,
    after_ffn: Norm,
}

pub(super) fn load(loader: &Loader<'_>) -> Result<Arc<dyn Encoder>, Error> {
    let p = loader.params;
    let layer = |i: usize| {
        let name = |part: &str| format!("blk.{i}.{part}");
        Ok(Layer {
            q: loader.batch_linear(&name("attn_q"), p.dim, p.dim)?,
            k: loader.batch_linear(&name("attn_k"), p.dim, p.dim)?,
            v: loader.batch_linear(&name("attn_v"), p.dim, p.dim)?,
            out: loader.batch_linear(&name("attn_output"), p.dim, p.dim)?,
            after_attn: loader.norm(&name("attn_output_norm"), p.dim)?,
            up: loader.batch_linear(&name("ffn_up"), p.feed_forward, p.dim)?,
            down: loader.batch_linear(&name("ffn_down"), p.dim, p.feed_forward)?,
            after_ffn: loader.norm(&name("layer_output_norm"), p.dim)?,
        })
    };
    let layers = (0..p.layers).map(layer).collect::<Result<_, Error>>()?;
    let vocab = loader.rows("token_embd.weight", p.dim)?;
    let positions = loader.rows("position_embd.weight", p.dim)?;
    let kinds = loader.rows("token_types.weight", p.dim)?;
    let max_tokens = p.context.min(positions);
    let compact = loader.precision == Precision::Compact && p.kv_heads == p.heads && max_tokens <= MOST_TOKENS;
    let all = |name: &str, rows: usize| Ok::<_, Error>(loader.linear(name, rows, p.dim)?.rows(0..rows));
    Ok(Arc::new(Bert {
        words: loader.linear("token_embd", vocab, p.dim)?,
        positions: all("position_embd", positions)?,
        kinds: all("token_types", kinds)?,
        norm: loader.norm("token_embd_norm", p.dim)?,
        layers,
        shape: Shape {
            heads: p.heads,
            kv_heads: p.kv_heads,
            head_dim: p.head_dim,
            scale: p.query_scale,
            window: None,
            softcap: None,
        },
        whole: compact.then_some(Heads {
            count: p.heads,
            dim: p.head_dim,
            scale: p.query_scale,
        }),
        dim: p.dim,
        max_tokens,
        pooling: p.pooling,
    }))
}

impl Bert {
    fn forward(&self, team: &Team, texts: &[Vec<u32>], kinds: &[Vec<u8>]) -> Vec<Vec<f32>> {
        let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
        let ids: Vec<usize> = texts.iter().flatten().map(|&id| id as usize).collect();
        if ids.is_empty() {
            return vec![Vec::new(); texts.len()];
        }
        let mut x = self.words.rows(ids.into_iter()); // [T, D], all texts
        let places = lengths.iter().enumerate().flat_map(|(n, &len)| {
            let kinds = kinds.get(n);
            (0..len).map(move |position| {
                let kind = kinds.and_then(|kinds| kinds.get(position)).copied();
                (position, usize::from(kind.unwrap_or_default()))
            })
        });
        let first = &self.kinds[..self.dim];
        for (row, (position, kind)) in x.chunks_exact_mut(self.dim).zip(places) {
            add(team, row, self.kinds.chunks_exact(self.dim).nth(kind).unwrap_or(first));
            add(team, row, &self.positions[position * self.dim..][..self.dim]);
        }
        let mut x = self.norm.apply(team, &x);
        // Every layer writes these anew; memory is asked for once.
        let [mut q, mut k, mut v, mut h, mut wide] = [const { Vec::new() }; 5];
        let mut mixed = vec![0.0; x.len()];
        let mut pages = Pages::default();
        for layer in &self.layers {
            let prepared = layer.q.prepare(&x);
            layer.q.apply_to(team, &prepared, &mut q);
            layer.k.apply_to(team, &prepared, &mut k);
            layer.v.apply_to(team, &prepared, &mut v);
            match &self.whole {
                Some(heads) => attend_whole(team, &mut mixed, [&q, &k, &v], &lengths, heads),
                None => attend_all(team, &mut mixed, (&q, &k, &v), &lengths, &self.shape, &mut pages),
            }
            layer.out.apply_to(team, &layer.out.prepare(&mixed), &mut h);
            add(team, &mut h, &x);
            layer.after_attn.apply_to(team, &h, &mut x);
            layer.up.apply_to(team, &layer.up.prepare(&x), &mut wide);
            gelu_erf(team, &mut wide);
            layer.down.apply_to(team, &layer.down.prepare(&wide), &mut h);
            add(team, &mut h, &x);
            layer.after_ffn.apply_to(team, &h, &mut x);
        }
        let mut rest = &x[..];
        let mut take = |len: usize| {
            let (head, tail) = rest.split_at(len * self.dim);
            rest = tail;
            head.to_vec()
        };
        lengths.iter().map(|&len| take(len)).collect()
    }
}

/// Texts that are computed together: about [`GROUP`] tokens each, and as much for each of `threads`.
fn groups(texts: &[Vec<u32>], threads: usize) -> Vec<Range<usize>> {
    let total: usize = texts.iter().map(Vec::len).sum();
    let count = (total / GROUP).next_multiple_of(threads.max(1)).max(1);
    let mut groups = Vec::new();
    let (mut from, mut tokens) = (0, 0);
    for (n, text) in texts.iter().enumerate() {
        tokens += text.len();
        // A group ends where its share of all tokens is reached.
        if tokens * count >= total * (groups.len() + 1) || n + 1 == texts.len() {
            groups.push(from..n + 1);
            from = n + 1;
        }
    }
    groups
}

impl Encoder for Bert {
    fn dim(&self) -> usize {
        self.dim
    }

    fn vocab(&self) -> usize {
        self.words.outputs()
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn hidden(&self, team: &Team, texts: &[Vec<u32>], kinds: &[Vec<u8>]) -> Vec<Vec<f32>> {
        let groups = groups(texts, team.threads());
        if groups.len() < 2 {
            return self.forward(team, texts, kinds);
        }
        // A thread takes a group through all layers: nobody waits between layers, norms and activations are shared out
        // too, and a group's activations stay in the cache. A text's bits do not depend on what runs beside it.
        let done: Vec<Mutex<Vec<Vec<f32>>>> = groups.iter().map(|_| Mutex::default()).collect();
        team.run(groups.len(), &|g| {
            let group = groups[g].clone();
            let kinds = &kinds[group.start.min(kinds.len())..group.end.min(kinds.len())];
            let hidden = self.forward(team, &texts[group], kinds);
            *done[g].lock().unwrap_or_else(PoisonError::into_inner) = hidden;
        });
        let done = done
            .into_iter()
            .map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner));
        done.flatten().collect()
    }

    fn embed(&self, team: &Team, texts: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let pool = |hidden: Vec<f32>| {
            let rows = hidden.len() / self.dim;
            let taken = match self.pooling {
                Pooling::Mean | Pooling::Max => 0..rows,
                Pooling::First => 0..rows.min(1),
                Pooling::Last => rows.saturating_sub(1)..rows,
            };
            let mut sum = vec![0.0f64; self.dim];
            for (i, row) in hidden[taken.start * self.dim..taken.end * self.dim]
                .chunks_exact(self.dim)
                .enumerate()
            {
                for (s, v) in sum.iter_mut().zip(row) {
                    let v = f64::from(*v);
                    match self.pooling {
                        Pooling::Max if i > 0 => *s = s.max(v),
                        _ => *s += v,
                    }
                }
            }
            // The mean's divisor falls out of the scaling to length 1.
            let length = sum.iter().map(|s| s * s).sum::<f64>().sqrt().max(1e-12);
            sum.iter().map(|s| (s / length) as f32).collect()
        };
        self.hidden(team, texts, &[]).into_iter().map(pool).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn groups_hold_every_text_once_and_share_the_tokens_out() {
        for lengths in [
            vec![],
            vec![9],
            vec![250; 17],
            vec![0, 0],
            vec![900, 10, 10, 500, 3],
            vec![0, 700, 0],
        ] {
            let texts: Vec<Vec<u32>> = lengths.iter().map(|n| vec![1; *n]).collect();
            let found = groups(&texts, 2);
            let covered: Vec<usize> = found.iter().cloned().flatten().collect();
            assert_eq!(covered, (0..texts.len()).collect::<Vec<_>>(), "{lengths:?}");
        }
        let even = groups(&vec![vec![1; 230]; 17], 2);
        assert!(
            even.len() == 17 && even.iter().all(|group| group.len() == 1),
            "{even:?}"
        );
        assert_eq!(groups(&[vec![1; 200]], 2).len(), 1);
    }
}
