//! `candor extract-child`: hidden; the process in which one document is read, started by Candor itself.

use std::process::ExitCode;

use clap::Args;

/// Read one document from standard input and write its text as JSON (started by Candor itself)
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct ExtractChild {}

impl ExtractChild {
    pub(crate) fn run(self) -> ExitCode {
        candor_extract::child_main()
    }
}
