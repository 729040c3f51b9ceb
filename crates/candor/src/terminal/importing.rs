//! What an import looks like on stderr: a bar where there is a terminal, and what needs saying in any case.

use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

use candor_truth::SyncProgress;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Style, printable};

/// Shows an import.
pub(crate) struct ImportDisplay {
    bar: ProgressBar,
    style: Style,
    indexing: Mutex<bool>,
}

impl ImportDisplay {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(look) =
            ProgressStyle::with_template("{msg:28!} {bar:28} {decimal_bytes:>10} of {decimal_total_bytes} {eta:>4}")
        {
            bar.set_style(look.progress_chars("━╸─"));
        }
        Self {
            bar,
            style: Style::for_stderr(),
            indexing: Mutex::default(),
        }
    }

    pub(crate) fn found(&self, files: usize, bytes: u64) {
        self.bar.set_message(format!("{files} files"));
        self.bar.set_length(bytes);
    }

    pub(crate) fn reading(&self, path: &Path) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        self.bar.set_message(printable(&name.unwrap_or_default()));
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// A line about a file.
    pub(crate) fn say(&self, path: &Path, what: &str) {
        let line = format!(
            "{}: {}",
            self.style.yellow(&printable(&path.display().to_string())),
            printable(what)
        );
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub(crate) fn indexing(&self, progress: SyncProgress) {
        let mut begun = self.indexing.lock().unwrap_or_else(PoisonError::into_inner);
        if !*begun {
            self.bar.reset();
            *begun = true;
        }
        self.bar
            .set_message(format!("indexing: {} passages", progress.passages));
        self.bar.set_length(progress.bytes_total);
        self.bar.set_position(progress.bytes);
    }

    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for ImportDisplay {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
