//! The scalar twins: they define the bits.

use super::activations::Meta;
use super::pack::{ROWS, float_at, integer, scales};
use crate::formats::{Format, Quant};

/// One token by one group of 16 rows.
pub(super) fn quantized<Q: Quant>(group: &[u8], q: &[i16], meta: &[Meta]) -> [f32; ROWS] {
    let layout = Q::LAYOUT;
    let len = 32 / layout.groups;
    let mut acc = [0.0; ROWS];
    let blocks = q.as_chunks::<32>().0.iter().zip(meta);
    let steps = group.chunks_exact(layout.unit_bytes()).flat_map(|unit| {
        let (header, steps) = unit.split_at(layout.header());
        steps.chunks_exact(layout.step_bytes()).map(move |step| (header, step))
    });
    for ((header, step), (a, meta)) in steps.zip(blocks) {
        for (r, acc) in acc.iter_mut().enumerate() {
            for g in 0..layout.groups {
                let dot: i32 = (g * len..(g + 1) * len)
                    .map(|k| (i32::from(integer(&layout, step, r, k)) - layout.offset) * i32::from(a[k]))
                    .sum();
                let (scale, min) = scales(&layout, header, step, r, g);
                *acc = (dot as f32).mul_add(scale * meta.scale, *acc);
                if layout.mins() {
                    let which = if layout.groups == 1 { 0 } else { 1 + g };
                    *acc = min.mul_add(meta.scaled[which], *acc);
                }
            }
        }
    }
    acc
}

/// One token by one group of 16 rows of float weights.
pub(super) fn float(format: Format, group: &[u8], x: &[f32]) -> [f32; ROWS] {
    let size = format.block_bytes();
    let mut acc = [0.0; ROWS];
    for (line, x) in group.chunks_exact(ROWS * size).zip(x) {
        for (acc, w) in acc.iter_mut().zip(line.chunks_exact(size)) {
            *acc = float_at(format, w).mul_add(*x, *acc);
        }
    }
    acc
}
