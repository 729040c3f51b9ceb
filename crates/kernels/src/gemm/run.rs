//! The one place that chooses: instruction set, and kernel by number of tokens. None of it changes a result.

use std::cell::RefCell;
use std::ops::Range;

use super::activations::{Integers, Quantized};
#[cfg(target_arch = "x86_64")]
use super::amx;
use super::float::SideBySide;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::kernel::Task;
use super::pack::{ROWS, Weights};
use super::plan::Plan;
use super::scalar;
use crate::cpu::Isa;
use crate::formats::with_quant;
use crate::shared::Shared;
use crate::team::Team;

/// From this many tokens on, they are many.
pub(super) const MANY_FROM: usize = 9;
/// From this many tokens on, the matrix unit is faster, though it always computes 16.
#[cfg(target_arch = "x86_64")]
const AMX_FROM: usize = 8;
/// Tokens of one task: their activations stay in the second-level cache.
const TASK_TOKENS: usize = 128;
/// Tokens of one task of the matrix unit, which is quicker than unpacking the weights anew.
#[cfg(target_arch = "x86_64")]
const AMX_TASK_TOKENS: usize = 256;
/// Groups of floats that one token is multiplied with side by side.
pub(super) const FLOAT_GROUPS: usize = 2;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! path {
    ($path:ident, $lanes:ty, $features:literal, $float:literal) => {
        /// The kernels compiled for one instruction set.
        mod $path {
            use crate::formats::{Format, Quant};
            use crate::gemm::kernel::{self, Task};
            use crate::gemm::{float, panel};
            use crate::lanes::Lanes;

            type L = $lanes;
            /// Tokens that run over floats together, where they are many.
            pub(super) const FLOAT_TOKENS: usize = $float;
            /// Of many tokens, so many run over all groups of a task before the next: their activations fill the near cache.
            pub(super) const BLOCK: usize = if L::WIDE { 8 } else { usize::MAX };

            #[target_feature(enable = $features)]
            pub(super) fn products<Q: Quant>(task: &Task<'_>, out: &mut [[f32; 16]]) {
                let in_bytes = task.acts.in_bytes() && kernel::has_bytes::<L>(Q::LAYOUT.planes);
                match (in_bytes, L::WIDE || task.count < super::MANY_FROM) {
                    (false, true) => kernel::in_registers::<L, Q, false>(task, out),
                    (true, true) => kernel::in_registers::<L, Q, true>(task, out),
                    (false, false) => panel::panel::<L, Q, false>(task, out),
                    (true, false) => panel::panel::<L, Q, true>(task, out),
                }
            }

            #[target_feature(enable = $features)]
            pub(super) fn float<const G: usize, const N: usize, const SIDE: bool>(
                format: Format,
                groups: [&[u8]; G],
                x: &[f32],
                cols: usize,
            ) -> [[[f32; 16]; N]; G] {
                float::float::<L, G, N, SIDE>(format, groups, x, cols)
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
path!(avx2, crate::lanes::Avx2, "avx2,fma,f16c", 6);
#[cfg(target_arch = "x86_64")]
path!(
    avx512,
    crate::lanes::Avx512,
    "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni",
    16
);
#[cfg(target_arch = "aarch64")]
path!(neon, crate::lanes::Neon, "neon", 6);

/// A layer's outputs, `[tokens, rows]`, as tasks write them.
struct Outputs<'a> {
    all: Shared<'a, f32>,
    w: &'a Weights,
}

impl Outputs<'_> {
    /// Stores what groups from `g` on give for token `t`.
    ///
    /// # Safety
    /// Each (token, group) is one task's own.
    unsafe fn store(&self, g: usize, t: usize, results: &[[f32; ROWS]]) {
        let (rows, from) = (self.w.rows(), g * ROWS);
        let results = results.as_flattened();
        let n = results.len().min(rows - from);
        // SAFETY: as promised, and the groups of a token do not overlap.
        unsafe { self.all.slice(t * rows + from, n) }.copy_from_slice(&results[..n]);
    }
}

/// Several layers of the same activations, each with its outputs.
pub(crate) fn run_on(isa: Isa, team: &Team, x: &Quantized<'_>, layers: &mut [(&mut [f32], &Weights)]) {
    for (out, w) in layers.iter_mut() {
        assert_eq!(x.cols(), w.cols(), "inputs of the activations and of the weights");
        assert_eq!(out.len(), x.tokens() * w.rows(), "out is [tokens, rows]");
        if w.cols() == 0 {
            out.fill(0.0);
        }
    }
    if x.cols() == 0 || x.tokens() == 0 {
        return;
    }
    if layers.iter().any(|(_, w)| w.format().is_float()) {
        for (out, w) in layers {
            if w.format().is_float() {
                float_layer(isa, team, x, out, w);
            } else {
                together(isa, team, x, &mut [(out, w)]);
            }
        }
    } else {
        together(isa, team, x, layers);
    }
}

/// Activations rounded to integers, in one of two orders.
enum Rounded<'a> {
    Rows(&'a Integers),
    #[cfg(target_arch = "x86_64")]
    Tiles(&'a amx::Tiles),
}

impl<'a> Rounded<'a> {
    /// With how many tokens a task is a multiple of, and has at most.
    fn new(isa: Isa, team: &Team, x: &'a Quantized<'_>) -> (Self, (usize, usize)) {
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Amx && x.tokens() >= AMX_FROM {
            // SAFETY: `isa` says that the processor has the unit and the system allows it.
            let tiles = unsafe { x.tiles(team) };
            return (Self::Tiles(tiles), (amx::TOKENS, AMX_TASK_TOKENS));
        }
        (Self::Rows(x.integers_on(isa, team)), (1, TASK_TOKENS))
    }
}

/// Quantized layers as one job: every job ends with threads that wait for the last one, and begins with memory that nobody
/// has asked for yet.
fn together(isa: Isa, team: &Team, x: &Quantized<'_>, layers: &mut [(&mut [f32], &Weights)]) {
    let (rounded, tile) = Rounded::new(isa, team, x);
    let layers = layers.iter_mut().filter(|(out, _)| !out.is_empty());
    let layers: Vec<(Plan, Outputs<'_>)> = layers
        .map(|(out, w)| {
            let all = Shared::new(out);
            (Plan::new(team, w, x.tokens(), tile), Outputs { all, w })
        })
        .collect();
    team.run(layers.iter().map(|(plan, _)| plan.tasks()).sum(), &|mut i| {
        for (plan, outputs) in &layers {
            if i < plan.tasks() {
                let (groups, first, count) = plan.task(i);
                match rounded {
                    Rounded::Rows(acts) => integers(isa, outputs, groups, acts, first, count),
                    #[cfg(target_arch = "x86_64")]
                    Rounded::Tiles(tiles) => by_tiles(outputs, groups, tiles, first, count),
                }
                return;
            }
            i -= plan.tasks();
        }
    });
}

/// One task of the matrix unit, which the processor has; nobody else has these groups of these tokens.
#[cfg(target_arch = "x86_64")]
fn by_tiles(outputs: &Outputs<'_>, groups: Range<usize>, tiles: &amx::Tiles, first: usize, count: usize) {
    let range = first / amx::TOKENS..(first + count).div_ceil(amx::TOKENS);
    let w = outputs.w;
    // SAFETY: tiles are made for this unit alone; each group of a range of tokens is one task's own.
    with_quant!(w.format(), Q => unsafe { amx::product::<Q>(w, groups, tiles, range, &outputs.all) }, _ => ());
}

/// Tokens that run over float weights together, where they are many.
fn float_tokens(isa: Isa) -> usize {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::FLOAT_TOKENS,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Amx => avx512::FLOAT_TOKENS,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon::FLOAT_TOKENS,
        _ => 1,
    }
}

fn float_layer(isa: Isa, team: &Team, x: &Quantized<'_>, out: &mut [f32], w: &Weights) {
    if out.is_empty() {
        return;
    }
    let outputs = Outputs {
        all: Shared::new(out),
        w,
    };
    let width = float_tokens(isa);
    let side = (width > 1 && x.tokens() >= MANY_FROM).then(|| x.side_by_side(width, team));
    let plan = Plan::new(team, w, x.tokens(), (width, TASK_TOKENS));
    plan.run(team, &|groups, first, count| {
        floats(isa, &outputs, groups, (x, side), first, count);
    });
}

thread_local! {
    /// Results of a task's groups on their way out.
    static RESULTS: RefCell<Vec<[f32; ROWS]>> = const { RefCell::new(Vec::new()) };
}

/// One task of a quantized layer; nobody else has these groups of these tokens.
fn integers(isa: Isa, outputs: &Outputs<'_>, groups: Range<usize>, acts: &Integers, first: usize, count: usize) {
    let w = outputs.w;
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    macro_rules! on {
        ($path:ident) => {
            with_quant!(w.format(), Q => {
                RESULTS.with_borrow_mut(|results| {
                    for at in (0..count).step_by($path::BLOCK) {
                        let (first, count) = (first + at, $path::BLOCK.min(count - at));
                        let task = Task { w, groups: groups.clone(), acts, first, count };
                        results.resize(groups.len() * count, [0.0; ROWS]);
                        // SAFETY: `isa` says that the processor has these instructions.
                        unsafe { $path::products::<Q>(&task, results) };
                        for (t, rows) in results.chunks_exact(groups.len()).enumerate() {
                            // SAFETY: as said.
                            unsafe { outputs.store(groups.start, first + t, rows) };
                        }
                    }
                });
            }, _ => ())
        };
    }
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => on!(avx2),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Amx => on!(avx512),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => on!(neon),
        _ => {
            for g in groups {
                for t in first..first + count {
                    let (q, meta) = acts.token(t);
                    let result =
                        with_quant!(w.format(), Q => scalar::quantized::<Q>(w.group(g), q, meta), _ => [0.0; ROWS]);
                    // SAFETY: as said.
                    unsafe { outputs.store(g, t, &[result]) };
                }
            }
        }
    }
}

/// One task of a float layer, whose inputs may lie side by side too; nobody else has these groups of these tokens.
fn floats(
    isa: Isa,
    outputs: &Outputs<'_>,
    groups: Range<usize>,
    (x, side): (&Quantized<'_>, Option<&SideBySide>),
    first: usize,
    count: usize,
) {
    let w = outputs.w;
    // Stores what a group gives for tokens from `first` on, as far as there are any; says how many they are.
    let store = |g, t, results: &[[f32; ROWS]]| {
        let n = results.len().min(first + count - t);
        for (i, result) in results[..n].iter().enumerate() {
            // SAFETY: as said.
            unsafe { outputs.store(g, t + i, std::slice::from_ref(result)) };
        }
        n
    };
    let (cols, format) = (w.cols(), w.format());
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    macro_rules! on {
        ($path:ident) => {{
            const MANY: usize = $path::FLOAT_TOKENS;
            let mut g = groups.start;
            if count == 1 {
                while g + FLOAT_GROUPS <= groups.end {
                    let side_by_side = std::array::from_fn(|j| w.group(g + j));
                    let rest = x.floats_from(first);
                    // SAFETY: `isa` says that the processor has these instructions.
                    let results = unsafe { $path::float::<FLOAT_GROUPS, 1, false>(format, side_by_side, rest, cols) };
                    results.iter().enumerate().for_each(|(j, one)| {
                        store(g + j, first, one);
                    });
                    g += FLOAT_GROUPS;
                }
            }
            for g in g..groups.end {
                let (group, mut t) = ([w.group(g)], first);
                while t < first + count {
                    let rest = x.floats_from(t);
                    // SAFETY: as above.
                    t += unsafe {
                        match (first + count - t, side) {
                            (5.., Some(side)) => store(
                                g,
                                t,
                                &$path::float::<1, MANY, true>(format, group, side.block(t), cols)[0],
                            ),
                            (1, _) => store(g, t, &$path::float::<1, 1, false>(format, group, rest, cols)[0]),
                            (2 | 3, _) => store(g, t, &$path::float::<1, 2, false>(format, group, rest, cols)[0]),
                            _ => store(g, t, &$path::float::<1, 4, false>(format, group, rest, cols)[0]),
                        }
                    };
                }
            }
        }};
    }
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => on!(avx2),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Amx => on!(avx512),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => on!(neon),
        _ => {
            for g in groups {
                for t in first..first + count {
                    store(g, t, &[scalar::float(format, w.group(g), &x.floats_from(t)[..cols])]);
                }
            }
        }
    }
}
