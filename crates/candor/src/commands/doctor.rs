//! `candor doctor`: is this machine ready? Each check has a verdict and, where it is not good, what to do.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use candor_catalog::{Bytes, Environment};
use candor_kernels::cpu::{self, Isa};
use clap::Args;
use serde::Serialize;

use crate::cli::Global;
use crate::config::Config;
use crate::context::{self, Context};
use crate::library::EMBEDDING;
use crate::models;
use crate::terminal::{Style, print, printable};

/// Less room than this for models is worth a warning.
const LITTLE_DISK: u64 = 2_000_000_000;
/// Less memory than this runs only the smallest models.
const LITTLE_MEMORY: u64 = 1_000_000_000;

/// Check whether this machine is ready, and say what to do where it is not
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor doctor
  candor doctor --json | jq '.[] | select(.verdict != \"ok\")'

Exit status: 0 where nothing failed (warnings do not count), 1 otherwise.")]
pub(crate) struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Do not ask whether the model hub answers
    #[arg(long)]
    offline: bool,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

fn ok(name: &'static str, found: impl Into<String>) -> Check {
    Check {
        name,
        verdict: Verdict::Ok,
        found: found.into(),
        todo: None,
    }
}

fn warn(name: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Check {
    Check {
        name,
        verdict: Verdict::Warn,
        found: found.into(),
        todo: Some(todo.into()),
    }
}

fn fail(name: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Check {
    Check {
        name,
        verdict: Verdict::Fail,
        found: found.into(),
        todo: Some(todo.into()),
    }
}

impl Doctor {
    pub(crate) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut checks = vec![machine(), kernels(), memory()];
        match Context::new(global) {
            Ok(context) => {
                checks.push(configuration(&context));
                checks.push(data(&context.data_dir));
                checks.push(model_files(&context));
                checks.push(meaning(&context));
                checks.push(store(&context));
                checks.push(port(&context.config));
            }
            Err(error) => checks.push(fail(
                "config",
                format!("{error:#}"),
                "correct it; the checks that need it were left out",
            )),
        }
        checks.push(page());
        checks.push(python());
        if !self.offline {
            checks.push(hub());
        }
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&checks)?))?;
        } else {
            print(&report(&checks, Style::for_stdout())?)?;
        }
        let failed = checks.iter().any(|check| check.verdict == Verdict::Fail);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn report(checks: &[Check], style: Style) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Ok => style.green("ok  "),
            Verdict::Warn => style.yellow("warn"),
            Verdict::Fail => style.red("FAIL"),
        };
        writeln!(text, "{verdict}  {:8} {}", check.name, printable(&check.found))?;
        if let Some(todo) = &check.todo {
            writeln!(text, "               {}", printable(todo))?;
        }
    }
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    writeln!(
        text,
        "\n{} ok, {} to look at, {} failed",
        count(Verdict::Ok),
        count(Verdict::Warn),
        count(Verdict::Fail)
    )?;
    Ok(text)
}

fn machine() -> Check {
    let os = sysinfo::System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned());
    let found = format!("candor {}, {os}, {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        ok("machine", found)
    } else {
        warn(
            "machine",
            found,
            "Candor was tried on Linux on x86-64 only; please report what works and what does not",
        )
    }
}

fn kernels() -> Check {
    let found = cpu::describe();
    match (cpu::isa(), cpu::best()) {
        (isa, best) if isa < best => warn("cpu", found, "CANDOR_ISA holds it back; unset it for full speed"),
        (Isa::Scalar, _) => warn(
            "cpu",
            found,
            "this processor has none of AVX2, AVX-512 and NEON: everything works, slowly",
        ),
        _ => ok("cpu", found),
    }
}

fn memory() -> Check {
    let (total, free) = models::memory();
    let found = format!("{} of {} are available", Bytes(free), Bytes(total));
    if free < LITTLE_MEMORY {
        warn(
            "memory",
            found,
            "only the smallest models fit; close other programs for larger ones",
        )
    } else {
        ok("memory", found)
    }
}

fn configuration(context: &Context) -> Check {
    let file = context.config_file.display();
    if let Err(error) = models::catalog(context) {
        return fail(
            "config",
            error.to_string(),
            "without it no model can be found by its name",
        );
    }
    if !context.config_file.is_file() {
        return ok(
            "config",
            format!("{file} is absent, so defaults hold (`candor config --default` prints them)"),
        );
    }
    ok("config", format!("{file}"))
}

fn data(dir: &Path) -> Check {
    let probe = || -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        let file = dir.join(format!(".probe-{}", std::process::id()));
        std::fs::write(&file, b"candor")?;
        std::fs::remove_file(file)
    };
    let place = dir.display();
    if let Err(error) = probe() {
        return fail(
            "data",
            format!("{place} cannot be written: {error}"),
            "choose another with --data-dir or CANDOR_DATA_DIR",
        );
    }
    match free_space(dir) {
        Some(free) if free < LITTLE_DISK => warn(
            "data",
            format!("{place}: {} are free", Bytes(free)),
            "larger models will not fit; free some space",
        ),
        Some(free) => ok("data", format!("{place}: {} are free", Bytes(free))),
        None => ok("data", format!("{place} can be written")),
    }
}

/// Free bytes on the disk that holds `dir`.
fn free_space(dir: &Path) -> Option<u64> {
    let dir = dir.canonicalize().ok()?;
    let disks = sysinfo::Disks::new_with_refreshed_list().ok()?;
    let holding = disks.iter().filter(|disk| dir.starts_with(disk.mount_point()));
    holding
        .max_by_key(|disk| disk.mount_point().as_os_str().len())
        .map(sysinfo::Disk::available_space)
}

