//! Paged key/value memory: the pages of every layer, allocated once. Which page belongs to which sequence is the
//! scheduler's affair.

use candor_kernels::ops::attention::{self, KvLayer, KvLayerMut};
use candor_kernels::team::Team;
use half::f16;

use crate::Error;
use crate::decoder::{PAGE_TOKENS, PageId, Segment};

/// How keys and values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvFormat {
    /// Half precision.
    #[default]
    F16,
    /// Single precision: twice the memory, no rounding.
    F32,
}

impl KvFormat {
    /// Bytes per element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Shape of a model's key/value memory.
#[derive(Debug, Clone, Copy)]
pub struct KvShape {
    /// Layers.
    pub layers: usize,
    /// Key/value heads per layer.
    pub kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// How they are kept.
    pub format: KvFormat,
}

impl KvShape {
    /// Bytes of one page, all layers, keys and values.
    pub fn page_bytes(&self) -> usize {
        2 * self.layers * self.kv_heads * self.head_dim * PAGE_TOKENS * self.format.bytes()
    }
}

#[derive(Debug)]
enum Layer {
    F16 { keys: Box<[f16]>, values: Box<[f16]> },
    F32 { keys: Box<[f32]>, values: Box<[f32]> },
}

/// Keys and values of every layer, in pages.
#[derive(Debug)]
pub struct KvPages {
    shape: KvShape,
    pages: usize,
    layers: Vec<Layer>,
}

impl KvPages {
    /// Memory for `pages` pages. The system hands it out page by page as it is first written.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn new(shape: KvShape, pages: usize) -> Result<Self, Error> {
        let too_much = || {
            let bytes = shape.page_bytes().saturating_mul(pages);
            Error::Memory(format!(
                "a context memory of {pages} pages ({} MiB) cannot be had; ask for a shorter context, fewer parallel requests or a smaller model",
                bytes >> 20
            ))
        };
        let len = (shape.kv_heads * shape.head_dim * PAGE_TOKENS)
            .checked_mul(pages)
            .ok_or_else(too_much)?;
        let layers = (0..shape.layers).map(|_| {
            Ok(match shape.format {
                KvFormat::F16 => Layer::F16 {
                    keys: zeroed(len).ok_or_else(too_much)?,
                    values: zeroed(len).ok_or_else(too_much)?,
                },
                KvFormat::F32 => Layer::F32 {
                    keys: zeroed(len).ok_or_else(too_much)?,
                    values: zeroed(len).ok_or_else(too_much)?,
                },
            })
        });
        Ok(Self {
            shape,
            pages,
            layers: layers.collect::<Result<_, Error>>()?,
        })
    }

    /// How many pages there are.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// The shape it was made for.
    pub fn shape(&self) -> &KvShape {
        &self.shape
    }

    /// Writes a step's keys and values, `[T, kv_heads * head_dim]`, to layer `layer`.
    pub(crate) fn append(&mut self, team: &Team, layer: usize, segments: &[Segment<'_>], k: &[f32], v: &[f32]) {
        let layer = match &mut self.layers[layer] {
            Layer::F16 { keys, values } => KvLayerMut::F16 { keys, values },
            Layer::F32 { keys, values } => KvLayerMut::F32 { keys, values },
        };
        attention::store(team, layer, segments, k, v, self.shape.kv_heads, self.shape.head_dim);
    }

    /// Layer `layer`, to read.
    pub(crate) fn layer(&self, layer: usize) -> KvLayer<'_> {
        match &self.layers[layer] {
            Layer::F16 { keys, values } => KvLayer::F16 { keys, values },
            Layer::F32 { keys, values } => KvLayer::F32 { keys, values },
        }
    }

    /// Copies a page in every layer: for a sequence that goes on from the middle of a shared page.
    ///
    /// # Panics
    /// If a page does not exist.
    pub fn copy_page(&mut self, from: PageId, to: PageId) {
        let len = self.shape.kv_heads * self.shape.head_dim * PAGE_TOKENS;
        let (from, to) = (from as usize * len, to as usize * len);
        for layer in &mut self.layers {
            match layer {
                Layer::F16 { keys, values } => [keys, values].map(|x| x.copy_within(from..from + len, to)),
                Layer::F32 { keys, values } => [keys, values].map(|x| x.copy_within(from..from + len, to)),
            };
        }
    }
}

fn zeroed<T: bytemuck::Zeroable>(len: usize) -> Option<Box<[T]>> {
    // A layout beyond isize::MAX bytes would panic in the allocation below.
    len.checked_mul(size_of::<T>())
        .filter(|&bytes| isize::try_from(bytes).is_ok())?;
    bytemuck::try_zeroed_slice_box(len).ok()
}
