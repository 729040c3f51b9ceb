//! Running the program in a place of its own, and comparing what it prints with what was printed before.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A data directory and a configuration of its own; both go away with it.
pub struct Place {
    dir: tempfile::TempDir,
}

/// What the program did.
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The program with nothing of the surroundings that could change what it prints.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_candor"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CANDOR_") || name == "RUST_LOG" || name == "NO_COLOR" {
                command.env_remove(name.as_ref());
            }
        }
        command
            .env("CANDOR_DATA_DIR", self.path().join("data"))
            .env("XDG_CONFIG_HOME", self.path().join("config"));
        command
            .env("COLUMNS", "100")
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HOME", self.path().join("hf"));
        command.env("OLLAMA_MODELS", self.path().join("ollama"));
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// Runs with `input` on stdin.
    pub fn pipe(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // The program may leave before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(input);
        Ran::from(child.wait_with_output().unwrap())
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let file = self.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Compares with `snapshots/NAME.txt`. `CANDOR_UPDATE_SNAPSHOTS=1` writes the file instead.
pub fn assert_snapshot(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/snapshots")
        .join(format!("{name}.txt"));
    if std::env::var_os("CANDOR_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        text == expected,
        "{name} prints something else now; if it should, run this test with CANDOR_UPDATE_SNAPSHOTS=1\n--- now\n{text}\n--- before\n{expected}"
    );
}

/// The small chat model, where it is on this machine. Where it must be (`CANDOR_REQUIRE_MODELS`), its absence fails.
pub fn chat_model() -> Option<PathBuf> {
    let file = "SmolLM2-135M-Instruct.Q4_1.gguf";
    let dir = std::env::var_os("CANDOR_MODELS").map(PathBuf::from).or_else(|| {
        let data = std::env::var_os("CANDOR_DATA_DIR").map(PathBuf::from);
        Some(
            data.or_else(|| Some(directories::ProjectDirs::from("", "", "candor")?.data_dir().to_owned()))?
                .join("models"),
        )
    })?;
    let found = [dir.join(file), dir.join("smollm2-135m-instruct").join(file)]
        .into_iter()
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CANDOR_REQUIRE_MODELS").is_none(),
            "{file} is not in {}; `candor pull smollm2-135m-instruct` gets it",
            dir.display()
        );
        println!("left out: {file} is not in {}", dir.display());
    }
    found
}
