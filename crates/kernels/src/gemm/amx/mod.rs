//! Products by the matrix unit of newer Xeons (AMX): 16 tokens by 16 rows, 64 bytes deep, in one instruction.
//!
//! The unit multiplies bytes. An activation is `256 high + low` with a signed and an unsigned byte, so two products of
//! bytes, shifted and added, give just the dot that `gemm` states. What follows a dot is done in vector registers and in
//! the order of `gemm`, while the unit works on the next step.
//!
//! Intel, Architecture Instruction Set Extensions Programming Reference, chapter 3.

mod tiles;
mod unit;

use std::arch::asm;
use std::arch::x86_64::*;
use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::Range;

use tiles::Block;
pub(super) use tiles::Tiles;

use super::pack::{ROWS, Weights};
use super::unpack::{header, quad, scales};
use crate::formats::Quant;
use crate::lanes::{Avx512, Lanes, ask};
use crate::shared::Shared;

/// Tokens of a tile.
pub(super) const TOKENS: usize = 16;
/// So few tokens go through tiles of half the height, in little more than half the time.
const FEW: usize = 8;
/// Steps of 32 inputs by 16 rows that are unpacked at a time: 32 KiB of bytes, which many tiles run over.
const STRETCH: usize = 64;
/// Lines of 64 bytes of an unpacked step: four inputs of 16 rows each.
const LINES: usize = 8;

/// An unpacked stretch of a group.
#[repr(C, align(64))]
struct Panel {
    lines: [[u8; 64]; STRETCH * LINES],
    scales: [[f32; ROWS]; STRETCH * 2],
    mins: [[f32; ROWS]; STRETCH * 2],
}

/// What the unit wrote, 16 tokens by 16 rows: products of high bytes, and of low ones.
#[repr(C, align(64))]
struct Dots([[[i32; ROWS]; TOKENS]; 2]);

/// The unit's settings (Intel, table 3-1): dots in tiles 0 to 3, activations in 4 and 5, weights in 6 and 7.
#[repr(C, align(64))]
pub(crate) struct Config {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Config {
    /// For products of `depth` inputs of `n` tokens.
    pub(crate) const fn new(depth: u8, n: u8) -> Self {
        let (d, q) = (depth as u16, depth / 4);
        Config {
            palette: 1,
            start: 0,
            reserved: [0; 14],
            row_bytes: [64, 64, 64, 64, d, d, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
            rows: [n, n, n, n, n, n, q, q, 0, 0, 0, 0, 0, 0, 0, 0],
        }
    }
}

/// Where the results of a group go: for each token up to 16 outputs, side by side.
struct Results<'a> {
    /// `[tokens, stride]`.
    all: &'a Shared<'a, f32>,
    tokens: usize,
    stride: usize,
    /// First output, and how many.
    at: usize,
    count: usize,
}

impl Results<'_> {
    /// Loads what was stored of token `t`.
    ///
    /// # Safety
    /// Nobody else writes this group's results.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(&self, t: usize) -> __m512 {
        // SAFETY: as promised.
        let row: &[f32] = unsafe { self.all.slice(t * self.stride + self.at, self.count) };
        // SAFETY: only the first `count` of 16 are touched.
        unsafe { _mm512_maskz_loadu_ps(self.mask(), row.as_ptr()) }
    }

    /// Stores the results of token `t`.
    ///
    /// # Safety
    /// Nobody else uses this group's results.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store(&self, t: usize, v: __m512) {
        // SAFETY: as promised.
        let row = unsafe { self.all.slice(t * self.stride + self.at, self.count) };
        // SAFETY: only the first `count` of 16 are touched.
        unsafe { _mm512_mask_storeu_ps(row.as_mut_ptr(), self.mask(), v) };
    }

    fn mask(&self) -> u16 {
        u16::MAX >> (ROWS - self.count)
    }
}

/// Groups that are unpacked together: a tile of tokens meets them one after the other, so that its results lie side by side.
const GROUPS: usize = 8;

thread_local! {
    /// Room for unpacked groups.
    static PANELS: RefCell<Box<[MaybeUninit<Panel>]>> = RefCell::new(Box::new_uninit_slice(GROUPS));
}

