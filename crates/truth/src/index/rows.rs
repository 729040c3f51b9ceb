//! The files of an index beside its terms: `passages.G`, a record of 16 bytes per passage, and `vectors.G`, a scale and
//! int8 values per passage. Both only grow within a generation G, so a reader loads what is new. Little-endian.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::commit::Commit;
use candor_kernels::memory::prefer_huge_pages;

use crate::TruthError;

/// Rows that are read and scanned together.
pub(super) const BLOCK: usize = 16 * 1024;
const ROW: usize = 16;

/// Where a passage lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// The number of its text in the store.
    pub(crate) text: u64,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Row {
    pub(super) fn bytes(self) -> [u8; ROW] {
        let mut bytes = [0; ROW];
        bytes[..8].copy_from_slice(&self.text.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.start.to_le_bytes());
        bytes[12..].copy_from_slice(&self.end.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8; ROW]) -> Self {
        let (text, range) = bytes.split_at(8);
        let (start, end) = range.split_at(4);
        Self {
            text: u64::from_le_bytes(text.try_into().unwrap_or_default()),
            start: u32::from_le_bytes(start.try_into().unwrap_or_default()),
            end: u32::from_le_bytes(end.try_into().unwrap_or_default()),
        }
    }
}

/// Up to [`BLOCK`] passages in memory; vectors for the first of them, or all.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) rows: Vec<Row>,
    pub(super) scales: Vec<f32>,
    /// `[scales.len(), dim]`
    pub(super) values: Vec<i8>,
}

/// An index as it was at one commit.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    pub(super) commit: Commit,
    pub(super) blocks: Vec<Arc<Block>>,
}

impl Snapshot {
    /// Reads what `commit` has, taking full blocks from `earlier` where they are the same.
    pub(super) fn load(folder: &Path, commit: Commit, earlier: &Snapshot) -> Result<Self, TruthError> {
        let same = earlier.commit.generation == commit.generation;
        let same_model = earlier.commit.model == commit.model && earlier.commit.dim == commit.dim;
        let mut blocks = Vec::with_capacity(commit.rows.div_ceil(BLOCK));
        for n in 0..commit.rows.div_ceil(BLOCK) {
            let rows = BLOCK.min(commit.rows - n * BLOCK);
            let vectors = commit.vectors.saturating_sub(n * BLOCK).min(rows);
            match earlier.blocks.get(n) {
                Some(block)
                    if same
                        && block.rows.len() == rows
                        && block.scales.len() == vectors
                        && (same_model || vectors == 0) =>
                {
                    blocks.push(Arc::clone(block));
                }
                _ => blocks.push(Arc::new(read_block(folder, &commit, n, rows, vectors)?)),
            }
        }
        Ok(Self { commit, blocks })
    }

    pub(super) fn row(&self, row: usize) -> Option<Row> {
        self.blocks.get(row / BLOCK)?.rows.get(row % BLOCK).copied()
    }
}

fn read_block(folder: &Path, commit: &Commit, n: usize, rows: usize, vectors: usize) -> Result<Block, TruthError> {
    let bytes = read_part(&passages(folder, &commit.generation), n * BLOCK * ROW, rows * ROW)?;
    let mut block = Block {
        rows: bytes.as_chunks().0.iter().map(Row::read).collect(),
        ..Block::default()
    };
    if vectors > 0 {
        let stride = commit.dim + 4;
        let bytes = read_part(
            &vectors_file(folder, &commit.generation),
            n * BLOCK * stride,
            vectors * stride,
        )?;
        block.values.reserve_exact(vectors * commit.dim);
        prefer_huge_pages(block.values.spare_capacity_mut());
        for record in bytes.chunks_exact(stride) {
            let (scale, values) = record.split_at(4);
            block
                .scales
                .push(f32::from_le_bytes(scale.try_into().unwrap_or_default()));
            block.values.extend(values.iter().map(|byte| byte.cast_signed()));
        }
    }
    Ok(block)
}

fn read_part(path: &Path, at: usize, len: usize) -> Result<Vec<u8>, TruthError> {
    let mut bytes = vec![0; len];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(at as u64))?;
        file.read_exact(&mut bytes)
    });
    read.map_err(|error| TruthError::file(path, &error))?;
    Ok(bytes)
}

pub(super) fn passages(folder: &Path, generation: &str) -> PathBuf {
    folder.join(format!("passages.{generation}"))
}

pub(super) fn vectors_file(folder: &Path, generation: &str) -> PathBuf {
    folder.join(format!("vectors.{generation}"))
}
