//! What a download leaves on the disk while it runs: `<file>.partial` and beside it `<file>.state`, and the way from
//! there to the finished file. Also what the disk has to say: room, hashes, full.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::caches::read_small;
use crate::error::Error;
use crate::size::Bytes;
use crate::store::{sync_dir, write_whole};

/// How much room stays free on the disk, for everything else.
const RESERVE: u64 = 64 << 20;
/// Folders that hold a package while it is downloaded; swept when a pull begins.
pub(crate) const SCRATCH: &str = ".pip-";

/// A stretch of the file that one connection fetches; `at` is how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) at: u64,
    pub(crate) end: u64,
}

/// How far a partial file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// What the bytes belong to: a hash, or the server's tag. A partial file is only continued with more of the same.
    pub(crate) identity: String,
    pub(crate) size: u64,
    pub(crate) spans: Vec<Span>,
}

impl State {
    /// A file in `connections` stretches, none begun.
    pub(crate) fn new(identity: String, size: u64, connections: usize) -> Self {
        let n = connections.clamp(1, 16) as u64;
        let step = size.div_ceil(n).max(1);
        let spans = (0..n)
            .map(|i| Span {
                at: i.saturating_mul(step).min(size),
                end: (i + 1).saturating_mul(step).min(size),
            })
            .filter(|span| span.at < span.end)
            .collect();
        Self { identity, size, spans }
    }

    pub(crate) fn done(&self) -> u64 {
        self.size
            - self
                .spans
                .iter()
                .map(|span| span.end - span.at)
                .sum::<u64>()
                .min(self.size)
    }

    /// The state of a partial file, if it belongs to the same content and both fit together.
    pub(crate) fn read(partial: &Path, identity: &str, size: u64) -> Option<Self> {
        let state: Self = serde_json::from_slice(&read_small(&beside(partial), 1 << 16).ok()?).ok()?;
        let length = std::fs::metadata(partial).ok().filter(|m| m.is_file())?.len();
        let ordered = state.spans.windows(2).all(|pair| pair[0].end <= pair[1].at);
        let sound = state.spans.len() <= 16 && ordered && state.spans.iter().all(|s| s.at <= s.end && s.end <= size);
        // Everything before the last byte that was written must be in the file.
        let written = state
            .spans
            .iter()
            .rev()
            .find(|s| s.at > 0)
            .map_or(0, |s| if s.at == s.end { s.end } else { s.at });
        (sound
            && state.identity == identity
            && state.size == size
            && length <= size
            && (written <= length || state.done() == 0))
            .then_some(state)
    }

    pub(crate) fn write(&self, partial: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec(self).map_err(|e| Error::Client(e.to_string()))?;
        let path = beside(partial);
        // Not synced: if a power cut loses it, the hash at the end tells, and the download begins again.
        write_whole(&path, &text, false).map_err(|error| match error {
            Error::File { source, .. } => write_error(partial, self.done(), source),
            other => other,
        })
    }

    /// Removes the state of a partial file.
    pub(crate) fn forget(partial: &Path) {
        let _ = std::fs::remove_file(beside(partial));
    }
}

/// `<dir>/<file>.partial`.
pub(crate) fn partial(dir: &Path, file: &str) -> PathBuf {
    dir.join(format!("{file}.partial"))
}

fn beside(partial: &Path) -> PathBuf {
    partial.with_extension("state")
}

/// Removes what a killed pull left that cannot be continued.
pub(crate) fn sweep(dir: &Path) {
    for item in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = item.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(SCRATCH) {
            let _ = std::fs::remove_dir_all(item.path());
        } else if name.starts_with(".writing-") {
            let _ = std::fs::remove_file(item.path());
        }
    }
}

/// How much may be written at most, with what is kept free.
pub(crate) fn most_room(dir: &Path) -> u64 {
    free_space(dir).map_or(u64::MAX, |free| free.saturating_sub(RESERVE))
}

