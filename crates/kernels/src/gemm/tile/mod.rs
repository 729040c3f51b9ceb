//! What a quantized product needs besides `Lanes`: 16 rows x 2 inputs of 16-bit integers side by side, and their dots.
//!
//! The kernels (`kernel`) are written once over this trait; here lie all instructions that differ.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::lanes::Lanes;

/// `Lanes` with integers. Pointers: callers pass addresses of whole lines, as each method says.
pub(crate) trait Tile: Lanes {
    /// 64 bytes: 32 u16 words (pairs of inputs of 16 rows, placed by `pack::word`), or 16 i32.
    type Int: Copy;
    /// Loads 64 bytes.
    ///
    /// # Safety
    /// 64 bytes at `from` are readable.
    unsafe fn line(from: *const u8) -> Self::Int;
    /// Stores 64 bytes.
    ///
    /// # Safety
    /// 64 bytes at `to` are writable.
    unsafe fn put(line: Self::Int, to: *mut u8);
    /// The same 32 bits 16 times.
    fn bits(v: i32) -> Self::Int;
    fn and(a: Self::Int, b: Self::Int) -> Self::Int;
    fn or(a: Self::Int, b: Self::Int) -> Self::Int;
    /// Shifts words right, zeros come in.
    fn right(a: Self::Int, by: i32) -> Self::Int;
    /// Shifts words left.
    fn left(a: Self::Int, by: i32) -> Self::Int;
    /// Of each row `acc + w_even a_even + w_odd a_odd`, as 32-bit integers; `a` is `bits` of a pair of activations, the even
    /// one in the low half.
    fn dot(acc: Self::Int, w: Self::Int, a: Self::Int) -> Self::Int;
    /// `dot` with pair I of quad QUAD of the 16 pairs that lie at `pairs`.
    ///
    /// # Safety
    /// 64 bytes at `pairs` are readable.
    #[inline(always)]
    unsafe fn dot_at<const QUAD: usize, const I: usize>(acc: Self::Int, w: Self::Int, pairs: *const i16) -> Self::Int {
        // SAFETY: as promised.
        Self::dot(
            acc,
            w,
            Self::bits(unsafe { pairs.cast::<i32>().add(4 * QUAD + I).read_unaligned() }),
        )
    }
    /// Whether `fours` sums in 16 bits, two sums a row, for `widen` to add to the dots: of so few products that none overflows.
    const PARTS: bool = false;
    /// Of each row `acc` plus four products of unsigned bytes of `w` by the signed bytes of `a`, which is `bits` of four
    /// activations. Only where `gemm::activations` makes bytes.
    fn fours(_acc: Self::Int, _w: Self::Int, _a: Self::Int) -> Self::Int {
        unreachable!("this path multiplies words")
    }
    /// `fours` with half I of quad QUAD of the 32 bytes that lie at `bytes`.
    ///
    /// # Safety
    /// 32 bytes at `bytes` are readable.
    #[inline(always)]
    unsafe fn fours_at<const QUAD: usize, const I: usize>(acc: Self::Int, w: Self::Int, bytes: *const i8) -> Self::Int {
        // SAFETY: as promised.
        Self::fours(
            acc,
            w,
            Self::bits(unsafe { bytes.cast::<i32>().add(2 * QUAD + I).read_unaligned() }),
        )
    }
    /// Adds both sums of 16 bits of each row to `dots`.
    fn widen(_dots: Self::Int, _parts: Self::Int) -> Self::Int {
        unreachable!("this path has no parts")
    }
    /// Sums of 32-bit integers.
    fn plus(a: Self::Int, b: Self::Int) -> Self::Int;
    /// Shifts 32-bit integers right; the sign stays.
    fn shifted(a: Self::Int, by: i32) -> Self::Int;
    /// `acc` plus the upper halves of 32-bit integers, with their signs.
    #[inline(always)]
    fn plus_upper(acc: Self::Int, v: Self::Int) -> Self::Int {
        Self::plus(acc, Self::shifted(v, 16))
    }
    /// `acc - 2^16 v` of 32-bit integers, modulo 2^32.
    fn minus_upper(acc: Self::Int, v: Self::Int) -> Self::Int;
    /// 32-bit integers to f32, to the nearest.
    fn float(a: Self::Int) -> Self;
    /// 16 f32.
    ///
    /// # Safety
    /// 64 bytes at `from` are readable.
    #[inline(always)]
    unsafe fn float32(from: *const u8) -> Self {
        // SAFETY: as promised; an array of bytes may lie anywhere.
        Self::load(&unsafe { from.cast::<[f32; 16]>().read_unaligned() })
    }
    /// 16 f16.
    ///
    /// # Safety
    /// 32 bytes at `from` are readable.
    unsafe fn halves(from: *const u8) -> Self;
    /// 16 bf16.
    ///
    /// # Safety
    /// 32 bytes at `from` are readable.
    unsafe fn brains(from: *const u8) -> Self;
    /// 16 i8.
    ///
    /// # Safety
    /// 16 bytes at `from` are readable.
    unsafe fn bytes(from: *const u8) -> Self;
}
