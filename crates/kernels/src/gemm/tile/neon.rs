//! NEON: 16 rows x 2 inputs are four registers, the even inputs of all rows in the first two. `smlal` multiplies four rows
//! by one activation and adds to four sums, so that nothing is left to add across lanes.
#![allow(clippy::undocumented_unsafe_blocks)] // as in `lanes`: the values exist only where the instructions do

use std::arch::aarch64::*;

use half::f16;

use super::Tile;
use crate::lanes::{Lanes, Neon};

/// One instruction for each register.
macro_rules! four {
    ($f:ident ( $($of:expr),* )) => {
        unsafe { [$f($($of[0]),*), $f($($of[1]),*), $f($($of[2]),*), $f($($of[3]),*)] }
    };
}

/// Words shifted left, or right where `by` is negative.
#[inline(always)]
unsafe fn move_words(a: int32x4_t, by: i32) -> int32x4_t {
    unsafe { vreinterpretq_s32_u16(vshlq_u16(vreinterpretq_u16_s32(a), vdupq_n_s16(by as i16))) }
}

/// Adds four rows' products of an even and an odd input, of the low halves of `even` and `odd`.
#[inline(always)]
unsafe fn low_rows(acc: int32x4_t, even: int32x4_t, odd: int32x4_t, a: int32x4_t) -> int32x4_t {
    unsafe {
        let (even, odd) = (vreinterpretq_s16_s32(even), vreinterpretq_s16_s32(odd));
        let a = vget_low_s16(vreinterpretq_s16_s32(a));
        let acc = vmlal_lane_s16::<0>(acc, vget_low_s16(even), a);
        vmlal_lane_s16::<1>(acc, vget_low_s16(odd), a)
    }
}

/// The same of their high halves.
#[inline(always)]
unsafe fn high_rows(acc: int32x4_t, even: int32x4_t, odd: int32x4_t, a: int32x4_t) -> int32x4_t {
    unsafe {
        let (even, odd) = (vreinterpretq_s16_s32(even), vreinterpretq_s16_s32(odd));
        let a = vget_low_s16(vreinterpretq_s16_s32(a));
        let acc = vmlal_high_lane_s16::<0>(acc, even, a);
        vmlal_high_lane_s16::<1>(acc, odd, a)
    }
}

impl Tile for Neon {
    type Int = [int32x4_t; 4];
    #[inline(always)]
    unsafe fn line(from: *const u8) -> Self::Int {
        // Bytes, which may lie anywhere.
        unsafe {
            [
                vreinterpretq_s32_u8(vld1q_u8(from)),
                vreinterpretq_s32_u8(vld1q_u8(from.add(16))),
                vreinterpretq_s32_u8(vld1q_u8(from.add(32))),
                vreinterpretq_s32_u8(vld1q_u8(from.add(48))),
            ]
        }
    }
    #[inline(always)]
    unsafe fn put(line: Self::Int, to: *mut u8) {
        unsafe {
            vst1q_u8(to, vreinterpretq_u8_s32(line[0]));
            vst1q_u8(to.add(16), vreinterpretq_u8_s32(line[1]));
            vst1q_u8(to.add(32), vreinterpretq_u8_s32(line[2]));
            vst1q_u8(to.add(48), vreinterpretq_u8_s32(line[3]));
        }
    }
    #[inline(always)]
    fn bits(v: i32) -> Self::Int {
        unsafe { [vdupq_n_s32(v); 4] }
    }
    #[inline(always)]
    fn and(a: Self::Int, b: Self::Int) -> Self::Int {
        four!(vandq_s32(a, b))
    }
    #[inline(always)]
    fn or(a: Self::Int, b: Self::Int) -> Self::Int {
        four!(vorrq_s32(a, b))
    }
    #[inline(always)]
    fn right(a: Self::Int, by: i32) -> Self::Int {
        let by = [-by; 4];
        four!(move_words(a, by))
    }
    #[inline(always)]
    fn left(a: Self::Int, by: i32) -> Self::Int {
        let by = [by; 4];
        four!(move_words(a, by))
    }
    #[inline(always)]
    fn dot(acc: Self::Int, w: Self::Int, a: Self::Int) -> Self::Int {
        unsafe {
            [
                low_rows(acc[0], w[0], w[2], a[0]),
                high_rows(acc[1], w[0], w[2], a[0]),
                low_rows(acc[2], w[1], w[3], a[0]),
                high_rows(acc[3], w[1], w[3], a[0]),
            ]
        }
    }
    #[inline(always)]
    fn plus(a: Self::Int, b: Self::Int) -> Self::Int {
        four!(vaddq_s32(a, b))
    }
    #[inline(always)]
    fn shifted(a: Self::Int, by: i32) -> Self::Int {
        let by = Self::bits(-by);
        four!(vshlq_s32(a, by))
    }
    #[inline(always)]
    fn minus_upper(acc: Self::Int, v: Self::Int) -> Self::Int {
        let minus = |i: usize| unsafe { vsubq_s32(acc[i], vshlq_n_s32::<16>(v[i])) };
        [minus(0), minus(1), minus(2), minus(3)]
    }
    #[inline(always)]
    fn float(a: Self::Int) -> Self {
        Neon(four!(vcvtq_f32_s32(a)))
    }
    #[inline(always)]
    unsafe fn halves(from: *const u8) -> Self {
        Self::load_half(&unsafe { from.cast::<[f16; 16]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn brains(from: *const u8) -> Self {
        unsafe {
            // The words of f32 are those of bf16 in the high half, zero in the low one.
            let (low, high) = (
                vreinterpretq_u16_u8(vld1q_u8(from)),
                vreinterpretq_u16_u8(vld1q_u8(from.add(16))),
            );
            let zero = vdupq_n_u16(0);
            Neon([
                vreinterpretq_f32_u16(vzip1q_u16(zero, low)),
                vreinterpretq_f32_u16(vzip2q_u16(zero, low)),
                vreinterpretq_f32_u16(vzip1q_u16(zero, high)),
                vreinterpretq_f32_u16(vzip2q_u16(zero, high)),
            ])
        }
    }
    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> Self {
        unsafe {
            let bytes = vld1q_s8(from.cast());
            let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
            Self::float([
                vmovl_s16(vget_low_s16(low)),
                vmovl_high_s16(low),
                vmovl_s16(vget_low_s16(high)),
                vmovl_high_s16(high),
            ])
        }
    }
}
