//! From what someone typed after `--model` to the file or folder to open. Nothing is downloaded or copied here.

use std::path::{Path, PathBuf};

use crate::cached::hub_repository;
use crate::caches::{hub_snapshot, ollama_blob};
use crate::catalog::Catalog;
use crate::entry::{Entry, Source};
use crate::environment::Environment;
use crate::error::Error;
use crate::hub_name::HubName;
use crate::store;

/// Where a model was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The path that was given.
    Path,
    /// Candor's models folder.
    Store,
    /// The Hugging Face cache.
    HubCache,
    /// Ollama's cache.
    Ollama,
}

/// A model on this machine.
#[derive(Clone, Debug)]
pub struct Found {
    /// A name to serve it under.
    pub name: String,
    /// A `.gguf` file (Ollama's have no ending), or a folder with safetensors.
    pub path: PathBuf,
    /// Where it was.
    pub origin: Origin,
    /// What the catalog knows of it.
    pub entry: Option<Entry>,
}

/// Finds a model by catalog name, name in the models folder, path, `organisation/repository/file.gguf` in the Hugging
/// Face cache, or name in Ollama's.
///
/// # Errors
/// Says what to do: how to pull what the catalog has, which name is near, or what is wrong with a path.
pub fn find(catalog: &Catalog, models_dir: &Path, environment: &Environment, what: &str) -> Result<Found, Error> {
    if looks_like_a_path(what) {
        return at_path(&home(what));
    }
    let entry = catalog.resolve(what).ok();
    let name = entry.as_ref().map_or(what, |entry| &entry.name);
    let found = |path, origin| Found {
        name: name.to_owned(),
        path,
        origin,
        entry: entry.clone(),
    };
    if let Some(path) = store::stored(models_dir, name, entry.as_ref()) {
        return Ok(found(path, Origin::Store));
    }
    if let Some(path) = entry.as_ref().and_then(|entry| in_hub_cache(entry, environment)) {
        return Ok(found(path, Origin::HubCache));
    }
    if let Some(path) = ollama_blob(environment, what) {
        return Ok(found(path, Origin::Ollama));
    }
    if let Some(HubName {
        repo,
        revision,
        file: None,
    }) = HubName::possible(what)
        && let Some(path) = hub_repository(environment, &repo, &revision)
    {
        return Ok(found(path, Origin::HubCache));
    }
    if let Some(entry) = &entry {
        return Err(Error::NotPulled {
            name: what.into(),
            size: entry.size(),
        });
    }
    if Path::new(what).exists() {
        return at_path(Path::new(what));
    }
    if store::is_begun(models_dir, what) {
        return Err(Error::Unfinished { name: what.into() });
    }
    Err(catalog.unknown(what))
}

/// The path to open in the Hugging Face cache, when all files of an entry are there, in the sizes and with the hashes known.
pub(crate) fn in_hub_cache(entry: &Entry, environment: &Environment) -> Option<PathBuf> {
    entry.sources.iter().find_map(|source| {
        let Source::Hub { repo, revision, files } = source else {
            return None;
        };
        let there = |name: &String| files.get(name).unwrap_or(name).clone();
        let paths: Vec<String> = entry.files.iter().map(|file| there(&file.name)).collect();
        let snapshot = hub_snapshot(
            environment,
            repo,
            revision,
            &paths.iter().map(|p| &**p).collect::<Vec<_>>(),
        )?;
        for (file, path) in entry.files.iter().zip(&paths) {
            let size = std::fs::metadata(snapshot.join(path)).ok()?.len();
            if !file.approximate && size != file.size {
                return None;
            }
            let known = crate::caches::hub_cached_hash(&snapshot.join(path));
            if matches!((&known, &file.sha256), (Some(a), Some(b)) if a != b) {
                return None;
            }
        }
        Some(
            entry
                .main_file()
                .map_or_else(|| snapshot.clone(), |main| snapshot.join(there(&main.name))),
        )
    })
}

