//! The matrix unit's instructions, in two sets of tiles: one is filled while the other's dots are stored.
//!
//! What a function leaves in tiles another one takes up; the compiler has no use for tiles, so they stay.

use std::arch::asm;

use super::Dots;

macro_rules! set {
    ($name:ident, $high:literal, $low:literal) => {
        pub(super) mod $name {
            use super::{Dots, asm};

            /// Begins the products of high bytes, `a`, with the lines of weights at `w`, which stay loaded for the low ones.
            ///
            /// # Safety
            /// The unit is configured; `a` begins the high bytes of a block, `w` the lines of its weights.
            #[inline(always)]
            pub(in super::super) unsafe fn high(a: *const u8, w: *const u8) {
                // SAFETY: as promised; tiles are loaded by rows of 64 bytes.
                unsafe {
                    asm!(
                        concat!("tilezero ", $high),
                        "tileloadd tmm4, [{a} + {row}]",
                        "tileloadd tmm6, [{w} + {row}]",
                        concat!("tdpbssd ", $high, ", tmm4, tmm6"),
                        a = in(reg) a, w = in(reg) w, row = in(reg) 64usize,
                        options(nostack, preserves_flags, readonly),
                    );
                }
            }

            /// Begins the products of low bytes, `a`, with the weights that `high` loaded.
            ///
            /// # Safety
            /// As for `high`, which came before.
            #[inline(always)]
            pub(in super::super) unsafe fn low(a: *const u8) {
                // SAFETY: as promised.
                unsafe {
                    asm!(
                        concat!("tilezero ", $low),
                        "tileloadd tmm5, [{a} + {row}]",
                        concat!("tdpbusd ", $low, ", tmm5, tmm6"),
                        a = in(reg) a, row = in(reg) 64usize,
                        options(nostack, preserves_flags, readonly),
                    );
                }
            }

            /// Stores the products of high bytes.
            ///
            /// # Safety
            /// `to` may be written; `high` came before.
            #[inline(always)]
            pub(in super::super) unsafe fn store_high(to: *mut Dots) {
                // SAFETY: as promised; tiles are stored by rows of 64 bytes.
                unsafe {
                    asm!(
                        concat!("tilestored [{to} + {row}], ", $high),
                        to = in(reg) to, row = in(reg) 64usize,
                        options(nostack, preserves_flags),
                    );
                }
            }

            /// Stores the products of low bytes.
            ///
            /// # Safety
            /// `to` may be written; `low` came before.
            #[inline(always)]
            pub(in super::super) unsafe fn store_low(to: *mut Dots) {
                // SAFETY: likewise, behind the tile of high bytes.
                unsafe {
                    asm!(
                        concat!("tilestored [{to} + {row} + 1024], ", $low),
                        to = in(reg) to, row = in(reg) 64usize,
                        options(nostack, preserves_flags),
                    );
                }
            }
        }
    };
}

set!(even, "tmm0", "tmm1");
set!(odd, "tmm2", "tmm3");
