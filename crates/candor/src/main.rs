//! candor
fn main() {}
