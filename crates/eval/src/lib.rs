//! Measures what Candor says. One short file per task; scores, intervals and reports are shared.

pub mod data;
pub mod plain;
pub mod report;
pub mod scores;
pub mod tasks;
