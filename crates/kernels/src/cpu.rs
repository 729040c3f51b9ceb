//! What this machine's processor can do, asked once. `CANDOR_ISA=scalar|neon|avx2|avx512|amx` forces a lower path
//! (never one that the processor has not), which tests and `candor doctor` use.

use std::sync::OnceLock;

/// An instruction set that the kernels have a version for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust; runs everywhere and defines the bits of all others.
    Scalar,
    /// 64-bit ARM: Advanced SIMD, which all of them have.
    Neon,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 F, BW, VL, DQ and VNNI besides.
    Avx512,
    /// AVX-512 VBMI and AMX with bytes besides, on Linux, which lets a process use it when asked.
    Amx,
}

impl Isa {
    /// The name that `CANDOR_ISA` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Amx => "amx",
        }
    }
}

/// The best path that this processor has.
#[must_use]
pub fn best() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vnni");
        if avx2 && avx512 {
            return if amx() { Isa::Amx } else { Isa::Avx512 };
        }
        if avx2 {
            return Isa::Avx2;
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        return Isa::Neon;
    }
    Isa::Scalar
}

/// Whether the processor has the matrix unit and the system lets this process use it (asked once: it changes the
/// process).
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn amx() -> bool {
    /// `ARCH_REQ_XCOMP_PERM` for `XFEATURE_XTILEDATA`, asm/prctl.h.
    const ASK: (libc::c_long, libc::c_long) = (0x1023, 18);
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    *ALLOWED.get_or_init(|| {
        // Leaf 7, EDX: bit 24 is AMX-TILE, bit 25 AMX-INT8.
        let unit = std::arch::x86_64::__cpuid_count(7, 0).edx >> 24 & 3 == 3;
        // SAFETY: takes numbers and touches no memory of ours.
        unit && is_x86_feature_detected!("avx512vbmi")
            && unsafe { libc::syscall(libc::SYS_arch_prctl, ASK.0, ASK.1) } == 0
    })
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn amx() -> bool {
    false
}

/// The path in use: the best one, or another of this processor that `CANDOR_ISA` names. Fixed at the first call.
#[must_use]
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let wanted = std::env::var("CANDOR_ISA").unwrap_or_default();
        let named = available().into_iter().find(|isa| isa.name() == wanted);
        named.unwrap_or_else(best)
    })
}

/// Every path that this processor has, lowest first: what tests compare.
#[must_use]
pub fn available() -> Vec<Isa> {
    let paths: &[Isa] = if cfg!(target_arch = "aarch64") {
        &[Isa::Scalar, Isa::Neon]
    } else {
        &[Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Amx]
    };
    let best = best();
    paths.iter().copied().filter(|isa| *isa <= best).collect()
}

/// One line for people: the path in use and what the processor has.
#[must_use]
pub fn describe() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (used, best) = (isa().name(), best().name());
    let arch = std::env::consts::ARCH;
    if used == best {
        format!("{arch}, {used} kernels, {threads} threads")
    } else {
        format!("{arch}, {used} kernels (CANDOR_ISA; {best} is there), {threads} threads")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_rise_from_the_scalar_one_to_the_best() {
        let paths = available();
        assert!(paths.is_sorted_by(|a, b| a < b));
        assert_eq!((paths[0], paths[paths.len() - 1]), (Isa::Scalar, best()));
        assert!(paths.contains(&isa()));
    }
}
