//! What hides the weight format: a linear layer, an embedding table, and norms; and the loader that makes them from a
//! file's tensors, with every shape checked.

use std::cell::Cell;

use candor_kernels::formats::dequantize;
use candor_kernels::gemm::{Bits, Quantized, Weights, WholeRows, matmul_quantized, matmul_together, matmul_whole};
use candor_kernels::ops;
use candor_kernels::team::Team;

use crate::Error;
use crate::params::Params;
use crate::weights::{Source, Tensor};

/// How weights are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// In the format of the file; activations as 16-bit integers where the weights are integers.
    #[default]
    Quantized,
    /// As `Quantized` with activations of 8 bits, as other engines have them: prompts and many answers at once are faster and
    /// less exact.
    Fast,
    /// As `Quantized`, and the weights of an encoder as integers of 14 bits: many times faster, and embeddings within 1e-3
    /// of the f32 ones instead of 1e-4.
    Compact,
    /// As f32, for comparison with a reference.
    F32,
}

impl Precision {
    fn bits(self) -> Bits {
        match self {
            Precision::Fast => Bits::Eight,
            Precision::Quantized | Precision::Compact | Precision::F32 => Bits::Sixteen,
        }
    }
}

/// y = x Wᵀ + b.
#[derive(Debug)]
pub struct Linear {
    table: Table,
    bias: Option<Vec<f32>>,
    /// How inputs are rounded.
    bits: Bits,
}

#[derive(Debug)]
enum Table {
    /// As the file has them, or as f32.
    Blocks(Weights),
    /// Integers under a scale per row, of `Precision::Compact`.
    Whole(WholeRows),
}

impl Linear {
    /// Prepares `x`, `[T, inputs]`, once for several layers.
    pub fn prepare<'a>(&self, x: &'a [f32]) -> Quantized<'a> {
        Quantized::new(x, x.len() / self.inputs(), self.inputs(), self.bits)
    }

    /// `[T, inputs]` to `[T, outputs]`.
    pub fn apply(&self, team: &Team, x: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        self.apply_to(team, &self.prepare(x), &mut out);
        out
    }

    /// As `apply`, of prepared inputs and into `out`, which keeps its memory from layer to layer.
    pub fn apply_to(&self, team: &Team, x: &Quantized<'_>, out: &mut Vec<f32>) {
        out.resize(x.tokens() * self.outputs(), 0.0);
        self.apply_into(team, x, out);
    }

    /// As `apply_to`, into `out`, `[T, outputs]`.
    pub fn apply_into(&self, team: &Team, x: &Quantized<'_>, out: &mut [f32]) {
        match &self.table {
            Table::Blocks(weights) => {
                matmul_quantized(team, out, x, weights);
                self.add_bias(team, out);
            }
            Table::Whole(weights) => matmul_whole(team, out, x, weights, self.bias.as_deref()),
        }
    }

    /// As `apply_to` for layers that share their inputs, as one job where tokens are few.
    pub fn apply_together<const N: usize>(team: &Team, x: &Quantized<'_>, mut layers: [(&Self, &mut Vec<f32>); N]) {
        let mut blocks = Vec::with_capacity(N);
        for (layer, out) in &mut layers {
            match &layer.table {
                Table::Blocks(weights) => {
                    out.resize(x.tokens() * layer.outputs(), 0.0);
                    blocks.push((out.as_mut_slice(), weights));
                }
                Table::Whole(_) => layer.apply_to(team, x, out),
            }
        }
        matmul_together(team, x, &mut blocks);
        for (layer, out) in layers {
            if matches!(layer.table, Table::Blocks(_)) {
                layer.add_bias(team, out);
            }
        }
    }

    fn add_bias(&self, team: &Team, out: &mut [f32]) {
        if let Some(bias) = &self.bias {
            ops::add_to_rows(team, out, bias);
        }
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        match &self.table {
            Table::Blocks(weights) => weights.cols(),
            Table::Whole(weights) => weights.cols(),
        }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        match &self.table {
            Table::Blocks(weights) => weights.rows(),
            Table::Whole(weights) => weights.rows(),
        }
    }

    /// Rows of the table, one per id: `[ids, inputs]`.
    ///
    /// # Panics
    /// If an id is not below `outputs`.
    pub fn rows(&self, ids: impl ExactSizeIterator<Item = usize>) -> Vec<f32> {
        let dim = self.inputs();
        let mut out = vec![0.0; ids.len() * dim];
        for (row, id) in out.chunks_exact_mut(dim).zip(ids) {
            match &self.table {
                Table::Blocks(weights) => weights.row(id, row),
                Table::Whole(weights) => weights.row(id, row),
            }
        }
        out
    }
}