/// Refuses to begin what does not fit on the disk. Where the system does not say, it is tried.
pub(crate) fn room_for(dir: &Path, bytes: u64) -> Result<(), Error> {
    let Some(free) = free_space(dir) else { return Ok(()) };
    let needs = bytes.saturating_add(RESERVE);
    if bytes > 0 && needs > free {
        return Err(Error::NoSpace {
            dir: dir.into(),
            needs: Bytes(needs),
            free: Bytes(free),
        });
    }
    Ok(())
}

#[cfg(unix)]
fn free_space(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<u64> {
    None
}

/// A failed write as a sentence: a full disk is told apart, since the partial file is kept and continued.
pub(crate) fn write_error(partial: &Path, done: u64, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
        return Error::DiskFull {
            path: partial.into(),
            done: Bytes(done),
        };
    }
    Error::file("write", partial)(error)
}

/// The SHA-256 of a file, in hex.
pub(crate) async fn hash(path: &Path) -> Result<String, Error> {
    let path = path.to_path_buf();
    let hashed = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(&path).map_err(Error::file("read", &path))?;
        let mut hasher = Sha256::new();
        let mut block = vec![0; 1 << 20];
        loop {
            match file.read(&mut block).map_err(Error::file("read", &path))? {
                0 => return Ok(hex::encode(hasher.finalize())),
                n => hasher.update(&block[..n]),
            }
        }
    });
    hashed.await.map_err(|e| Error::Client(e.to_string()))?
}

/// Makes a partial file the finished one, in a way that a power cut cannot leave half done.
pub(crate) async fn settle(partial: &Path, path: &Path) -> Result<(), Error> {
    let (from, to) = (partial.to_path_buf(), path.to_path_buf());
    let settled = tokio::task::spawn_blocking(move || {
        let file = std::fs::File::options()
            .write(true)
            .open(&from)
            .map_err(Error::file("open", &from))?;
        file.sync_all().map_err(|e| write_error(&from, 0, e))?;
        drop(file);
        std::fs::rename(&from, &to).map_err(Error::file("rename", &from))?;
        State::forget(&from);
        sync_dir(to.parent().unwrap_or(Path::new(".")));
        Ok(())
    });
    settled.await.map_err(|e| Error::Client(e.to_string()))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_file_is_split_into_stretches_that_cover_it() {
        for (size, n) in [(0, 4), (1, 4), (10, 3), (64, 4), (1 << 40, 16), (u64::MAX, 16)] {
            let state = State::new("x".into(), size, n);
            assert_eq!(state.spans.iter().map(|s| s.end - s.at).sum::<u64>(), size);
            assert!(state.spans.windows(2).all(|p| p[0].end == p[1].at));
            assert_eq!(state.done(), 0);
        }
    }

    #[test]
    fn a_state_that_lies_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let partial = partial(dir.path(), "m.gguf");
        std::fs::write(&partial, b"12345").unwrap();
        let good = State {
            identity: "x".into(),
            size: 10,
            spans: vec![Span { at: 5, end: 10 }],
        };
        good.write(&partial).unwrap();
        assert_eq!(State::read(&partial, "x", 10), Some(good.clone()));
        assert_eq!(State::read(&partial, "y", 10), None);
        assert_eq!(State::read(&partial, "x", 11), None);
        for spans in [
            vec![Span { at: 7, end: 10 }],
            vec![Span { at: 9, end: 3 }],
            vec![Span { at: 0, end: u64::MAX }],
            vec![],
        ] {
            State { spans, ..good.clone() }.write(&partial).unwrap();
            let read = State::read(&partial, "x", 10);
            assert!(
                read.is_none() || read.is_some_and(|s| s.spans.is_empty()),
                "a lying state was believed"
            );
        }
    }

    #[test]
    fn a_download_that_does_not_fit_the_disk_is_refused_before_it_begins() {
        let dir = tempfile::tempdir().unwrap();
        room_for(dir.path(), 1000).unwrap();
        if cfg!(unix) {
            let said = room_for(dir.path(), 1 << 60).unwrap_err().to_string();
            assert!(
                said.contains("1.15 EB are needed") && said.contains("are free"),
                "{said}"
            );
        }
    }
}
