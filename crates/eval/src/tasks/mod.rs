//! The tasks, one file each.

pub mod claims;
pub mod closed_book;
pub mod grounded;
pub mod halueval;
pub mod phrased;
pub mod truthfulqa;
