//! What other programs' caches hold that Candor could open, as a list for people. Names in these folders are checked
//! as everywhere; what does not look like a model's is left out.

use std::fs;
use std::path::{Path, PathBuf};

use crate::caches::{commit_name, ollama_blob};
use crate::entry::is_path_of_names;
use crate::environment::Environment;
use crate::find::Origin;
use crate::size::Bytes;
use crate::store::model_in;

/// More than this many models of one cache are not listed.
const MOST: usize = 500;

/// A model in another program's cache.
#[derive(Clone, Debug)]
pub struct Cached {
    /// What to write after `--model`.
    pub name: String,
    /// The file or folder to open.
    pub path: PathBuf,
    /// Whose cache it is.
    pub origin: Origin,
    /// What it takes on the disk.
    pub size: Bytes,
}

/// The models in the Hugging Face cache and in Ollama's, by name.
pub fn cached(environment: &Environment) -> Vec<Cached> {
    let mut models = hub(environment);
    models.extend(ollama(environment));
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models
}

/// What to open of a repository in the Hugging Face cache: the only `.gguf`, or the folder with safetensors.
pub(crate) fn hub_repository(environment: &Environment, repo: &str, revision: &str) -> Option<PathBuf> {
    let snapshot = crate::caches::hub_snapshot(environment, repo, revision, &[])?;
    let ggufs = files_ending(&snapshot, ".gguf");
    match &ggufs[..] {
        [only] => Some(snapshot.join(only)),
        [] => model_in(&snapshot),
        // Which of several is meant, the name does not say.
        _ => None,
    }
}

fn hub(environment: &Environment) -> Vec<Cached> {
    let Some(root) = &environment.hub_cache else {
        return Vec::new();
    };
    let mut models = Vec::new();
    for folder in names_in(root) {
        let Some(repo) = folder.strip_prefix("models--").map(|name| name.replacen("--", "/", 1)) else {
            continue;
        };
        // A repository that was fetched by commit has no `main`; its only snapshot is meant.
        let commits = names_in(&root.join(&folder).join("snapshots"));
        let revision = match (root.join(&folder).join("refs/main").is_file(), &commits[..]) {
            (true, _) => "main",
            (false, [only]) if commit_name(only.as_bytes()).is_some() => only,
            _ => continue,
        };
        let Some(snapshot) = crate::caches::hub_snapshot(environment, &repo, revision, &[]) else {
            continue;
        };
        let at = if revision == "main" {
            String::new()
        } else {
            format!("@{revision}")
        };
        let ggufs = files_ending(&snapshot, ".gguf");
        for file in &ggufs {
            let path = snapshot.join(file);
            models.push(Cached {
                name: format!("{repo}/{file}{at}"),
                size: weight(&path),
                path,
                origin: Origin::HubCache,
            });
        }
        if let (true, Some(path)) = (ggufs.is_empty(), model_in(&snapshot)) {
            models.push(Cached {
                name: format!("{repo}{at}"),
                size: weight(&path),
                path,
                origin: Origin::HubCache,
            });
        }
    }
    models.truncate(MOST);
    models
}

fn ollama(environment: &Environment) -> Vec<Cached> {
    let Some(manifests) = environment.ollama_models.as_ref().map(|root| root.join("manifests")) else {
        return Vec::new();
    };
    let mut models = Vec::new();
    for host in names_in(&manifests) {
        for space in names_in(&manifests.join(&host)) {
            for model in names_in(&manifests.join(&host).join(&space)) {
                for tag in names_in(&manifests.join(&host).join(&space).join(&model)) {
                    let name = match (&*host, &*space) {
                        ("registry.ollama.ai", "library") => format!("{model}:{tag}"),
                        ("registry.ollama.ai", space) => format!("{space}/{model}:{tag}"),
                        (host, space) => format!("{host}/{space}/{model}:{tag}"),
                    };
                    if let Some(path) = ollama_blob(environment, &name) {
                        let (origin, size) = (Origin::Ollama, weight(&path));
                        models.push(Cached {
                            name,
                            path,
                            origin,
                            size,
                        });
                    }
                }
            }
        }
    }
    models.truncate(MOST);
    models
}

/// The plain names in a folder, in order.
fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|item| item.ok()?.file_name().into_string().ok())
        .filter(|name| is_path_of_names(&name.replace("--", "-")))
        .collect();
    names.sort();
    names.truncate(MOST);
    names
}

fn files_ending(dir: &Path, ending: &str) -> Vec<String> {
    let mut names = names_in(dir);
    // A projector belongs to a model of pictures; it is none by itself.
    names.retain(|name| name.ends_with(ending) && !name.starts_with("mmproj") && dir.join(name).is_file());
    names
}

/// The size of a file, or of the files of a folder; links are followed, since the Hugging Face cache is made of them.
fn weight(path: &Path) -> Bytes {
    let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    if !path.is_dir() {
        return Bytes(size(path));
    }
    Bytes(names_in(path).iter().map(|name| size(&path.join(name))).sum())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::catalog::Catalog;
    use crate::find::find;

    fn write(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn what_the_caches_hold_is_listed_and_opens_under_the_name_it_is_listed_with() {
        let dir = tempfile::tempdir().unwrap();
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for (repo, file) in [
            ("models--org--one-GGUF", "One.Q4.gguf"),
            ("models--org--folder", "config.json"),
            ("models--org--folder", "model.safetensors"),
            ("models--org--only-a-config", "config.json"),
            ("datasets--org--data", "data.gguf"),
            ("models--org--pinned", "Pinned.gguf"),
        ] {
            let root = dir.path().join("hub").join(repo);
            if repo != "models--org--pinned" {
                write(&root.join("refs/main"), commit.as_bytes());
            }
            write(&root.join("snapshots").join(commit).join(file), b"GGUF");
        }
        let digest = "a5".repeat(32);
        let manifest = format!(
            r#"{{"layers":[{{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:{digest}"}}]}}"#
        );
        for path in [
            "registry.ollama.ai/library/tiny/1b",
            "registry.ollama.ai/me/own/latest",
            "hf.co/org/Some-GGUF/Q4_K_M",
        ] {
            write(&dir.path().join("ollama/manifests").join(path), manifest.as_bytes());
        }
        write(&dir.path().join(format!("ollama/blobs/sha256-{digest}")), b"GGUF");
        let environment = Environment {
            hub_cache: Some(dir.path().join("hub")),
            ollama_models: Some(dir.path().join("ollama")),
            ..Environment::default()
        };
        let listed = cached(&environment);
        let names: Vec<&str> = listed.iter().map(|model| &*model.name).collect();
        let pinned = format!("org/pinned/Pinned.gguf@{commit}");
        assert_eq!(
            names,
            [
                "hf.co/org/Some-GGUF:Q4_K_M",
                "me/own:latest",
                "org/folder",
                "org/one-GGUF/One.Q4.gguf",
                &pinned,
                "tiny:1b"
            ]
        );
        let catalog = Catalog::load(None).unwrap();
        for model in &listed {
            let found = find(&catalog, Path::new("/none"), &environment, &model.name).unwrap();
            assert_eq!(
                (found.path, found.origin),
                (model.path.clone(), model.origin),
                "{}",
                model.name
            );
        }
        for name in ["org/one-GGUF", "hf:org/folder", "hf.co/org/one-GGUF"] {
            assert!(find(&catalog, Path::new("/none"), &environment, name).is_ok(), "{name}");
        }
        assert!(find(&catalog, Path::new("/none"), &environment, "org/only-a-config").is_err());
    }
}
