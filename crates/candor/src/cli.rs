//! The shape of the command line: options that every command takes, and the list of commands.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::commands;
use crate::context::Context;

const EXAMPLES: &str = "\
Examples:
  candor serve                              serve the default model and the chat page on 127.0.0.1:8080
  candor chat                               talk to the default model in this terminal
  git diff | candor generate \"explain\"      ask about what comes through a pipe
  candor pull smollm2-135m-instruct         get a model; `candor models` lists them
  candor sources add ~/papers               import documents; `candor search` finds passages in them
  candor ask \"who signed the treaty?\"       answer from the documents with quotes, or abstain
  candor check draft.md                     check each sentence of a text against the documents
  candor doctor                             see whether this machine is ready

Configuration: `candor config` prints where it is and what is in force.";

/// Run language models on your own machine: a server, a chat, a tool for pipes.
#[derive(Debug, Parser)]
#[command(name = "candor", version, about, after_help = EXAMPLES, max_term_width = 110, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Read this configuration file instead of the usual one
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CANDOR_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Keep models, conversations and history here
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "CANDOR_DATA_DIR",
        hide_env_values = true
    )]
    pub(crate) data_dir: Option<PathBuf>,
    /// Say more on stderr (twice: much more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(commands::serve::Serve),
    Chat(commands::chat::Chat),
    Generate(commands::generate::Generate),
    Pull(commands::pull::Pull),
    Models(commands::models::Models),
    Rm(commands::rm::Rm),
    Sources(commands::sources::Sources),
    Search(commands::search::Search),
    Ask(commands::ask::Ask),
    Check(commands::check::Check),
    Verify(commands::verify::Verify),
    Calibrate(commands::calibrate::Calibrate),
    Mcp(commands::mcp::Mcp),
    Eval(commands::eval::Eval),
    Inspect(commands::inspect::Inspect),
    Quantize(commands::quantize::Quantize),
    Bench(commands::bench::Bench),
    Doctor(commands::doctor::Doctor),
    Config(commands::config::Config),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
    ExtractChild(commands::extract_child::ExtractChild),
}

impl Command {
    /// Whether this command serves until it is stopped.
    pub(crate) fn is_server(&self) -> bool {
        matches!(self, Self::Serve(_))
    }
}

impl Cli {
    /// Reads the configuration and runs the command.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
            Command::ExtractChild(command) => Ok(command.run()),
            Command::Config(command) => command.run(&self.global),
            Command::Doctor(command) => command.run(&self.global),
            Command::Serve(command) => command.run(&Context::new(&self.global)?),
            Command::Inspect(command) => command.run(&Context::new(&self.global)?),
            Command::Quantize(command) => command.run(&Context::new(&self.global)?),
            Command::Bench(command) => command.run(&Context::new(&self.global)?),
            Command::Chat(command) => command.run(&Context::new(&self.global)?),
            Command::Generate(command) => command.run(&Context::new(&self.global)?),
            Command::Pull(command) => command.run(&Context::new(&self.global)?),
            Command::Models(command) => command.run(&Context::new(&self.global)?),
            Command::Sources(command) => command.run(&Context::new(&self.global)?),
            Command::Search(command) => command.run(&Context::new(&self.global)?),
            Command::Ask(command) => command.run(&Context::new(&self.global)?),
            Command::Check(command) => command.run(&Context::new(&self.global)?),
            Command::Verify(command) => command.run(&Context::new(&self.global)?),
            Command::Calibrate(command) => command.run(&Context::new(&self.global)?),
            Command::Mcp(command) => command.run(&Context::new(&self.global)?),
            Command::Eval(command) => command.run(&Context::new(&self.global)?),
            Command::Rm(command) => command.run(&Context::new(&self.global)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
