//! The tasks, one file each.

pub mod claims;
pub mod xquad;
