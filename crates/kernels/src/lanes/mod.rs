//! One type of 16 f32 lanes, with a version per instruction set and identical bits in all.
//!
//! Maths and reductions are written once, generic over `Lanes`, and compiled for each instruction set by `dispatch!`, the
//! one place that chooses. Only operations whose result IEEE 754 fixes to the bit are here: add, multiply, fused
//! multiply-add, divide, square root, rounding, comparison, conversion.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use half::f16;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// Asks for the lines of `bytes` bytes at `at`, which may be anywhere.
#[inline(always)]
pub(crate) fn ask<L: Lanes>(at: *const u8, bytes: usize) {
    for line in 0..bytes.div_ceil(64) {
        L::prefetch(at.wrapping_add(line * 64));
    }
}

/// 16 lanes of f32.
///
/// The vector types' methods call their instructions without asking the processor: values of these types are made in
/// functions that `dispatch!` wrote only, and that enters them only where `cpu` found the instruction set.
pub(crate) trait Lanes: Copy {
    /// Whether there are registers for twice as many values side by side as 16 of 256 bits hold.
    const WIDE: bool = false;
    /// Asks for the cache line at `at`, which may be anywhere: a hint that never faults.
    #[inline(always)]
    fn prefetch(_at: *const u8) {}
    fn splat(v: f32) -> Self;
    fn load(from: &[f32; 16]) -> Self;
    fn store(self, to: &mut [f32; 16]);
    fn load_half(from: &[f16; 16]) -> Self;
    /// To the nearest f16, ties to even.
    fn store_half(self, to: &mut [f16; 16]);
    fn load_bytes(from: &[i8; 16]) -> Self;
    /// Whole numbers of at most 127 either way, as bytes.
    fn store_bytes(self, to: &mut [i8; 16]);
    fn add(self, o: Self) -> Self;
    fn sub(self, o: Self) -> Self;
    fn mul(self, o: Self) -> Self;
    fn div(self, o: Self) -> Self;
    /// `self * b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;
    /// `self > o ? self : o`: where either is NaN, `o`.
    fn max(self, o: Self) -> Self;
    /// `self < o ? self : o`: where either is NaN, `o`.
    fn min(self, o: Self) -> Self;
    fn abs(self) -> Self;
    /// To the nearest whole number, ties to even.
    fn round(self) -> Self;
    /// 2^self for whole numbers in -126 ..= 127.
    fn pow2(self) -> Self;
    /// self * 2^n, rounded once, for self in 0.5 ..= 2 and whole numbers n in -125 ..= 129.
    #[inline(always)]
    fn times_pow2(self, n: Self) -> Self {
        // In two steps: 2^128 is no f32, but half of it may be the result.
        let half = n.mul(Self::splat(0.5)).round();
        self.mul(half.pow2()).mul(n.sub(half).pow2())
    }
    /// Whole numbers of at most 32767 either way, as 16-bit integers, and their sum.
    fn integers(self, to: &mut [i16; 16]) -> i32;
    /// The largest magnitude of both, by the bits: infinity and then NaN are above all numbers.
    fn magnitude(self, o: Self) -> f32;
    /// `self < o ? yes : no`.
    fn less(self, o: Self, yes: Self, no: Self) -> Self;
    /// The magnitude of `self` with the sign of `s`.
    fn sign_of(self, s: Self) -> Self;

    /// Loads up to 16 values, `fill` in the lanes beyond.
    #[inline(always)]
    fn load_tail(from: &[f32], fill: f32) -> Self {
        let mut lanes = [fill; 16];
        lanes[..from.len()].copy_from_slice(from);
        Self::load(&lanes)
    }
    /// Sum of the lanes, folded 16 -> 8 -> 4 -> 2 -> 1.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut a = [0.0; 16];
        self.store(&mut a);
        for width in [8, 4, 2, 1] {
            for i in 0..width {
                a[i] += a[i + width];
            }
        }
        a[0]
    }
    /// Largest lane, folded alike.
    #[inline(always)]
    fn largest(self) -> f32 {
        let mut a = [0.0; 16];
        self.store(&mut a);
        for width in [8, 4, 2, 1] {
            for i in 0..width {
                a[i] = if a[i] > a[i + width] { a[i] } else { a[i + width] };
            }
        }
        a[0]
    }
}

