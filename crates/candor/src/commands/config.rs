//! `candor config`: where the configuration is and what is in force.

use std::process::ExitCode;

use clap::Args;

use crate::cli::Global;
use crate::config::{DEFAULT, KEYS, variable};
use crate::context::Context;
use crate::terminal::print;

/// Show the configuration: where it is read from, and what is in force
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor config                             where the file is, and every key's value now
  candor config --default                   a file with every key, its default and its meaning
  mkdir -p ~/.config/candor && candor config --default > ~/.config/candor/config.toml
  CANDOR_SERVER_PORT=9000 candor serve      the environment wins over the file")]
pub(crate) struct Config {
    /// Print a commented file with every key and its default
    #[arg(long)]
    default: bool,
    /// Print only the path of the configuration file
    #[arg(long, conflicts_with = "default")]
    path: bool,
}

impl Config {
    pub(crate) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        if self.default {
            print(DEFAULT)?;
            return Ok(ExitCode::SUCCESS);
        }
        let context = Context::new(global)?;
        if self.path {
            print(&format!("{}\n", context.config_file.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let state = if context.config_file.is_file() {
            ""
        } else {
            " (absent: defaults)"
        };
        let mut text = format!(
            "# file: {}{state}\n# data: {}\n",
            context.config_file.display(),
            context.data_dir.display()
        );
        let overrides: Vec<String> = KEYS
            .iter()
            .map(|key| variable(key))
            .filter(|name| std::env::var_os(name).is_some())
            .collect();
        if !overrides.is_empty() {
            text += &format!("# overridden by the environment: {}\n", overrides.join(", "));
        }
        text += "\n";
        text += &toml::to_string(&context.config)?;
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}