/// Whether passages can be found by meaning.
fn meaning(context: &Context) -> Check {
    if !context.config.sources.meaning {
        return ok(
            "meaning",
            "documents are found by their words, as `sources.meaning` says",
        );
    }
    match models::find(context, EMBEDDING) {
        Ok(_) => ok(
            "meaning",
            format!("documents are found by meaning too, with {EMBEDDING}"),
        ),
        Err(_) => warn(
            "meaning",
            format!("documents are found by their words alone: {EMBEDDING} is not here"),
            format!("it comes with the first documents; `candor pull {EMBEDDING}` gets it now"),
        ),
    }
}

fn model_files(context: &Context) -> Check {
    let installed = match candor_catalog::installed(&context.models_dir()) {
        Ok(installed) => installed,
        Err(error) => {
            return fail(
                "models",
                error.to_string(),
                "see whether the data directory can be read",
            );
        }
    };
    let known = |name: &str| models::catalog(context).is_ok_and(|catalog| catalog.get(name).is_ok());
    let (whole, part): (Vec<_>, Vec<_>) = installed.iter().partition(|model| model.complete);
    if let Some(model) = part.first() {
        let again = match known(&model.name) {
            true => format!("`candor pull {}`", model.name),
            false => "the same `candor pull` as before".into(),
        };
        let todo = format!("{again} goes on with it, `candor rm {}` removes it", model.name);
        return warn("models", format!("{} is not complete", model.name), todo);
    }
    for model in &whole {
        if let Err(what) = readable(&model.path) {
            let todo = match known(&model.name) {
                true => format!("`candor pull --again {}` gets it anew", model.name),
                false => "get the file anew, or move it away".into(),
            };
            return fail("models", what, todo);
        }
    }
    let names: Vec<String> = whole
        .iter()
        .map(|model| format!("{} ({})", model.name, model.size))
        .collect();
    if names.is_empty() {
        warn(
            "models",
            "none is on this machine yet",
            "`candor serve` gets the default one; `candor models` lists others",
        )
    } else {
        ok("models", names.join(", "))
    }
}

/// Whether a model's file can be opened as what it says it is.
fn readable(path: &Path) -> Result<(), String> {
    crate::open::check(path)
}

fn store(context: &Context) -> Check {
    let file = context.data_dir.join(context::STORE);
    if !file.exists() {
        return ok(
            "store",
            format!(
                "{} does not exist yet; it is made when the server starts",
                file.display()
            ),
        );
    }
    let checked = crate::runtime::start().and_then(|runtime| {
        runtime.block_on(async {
            let store = candor_store::Store::open(&file).await?;
            store.check().await?;
            store.close().await?;
            Ok(())
        })
    });
    match checked {
        Ok(()) => ok("store", format!("{} is sound", file.display())),
        Err(error) => fail(
            "store",
            format!("{error:#}"),
            format!("copy {} somewhere safe before you try anything with it", file.display()),
        ),
    }
}

fn port(config: &Config) -> Check {
    let server = &config.server;
    let place = format!("{}:{}", server.host, server.port);
    let host = server.host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !loopback && std::env::var_os("CANDOR_API_KEY").is_none_or(|key| key.is_empty()) {
        return fail(
            "port",
            format!("{place} is no loopback address, and there is no key"),
            "set CANDOR_API_KEY, or `server.host` to 127.0.0.1",
        );
    }
    match TcpListener::bind((host, server.port)) {
        Ok(_) => ok("port", format!("{place} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => warn(
            "port",
            format!("{place} is in use"),
            "a server may run already; `candor serve --port 0` takes a free port",
        ),
        Err(error) => fail(
            "port",
            format!("{place}: {error}"),
            "choose another with `server.host` and `server.port`",
        ),
    }
}

fn page() -> Check {
    if candor_server::page_is_built() {
        ok("page", "the chat page is in this program")
    } else {
        warn(
            "page",
            "the chat page is not in this program",
            "`make web` builds it (with Node), then build Candor again",
        )
    }
}

/// Some models come as Python packages, for which pip is needed; nothing else needs Python.
fn python() -> Check {
    let environment = Environment::from_process();
    for command in &environment.pip {
        let Some((program, arguments)) = command.split_first() else {
            continue;
        };
        let output = Command::new(program)
            .args(arguments)
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        if let Ok(output) = output
            && output.status.success()
        {
            let version = String::from_utf8_lossy(&output.stdout);
            return ok(
                "pip",
                version.split(" from ").next().unwrap_or_default().trim().to_owned(),
            );
        }
    }
    warn(
        "pip",
        "there is no pip",
        "models that come as Python packages, the default one among them, need it: install python3-pip",
    )
}

fn hub() -> Check {
    let environment = Environment::from_process();
    let place = environment.hub_endpoint.clone();
    let answer = crate::runtime::start().map(|runtime| {
        runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(4), candor_catalog::hub_answers(&environment)).await
        })
    });
    match answer {
        Ok(Ok(Ok(()))) => ok("hub", format!("{place} answers")),
        Ok(Ok(Err(error))) => warn(
            "hub",
            error.to_string(),
            "models that only the hub has cannot be pulled; packaged ones can",
        ),
        _ => warn(
            "hub",
            format!("{place} did not answer in 4 seconds"),
            "models that only the hub has cannot be pulled; packaged ones can",
        ),
    }
}
