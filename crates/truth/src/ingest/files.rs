//! The files that an import looks at: those named, and those under folders. Hidden files, links and what is no ordinary
//! file are passed over in folders: a link may lead out of the folder, or in a circle.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::modified_ms;
use crate::TruthError;

/// Folders that hold what tools fetched or made.
const MACHINE_MADE: &[&str] = &["node_modules", "target", "__pycache__"];

/// A file to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) modified_ms: i64,
}

impl Found {
    pub(super) fn size(&self) -> i64 {
        i64::try_from(self.bytes).unwrap_or(i64::MAX)
    }
}

/// What a path stands for.
pub(super) struct Under {
    pub(super) root: PathBuf,
    pub(super) folder: bool,
    pub(super) files: Vec<Found>,
}

/// The files of a path, in order of their names.
pub(super) fn under(path: &Path) -> Result<Under, TruthError> {
    let root = std::fs::canonicalize(path).map_err(|error| TruthError::file(path, &error))?;
    let metadata = std::fs::metadata(&root).map_err(|error| TruthError::file(path, &error))?;
    let mut files = Vec::new();
    if !metadata.is_dir() {
        if !metadata.is_file() {
            return Err(TruthError::File {
                path: path.to_owned(),
                message: "it is neither a file nor a folder; name one that is".to_owned(),
            });
        }
        files.push(found(root.clone(), &metadata));
    }
    let mut folders = if metadata.is_dir() {
        vec![root.clone()]
    } else {
        Vec::new()
    };
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if folder == root => return Err(TruthError::file(path, &error)),
            // A folder inside that may not be read does not stop the rest.
            Err(_) => continue,
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else { continue };
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() && !MACHINE_MADE.contains(&name.as_ref()) {
                folders.push(entry.path());
            } else if kind.is_file()
                && let Ok(metadata) = entry.metadata()
            {
                files.push(found(entry.path(), &metadata));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Under {
        root,
        folder: metadata.is_dir(),
        files,
    })
}

/// Whether an import of `folder` passes this path in it over.
pub(super) fn passed_over(folder: &Path, path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(folder) else {
        return true;
    };
    below.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        name.starts_with('.') || MACHINE_MADE.contains(&name.as_ref())
    })
}

/// The files that a path which changed stands for now: it, those under it, or none.
pub(super) fn changed(path: &Path) -> Vec<Found> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => vec![found(path.to_owned(), &metadata)],
        Ok(metadata) if metadata.is_dir() => under(path).map(|under| under.files).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// A file, open at its beginning, and the SHA-256 of its bytes.
pub(super) fn hashed(path: &Path) -> Result<(File, String), TruthError> {
    let hashed = File::open(path).and_then(|mut file| {
        let mut hash = Sha256::new();
        let mut part = vec![0; 1 << 20];
        loop {
            match file.read(&mut part)? {
                0 => break,
                read => hash.update(&part[..read]),
            }
        }
        file.rewind()?;
        Ok((file, hex::encode(hash.finalize())))
    });
    hashed.map_err(|error| TruthError::file(path, &error))
}

fn found(path: PathBuf, metadata: &std::fs::Metadata) -> Found {
    Found {
        path,
        bytes: metadata.len(),
        modified_ms: modified_ms(metadata),
    }
}