/// Scales rows to length one and each element by its weight: RMSNorm, or LayerNorm where there is a bias.
#[derive(Debug)]
pub struct Norm {
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    eps: f32,
}

impl Norm {
    /// Each row of `x`, `[T, dim]`.
    pub fn apply(&self, team: &Team, x: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        self.apply_to(team, x, &mut out);
        out
    }

    /// As `apply`, into `out`, which keeps its memory from layer to layer.
    pub fn apply_to(&self, team: &Team, x: &[f32], out: &mut Vec<f32>) {
        out.resize(x.len(), 0.0);
        match &self.bias {
            Some(bias) => ops::layer_norm(team, out, x, &self.weight, bias, self.eps),
            None => ops::rms_norm(team, out, x, &self.weight, self.eps),
        }
    }

    /// Each head of `x`, `[T, heads * head_dim]`.
    pub fn heads(&self, team: &Team, x: &mut [f32]) {
        ops::rms_norm_in_place(team, x, &self.weight, self.eps);
    }
}

/// What the linear layers do for one token: the least that any engine must, whose bench can say how near it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Bytes of packed weights that are read, those of the output layer included.
    pub bytes: u64,
    /// Multiply-adds, without those of the output layer.
    pub multiply_adds: u64,
    /// Multiply-adds of the output layer, which only sees tokens whose logits are wanted.
    pub head_multiply_adds: u64,
}

/// Makes layers from tensors; knows the file's name for messages.
pub(crate) struct Loader<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) team: &'a Team,
    pub(crate) precision: Precision,
    pub(crate) params: &'a Params,
    /// Of the layers made so far.
    pub(crate) work: Cell<Work>,
}

