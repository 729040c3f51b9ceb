//! The lanes of NEON (Advanced SIMD), which every 64-bit ARM processor has.
#![allow(clippy::undocumented_unsafe_blocks)] // one reason for all of them, at `Lanes`; loads and stores take 16-lane arrays

use std::arch::aarch64::*;
use std::arch::asm;

use half::f16;

use super::Lanes;

/// Lanes 0..4, 4..8, 8..12 and 12..16.
#[derive(Clone, Copy)]
pub(crate) struct Neon(pub(crate) [float32x4_t; 4]);

/// One instruction for each register.
macro_rules! four {
    ($f:ident ( $($of:expr),* )) => {
        unsafe { Neon([$f($($of.0[0]),*), $f($($of.0[1]),*), $f($($of.0[2]),*), $f($($of.0[3]),*)]) }
    };
}

/// `a > b ? a : b`. The processor's own maximum answers NaN where one of both is.
#[inline(always)]
unsafe fn greater(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
}

/// `a < b ? a : b`.
#[inline(always)]
unsafe fn lesser(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
}

#[inline(always)]
unsafe fn two_to(n: float32x4_t) -> float32x4_t {
    unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)))) }
}

#[inline(always)]
unsafe fn with_sign(a: float32x4_t, s: float32x4_t) -> float32x4_t {
    unsafe { vbslq_f32(vdupq_n_u32(1 << 31), s, a) }
}

#[inline(always)]
unsafe fn chosen(a: float32x4_t, b: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
    unsafe { vbslq_f32(vcltq_f32(a, b), yes, no) }
}

/// The larger bits of two magnitudes.
#[inline(always)]
unsafe fn larger_bits(a: float32x4_t, b: float32x4_t) -> int32x4_t {
    unsafe { vmaxq_s32(vreinterpretq_s32_f32(a), vreinterpretq_s32_f32(b)) }
}

/// 16 lanes folded 16 -> 8 -> 4 -> 2 -> 1.
macro_rules! fold {
    ($lanes:expr, $f:ident) => {
        unsafe {
            let [a, b, c, d] = $lanes.0;
            let four = $f($f(a, c), $f(b, d));
            let two = $f(four, vextq_f32::<2>(four, four));
            vgetq_lane_f32::<0>($f(two, vextq_f32::<1>(two, two)))
        }
    };
}

impl Lanes for Neon {
    #[inline(always)]
    fn prefetch(at: *const u8) {
        unsafe { asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(readonly, nostack, preserves_flags)) };
    }
    #[inline(always)]
    fn splat(v: f32) -> Self {
        unsafe { Neon([vdupq_n_f32(v); 4]) }
    }
    #[inline(always)]
    fn load(from: &[f32; 16]) -> Self {
        let p = from.as_ptr();
        unsafe {
            Neon([
                vld1q_f32(p),
                vld1q_f32(p.add(4)),
                vld1q_f32(p.add(8)),
                vld1q_f32(p.add(12)),
            ])
        }
    }
    #[inline(always)]
    fn store(self, to: &mut [f32; 16]) {
        let p = to.as_mut_ptr();
        unsafe {
            vst1q_f32(p, self.0[0]);
            vst1q_f32(p.add(4), self.0[1]);
            vst1q_f32(p.add(8), self.0[2]);
            vst1q_f32(p.add(12), self.0[3]);
        }
    }
    #[inline(always)]
    fn load_half(from: &[f16; 16]) -> Self {
        let p = from.as_ptr().cast::<u16>();
        unsafe {
            let (low, high) = (
                vreinterpretq_f16_u16(vld1q_u16(p)),
                vreinterpretq_f16_u16(vld1q_u16(p.add(8))),
            );
            Neon([
                vcvt_f32_f16(vget_low_f16(low)),
                vcvt_high_f32_f16(low),
                vcvt_f32_f16(vget_low_f16(high)),
                vcvt_high_f32_f16(high),
            ])
        }
    }
    #[inline(always)]
    fn store_half(self, to: &mut [f16; 16]) {
        let p = to.as_mut_ptr().cast::<u16>();
        unsafe {
            let low = vcvt_high_f16_f32(vcvt_f16_f32(self.0[0]), self.0[1]);
            let high = vcvt_high_f16_f32(vcvt_f16_f32(self.0[2]), self.0[3]);
            vst1q_u16(p, vreinterpretq_u16_f16(low));
            vst1q_u16(p.add(8), vreinterpretq_u16_f16(high));
        }
    }
    #[inline(always)]
    fn load_bytes(from: &[i8; 16]) -> Self {
        unsafe {
            let bytes = vld1q_s8(from.as_ptr());
            let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
            Neon([
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
                vcvtq_f32_s32(vmovl_high_s16(low)),
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                vcvtq_f32_s32(vmovl_high_s16(high)),
            ])
        }
    }
    #[inline(always)]
    fn store_bytes(self, to: &mut [i8; 16]) {
        let mut words = [0; 16];
        self.integers(&mut words);
        unsafe {
            let (low, high) = (vld1q_s16(words.as_ptr()), vld1q_s16(words.as_ptr().add(8)));
            vst1q_s8(to.as_mut_ptr(), vqmovn_high_s16(vqmovn_s16(low), high));
        }
    }
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        four!(vaddq_f32(self, o))
    }
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        four!(vsubq_f32(self, o))
    }
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        four!(vmulq_f32(self, o))
    }
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        four!(vdivq_f32(self, o))
    }
    #[inline(always)]
    fn fma(self, b: Self, c: Self) -> Self {
        four!(vfmaq_f32(c, self, b))
    }
    #[inline(always)]
    fn max(self, o: Self) -> Self {
        four!(greater(self, o))
    }
    #[inline(always)]
    fn min(self, o: Self) -> Self {
        four!(lesser(self, o))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        four!(vabsq_f32(self))
    }
    #[inline(always)]
    fn round(self) -> Self {
        four!(vrndnq_f32(self))
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        four!(two_to(self))
    }
    #[inline(always)]
    fn integers(self, to: &mut [i16; 16]) -> i32 {
        let p = to.as_mut_ptr();
        unsafe {
            let (a, b) = (vcvtq_s32_f32(self.0[0]), vcvtq_s32_f32(self.0[1]));
            let (c, d) = (vcvtq_s32_f32(self.0[2]), vcvtq_s32_f32(self.0[3]));
            vst1q_s16(p, vqmovn_high_s32(vqmovn_s32(a), b));
            vst1q_s16(p.add(8), vqmovn_high_s32(vqmovn_s32(c), d));
            vaddvq_s32(vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d)))
        }
    }
    #[inline(always)]
    fn magnitude(self, o: Self) -> f32 {
        let (Neon([a, b, c, d]), Neon([e, f, g, h])) = (self.abs(), o.abs());
        unsafe {
            // Without their sign, bits order like the numbers, also as integers with one.
            let low = vmaxq_s32(larger_bits(a, b), larger_bits(c, d));
            let high = vmaxq_s32(larger_bits(e, f), larger_bits(g, h));
            f32::from_bits(vmaxvq_s32(vmaxq_s32(low, high)) as u32)
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        fold!(self, vaddq_f32)
    }
    #[inline(always)]
    fn largest(self) -> f32 {
        fold!(self, greater)
    }
    #[inline(always)]
    fn less(self, o: Self, yes: Self, no: Self) -> Self {
        four!(chosen(self, o, yes, no))
    }
    #[inline(always)]
    fn sign_of(self, s: Self) -> Self {
        four!(with_sign(self, s))
    }
}
