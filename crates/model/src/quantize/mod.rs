//! Another format for the weights of a GGUF file: a plan (which tensor becomes what), then one pass over the file, a few
//! megabytes at a time. Metadata stays as it is but for the two keys that name the format.

mod mix;

use std::path::Path;

use candor_kernels::formats::Format;
use candor_kernels::formats::quantize::{Loss, convert};
use candor_kernels::team::Team;

use crate::Error;
use crate::gguf::{Gguf, Metadata, NewTensor, Writer};
pub use mix::Mix;
use mix::{Facts, Rules, fitting, is_converted, layer};

/// Weights that are converted before they are written, about.
const SLAB_WEIGHTS: usize = 1 << 22;
/// Rows longer than this are refused: no model has them, and a row is in memory as a whole.
const MAX_COLS: usize = 1 << 24;
/// What `general.quantization_version` says: the layout of blocks since 2023.
const QUANTIZATION_VERSION: u32 = 2;

/// What becomes of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// How it is stored.
    pub from: Format,
    /// How it will be stored.
    pub to: Format,
    /// What the recipe wanted, where the rows are no whole blocks of it.
    pub wanted: Option<Format>,
    /// Size in the old file, in bytes.
    pub before: u64,
    /// Size in the new file, in bytes.
    pub after: u64,
}

/// What becomes of a file.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The recipe.
    pub mix: Mix,
    /// All tensors, in the order of the file.
    pub tensors: Vec<Planned>,
}

impl Plan {
    /// Plans by the recipe `mix`; `pure` gives every converted tensor its base format, without exceptions.
    ///
    /// # Errors
    /// If the file is one part of several, or what its header says cannot be a model's.
    pub fn new(gguf: &Gguf, mix: Mix, pure: bool) -> Result<Self, Error> {
        if gguf.u64("split.count").is_some_and(|parts| parts > 1) {
            return Err(Error::file(
                gguf.path(),
                "is one part of a model in several files; join them first (llama.cpp's `llama-gguf-split --merge` does)",
            ));
        }
        let summaries = gguf.tensors();
        // A damaged header could name the same bytes a million times, and the new file would hold them as often.
        if summaries.iter().map(|tensor| tensor.bytes as u64).sum::<u64>() > gguf.bytes() {
            return Err(Error::file(
                gguf.path(),
                "has tensors that overlap; it is damaged, get it again",
            ));
        }
        if let Some(long) = summaries
            .iter()
            .find(|tensor| tensor.shape.last().is_some_and(|cols| *cols > MAX_COLS))
        {
            return Err(Error::file(
                gguf.path(),
                format!(
                    "tensor `{}` has rows of more than {MAX_COLS} weights, as no model has",
                    long.name
                ),
            ));
        }
        // The rules count tensors layer by layer, whatever their order in the file.
        let mut order: Vec<usize> = (0..summaries.len()).collect();
        order.sort_by_key(|i| (layer(&summaries[*i].name).map_or(0, |n| n + 1), &summaries[*i].name));
        let mut rules = Rules::new(mix, Facts::of(gguf));
        let mut formats = vec![None; summaries.len()];
        for i in order {
            let tensor = &summaries[i];
            let cols = tensor.shape.last().copied().unwrap_or(0);
            if is_converted(&tensor.name, &tensor.shape) {
                let ruled = if pure {
                    mix.base()
                } else {
                    rules.format(&tensor.name, cols)
                };
                formats[i] = Some((ruled, fitting(ruled, cols)));
            }
        }
        let tensors = summaries.into_iter().zip(formats).map(|(tensor, formats)| {
            let (wanted, to) = formats.unwrap_or((tensor.format, tensor.format));
            let weights = tensor.shape.iter().map(|n| *n as u64).product::<u64>();
            Planned {
                wanted: (wanted != to).then_some(wanted),
                before: tensor.bytes as u64,
                after: weights / to.block_len() as u64 * to.block_bytes() as u64,
                name: tensor.name,
                shape: tensor.shape,
                from: tensor.format,
                to,
            }
        });
        Ok(Self {
            mix,
            tensors: tensors.collect(),
        })
    }

    /// The tensors that are quantized already and would change.
    pub fn requantized(&self) -> impl Iterator<Item = &Planned> {
        self.tensors
            .iter()
            .filter(|tensor| tensor.from != tensor.to && !tensor.from.is_float())
    }

    /// Writes the new file to `path`, replacing what is there once it is whole. `go_on` hears how many bytes of the old
    /// tensors are done and may say no. Returns what each tensor lost, in the order of `tensors`; `None` if stopped.
    ///
    /// # Errors
    /// If a weight is not finite or too large for its format, or the file cannot be written. Nothing is left then.
    pub fn write(
        &self,
        gguf: &Gguf,
        path: &Path,
        team: &Team,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<Vec<Loss>>, Error> {
        let mut metadata = Metadata::of(gguf);
        metadata.set_u32("general.quantization_version", QUANTIZATION_VERSION);
        metadata.set_u32("general.file_type", self.mix.file_type());
        let new = self.tensors.iter().map(|tensor| NewTensor {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            format: tensor.to,
        });
        let mut writer = Writer::create(path, &metadata, &new.collect::<Vec<_>>())?;
        let (mut losses, mut done, mut out) = (Vec::new(), 0, Vec::new());
        for planned in &self.tensors {
            let Some(tensor) = gguf.tensor(&planned.name) else {
                return Err(Error::file(gguf.path(), format!("has no tensor `{}`", planned.name)));
            };
            let cols = planned.shape.last().copied().unwrap_or(1).max(1);
            let rows_in = planned.from.row_bytes(cols).unwrap_or(tensor.bytes.len()).max(1);
            let rows_out = planned.to.row_bytes(cols).unwrap_or(0);
            let rows = (SLAB_WEIGHTS / cols).max(1);
            let mut all = Loss::default();
            for (slab, bytes) in tensor.bytes.chunks(rows * rows_in).enumerate() {
                out.resize(bytes.len() / rows_in * rows_out, 0);
                let lost = convert(team, (planned.from, bytes), (planned.to, &mut out), cols);
                all += lost.map_err(|cause| {
                    let cause = cause.below(slab * rows);
                    Error::file(
                        gguf.path(),
                        format!("tensor `{}` cannot be converted: {cause}", planned.name),
                    )
                })?;
                writer.write(&out)?;
                done += bytes.len() as u64;
                if !go_on(done) {
                    return Ok(None);
                }
            }
            losses.push(all);
        }
        writer.finish()?;
        Ok(Some(losses))
    }
}
