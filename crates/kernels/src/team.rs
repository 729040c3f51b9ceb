//! A team of threads that works on one thing at a time.

/// Threads that share a computation.
#[derive(Debug)]
pub struct Team;
