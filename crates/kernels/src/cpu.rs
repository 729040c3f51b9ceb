//! What this machine's processor can do, asked once. `CANDOR_ISA=scalar|avx2|avx512` forces a lower path (never a
//! higher one than the processor has), which tests and `candor doctor` use.

use std::sync::OnceLock;

/// An instruction set that the kernels have a version for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust; runs everywhere and defines the bits of all others.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 F, BW, VL, DQ and VNNI besides.
    Avx512,
}

impl Isa {
    /// The name that `CANDOR_ISA` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
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
            return Isa::Avx512;
        }
        if avx2 {
            return Isa::Avx2;
        }
    }
    Isa::Scalar
}

/// The path in use: the best one, or a lower one that `CANDOR_ISA` names. Fixed at the first call.
#[must_use]
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let wanted = match std::env::var("CANDOR_ISA").as_deref() {
            Ok("scalar") => Isa::Scalar,
            Ok("avx2") => Isa::Avx2,
            _ => Isa::Avx512,
        };
        wanted.min(best())
    })
}

/// Every path that this processor has, lowest first: what tests compare.
#[must_use]
pub fn available() -> Vec<Isa> {
    [Isa::Scalar, Isa::Avx2, Isa::Avx512]
        .into_iter()
        .filter(|isa| *isa <= best())
        .collect()
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
