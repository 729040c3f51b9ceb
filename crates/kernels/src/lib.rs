//! Arithmetic on the CPU. Knows no model: shapes, formats and threads only.

pub mod team;
