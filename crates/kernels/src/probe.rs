//! The ceilings of this machine, measured when they are needed: how fast a team reads memory of a given size, and how
//! many multiply-adds of bytes its processor does with operands in registers. No kernel uses any of this; a bench
//! prints what it finds beside its own figures.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::KernelError;
use crate::cpu::{Isa, isa};
use crate::memory::prefer_huge_pages;
use crate::shared::Shared;
use crate::team::Team;

/// Bytes that one task reads at a time: small enough that threads end together, large enough that a prefetcher runs.
const PIECE: usize = 1 << 17;
/// Least time for which each probe goes on; the fastest round counts, since other work on a machine only ever adds.
const AT_LEAST: Duration = Duration::from_millis(400);
/// Rounds at least.
const ROUNDS: usize = 5;

/// Bytes per second that the team reads of a buffer of `bytes`, again and again, with the widest loads of the path in
/// use. The size matters: what fits a cache is read from it.
///
/// # Errors
/// If the memory cannot be had.
pub fn read_rate(team: &Team, bytes: usize) -> Result<f64, KernelError> {
    let pieces = bytes.div_ceil(PIECE).max(1);
    let words = PIECE / 8;
    let mut memory: Vec<u64> = Vec::new();
    memory
        .try_reserve_exact(pieces * words)
        .map_err(|_| KernelError::Memory { bytes })?;
    let free = &mut memory.spare_capacity_mut()[..pieces * words];
    prefer_huge_pages(free);
    let shared = Shared::new(free);
    team.run(pieces, &|i| {
        // SAFETY: pieces do not overlap, and each is one task's own.
        unsafe { shared.slice(i * words, words) }
            .iter_mut()
            .enumerate()
            .for_each(|(at, word)| {
                word.write((i + at) as u64);
            });
    });
    // SAFETY: every word was written just now.
    unsafe { memory.set_len(pieces * words) };
    let seconds = fastest(|| {
        team.run(pieces, &|i| {
            black_box(read(&memory[i * words..][..words]));
        });
    });
    Ok((pieces * PIECE) as f64 / seconds)
}

/// Reads everything; what comes back depends on every word.
fn read(words: &[u64]) -> u64 {
    match isa() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `isa()` answers these only on a CPU that reports AVX-512 F.
        Isa::Amx | Isa::Avx512 => unsafe { x86::read_512(words) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `isa()` answers Avx2 only on a CPU that reports it.
        Isa::Avx2 => unsafe { x86::read_256(words) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: `isa()` answers Neon only on a CPU that reports it.
        Isa::Neon => unsafe { arm::read_128(words) },
        _ => words.iter().fold(0, |all, word| all | word),
    }
}

/// How many multiply-adds of bytes the best unit of a path does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Int8Peak {
    /// The instruction.
    pub instruction: &'static str,
    /// Multiply-adds a second, all threads together.
    pub per_second: f64,
}

/// What the path in use could do at most, operands in registers; `None` where it is plain Rust.
#[must_use]
pub fn int8_peak(team: &Team) -> Option<Int8Peak> {
    peak_of(isa(), team)
}

/// Loops of a task: about a millisecond.
const LOOPS: u32 = 1 << 16;
/// Tasks per thread and round.
const TASKS: usize = 4;

fn peak_of(isa: Isa, team: &Team) -> Option<Int8Peak> {
    /// Instruction, multiply-adds of one loop, and the loops.
    type Probe = (&'static str, usize, fn(u32));
    // A path is chosen only on a CPU that reports it, and `Amx` only where the system lets us.
    let (instruction, each, run): Probe = match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Amx => ("tdpbusd", 6 * 16 * 16 * 64, |loops| {
            // SAFETY: the path is `Amx`.
            unsafe { x86::tdpbusd(loops) }
        }),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => ("vpdpbusd zmm", 16 * 64, |loops| {
            // SAFETY: the path has AVX-512 VNNI.
            unsafe { x86::vpdpbusd(loops) }
        }),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => ("vpmaddubsw ymm", 12 * 32, |loops| {
            // SAFETY: the path has AVX2.
            unsafe { x86::vpmaddubsw(loops) }
        }),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => ("smlal 8h", 16 * 8, |loops| {
            // SAFETY: the path has NEON.
            unsafe { arm::smlal(loops) }
        }),
        _ => return None,
    };
    let tasks = TASKS * team.threads();
    let seconds = fastest(|| team.run(tasks, &|_| run(LOOPS)));
    Some(Int8Peak {
        instruction,
        per_second: (tasks * each) as f64 * f64::from(LOOPS) / seconds,
    })
}

