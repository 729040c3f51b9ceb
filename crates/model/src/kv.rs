//! Paged key/value memory: the pages of every layer, allocated once. Which page belongs to which sequence is the
//! scheduler's affair. Layers with a sliding window (near layers) have pages of their own, so that a sequence can give
//! those behind the window back and keep the others.

use candor_kernels::ops::attention::{self, Bytes, BytesMut, KvLayer, KvLayerMut};
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
    /// Whole numbers of 8 bits under one scale for each head at each position: little more than half the memory.
    Q8,
}

impl KvFormat {
    /// Bytes of a head's key, or of its value, at one position.
    fn bytes(self, head_dim: usize) -> usize {
        match self {
            Self::F16 => head_dim * 2,
            Self::F32 => head_dim * 4,
            Self::Q8 => head_dim + size_of::<f32>(),
        }
    }
}

/// Shape of a model's key/value memory.
#[derive(Debug, Clone)]
pub struct KvShape {
    /// The window of each layer; `None` sees everything.
    pub windows: Vec<Option<usize>>,
    /// Key/value heads per layer.
    pub kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// How they are kept.
    pub format: KvFormat,
}

impl KvShape {
    /// The longest window of a near layer; `None` if every layer sees everything.
    pub fn window(&self) -> Option<usize> {
        self.windows.iter().flatten().max().copied()
    }

    /// Bytes of one page in all far layers and in all near ones, keys and values.
    pub fn page_bytes(&self) -> Counts {
        let near = self.windows.iter().flatten().count();
        let layer = 2 * self.kv_heads * PAGE_TOKENS * self.format.bytes(self.head_dim);
        Counts {
            far: layer * (self.windows.len() - near),
            near: layer * near,
        }
    }
}

/// Two numbers: of layers that see everything, and of those with a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Of layers that see everything.
    pub far: usize,
    /// Of layers with a window.
    pub near: usize,
}

impl Counts {
    /// `count` of both: for sequences that keep everything under one page table.
    pub fn both(count: usize) -> Self {
        Self {
            far: count,
            near: count,
        }
    }
}

#[derive(Debug)]
enum Layer {
    F16 { keys: Box<[f16]>, values: Box<[f16]> },
    F32 { keys: Box<[f32]>, values: Box<[f32]> },
    Q8 { keys: Scaled, values: Scaled },
}

/// Keys or values as bytes.
#[derive(Debug)]
struct Scaled {
    numbers: Box<[i8]>,
    scales: Box<[f32]>,
}

impl Scaled {
    /// `len` elements in heads of `head_dim`.
    fn zeroed(len: usize, head_dim: usize) -> Option<Self> {
        Some(Self {
            numbers: zeroed(len)?,
            scales: zeroed(len / head_dim)?,
        })
    }

    fn get(&self) -> Bytes<'_> {
        Bytes {
            numbers: &self.numbers,
            scales: &self.scales,
        }
    }

    fn get_mut(&mut self) -> BytesMut<'_> {
        BytesMut {
            numbers: &mut self.numbers,
            scales: &mut self.scales,
        }
    }
}

/// Keys and values of every layer, in pages.
#[derive(Debug)]
pub struct KvPages {
    shape: KvShape,
    pages: Counts,
    layers: Vec<Layer>,
}

impl KvPages {
    /// Memory for `pages` pages. The system hands it out page by page as it is first written.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn new(shape: KvShape, pages: Counts) -> Result<Self, Error> {
        let too_much = || {
            let page = shape.page_bytes();
            let bytes = (page.far.saturating_mul(pages.far)).saturating_add(page.near.saturating_mul(pages.near));
            Error::Memory(format!(
                "a context memory of {} pages ({} MiB) cannot be had; ask for a shorter context, fewer parallel requests or a smaller model",
                pages.far,
                bytes >> 20
            ))
        };
        let layers = shape.windows.iter().map(|window| {
            let pages = if window.is_some() { pages.near } else { pages.far };
            let len = (shape.kv_heads * shape.head_dim * PAGE_TOKENS)
                .checked_mul(pages)
                .ok_or_else(too_much)?;
            Ok(match shape.format {
                KvFormat::F16 => Layer::F16 {
                    keys: zeroed(len).ok_or_else(too_much)?,
                    values: zeroed(len).ok_or_else(too_much)?,
                },
                KvFormat::F32 => Layer::F32 {
                    keys: zeroed(len).ok_or_else(too_much)?,
                    values: zeroed(len).ok_or_else(too_much)?,
                },
                KvFormat::Q8 => Layer::Q8 {
                    keys: Scaled::zeroed(len, shape.head_dim).ok_or_else(too_much)?,
                    values: Scaled::zeroed(len, shape.head_dim).ok_or_else(too_much)?,
                },
            })
        });
        let layers = layers.collect::<Result<_, Error>>()?;
        Ok(Self { shape, pages, layers })
    }

    /// How many pages there are.
    pub fn pages(&self) -> Counts {
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
            Layer::Q8 { keys, values } => KvLayerMut::Q8 {
                keys: keys.get_mut(),
                values: values.get_mut(),
            },
        };
        attention::store(team, layer, segments, k, v, self.shape.kv_heads, self.shape.head_dim);
    }

    /// Layer `layer`, to read.
    pub(crate) fn layer(&self, layer: usize) -> KvLayer<'_> {
        match &self.layers[layer] {
            Layer::F16 { keys, values } => KvLayer::F16 { keys, values },
            Layer::F32 { keys, values } => KvLayer::F32 { keys, values },
            Layer::Q8 { keys, values } => KvLayer::Q8 {
                keys: keys.get(),
                values: values.get(),
            },
        }
    }

    /// Copies a page in every layer, far and near: for a sequence that goes on from the middle of a shared page.
    ///
    /// # Panics
    /// If a page does not exist.
    pub fn copy_page(&mut self, from: PageId, to: PageId) {
        for (layer, window) in self.layers.iter_mut().zip(&self.shape.windows) {
            let pages = if window.is_some() {
                self.pages.near
            } else {
                self.pages.far
            };
            let parts = (self.shape.kv_heads, pages);
            match layer {
                Layer::F16 { keys, values } => [keys, values].map(|all| copy(all, parts, from, to)),
                Layer::F32 { keys, values } => [keys, values].map(|all| copy(all, parts, from, to)),
                Layer::Q8 { keys, values } => [keys, values].map(|all| {
                    copy(&mut all.numbers, parts, from, to);
                    copy(&mut all.scales, parts, from, to);
                }),
            };
        }
    }
}

