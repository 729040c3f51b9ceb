//! Measures what Candor says. One short file per task; scores, intervals and reports are shared.

pub mod bench;
pub mod data;
pub mod likelihood;
pub mod plain;
pub mod plots;
pub mod report;
pub mod scores;
pub mod svg;
pub mod tasks;