impl Loader<'_> {
    /// Counts what layers do, of which a token goes through `used` of `of`.
    fn count<'w>(&self, layers: impl Iterator<Item = &'w Linear>, used: usize, of: usize) {
        let (mut bytes, mut products) = (0, 0);
        for layer in layers {
            if let Table::Blocks(weights) = &layer.table {
                bytes += weights.bytes() as u64;
                products += (weights.rows() * weights.cols()) as u64;
            }
        }
        let share = |whole: u64| whole.saturating_mul(used as u64) / of.max(1) as u64;
        let mut work = self.work.get();
        work.bytes += share(bytes);
        work.multiply_adds += share(products);
        self.work.set(work);
    }

    /// The embeddings, and the output layer where the file has one of its own: its products are counted apart, and a
    /// table that is only looked up counts nothing.
    pub(crate) fn ends(&self, vocab: usize, dim: usize, own_head: bool) -> Result<(Linear, Option<Linear>), Error> {
        let before = self.work.get();
        let embed = self.linear("token_embd", vocab, dim)?;
        let mut head = None;
        if own_head {
            self.work.set(before);
            head = Some(self.linear("output", vocab, dim)?);
        }
        let mut work = self.work.get();
        work.head_multiply_adds = work.multiply_adds - before.multiply_adds;
        work.multiply_adds = before.multiply_adds;
        self.work.set(work);
        Ok((embed, head))
    }

    fn fail(&self, what: String) -> Error {
        Error::File {
            file: self.source.name(),
            what,
        }
    }

    fn tensor(&self, name: &str) -> Result<Tensor<'_>, Error> {
        self.source.tensor(name).ok_or_else(|| {
            let arch = &self.params.arch;
            self.fail(format!("has no tensor `{name}`, which {arch} needs; the file is incomplete or of another architecture, get it again"))
        })
    }

    /// Whether there is such a tensor.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.source.tensor(name).is_some()
    }

    /// The number of rows of a matrix with `cols` columns.
    pub(crate) fn rows(&self, name: &str, cols: usize) -> Result<usize, Error> {
        match *self.tensor(name)?.shape {
            [rows, c] if c == cols => Ok(rows),
            ref shape => Err(self.misfit(name, shape, &format!("[any, {cols}]"))),
        }
    }

    fn misfit(&self, name: &str, shape: &[usize], wanted: &str) -> Error {
        self.fail(format!("tensor `{name}` has the shape {shape:?} where the metadata asks for {wanted}; the file is damaged, get it again"))
    }

    fn values(&self, tensor: &Tensor<'_>) -> Result<Vec<f32>, Error> {
        let len: usize = tensor.shape.iter().product();
        let mut values = Vec::new();
        values.try_reserve_exact(len).map_err(|_| {
            Error::Memory(format!(
                "{} MiB of memory for weights cannot be had; free memory or take a smaller model",
                len >> 18
            ))
        })?;
        values.resize(len, 0.0);
        dequantize(tensor.format, tensor.bytes, &mut values).map_err(|e| self.fail(e.to_string()))?;
        Ok(values)
    }

    /// A vector of `len` values.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        let tensor = self.tensor(name)?;
        if tensor.shape.iter().product::<usize>() != len || tensor.shape.last() != Some(&len) {
            return Err(self.misfit(name, tensor.shape, &format!("[{len}]")));
        }
        self.values(&tensor)
    }

    /// The norm `name`, with `name.bias` where there is one.
    pub(crate) fn norm(&self, name: &str, dim: usize) -> Result<Norm, Error> {
        let mut weight = self.vector(&format!("{name}.weight"), dim)?;
        weight.iter_mut().for_each(|w| *w += self.params.norm_offset);
        let bias = format!("{name}.bias");
        let bias = if self.has(&bias) {
            Some(self.vector(&bias, dim)?)
        } else {
            None
        };
        Ok(Norm {
            weight,
            bias,
            eps: self.params.norm_eps,
        })
    }

    /// The norm `name`, if it is there.
    pub(crate) fn optional_norm(&self, name: &str, dim: usize) -> Result<Option<Norm>, Error> {
        if self.has(&format!("{name}.weight")) {
            self.norm(name, dim).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The layer `name`, with `name.bias` where there is one.
    pub(crate) fn linear(&self, name: &str, rows: usize, cols: usize) -> Result<Linear, Error> {
        let weight = format!("{name}.weight");
        let tensor = self.tensor(&weight)?;
        if tensor.shape != [rows, cols] {
            return Err(self.misfit(&weight, tensor.shape, &format!("[{rows}, {cols}]")));
        }
        let bias = format!("{name}.bias");
        let bias = if self.has(&bias) {
            Some(self.vector(&bias, rows)?)
        } else {
            None
        };
        let linear = Linear {
            table: Table::Blocks(self.pack(&tensor, rows, cols)?),
            bias,
            bits: self.precision.bits(),
        };
        self.count(std::iter::once(&linear), 1, 1);
        Ok(linear)
    }

    /// The layer `name` of an encoder, which is only ever read in batches: arithmetic is the limit and not memory, so
    /// where `Compact` is asked for weights become integers under one scale per row, whose products take a fraction.
    pub(crate) fn batch_linear(&self, name: &str, rows: usize, cols: usize) -> Result<Linear, Error> {
        let mut linear = self.linear(name, rows, cols)?;
        if self.precision == Precision::Compact {
            let values = self.values(&self.tensor(&format!("{name}.weight"))?)?;
            let whole = WholeRows::new(&values, rows, cols, self.team).map_err(|e| self.fail(e.to_string()))?;
            if let Some(whole) = whole {
                linear.table = Table::Whole(whole);
            }
        }
        Ok(linear)
    }

    /// The layers of `count` experts: slices of one tensor `name_exps`, or tensors `name.0`, `name.1`, ….
    pub(crate) fn experts(&self, name: &str, count: usize, rows: usize, cols: usize) -> Result<Vec<Linear>, Error> {
        let stacked = format!("{name}_exps.weight");
        let Some(all) = self.source.tensor(&stacked) else {
            let before = self.work.get();
            let experts = (0..count).map(|i| self.linear(&format!("{name}.{i}"), rows, cols));
            let experts = experts.collect::<Result<Vec<_>, Error>>()?;
            self.work.set(before);
            self.count(experts.iter(), self.params.experts_used, count);
            return Ok(experts);
        };
        if all.shape != [count, rows, cols] {
            return Err(self.misfit(&stacked, all.shape, &format!("[{count}, {rows}, {cols}]")));
        }
        let shape = [rows, cols];
        let expert = |bytes| {
            let tensor = Tensor {
                format: all.format,
                shape: &shape,
                bytes,
            };
            Ok(Linear {
                table: Table::Blocks(self.pack(&tensor, rows, cols)?),
                bias: None,
                bits: self.precision.bits(),
            })
        };
        let experts = all.bytes.chunks_exact(all.bytes.len() / count).map(expert);
        let experts = experts.collect::<Result<Vec<_>, Error>>()?;
        self.count(experts.iter(), self.params.experts_used, count);
        Ok(experts)
    }

    fn pack(&self, tensor: &Tensor<'_>, rows: usize, cols: usize) -> Result<Weights, Error> {
        match self.precision {
            Precision::Quantized | Precision::Fast | Precision::Compact => {
                Weights::pack(tensor.format, tensor.bytes, rows, cols, self.team)
            }
            Precision::F32 => Weights::pack_f32(&self.values(tensor)?, rows, cols),
        }
        .map_err(|e| self.fail(e.to_string()))
    }
}