/// The tiles `range` of `tiles` by `groups` of `w`, each of 16 rows. `out` is `[tokens, w.rows()]`.
///
/// # Safety
/// The processor is an `Isa::Amx`, and nobody else uses these results.
pub(super) unsafe fn product<Q: Quant>(
    w: &Weights,
    groups: Range<usize>,
    tiles: &Tiles,
    range: Range<usize>,
    out: &Shared<'_, f32>,
) {
    let results = |g: usize| Results {
        all: out,
        tokens: tiles.tokens,
        stride: w.rows(),
        at: g * ROWS,
        count: (w.rows() - g * ROWS).min(ROWS),
    };
    // For a single tile nothing is gained from groups side by side, and one panel stays in the first-level cache.
    let together = if range.len() > 1 { GROUPS } else { 1 };
    // Few tokens leave rows of the unit's tiles out, and what follows for them.
    let few = range.len() == 1 && tiles.tokens - range.start * TOKENS <= FEW;
    let config = Config::new((32 / Q::LAYOUT.groups) as u8, if few { FEW } else { TOKENS } as u8);
    // SAFETY: the processor has the unit.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
    PANELS.with_borrow_mut(|panels| {
        for first in groups.clone().step_by(together) {
            let some = first..(first + together).min(groups.end);
            // SAFETY: as promised; the unit was configured.
            unsafe { panel::<Q>(w, some, tiles, range.clone(), few, &results, panels) };
        }
    });
    // SAFETY: likewise.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// `product` of as many groups as there are panels, with tiles of half the height for few tokens.
///
/// # Safety
/// As for `product`, and the unit is configured for Q and so many tokens.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
unsafe fn panel<'a, Q: Quant>(
    w: &Weights,
    groups: Range<usize>,
    tiles: &Tiles,
    range: Range<usize>,
    few: bool,
    results: &dyn Fn(usize) -> Results<'a>,
    panels: &mut [MaybeUninit<Panel>],
) {
    let layout = Q::LAYOUT;
    let steps = w.group(0).len() / layout.unit_bytes() * layout.steps();
    assert_eq!(steps, tiles.steps, "same inputs");
    for from in (0..steps).step_by(STRETCH) {
        let count = STRETCH.min(steps - from);
        for (g, panel) in groups.clone().zip(panels.iter_mut()) {
            // SAFETY: a panel may be written.
            unsafe { unpack::<Q>(w.group(g), (from, count), panel.as_mut_ptr()) };
        }
        for i in range.clone() {
            let acts = &tiles.tile(i)[from..][..count];
            for (g, panel) in groups.clone().zip(panels.iter()) {
                let (panel, results) = (panel.as_ptr(), results(g));
                let (first, t) = (from == 0, i * TOKENS);
                // What is unpacked next: the groups after these.
                let bytes = w.group(g).len() / steps;
                let next = w.group(g).as_ptr();
                let next = next.wrapping_add(groups.len() * w.group(g).len() + from * bytes);
                // SAFETY: as promised; `unpack` wrote all that `tile` reads of these steps.
                unsafe {
                    if few {
                        tile::<Q, FEW, true>(panel, acts, (first, t), &results, (next, bytes));
                    } else if range.len() == 1 {
                        tile::<Q, TOKENS, true>(panel, acts, (first, t), &results, (next, bytes));
                    } else {
                        // Of many tiles, unpacking is a small part, and asking would hold up the others.
                        tile::<Q, TOKENS, false>(panel, acts, (first, t), &results, (next, bytes));
                    }
                }
            }
        }
    }
}

/// Unpacks `count` steps of a group.
///
/// # Safety
/// `panel` may be written.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
unsafe fn unpack<Q: Quant>(group: &[u8], (from, count): (usize, usize), panel: *mut Panel) {
    let layout = Q::LAYOUT;
    for s in 0..count {
        let at = from + s;
        let unit = &group[at / layout.steps() * layout.unit_bytes()..][..layout.unit_bytes()];
        // SAFETY: `unit` is whole and step `at % steps` lies in it; the panel has room for STRETCH steps.
        unsafe {
            let step = unit
                .as_ptr()
                .add(layout.header() + at % layout.steps() * layout.step_bytes());
            let lines = (&raw mut (*panel).lines).cast::<[u8; 64]>().add(s * LINES);
            bytes::<Q>(quad::<Avx512, Q, 0>(step), lines);
            bytes::<Q>(quad::<Avx512, Q, 1>(step), lines.add(2));
            bytes::<Q>(quad::<Avx512, Q, 2>(step), lines.add(4));
            bytes::<Q>(quad::<Avx512, Q, 3>(step), lines.add(6));
            let (d, dmin) = header::<Avx512, Q>(unit.as_ptr());
            for g in 0..layout.groups {
                let (scale, min) = scales::<Avx512, Q>(d, dmin, step, g);
                scale.store(&mut (*panel).scales[s * layout.groups + g]);
                min.store(&mut (*panel).mins[s * layout.groups + g]);
            }
        }
    }
}

/// Four pairs of inputs as two lines of signed bytes, the offset taken off.
///
/// # Safety
/// The lines may be written.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
unsafe fn bytes<Q: Quant>(w: [__m512i; 4], lines: *mut [u8; 64]) {
    let offset = _mm512_set1_epi8(Q::LAYOUT.offset as i8);
    let both = |a, b| _mm512_sub_epi8(_mm512_or_si512(a, _mm512_slli_epi16::<8>(b)), offset);
    // SAFETY: as promised.
    unsafe {
        _mm512_storeu_si512(lines.cast(), both(w[0], w[1]));
        _mm512_storeu_si512(lines.add(1).cast(), both(w[2], w[3]));
    }
}