/// Seconds of the fastest round.
fn fastest(mut round: impl FnMut()) -> f64 {
    round(); // wakes the team
    let begun = Instant::now();
    let (mut best, mut rounds) = (f64::INFINITY, 0);
    while rounds < ROUNDS || begun.elapsed() < AT_LEAST {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_secs_f64());
        rounds += 1;
    }
    best.max(1e-9)
}

/// The loops. Each instruction has a destination of its own, so that none waits for another.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    pub(super) fn read_512(words: &[u64]) -> u64 {
        let (blocks, rest) = words.as_chunks::<32>();
        let mut all = [_mm512_setzero_si512(); 4];
        for block in blocks {
            for (lane, all) in all.iter_mut().enumerate() {
                // SAFETY: a block holds four times 64 bytes; `loadu` needs no alignment.
                *all = _mm512_or_si512(*all, unsafe { _mm512_loadu_si512(block[lane * 8..].as_ptr().cast()) });
            }
        }
        let [a, b, c, d] = all;
        let sum = _mm512_reduce_or_epi64(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)));
        rest.iter().fold(sum as u64, |all, word| all | word)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn read_256(words: &[u64]) -> u64 {
        let (blocks, rest) = words.as_chunks::<16>();
        let mut all = [_mm256_setzero_si256(); 4];
        for block in blocks {
            for (lane, all) in all.iter_mut().enumerate() {
                // SAFETY: a block holds four times 32 bytes; `loadu` needs no alignment.
                *all = _mm256_or_si256(*all, unsafe { _mm256_loadu_si256(block[lane * 4..].as_ptr().cast()) });
            }
        }
        let [a, b, c, d] = all;
        let sum = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
        let halves = _mm_or_si128(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let sum = _mm_cvtsi128_si64(halves) | _mm_extract_epi64::<1>(halves);
        rest.iter().fold(sum as u64, |all, word| all | word)
    }

    /// Six products of tiles (16 by 64 with 64 by 16 bytes) a loop.
    ///
    /// # Safety
    /// The path is `Isa::Amx`.
    pub(super) unsafe fn tdpbusd(loops: u32) {
        // Palette 1; eight tiles of 16 rows of 64 bytes (Intel, Architecture Instruction Set Extensions, table 3-1).
        let mut config = [0u8; 64];
        config[0] = 1;
        for tile in 0..8 {
            config[16 + 2 * tile] = 64;
            config[48 + tile] = 16;
        }
        // SAFETY: as promised; reads 64 bytes of `config`, and names every register that it changes.
        unsafe {
            asm!(
                "ldtilecfg [{config}]",
                "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                "tilezero tmm4", "tilezero tmm5", "tilezero tmm6", "tilezero tmm7",
                "2:",
                "tdpbusd tmm0, tmm6, tmm7", "tdpbusd tmm1, tmm6, tmm7", "tdpbusd tmm2, tmm6, tmm7",
                "tdpbusd tmm3, tmm6, tmm7", "tdpbusd tmm4, tmm6, tmm7", "tdpbusd tmm5, tmm6, tmm7",
                "dec {loops:e}",
                "jnz 2b",
                "tilerelease",
                config = in(reg) config.as_ptr(), loops = inout(reg) loops => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, readonly),
            );
        }
    }

    /// Sixteen products of 64 bytes a loop.
    ///
    /// # Safety
    /// The path has AVX-512 VNNI.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) unsafe fn vpdpbusd(loops: u32) {
        // SAFETY: as promised; touches no memory, and names every register that it changes.
        unsafe {
            asm!(
                "vpxord zmm16, zmm16, zmm16",
                "vpxord zmm17, zmm17, zmm17",
                "2:",
                "vpdpbusd zmm0, zmm16, zmm17", "vpdpbusd zmm1, zmm16, zmm17",
                "vpdpbusd zmm2, zmm16, zmm17", "vpdpbusd zmm3, zmm16, zmm17",
                "vpdpbusd zmm4, zmm16, zmm17", "vpdpbusd zmm5, zmm16, zmm17",
                "vpdpbusd zmm6, zmm16, zmm17", "vpdpbusd zmm7, zmm16, zmm17",
                "vpdpbusd zmm8, zmm16, zmm17", "vpdpbusd zmm9, zmm16, zmm17",
                "vpdpbusd zmm10, zmm16, zmm17", "vpdpbusd zmm11, zmm16, zmm17",
                "vpdpbusd zmm12, zmm16, zmm17", "vpdpbusd zmm13, zmm16, zmm17",
                "vpdpbusd zmm14, zmm16, zmm17", "vpdpbusd zmm15, zmm16, zmm17",
                "dec {loops:e}",
                "jnz 2b",
                loops = inout(reg) loops => _,
                out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
                out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _,
                options(nostack, nomem),
            );
        }
    }

    /// Twelve products of 32 bytes a loop.
    ///
    /// # Safety
    /// The path has AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn vpmaddubsw(loops: u32) {
        // SAFETY: as promised; touches no memory, and names every register that it changes.
        unsafe {
            asm!(
                "vpxor xmm14, xmm14, xmm14",
                "vpxor xmm15, xmm15, xmm15",
                "2:",
                "vpmaddubsw ymm0, ymm14, ymm15", "vpmaddubsw ymm1, ymm14, ymm15",
                "vpmaddubsw ymm2, ymm14, ymm15", "vpmaddubsw ymm3, ymm14, ymm15",
                "vpmaddubsw ymm4, ymm14, ymm15", "vpmaddubsw ymm5, ymm14, ymm15",
                "vpmaddubsw ymm6, ymm14, ymm15", "vpmaddubsw ymm7, ymm14, ymm15",
                "vpmaddubsw ymm8, ymm14, ymm15", "vpmaddubsw ymm9, ymm14, ymm15",
                "vpmaddubsw ymm10, ymm14, ymm15", "vpmaddubsw ymm11, ymm14, ymm15",
                "dec {loops:e}",
                "jnz 2b",
                loops = inout(reg) loops => _,
                out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _,
                out("ymm6") _, out("ymm7") _, out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
                out("ymm14") _, out("ymm15") _,
                options(nostack, nomem),
            );
        }
    }
}

