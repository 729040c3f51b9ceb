//! Models that other programs already downloaded: the Hugging Face cache and Ollama's, used where they lie.
//!
//! Whatever these folders say is taken as a name only after it was checked: a commit is hex, a digest is hex, a file is
//! a path of plain names. Nothing is ever written there.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::entry::{check_repo, is_path_of_names, is_sha256};
use crate::environment::Environment;

/// The folder of a repository's snapshot in the Hugging Face cache, if it is there with all these files.
pub fn hub_snapshot(environment: &Environment, repo: &str, revision: &str, files: &[&str]) -> Option<PathBuf> {
    check_repo(repo).ok()?;
    if !is_path_of_names(revision) || !files.iter().all(|file| is_path_of_names(file)) {
        return None;
    }
    let root = environment
        .hub_cache
        .as_ref()?
        .join(format!("models--{}", repo.replace('/', "--")));
    let text = read_small(&root.join("refs").join(revision), 200).unwrap_or_else(|_| revision.into());
    let commit = commit_name(&text)?;
    let snapshot = root.join("snapshots").join(commit);
    files
        .iter()
        .all(|file| snapshot.join(file).is_file())
        .then_some(snapshot)
}

/// The SHA-256 that a cached file is known by: large files are links to blobs that are named by their hash.
pub(crate) fn hub_cached_hash(file: &Path) -> Option<String> {
    let blob = file.canonicalize().ok()?;
    let name = blob.file_name()?.to_str()?;
    is_sha256(name).then(|| name.to_owned())
}

/// The GGUF file of a model in Ollama's cache: `llama3.2`, `llama3.2:1b`, `namespace/name:tag`,
/// `hf.co/organisation/repository:tag`.
pub fn ollama_blob(environment: &Environment, name: &str) -> Option<PathBuf> {
    let root = environment.ollama_models.as_ref()?;
    let (path, tag) = name.split_once(':').unwrap_or((name, "latest"));
    if !is_path_of_names(path) || !is_path_of_names(tag) || tag.contains('/') {
        return None;
    }
    let path = match path.matches('/').count() {
        0 => format!("registry.ollama.ai/library/{path}"),
        1 => format!("registry.ollama.ai/{path}"),
        2 => path.to_owned(), // from another registry, which is named first
        _ => return None,
    };
    let manifest = read_small(&root.join("manifests").join(path).join(tag), 1 << 20).ok()?;
    let blob = root.join("blobs").join(format!("sha256-{}", ollama_digest(&manifest)?));
    blob.is_file().then_some(blob)
}

/// The commit in a file of the Hugging Face cache's `refs`.
#[doc(hidden)]
pub fn commit_name(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?.trim();
    ((7..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())).then_some(text)
}

/// The hex digest of the weights in an Ollama manifest.
#[doc(hidden)]
pub fn ollama_digest(manifest: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Manifest {
        layers: Vec<Layer>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Layer {
        media_type: String,
        digest: String,
    }
    let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
    let layer = manifest
        .layers
        .iter()
        .find(|layer| layer.media_type == "application/vnd.ollama.image.model")?;
    let hex = layer.digest.strip_prefix("sha256:")?;
    is_sha256(hex).then(|| hex.to_owned())
}

/// The bytes of a plain file that is no longer than `limit`.
pub(crate) fn read_small(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(std::io::Error::other(format!(
            "it is larger than {}",
            crate::size::Bytes(limit)
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn write(path: &Path, bytes: &[u8]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_snapshot_of_the_hugging_face_cache_is_found_by_branch_and_by_commit() {
        let dir = tempfile::tempdir().unwrap();
        let commit = "ab810cf68114990406fdf996510dd3d3c6adbdf5";
        let root = dir.path().join("models--org--tiny");
        write(&root.join("refs/main"), commit.as_bytes());
        let file = root.join("snapshots").join(commit).join("tiny.gguf");
        write(&file, b"GGUF");
        let environment = Environment {
            hub_cache: Some(dir.path().into()),
            ..Environment::default()
        };
        for revision in ["main", commit] {
            let found = hub_snapshot(&environment, "org/tiny", revision, &["tiny.gguf"]).unwrap();
            assert_eq!(found, file.parent().unwrap());
        }
        assert_eq!(hub_snapshot(&environment, "org/tiny", "main", &["other.gguf"]), None);
    }

    #[test]
    fn a_cache_cannot_lead_out_of_its_folder_by_names() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("secret/tiny.gguf"), b"x");
        write(&dir.path().join("hub/models--org--tiny/refs/main"), b"../../../secret");
        write(&dir.path().join("ollama/manifests/registry.ollama.ai/library/evil/latest"), br#"{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:../../../secret/tiny.gguf"}]}"#);
        let environment = Environment {
            hub_cache: Some(dir.path().join("hub")),
            ollama_models: Some(dir.path().join("ollama")),
            ..Environment::default()
        };
        assert_eq!(hub_snapshot(&environment, "org/tiny", "main", &["tiny.gguf"]), None);
        assert_eq!(
            hub_snapshot(&environment, "org/../../secret", "main", &["tiny.gguf"]),
            None
        );
        assert_eq!(hub_snapshot(&environment, "org/tiny", "../main", &["tiny.gguf"]), None);
        for name in ["evil", "../evil", "evil:../latest", "/etc/passwd", "a/b/c", ""] {
            assert_eq!(ollama_blob(&environment, name), None, "{name}");
        }
    }

    #[test]
    fn a_model_of_ollama_is_found_by_its_name_and_tag() {
        let dir = tempfile::tempdir().unwrap();
        let digest = "a5".repeat(32);
        let manifest = format!(
            r#"{{"schemaVersion":2,"layers":[{{"mediaType":"application/vnd.ollama.image.license","digest":"sha256:{}"}},{{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:{digest}","size":4}}]}}"#,
            "0".repeat(64)
        );
        write(
            &dir.path().join("manifests/registry.ollama.ai/library/tiny/1b"),
            manifest.as_bytes(),
        );
        let blob = dir.path().join("blobs").join(format!("sha256-{digest}"));
        write(&blob, b"GGUF");
        let environment = Environment {
            ollama_models: Some(dir.path().into()),
            ..Environment::default()
        };
        assert_eq!(ollama_blob(&environment, "tiny:1b"), Some(blob));
        assert_eq!(ollama_blob(&environment, "tiny"), None);
    }
}
