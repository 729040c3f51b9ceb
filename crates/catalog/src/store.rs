//! The models folder: `<models>/<name>/<file>`, each folder with a `candor-model.json` that says what was checked.
//!
//! The note is written last, so a folder with it is complete. Folders and files that someone placed by hand are listed
//! and found too. Names are checked before they become paths, and nothing outside the folder is ever removed.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::caches::read_small;
use crate::entry::{Entry, check_file_name, check_model_name};
use crate::error::Error;
use crate::size::Bytes;

pub(crate) const NOTE: &str = "candor-model.json";
pub(crate) const LOCK: &str = ".lock";

/// A file that was downloaded and checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its name in the folder.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

/// The note in a model's folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) licence: String,
    pub(crate) source: String,
    pub(crate) files: Vec<StoredFile>,
}

/// A model in the models folder.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// What to open: a `.gguf` file, or a folder.
    pub path: PathBuf,
    /// What it takes on the disk.
    pub size: Bytes,
    /// Whether all of it is there; otherwise `pull` goes on where it stopped.
    pub complete: bool,
    /// Where it came from, in words; `None` for what was placed by hand.
    pub source: Option<String>,
    /// The licence, where known.
    pub licence: Option<String>,
    /// The checked files; empty for what was placed by hand.
    pub files: Vec<StoredFile>,
}

/// Reads the note of a model's folder, if it is there and makes sense.
pub(crate) fn read_note(dir: &Path) -> Option<Note> {
    let note: Note = serde_json::from_slice(&read_small(&dir.join(NOTE), 1 << 20).ok()?).ok()?;
    note.files
        .iter()
        .all(|file| check_file_name(&file.name).is_ok())
        .then_some(note)
}

/// The note, if every file it names is there in its size.
pub(crate) fn complete_note(dir: &Path) -> Option<Note> {
    let note = read_note(dir)?;
    let whole = note
        .files
        .iter()
        .all(|f| fs::metadata(dir.join(&f.name)).is_ok_and(|m| m.is_file() && m.len() == f.size));
    (whole && !note.files.is_empty()).then_some(note)
}

/// What to open in a folder: its only `.gguf` (the first by name, if there are several), or the folder when it has safetensors.
pub(crate) fn model_in(dir: &Path) -> Option<PathBuf> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .ok()?
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    if let Some(gguf) = names.iter().find(|name| name.ends_with(".gguf")) {
        return Some(dir.join(gguf));
    }
    (names.iter().any(|n| n.ends_with(".safetensors")) && names.iter().any(|n| n == "config.json")).then(|| dir.into())
}

/// The models in the folder, by name. An absent folder has none.
///
/// # Errors
/// When the folder cannot be read.
pub fn installed(models_dir: &Path) -> Result<Vec<Installed>, Error> {
    let listing = match fs::read_dir(models_dir) {
        Ok(listing) => listing,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::file("list", models_dir)(e)),
    };
    let mut models = Vec::new();
    for item in listing {
        let path = item.map_err(Error::file("list", models_dir))?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
            continue;
        };
        if path.is_dir() {
            if check_model_name(name).is_ok() {
                models.extend(folder(name, &path));
            }
        } else if let Some(stem) = name.strip_suffix(".gguf") {
            models.push(Installed {
                name: stem.to_ascii_lowercase(),
                size: Bytes(fs::metadata(&path).map_or(0, |m| m.len())),
                path,
                complete: true,
                source: None,
                licence: None,
                files: Vec::new(),
            });
        }
    }
    models.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(models)
}

fn folder(name: &str, dir: &Path) -> Option<Installed> {
    let files = fs::read_dir(dir)
        .ok()?
        .filter_map(|e| e.ok()?.metadata().ok())
        .filter(|m| m.is_file());
    let size = Bytes(files.map(|m| m.len()).sum());
    let note = read_note(dir);
    let complete = complete_note(dir).is_some();
    let partial = has_partial(dir);
    let path = model_in(dir);
    if path.is_none() && !partial && note.is_none() {
        return None;
    }
    Some(Installed {
        name: name.into(),
        complete: complete || (note.is_none() && !partial && path.is_some()),
        path: path.unwrap_or_else(|| dir.into()),
        size,
        source: note.as_ref().map(|n| n.source.clone()),
        licence: note.as_ref().map(|n| n.licence.clone()),
        files: note.map(|n| n.files).unwrap_or_default(),
    })
}

