//! `candor rm`: removes models from the data directory.

use std::process::ExitCode;

use clap::Args;

use crate::context::Context;
use crate::terminal::print;

/// Remove models from this machine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor rm gemma3-270m

Only what `candor pull` put into the data directory is removed; files that you named by a path, and the caches of
other programs, are left alone.")]
pub(crate) struct Rm {
    /// Names, as `candor models --here` lists them
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,
}

impl Rm {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        for name in &self.models {
            let freed = candor_catalog::remove(&context.models_dir(), name)?;
            print(&format!("{name} is removed; {freed} are free again\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