fn looks_like_a_path(what: &str) -> bool {
    let begins = ["/", "./", "../", "~/", ".\\", "..\\"]
        .iter()
        .any(|start| what.starts_with(start));
    let drive = what.as_bytes().get(1) == Some(&b':') && matches!(what.as_bytes().get(2), Some(b'\\' | b'/'));
    let file = (what.ends_with(".gguf") || what.ends_with(".safetensors"))
        && !what.contains("://")
        && HubName::explicit(what).is_none();
    // With two slashes it may be a file of the hub: `organisation/repository/file.gguf`.
    let here = || Path::new(what).exists() || what.split('/').next().is_some_and(|first| Path::new(first).is_dir());
    begins || drive || what == "." || what == ".." || (file && (what.matches('/').count() < 2 || here()))
}

fn home(what: &str) -> PathBuf {
    match (what.strip_prefix("~/"), directories::BaseDirs::new()) {
        (Some(rest), Some(dirs)) => dirs.home_dir().join(rest),
        _ => PathBuf::from(what),
    }
}

fn at_path(path: &Path) -> Result<Found, Error> {
    let bad = |reason: &str| Error::BadPath {
        path: path.into(),
        reason: reason.into(),
    };
    let meta = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            bad("there is no such file or folder; `candor models` lists the models that have a name")
        }
        _ => Error::file("read", path)(e),
    })?;
    let open = if meta.is_dir() {
        store::model_in(path)
            .ok_or_else(|| bad("is a folder with neither a .gguf file nor config.json beside .safetensors files"))?
    } else if path.extension().is_some_and(|x| x == "safetensors") {
        let dir = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        store::model_in(dir)
            .filter(|p| p == dir)
            .ok_or_else(|| bad("needs its config.json beside it"))?
    } else {
        path.to_path_buf()
    };
    // A folder gives its name, a file its stem; `.` has neither, so the full path is asked.
    let full = open.canonicalize().unwrap_or_else(|_| open.clone());
    let name = if meta.is_dir() && open == path {
        full.file_name()
    } else {
        full.file_stem()
    };
    let name = name.map_or_else(|| "model".into(), |n| n.to_string_lossy().to_lowercase());
    Ok(Found {
        name,
        path: open,
        origin: Origin::Path,
        entry: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn nothing() -> Environment {
        Environment::default()
    }

    #[test]
    fn a_path_needs_no_catalog_entry() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("My Model.Q4.gguf");
        std::fs::write(&file, b"GGUF").unwrap();
        let catalog = Catalog::load(None).unwrap();
        let found = find(&catalog, dir.path(), &nothing(), file.to_str().unwrap()).unwrap();
        assert_eq!((&*found.name, found.origin), ("my model.q4", Origin::Path));
        let folder = find(&catalog, Path::new("/none"), &nothing(), dir.path().to_str().unwrap()).unwrap();
        assert_eq!(folder.path, file);
        let said = find(&catalog, dir.path(), &nothing(), "./none.gguf")
            .unwrap_err()
            .to_string();
        assert!(said.contains("no such file"), "{said}");
    }

    #[test]
    fn what_the_catalog_has_but_the_machine_has_not_says_how_to_get_it() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::load(None).unwrap();
        let said = find(&catalog, dir.path(), &nothing(), "smollm2-135m-instruct")
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("candor pull smollm2-135m-instruct") && said.contains("98.4 MB"),
            "{said}"
        );
        std::fs::create_dir(dir.path().join("mine")).unwrap();
        std::fs::write(dir.path().join("mine/x.gguf.partial"), b"GG").unwrap();
        let said = find(&catalog, dir.path(), &nothing(), "mine").unwrap_err().to_string();
        assert!(said.contains("only a part of `mine`"), "{said}");
        let said = find(&catalog, dir.path(), &nothing(), "nonsense/../x")
            .unwrap_err()
            .to_string();
        assert!(said.contains("no model is called"), "{said}");
    }

    #[test]
    fn a_safetensors_folder_is_opened_as_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["config.json", "model.safetensors"] {
            std::fs::write(dir.path().join(name), b"{}").unwrap();
        }
        let catalog = Catalog::load(None).unwrap();
        for path in [dir.path().to_path_buf(), dir.path().join("model.safetensors")] {
            let found = find(&catalog, Path::new("/none"), &nothing(), path.to_str().unwrap()).unwrap();
            assert_eq!(found.path, dir.path());
        }
    }
}
