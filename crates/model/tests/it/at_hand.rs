//! Files that tests use where they are at hand: the golden data beside the repository, and real models.

use std::path::PathBuf;

/// The file `name` of the shared data; `None` (with a note) where there is none and nobody insists.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let base = std::env::var_os("CANDOR_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    found(base.join(name), "CANDOR_REQUIRE_SHARED")
}

/// The lines of a golden file.
pub(crate) fn golden(name: &str) -> Option<Vec<serde_json::Value>> {
    let text = std::fs::read_to_string(shared(&format!("golden/{name}"))?).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn models() -> PathBuf {
    if let Some(models) = std::env::var_os("CANDOR_MODELS") {
        return models.into();
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
    data.unwrap_or_default().join("candor/models")
}

/// A model file, flat in the folder of models or in the subfolder that `candor pull` makes.
pub(crate) fn model(name: &str) -> Option<PathBuf> {
    let (folder, file) = match name {
        "smollm2" => ("smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf"),
        "gemma3" => ("gemma3-270m", "gemma-3-270m-q4_k_m.gguf"),
        "minilm" => ("all-minilm-l6-v2", ""),
        other => panic!("no such model: {other}"),
    };
    let flat = models().join(file);
    let own = models().join(folder).join(file);
    found(
        if !file.is_empty() && flat.exists() { flat } else { own },
        "CANDOR_REQUIRE_MODELS",
    )
}

fn found(path: PathBuf, insist: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var(insist).as_deref() != Ok("1"),
        "{} is missing and {insist}=1 insists on it",
        path.display()
    );
    println!("not run: {} is not at hand", path.display());
    None
}