/// Compiles `$f::<L>` for each instruction set and calls the one that `$isa` names (which the processor must have).
macro_rules! dispatch {
    ($isa:expr, $f:ident ( $($arg:ident : $ty:ty),* $(,)? ) $(-> $ret:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c")]
        #[allow(clippy::too_many_arguments)]
        fn avx2($($arg: $ty),*) $(-> $ret)? {
            $f::<$crate::lanes::Avx2>($($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
        #[allow(clippy::too_many_arguments)]
        fn avx512($($arg: $ty),*) $(-> $ret)? {
            $f::<$crate::lanes::Avx512>($($arg),*)
        }
        #[cfg(target_arch = "aarch64")]
        #[target_feature(enable = "neon")]
        #[allow(clippy::too_many_arguments)]
        fn neon($($arg: $ty),*) $(-> $ret)? {
            $f::<$crate::lanes::Neon>($($arg),*)
        }
        match $isa {
            // SAFETY: `cpu` names Avx2 only where the processor has it.
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::Isa::Avx2 => unsafe { avx2($($arg),*) },
            // SAFETY: likewise.
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::Isa::Avx512 | $crate::cpu::Isa::Amx => unsafe { avx512($($arg),*) },
            // SAFETY: likewise.
            #[cfg(target_arch = "aarch64")]
            $crate::cpu::Isa::Neon => unsafe { neon($($arg),*) },
            _ => $f::<$crate::lanes::Scalar>($($arg),*),
        }
    }};
}
pub(crate) use dispatch;

/// Plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Scalar([f32; 16]);

impl Scalar {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Scalar(self.0.map(f))
    }
    #[inline(always)]
    fn zip(self, o: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Scalar(std::array::from_fn(|i| f(self.0[i], o.0[i])))
    }
}

impl Lanes for Scalar {
    fn splat(v: f32) -> Self {
        Scalar([v; 16])
    }
    fn load(from: &[f32; 16]) -> Self {
        Scalar(*from)
    }
    fn store(self, to: &mut [f32; 16]) {
        *to = self.0;
    }
    fn load_half(from: &[f16; 16]) -> Self {
        Scalar(from.map(f16::to_f32_const))
    }
    fn store_half(self, to: &mut [f16; 16]) {
        *to = self.0.map(f16::from_f32_const);
    }
    fn load_bytes(from: &[i8; 16]) -> Self {
        Scalar(from.map(f32::from))
    }
    fn store_bytes(self, to: &mut [i8; 16]) {
        *to = self.0.map(|v| v as i8);
    }
    fn add(self, o: Self) -> Self {
        self.zip(o, |a, b| a + b)
    }
    fn sub(self, o: Self) -> Self {
        self.zip(o, |a, b| a - b)
    }
    fn mul(self, o: Self) -> Self {
        self.zip(o, |a, b| a * b)
    }
    fn div(self, o: Self) -> Self {
        self.zip(o, |a, b| a / b)
    }
    fn fma(self, b: Self, c: Self) -> Self {
        Scalar(std::array::from_fn(|i| self.0[i].mul_add(b.0[i], c.0[i])))
    }
    fn max(self, o: Self) -> Self {
        self.zip(o, |a, b| if a > b { a } else { b })
    }
    fn min(self, o: Self) -> Self {
        self.zip(o, |a, b| if a < b { a } else { b })
    }
    fn abs(self) -> Self {
        self.map(f32::abs)
    }
    fn round(self) -> Self {
        self.map(f32::round_ties_even)
    }
    fn pow2(self) -> Self {
        self.map(|n| f32::from_bits(((n as i32).wrapping_add(127) << 23) as u32))
    }
    fn integers(self, to: &mut [i16; 16]) -> i32 {
        *to = self.0.map(|v| v as i16);
        to.iter().map(|v| i32::from(*v)).sum()
    }
    fn magnitude(self, o: Self) -> f32 {
        let all = self.0.iter().chain(&o.0);
        f32::from_bits(all.fold(0, |most, v| most.max(v.to_bits() & 0x7fff_ffff)))
    }
    fn less(self, o: Self, yes: Self, no: Self) -> Self {
        Scalar(std::array::from_fn(
            |i| if self.0[i] < o.0[i] { yes.0[i] } else { no.0[i] },
        ))
    }
    fn sign_of(self, s: Self) -> Self {
        self.zip(s, f32::copysign)
    }
}
