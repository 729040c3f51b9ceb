//! Each operation of each path of this processor against the scalar twin.

use half::f16;
use proptest::array::uniform16;
use proptest::prelude::*;

use super::{Lanes, dispatch};
use crate::cpu::{self, Isa};

fn widened_on(isa: Isa, from: &[f16; 16]) -> [f32; 16] {
    fn widened<L: Lanes>(from: &[f16; 16]) -> [f32; 16] {
        let mut to = [0.0; 16];
        L::load_half(from).store(&mut to);
        to
    }
    dispatch!(isa, widened(from: &[f16; 16]) -> [f32; 16])
}

fn narrowed_on(isa: Isa, from: &[f32; 16]) -> [f16; 16] {
    fn narrowed<L: Lanes>(from: &[f32; 16]) -> [f16; 16] {
        let mut to = [f16::ZERO; 16];
        L::load(from).store_half(&mut to);
        to
    }
    dispatch!(isa, narrowed(from: &[f32; 16]) -> [f16; 16])
}

/// The results of all operations on any numbers.
fn arithmetic_on(isa: Isa, a: &[f32; 16], b: &[f32; 16]) -> [[f32; 16]; 12] {
    #[inline(always)]
    fn arithmetic<L: Lanes>(a: &[f32; 16], b: &[f32; 16]) -> [[f32; 16]; 12] {
        let (a, b) = (L::load(a), L::load(b));
        let mut to = [[0.0; 16]; 12];
        a.add(b).store(&mut to[0]);
        a.sub(b).store(&mut to[1]);
        a.mul(b).store(&mut to[2]);
        a.div(b).store(&mut to[3]);
        a.fma(b, b).store(&mut to[4]);
        a.max(b).store(&mut to[5]);
        a.min(b).store(&mut to[6]);
        a.abs().store(&mut to[7]);
        a.round().store(&mut to[8]);
        a.less(b, b, L::splat(1.5)).store(&mut to[9]);
        a.sign_of(b).store(&mut to[10]);
        to[11][..3].copy_from_slice(&[a.sum(), a.largest(), a.magnitude(b)]);
        to
    }
    dispatch!(isa, arithmetic(a: &[f32; 16], b: &[f32; 16]) -> [[f32; 16]; 12])
}

/// What is defined for whole numbers: 2^a, c 2^a, b as integers and their sum.
fn whole_on(isa: Isa, a: &[f32; 16], b: &[f32; 16], c: &[f32; 16]) -> ([[f32; 16]; 2], [i16; 16], i32) {
    #[inline(always)]
    fn whole<L: Lanes>(a: &[f32; 16], b: &[f32; 16], c: &[f32; 16]) -> ([[f32; 16]; 2], [i16; 16], i32) {
        let (mut powers, mut integers) = ([[0.0; 16]; 2], [0; 16]);
        L::load(a).pow2().store(&mut powers[0]);
        L::load(c).times_pow2(L::load(a)).store(&mut powers[1]);
        let sum = L::load(b).integers(&mut integers);
        (powers, integers, sum)
    }
    dispatch!(isa, whole(a: &[f32; 16], b: &[f32; 16], c: &[f32; 16]) -> ([[f32; 16]; 2], [i16; 16], i32))
}

/// Whole numbers as bytes, and back.
fn bytes_on(isa: Isa, from: &[f32; 16]) -> ([i8; 16], [f32; 16]) {
    #[inline(always)]
    fn bytes<L: Lanes>(from: &[f32; 16]) -> ([i8; 16], [f32; 16]) {
        let (mut stored, mut back) = ([0; 16], [0.0; 16]);
        L::load(from).store_bytes(&mut stored);
        L::load_bytes(&stored).store(&mut back);
        (stored, back)
    }
    dispatch!(isa, bytes(from: &[f32; 16]) -> ([i8; 16], [f32; 16]))
}

/// Bits, those of NaN all alike: which NaN an operation gives IEEE 754 leaves open.
fn bits(values: &[[f32; 16]]) -> Vec<u32> {
    let bits = |v: &f32| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() };
    values.as_flattened().iter().map(bits).collect()
}

/// 16 times any bits, often such that two lanes compare equal, are zero, infinite or NaN.
fn any_lanes() -> impl Strategy<Value = [f32; 16]> {
    let special = proptest::sample::select(vec![0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]);
    uniform16(prop_oneof![
        special,
        any::<u32>().prop_map(f32::from_bits),
        -3e4f32..3e4
    ])
}

proptest! {
    #[test]
    fn every_operation_has_the_bits_of_the_scalar_twin(a in any_lanes(), b in any_lanes()) {
        let twin = arithmetic_on(Isa::Scalar, &a, &b);
        for isa in cpu::available() {
            prop_assert_eq!(bits(&arithmetic_on(isa, &a, &b)), bits(&twin), "{:?}", isa);
        }
    }

    #[test]
    fn whole_numbers_have_the_twins_powers_and_integers(
        a in uniform16(-125i16..=127), b in uniform16(-32767i16..=32767), c in uniform16(0.5f32..=2.0)
    ) {
        let (a, b) = (a.map(f32::from), b.map(f32::from));
        let twin = whole_on(Isa::Scalar, &a, &b, &c);
        for isa in cpu::available() {
            prop_assert_eq!(whole_on(isa, &a, &b, &c), twin, "{:?}", isa);
        }
    }
}

#[test]
fn every_whole_number_that_is_a_byte_comes_back() {
    for first in -127..=112 {
        let from = std::array::from_fn(|i| (first + i as i32) as f32);
        let stored = std::array::from_fn(|i| (first + i as i32) as i8);
        for isa in cpu::available() {
            assert_eq!(bytes_on(isa, &from), (stored, from), "{isa:?}");
        }
    }
}

#[test]
fn every_half_widens_to_the_twins_bits() {
    for first in (0..=u16::MAX).step_by(16) {
        let halves = std::array::from_fn(|i| f16::from_bits(first + i as u16));
        let twin = widened_on(Isa::Scalar, &halves).map(f32::to_bits);
        for isa in cpu::available() {
            assert_eq!(
                widened_on(isa, &halves).map(f32::to_bits),
                twin,
                "{isa:?}, from {first:#x}"
            );
        }
    }
}

#[test]
fn what_lies_at_and_between_halves_narrows_to_the_twins_bits() {
    // A half has 13 bits fewer: each value of the others that decides how it rounds, at every sign, exponent and fraction
    // that is kept.
    for kept in 0..1u32 << 19 {
        let dropped = [0, 1, 0xffe, 0xfff, 0x1000, 0x1001, 0x1ffe, 0x1fff];
        let values = std::array::from_fn(|i| f32::from_bits(kept << 13 | dropped[i % 8]));
        let twin = narrowed_on(Isa::Scalar, &values).map(f16::to_bits);
        for isa in cpu::available() {
            assert_eq!(narrowed_on(isa, &values).map(f16::to_bits), twin, "{isa:?}, {values:?}");
        }
    }
}