/// Copies a page of every head, `[heads][pages]`.
fn copy<T: Copy>(all: &mut [T], (heads, pages): (usize, usize), from: PageId, to: PageId) {
    let len = all.len() / heads / pages;
    let (from, to) = (from as usize * len, to as usize * len);
    for head in all.chunks_exact_mut(len * pages) {
        head.copy_within(from..from + len, to);
    }
}

fn zeroed<T: bytemuck::Zeroable>(len: usize) -> Option<Box<[T]>> {
    // A layout beyond isize::MAX bytes would panic in the allocation below.
    len.checked_mul(size_of::<T>())
        .filter(|&bytes| isize::try_from(bytes).is_ok())?;
    bytemuck::try_zeroed_slice_box(len).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// All bytes of a layer, as bits that can be compared.
    fn contents(layer: &KvLayer<'_>) -> Vec<Vec<u32>> {
        let floats = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        let halves = |x: &[f16]| x.iter().map(|x| u32::from(x.to_bits())).collect::<Vec<u32>>();
        let bytes = |x: &[i8]| x.iter().map(|x| *x as u32).collect::<Vec<u32>>();
        match layer {
            KvLayer::F16 { keys, values } => vec![halves(keys), halves(values)],
            KvLayer::F32 { keys, values } => vec![floats(keys), floats(values)],
            KvLayer::Q8 { keys, values } => [keys, values]
                .iter()
                .flat_map(|all| [bytes(all.numbers), floats(all.scales)])
                .collect(),
        }
    }

    #[test]
    fn a_page_takes_the_bytes_that_are_counted_and_all_of_it_is_copied() {
        for (format, element) in [(KvFormat::F16, 2), (KvFormat::F32, 4), (KvFormat::Q8, 1)] {
            let shape = KvShape {
                windows: vec![None, Some(32)],
                kv_heads: 3,
                head_dim: 8,
                format,
            };
            let bytes = shape.page_bytes();
            // The near layer has three pages more.
            let mut kv = KvPages::new(shape, Counts { far: 4, near: 7 }).unwrap();
            let tokens = 2 * PAGE_TOKENS;
            let x: Vec<f32> = (0..tokens * 24).map(|i| (i as f32 * 0.7).sin()).collect();
            let segment = Segment {
                past: 0,
                len: tokens,
                pages: &[2, 0],
            };
            for layer in 0..2 {
                kv.append(&Team::new(1), layer, &[segment], &x, &x);
            }
            kv.copy_page(2, 1);
            for (layer, pages, bytes) in [(0, 4, bytes.far), (1, 7, bytes.near)] {
                let mut counted = 0;
                for (i, part) in contents(&kv.layer(layer)).iter().enumerate() {
                    for head in part.chunks_exact(part.len() / 3) {
                        let page = head.len() / pages;
                        assert_eq!(head[2 * page..3 * page], head[page..2 * page], "{format:?}");
                        assert_ne!(head[..page], head[page..2 * page], "{format:?}");
                        assert!(head[3 * page..].iter().all(|x| *x == 0), "{format:?}");
                        counted += page
                            * if format == KvFormat::Q8 && i % 2 == 1 {
                                4
                            } else {
                                element
                            };
                    }
                }
                assert_eq!(counted, bytes, "{format:?}");
            }
        }
    }
}
