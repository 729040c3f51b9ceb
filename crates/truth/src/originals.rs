//! The bytes of uploads, in a folder, under their SHA-256: no name from outside becomes a path. What was kept is on the
//! disk; what was cut off on its way there leaves a part that the next start clears away. And the bytes that any source's
//! text was read from, where they are still to be had.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::TruthError;
use crate::error::blocking;

/// Age at which a file that nobody owns is cleared away: no upload takes this long.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Originals {
    folder: PathBuf,
}

/// Bytes that are arriving. Dropped before they are kept, they are deleted.
#[derive(Debug)]
pub struct Arriving {
    path: PathBuf,
    file: tokio::fs::File,
    hash: Sha256,
    bytes: u64,
    kept: bool,
}

/// Why the bytes that a source's text was read from are not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoOriginal {
    /// It has no file: it came from the web or from standard input.
    #[error("only the text of this source was kept, because it did not come from a file")]
    NotKept,
    /// The file cannot be read.
    #[error("the file of this source cannot be read any more; its text is kept")]
    Gone,
    /// The file has other bytes.
    #[error("the file of this source has changed since its text was read; `candor sources refresh` reads it again")]
    Changed,
    /// More bytes than were asked for.
    #[error("the file of this source has more than {0} bytes; only smaller ones are handed out whole")]
    TooLarge(u64),
}

/// The bytes of the first of these files that has this hash, at most `most` of them.
pub(crate) fn as_read(files: &[PathBuf], sha256: &str, most: u64) -> Result<Vec<u8>, NoOriginal> {
    let mut reason = if files.is_empty() {
        NoOriginal::NotKept
    } else {
        NoOriginal::Gone
    };
    for path in files {
        // Looked at before it is opened: opening a pipe waits for its other end.
        if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
            continue;
        }
        let mut bytes = Vec::new();
        let Ok(read) = std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)) else {
            continue;
        };
        if read as u64 > most {
            reason = NoOriginal::TooLarge(most);
        } else if hex::encode(Sha256::digest(&bytes)) == sha256 {
            return Ok(bytes);
        } else {
            reason = NoOriginal::Changed;
        }
    }
    Err(reason)
}

impl Originals {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// A new file to write to. `name` is made by us.
    pub(crate) async fn begin(&self, name: &str) -> Result<Arriving, TruthError> {
        let made = tokio::fs::create_dir_all(&self.folder).await;
        made.map_err(|error| TruthError::file(&self.folder, &error))?;
        let path = self.folder.join(format!("{name}.part"));
        let file = tokio::fs::File::create_new(&path).await;
        Ok(Arriving {
            file: file.map_err(|error| TruthError::file(&path, &error))?,
            path,
            hash: Sha256::new(),
            bytes: 0,
            kept: false,
        })
    }

    /// Puts arrived bytes in their place, on the disk; their hash and number.
    pub(crate) async fn keep(&self, mut arrived: Arriving) -> Result<(String, u64), TruthError> {
        let written = async {
            arrived.file.flush().await?;
            arrived.file.sync_all().await
        };
        written.await.map_err(|error| TruthError::file(&arrived.path, &error))?;
        let sha256 = hex::encode(std::mem::take(&mut arrived.hash).finalize());
        let (from, to, folder) = (arrived.path.clone(), self.path(&sha256), self.folder.clone());
        blocking(move || {
            std::fs::rename(&from, &to).map_err(|error| TruthError::file(&to, &error))?;
            sync_folder(&folder)
        })
        .await?;
        arrived.kept = true;
        Ok((sha256, arrived.bytes))
    }

    /// Where the bytes of this hash lie.
    pub(crate) fn path(&self, sha256: &str) -> PathBuf {
        // A hash is hexadecimal, whatever stands in the store.
        let safe: String = sha256.chars().filter(char::is_ascii_hexdigit).collect();
        self.folder.join(safe)
    }

    /// Forgets the bytes of this hash.
    pub(crate) async fn remove(&self, sha256: &str) -> Result<(), TruthError> {
        let path = self.path(sha256);
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(TruthError::file(&path, &error)),
            _ => Ok(()),
        }
    }

    /// Old files: parts that were cut off (`None`), and hashes, whose owner may be gone.
    pub(crate) fn old(&self) -> Vec<(PathBuf, Option<String>)> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let old = |path: &Path| {
            let modified = path.metadata().and_then(|metadata| metadata.modified());
            modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > ABANDONED))
        };
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.is_file() && old(path))
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?.to_owned();
                let hash = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
                let part = path.extension().is_some_and(|ending| ending == "part");
                (hash || part).then_some((path, hash.then_some(name)))
            })
            .collect()
    }
}

impl Arriving {
    /// More bytes.
    ///
    /// # Errors
    /// If they cannot be written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), TruthError> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| TruthError::file(&self.path, &error))
    }

    /// How many came so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A new name is only on the disk when its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), TruthError> {
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| TruthError::file(folder, &error))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on other systems")]
fn sync_folder(_: &Path) -> Result<(), TruthError> {
    Ok(())
}
