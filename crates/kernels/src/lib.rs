//! Arithmetic on the CPU. Knows no model: shapes, formats and threads only.
//!
//! Everything here returns the same bits whatever the instruction set, the number of threads and the batch:
//! each output's sequence of operations is fixed by its module's doc, and every version computes just that.
#![allow(unsafe_code)] // vector instructions and threads that share a borrowed slice; each place says why it is sound

pub mod cpu;
mod error;
pub mod formats;
pub mod gemm;
mod lanes;
pub mod memory;
pub mod ops;
pub mod probe;
pub mod scan;
mod shared;
pub mod team;

pub use error::KernelError;