fn has_partial(dir: &Path) -> bool {
    let ends = |item: fs::DirEntry| item.path().extension().is_some_and(|x| x == "partial");
    fs::read_dir(dir).is_ok_and(|items| items.flatten().any(ends))
}

/// Whether a download of this name was begun and not ended.
pub(crate) fn is_begun(models_dir: &Path, name: &str) -> bool {
    check_model_name(name).is_ok() && has_partial(&models_dir.join(name))
}

/// The path to open for a model of the store, when all of it is there. `entry` also finds files lying flat in `models_dir`.
pub(crate) fn stored(models_dir: &Path, name: &str, entry: Option<&Entry>) -> Option<PathBuf> {
    check_model_name(name).ok()?;
    let dir = models_dir.join(name);
    if read_note(&dir).is_some() {
        complete_note(&dir)?;
        return model_in(&dir);
    }
    if let Some(entry) = entry {
        let whole = |base: &Path| {
            entry.files.iter().all(|file| {
                fs::metadata(base.join(&file.name))
                    .is_ok_and(|m| m.is_file() && (file.approximate || m.len() == file.size))
            })
        };
        return match entry.main_file() {
            Some(main) => [&dir, models_dir]
                .into_iter()
                .find(|base| whole(base))
                .map(|base| base.join(&main.name)),
            None => whole(&dir).then_some(dir),
        };
    }
    if let (Some(path), false) = (model_in(&dir), has_partial(&dir)) {
        return Some(path);
    }
    let flat = fs::read_dir(models_dir).ok()?.filter_map(|e| e.ok()).find(|e| {
        e.file_name()
            .to_str()
            .and_then(|n| n.strip_suffix(".gguf"))
            .is_some_and(|stem| stem.eq_ignore_ascii_case(name))
    })?;
    Some(flat.path())
}

/// Removes a model's folder, what is half downloaded included. Says how much it freed.
///
/// # Errors
/// When there is no such folder, when it is being downloaded, or when the system refuses.
pub fn remove(models_dir: &Path, name: &str) -> Result<Bytes, Error> {
    check_model_name(name)?;
    let dir = models_dir.join(name);
    let kind = match fs::symlink_metadata(&dir) {
        Ok(meta) => meta.file_type(),
        Err(_) => {
            return Err(match stored(models_dir, name, None) {
                Some(path) => Error::BadPath {
                    path,
                    reason: "was placed in the models folder by hand, so it is not removed; delete the file yourself"
                        .into(),
                },
                None => Error::BadPath {
                    path: dir,
                    reason: "does not exist, so there is nothing to remove; `candor models` lists what is here".into(),
                },
            });
        }
    };
    if kind.is_symlink() {
        // A link that someone made to a folder elsewhere: the link goes, what it leads to stays.
        fs::remove_file(&dir).map_err(Error::file("remove", &dir))?;
        return Ok(Bytes(0));
    }
    let _lock = lock(&dir, name)?;
    let size = fs::read_dir(&dir)
        .map_err(Error::file("list", &dir))?
        .filter_map(|e| e.ok()?.metadata().ok())
        .filter(|m| m.is_file())
        .map(|m| m.len())
        .sum();
    // The note goes first, so that a removal that stops half-way never looks complete.
    let _ = fs::remove_file(dir.join(NOTE));
    fs::remove_dir_all(&dir).map_err(Error::file("remove", &dir))?;
    Ok(Bytes(size))
}

/// A model's folder, held against other processes until this is dropped (or the process dies).
pub(crate) struct Lock(fs::File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would do, but for a child process that is just being started and has its copy until it runs.
        let _ = self.0.unlock();
    }
}

