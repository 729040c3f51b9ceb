//! Data sets as `../shared/data` keeps them: one JSON object per line, gzipped.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;

/// The records of `name`, such as `xquad/xquad.en`, in the folder of data sets.
///
/// # Errors
/// If the file is not there or a line is no such record.
pub fn records<T: DeserializeOwned>(folder: &Path, name: &str) -> anyhow::Result<Vec<T>> {
    let path = folder.join(format!("{name}.jsonl.gz"));
    let file = std::fs::File::open(&path).with_context(|| {
        format!(
            "{} cannot be opened; give the folder of data sets with --data",
            path.display()
        )
    })?;
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines
        .enumerate()
        .map(|(n, line)| {
            let what = || format!("{}, line {}", path.display(), n + 1);
            serde_json::from_str(&line.with_context(what)?).with_context(what)
        })
        .collect()
}
