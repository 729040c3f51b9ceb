//! `candor`: the command line. It parses arguments, reads the configuration, and hands over to one file per command.
//! Logic that anything but a terminal could want lives in the other crates.

#![allow(clippy::print_stdout, reason = "a command line prints")]

mod answer;
mod bench;
mod chat;
mod cli;
mod commands;
mod config;
mod context;
mod folder_library;
mod library;
mod models;
mod open;
mod reader;
mod runtime;
mod sampling;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    start_log(cli.global.verbose, cli.command.is_server());
    match cli.run() {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "{} {}",
                terminal::Style::for_stderr().red("error:"),
                terminal::printable(&sentence(&error))
            );
            ExitCode::FAILURE
        }
    }
}

/// What happened and why. Many of our sentences name their cause already; it is not said twice.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whoever reads our output has seen enough (`candor models | head -1`): that is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Log lines go to stderr: warnings by default, what the server does when it serves, more with `-v`, `-vv`, or `RUST_LOG`.
fn start_log(verbose: u8, server: bool) {
    use std::io::IsTerminal;
    let default = match (verbose, server) {
        (0, false) => "error",
        (0, true) => "warn",
        (1, _) => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(default.parse().unwrap_or_else(|_| tracing::Level::WARN.into()))
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && terminal::color_wanted())
        .with_target(verbose > 1)
        .init();
}