/// Takes a model's folder, or says that another process has it.
pub(crate) fn lock(dir: &Path, name: &str) -> Result<Lock, Error> {
    let path = dir.join(LOCK);
    let file = fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::file("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Busy { name: name.into() }),
        // Some network file systems have no locks; going on without is better than not at all.
        Err(fs::TryLockError::Error(_)) => Ok(Lock(file)),
    }
}

/// Writes a small file so that it is either the old or the new one; `durable`: also after a power cut.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], durable: bool) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .tempfile_in(dir)
        .map_err(Error::file("write", path))?;
    std::io::Write::write_all(&mut file, bytes).map_err(Error::file("write", path))?;
    if durable {
        file.as_file().sync_all().map_err(Error::file("write", path))?;
    }
    file.persist(path).map_err(|e| Error::file("write", path)(e.error))?;
    if durable {
        sync_dir(dir);
    }
    Ok(())
}

/// Makes a rename last through a power cut, where the system can.
pub(crate) fn sync_dir(dir: &Path) {
    if cfg!(unix)
        && let Ok(dir) = fs::File::open(dir)
    {
        let _ = dir.sync_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn put(dir: &Path, name: &str, file: &str, note: bool) {
        let dir = dir.join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(file), b"GGUF").unwrap();
        if note {
            let files = vec![StoredFile {
                name: file.into(),
                size: 4,
                sha256: "0".repeat(64),
            }];
            let note = Note {
                name: name.into(),
                title: "T".into(),
                licence: "MIT".into(),
                source: "a test".into(),
                files,
            };
            write_whole(&dir.join(NOTE), &serde_json::to_vec(&note).unwrap(), true).unwrap();
        }
    }

    #[test]
    fn what_is_there_is_listed_and_what_is_half_there_says_so() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "whole", "a.gguf", true);
        put(dir.path(), "half", "a.gguf.partial", false);
        put(dir.path(), "by-hand", "b.gguf", false);
        put(dir.path(), "cut", "c.gguf", true);
        fs::write(dir.path().join("cut/c.gguf"), b"GG").unwrap();
        fs::write(dir.path().join("Flat.Q4.gguf"), b"GGUF").unwrap();
        let listed: Vec<(String, bool)> = installed(dir.path())
            .unwrap()
            .into_iter()
            .map(|m| (m.name, m.complete))
            .collect();
        let expected = [
            ("by-hand", true),
            ("cut", false),
            ("flat.q4", true),
            ("half", false),
            ("whole", true),
        ];
        assert_eq!(listed, expected.map(|(name, complete)| (name.to_owned(), complete)));
        assert!(stored(dir.path(), "whole", None).is_some() && stored(dir.path(), "flat.q4", None).is_some());
        assert!(stored(dir.path(), "half", None).is_none() && stored(dir.path(), "cut", None).is_none());
        assert!(installed(&dir.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn removing_stays_inside_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "outside", "a.gguf", false);
        let models = dir.path().join("models");
        put(&models, "whole", "a.gguf", true);
        for bad in ["../outside", "..", ".", "/", "", "whole/../../outside"] {
            assert!(remove(&models, bad).is_err(), "{bad:?}");
        }
        assert!(dir.path().join("outside/a.gguf").exists());
        assert!(remove(&models, "whole").unwrap() > Bytes(3));
        assert!(!models.join("whole").exists());
        assert!(
            remove(&models, "whole")
                .unwrap_err()
                .to_string()
                .contains("nothing to remove")
        );
    }

    #[cfg(unix)]
    #[test]
    fn removing_a_link_leaves_what_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "elsewhere", "a.gguf", false);
        fs::create_dir(dir.path().join("models")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("models/linked")).unwrap();
        remove(&dir.path().join("models"), "linked").unwrap();
        assert!(dir.path().join("elsewhere/a.gguf").exists() && !dir.path().join("models/linked").exists());
    }

    #[test]
    fn a_note_with_a_hostile_name_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let note = r#"{"name":"x","title":"","licence":"","source":"","files":[{"name":"../../etc/passwd","size":1,"sha256":""}]}"#;
        fs::write(dir.path().join(NOTE), note).unwrap();
        assert!(read_note(dir.path()).is_none());
    }
}
