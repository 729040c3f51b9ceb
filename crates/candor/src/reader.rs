//! What reads documents for an import: this very program, started again with limits.

use anyhow::Context as _;
use candor_extract::{Extractor, Limits};

/// The reader of this program.
pub(crate) fn new() -> anyhow::Result<Extractor> {
    let program =
        std::env::current_exe().context("cannot find out where this program is, to read documents with it")?;
    Ok(Extractor::new(program, Limits::default()))
}