/// The loops of ARM, likewise.
#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;
    use std::arch::asm;

    #[target_feature(enable = "neon")]
    pub(super) fn read_128(words: &[u64]) -> u64 {
        let (blocks, rest) = words.as_chunks::<8>();
        let mut all = [vdupq_n_u64(0); 4];
        for block in blocks {
            for (lane, all) in all.iter_mut().enumerate() {
                // SAFETY: a block holds four times 16 bytes.
                *all = vorrq_u64(*all, unsafe { vld1q_u64(block[lane * 2..].as_ptr()) });
            }
        }
        let sum = vorrq_u64(vorrq_u64(all[0], all[1]), vorrq_u64(all[2], all[3]));
        let sum = vgetq_lane_u64::<0>(sum) | vgetq_lane_u64::<1>(sum);
        rest.iter().fold(sum, |all, word| all | word)
    }

    /// Sixteen products of 8 bytes a loop.
    ///
    /// # Safety
    /// The path has NEON.
    pub(super) unsafe fn smlal(loops: u32) {
        // SAFETY: as promised; touches no memory, and names every register that it changes.
        unsafe {
            asm!(
                "movi v16.16b, #0",
                "movi v17.16b, #0",
                "2:",
                "smlal v0.8h, v16.8b, v17.8b", "smlal v1.8h, v16.8b, v17.8b",
                "smlal v2.8h, v16.8b, v17.8b", "smlal v3.8h, v16.8b, v17.8b",
                "smlal v4.8h, v16.8b, v17.8b", "smlal v5.8h, v16.8b, v17.8b",
                "smlal v6.8h, v16.8b, v17.8b", "smlal v7.8h, v16.8b, v17.8b",
                "smlal v18.8h, v16.8b, v17.8b", "smlal v19.8h, v16.8b, v17.8b",
                "smlal v20.8h, v16.8b, v17.8b", "smlal v21.8h, v16.8b, v17.8b",
                "smlal v22.8h, v16.8b, v17.8b", "smlal v23.8h, v16.8b, v17.8b",
                "smlal v24.8h, v16.8b, v17.8b", "smlal v25.8h, v16.8b, v17.8b",
                "subs {loops:w}, {loops:w}, #1",
                "b.ne 2b",
                loops = inout(reg) loops => _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _,
                out("v6") _, out("v7") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                out("v20") _, out("v21") _, out("v22") _, out("v23") _, out("v24") _, out("v25") _,
                options(nostack, nomem),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cpu::available;

    #[test]
    fn every_path_but_the_scalar_one_has_a_peak() {
        let team = Team::new(1);
        for isa in available() {
            let peak = peak_of(isa, &team);
            assert_eq!(peak.is_none(), isa == Isa::Scalar, "{isa:?}");
            assert!(peak.is_none_or(|peak| peak.per_second > 1e8), "{peak:?}");
        }
    }

    #[test]
    fn the_probe_reads_every_word_whatever_the_path() {
        let mut words = vec![0u64; 101];
        for at in 0..words.len() {
            words[at] = 1 << (at % 64);
            assert_eq!(read(&words), words[at], "word {at}");
            words[at] = 0;
        }
    }

    #[test]
    fn a_size_that_no_machine_has_is_an_error() {
        let none = read_rate(&Team::new(1), usize::MAX / 64);
        assert!(matches!(none, Err(KernelError::Memory { .. })));
        assert!(read_rate(&Team::new(2), 1 << 20).unwrap() > 1e7);
    }
}