/// One tile of up to N tokens, from token `t` on, by the unpacked steps; where ASK, asks for memory at `next`, so many bytes a step.
///
/// Not inlined: with its three forms in one function the compiler makes each slower.
///
/// # Safety
/// The unit is configured for Q, the panel holds as many steps as `acts` has blocks, and nobody else uses the results.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
unsafe fn tile<Q: Quant, const N: usize, const ASK: bool>(
    panel: *const Panel,
    acts: &[Block],
    (first, t): (bool, usize),
    results: &Results<'_>,
    (next, bytes): (*const u8, usize),
) {
    let groups = Q::LAYOUT.groups;
    let count = N.min(results.tokens - t);
    let mut acc = [_mm512_setzero_ps(); N];
    if !first {
        for (i, acc) in acc.iter_mut().enumerate().take(count) {
            // SAFETY: as promised.
            *acc = unsafe { results.load(t + i) };
        }
    }
    let mut dots = [const { MaybeUninit::<Dots>::uninit() }; 2];
    let dots = dots.each_mut().map(MaybeUninit::as_mut_ptr);
    let all = acts.len() * groups;
    // SAFETY: step `k / groups` exists in the panel and in `acts`; a step's dots are written before they are read.
    unsafe {
        let high_bytes = |k: usize| {
            let block = (&raw const acts[k / groups].bytes).cast::<u8>();
            block.add(k % groups * 16)
        };
        let weights = |k: usize| (&raw const (*panel).lines).cast::<u8>().add(k * LINES / groups * 64);
        // While step k is finished in vector registers, the dots of k + 1 leave the unit and those of k + 2 are begun, in
        // pieces: the processor looks ahead by little more than one of them.
        macro_rules! step {
            ($k:expr, $this:ident, $other:ident) => {
                let (k, to) = ($k, dots[($k + 1) % 2]);
                if ASK && k % groups == 0 {
                    ask::<Avx512>(next.wrapping_add(k / groups * bytes), bytes);
                }
                let scale = _mm512_loadu_ps((*panel).scales[k].as_ptr());
                let min = _mm512_loadu_ps((*panel).mins[k].as_ptr());
                let block = &acts[k / groups];
                macro_rules! finish {
                    ($i:literal) => {
                        finish::<Q, N, $i>(&mut acc, dots[k % 2], (scale, min), block, k % groups);
                    };
                }
                if k + 2 < all {
                    $this::high(high_bytes(k + 2), weights(k + 2));
                }
                finish!(0);
                if k + 1 < all {
                    $other::store_high(to);
                }
                finish!(1);
                if k + 2 < all {
                    $this::low(high_bytes(k + 2).add(32));
                }
                finish!(2);
                if k + 1 < all {
                    $other::store_low(to);
                }
                finish!(3);
            };
        }
        unit::even::high(high_bytes(0), weights(0));
        unit::even::low(high_bytes(0).add(32));
        unit::even::store_high(dots[0]);
        unit::even::store_low(dots[0]);
        if all > 1 {
            unit::odd::high(high_bytes(1), weights(1));
            unit::odd::low(high_bytes(1).add(32));
        }
        let mut k = 0;
        while k < all {
            use unit::{even, odd};
            step!(k, even, odd);
            if k + 1 < all {
                step!(k + 1, odd, even);
            }
            k += 2;
        }
    }
    for (i, acc) in acc.iter().enumerate().take(count) {
        // SAFETY: as promised.
        unsafe { results.store(t + i, *acc) };
    }
}

/// Puts the dots of the PART-th quarter of N tokens together and adds them: acc = fma(dot, w_scale a_scale, acc), and the
/// minimum's part.
///
/// # Safety
/// `dots` hold what the unit wrote.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")]
unsafe fn finish<Q: Quant, const N: usize, const PART: usize>(
    acc: &mut [__m512; N],
    dots: *const Dots,
    (scale, min): (__m512, __m512),
    acts: &Block,
    g: usize,
) {
    let which = if Q::LAYOUT.groups == 1 { 0 } else { 1 + g };
    // Written out: the compiler keeps sums in registers only where it needs no loop.
    macro_rules! tokens {
        ($($t:literal)*) => {$(if $t / (N / 4) == PART {
            // SAFETY: as promised.
            let part = |i: usize| unsafe { _mm512_loadu_si512((*dots).0[i][$t].as_ptr().cast()) };
            let dot = _mm512_add_epi32(_mm512_slli_epi32::<8>(part(0)), part(1));
            let both = _mm512_mul_ps(scale, _mm512_set1_ps(acts.scale[$t]));
            acc[$t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), both, acc[$t]);
            if Q::LAYOUT.mins() {
                acc[$t] = _mm512_fmadd_ps(min, _mm512_set1_ps(acts.scaled[which][$t]), acc[$t]);
            }
        })*};
    }
    tokens!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
}
