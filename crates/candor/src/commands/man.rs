//! `candor man`: manual pages, made from the same text as `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory};

use crate::terminal::print;

/// Write manual pages, one per command, into a directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor man ~/.local/share/man/man1 && man candor-serve")]
pub(crate) struct Man {
    /// The directory; made if it is absent
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let directory = &self.directory;
        let write = || -> std::io::Result<usize> {
            std::fs::create_dir_all(directory)?;
            let mut command = crate::cli::Cli::command();
            command.build();
            clap_mangen::generate_to(command, directory)?;
            // Other programs' pages may be there too.
            let names = std::fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.file_name()));
            Ok(names
                .filter(|name| name.to_string_lossy().starts_with("candor"))
                .count())
        };
        let files = write().with_context(|| format!("cannot write manual pages into {}", directory.display()))?;
        print(&format!("{files} manual pages are in {}\n", directory.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}
