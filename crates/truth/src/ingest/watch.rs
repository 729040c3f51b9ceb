//! Watched folders: what changes in them is imported when it does, what is removed is marked gone. The system's notices are
//! taken as hints: they are gathered until it is quiet, and where some are lost, none come, or the program was not running,
//! the whole folder is looked through.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, timeout_at};

use super::{Importer, Outcome, Progress, Summary, file_of, files};
use crate::TruthError;
use crate::error::blocking;

/// The folders, in the store's settings.
pub(super) const WATCHED: &str = "watched_folders";
/// Notices that wait; more are as good as "look at everything".
const NOTICES: usize = 4096;
/// Paths that are looked at one by one; more are as good as a whole folder.
const MOST_PATHS: usize = 2000;

/// A watched folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Which.
    pub folder: PathBuf,
    /// The id of the collection that its documents join.
    #[serde(default)]
    pub collection: Option<String>,
}

/// How often a watcher looks.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// A change is imported when nothing more came for so long.
    pub quiet: Duration,
    /// And at the latest after so long.
    pub patience: Duration,
    /// How often the list of folders is read.
    pub look: Duration,
    /// How often the folders are looked through in any case.
    pub rescan: Duration,
    /// The same where the system sends no notices.
    pub rescan_blind: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(700),
            patience: Duration::from_secs(10),
            look: Duration::from_secs(20),
            rescan: Duration::from_secs(15 * 60),
            rescan_blind: Duration::from_secs(60),
        }
    }
}

impl Importer {
    /// Watches a folder from now on; documents of it join this importer's collection.
    ///
    /// # Errors
    /// If it is no folder, or the store cannot be written.
    pub async fn watch(&self, folder: &Path) -> Result<(), TruthError> {
        let root = std::fs::canonicalize(folder).map_err(|error| TruthError::file(folder, &error))?;
        if !root.is_dir() {
            return Err(TruthError::File {
                path: folder.to_owned(),
                message: "only folders can be watched; name the folder that it is in".to_owned(),
            });
        }
        let new = Watched {
            folder: root,
            collection: self.collection.clone(),
        };
        let add = |value| {
            let mut all = listed(value);
            all.retain(|one| one.folder != new.folder);
            all.push(new);
            serde_json::json!(all)
        };
        Ok(self.store.change_setting(WATCHED, add).await?)
    }

    /// The watched folders.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn watched(&self) -> Result<Vec<Watched>, TruthError> {
        Ok(listed(self.store.settings().await?.remove(WATCHED)))
    }

    /// Watches neither a folder nor what is under it; whether one was watched.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn unwatch(&self, folder: &Path) -> Result<bool, TruthError> {
        let under = |one: &Watched| one.folder.starts_with(folder);
        if !self.watched().await?.iter().any(under) {
            return Ok(false);
        }
        let keep = |value| {
            let mut all = listed(value);
            all.retain(|one| !under(one));
            serde_json::json!(all)
        };
        self.store.change_setting(WATCHED, keep).await?;
        Ok(true)
    }

    /// Looks through files and whole folders: imports what is new or changed, marks what is gone.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn look_through(&self, paths: &[PathBuf], progress: Progress<'_>) -> Result<Summary, TruthError> {
        let there: Vec<PathBuf> = paths.iter().filter(|path| path.exists()).cloned().collect();
        let mut summary = self.import(&there, progress).await?;
        for path in paths {
            self.mark_gone_under(path, &mut summary, progress).await?;
        }
        Ok(summary)
    }

    /// Looks at paths in a watched folder that are said to have changed.
    async fn look_at(
        &self,
        folder: &Path,
        paths: &BTreeSet<PathBuf>,
        progress: Progress<'_>,
    ) -> Result<Summary, TruthError> {
        let mut summary = Summary::default();
        for path in paths {
            if files::passed_over(folder, path) {
                continue;
            }
            let named = path.clone();
            for file in blocking(move || Ok(files::changed(&named))).await? {
                progress(super::Event::Reading(&file.path));
                let (outcome, reason) = self.file(&file, false).await?;
                summary.count(outcome, file.bytes);
                progress(super::Event::Done {
                    path: &file.path,
                    bytes: file.bytes,
                    outcome,
                    reason: reason.as_deref(),
                });
            }
            self.mark_gone_under(path, &mut summary, progress).await?;
        }
        Ok(summary)
    }

    /// Marks sources whose file was this path, or under it, and is not there any more.
    async fn mark_gone_under(
        &self,
        path: &Path,
        summary: &mut Summary,
        progress: Progress<'_>,
    ) -> Result<(), TruthError> {
        for source in self.store.sources_under(&path.display().to_string()).await? {
            let Some(file) = file_of(&source) else { continue };
            if source.state == candor_store::SourceState::Gone || file.exists() {
                continue;
            }
            self.store.mark_gone(&source.id).await?;
            summary.count(Outcome::Gone, 0);
            progress(super::Event::Done {
                path: &file,
                bytes: 0,
                outcome: Outcome::Gone,
                reason: None,
            });
        }
        Ok(())
    }
}

fn listed(value: Option<serde_json::Value>) -> Vec<Watched> {
    value
        .and_then(|value| serde_json::from_value(value).ok())
        .unwrap_or_default()
}

/// Keeps watched folders up to date.
pub struct Watcher {
    importer: Importer,
    pace: Pace,
}

/// What the system says, and whether some of it was lost.
struct Notices {
    paths: Receiver<PathBuf>,
    lost: Arc<AtomicBool>,
    /// Ends the watching when it is dropped. Without it there are no notices.
    watcher: Option<RecommendedWatcher>,
}

impl Watcher {
    /// Imports with this importer.
    pub fn new(importer: Importer, pace: Pace) -> Self {
        Self { importer, pace }
    }

    /// Watches, until it is dropped. `changed` is told what an import did, so that the index can follow.
    pub async fn run(&self, progress: Progress<'_>, changed: &(dyn Fn(&Summary) + Send + Sync)) {
        let mut known: Vec<(Watched, bool)> = Vec::new();
        let mut notices = Notices::none();
        let mut scan = Instant::now();
        loop {
            let folders = self.importer.watched().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the list of watched folders cannot be read");
                known.iter().map(|(one, _)| one.clone()).collect()
            });
            // A folder that went and came back is another one to the system.
            let now: Vec<(Watched, bool)> = folders
                .into_iter()
                .map(|one| {
                    let there = one.folder.is_dir();
                    (one, there)
                })
                .collect();
            if now != known {
                let there = now
                    .iter()
                    .filter(|(_, there)| *there)
                    .map(|(one, _)| one.folder.clone());
                notices = Notices::of(there.collect()).await;
                known = now;
                scan = Instant::now();
            }
            if scan <= Instant::now() || notices.lost.swap(false, Ordering::AcqRel) {
                for (one, _) in &known {
                    let did = self
                        .of(one)
                        .look_through(std::slice::from_ref(&one.folder), progress)
                        .await;
                    tell(did, &one.folder, changed);
                }
                let every = match notices.watcher {
                    Some(_) => self.pace.rescan,
                    None => self.pace.rescan_blind,
                };
                scan = Instant::now() + every;
            }
            let paths = notices.gather(&self.pace).await;
            for (one, _) in &known {
                let own: BTreeSet<PathBuf> = paths
                    .iter()
                    .filter(|path| path.starts_with(&one.folder))
                    .cloned()
                    .collect();
                if !own.is_empty() {
                    let did = self.of(one).look_at(&one.folder, &own, progress).await;
                    tell(did, &one.folder, changed);
                }
            }
        }
    }

    fn of(&self, one: &Watched) -> Importer {
        Importer {
            collection: one.collection.clone(),
            ..self.importer.clone()
        }
    }
}

fn tell(did: Result<Summary, TruthError>, folder: &Path, changed: &(dyn Fn(&Summary) + Send + Sync)) {
    match did {
        // Also where nothing is new: a file may have come back after it was gone.
        Ok(summary) => changed(&summary),
        Err(error) => {
            tracing::warn!(%error, folder = %folder.display(), "a watched folder could not be looked at; it is tried again");
        }
    }
}

impl Notices {
    fn none() -> Self {
        let (_, paths) = channel(1);
        Self {
            paths,
            lost: Arc::default(),
            watcher: None,
        }
    }

    /// Asks the system for notices about these folders. Where it gives none, they are only looked through.
    async fn of(folders: Vec<PathBuf>) -> Self {
        if folders.is_empty() {
            return Self::none();
        }
        let lost = Arc::new(AtomicBool::new(false));
        let (sender, paths) = channel(NOTICES);
        let overflow = Arc::clone(&lost);
        let take = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.need_rescan() => overflow.store(true, Ordering::Release),
            // Reading a file is a notice too, and no change.
            Ok(event) if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) =>
                {}
            Ok(event) => {
                for path in event.paths {
                    if sender.try_send(path).is_err() {
                        overflow.store(true, Ordering::Release);
                    }
                }
            }
            Err(_) => overflow.store(true, Ordering::Release),
        };
        // A link may lead out of the folder.
        let config = Config::default().with_follow_symlinks(false);
        // Every folder below is told to the system one by one, which takes its time.
        let watching = blocking(move || {
            let watching = RecommendedWatcher::new(take, config).and_then(|mut watcher| {
                for folder in &folders {
                    watcher.watch(folder, RecursiveMode::Recursive)?;
                }
                Ok(watcher)
            });
            Ok(watching)
        });
        let watcher = match watching.await {
            Ok(Ok(watcher)) => Some(watcher),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the system gives no notices of changes; watched folders are looked through every minute");
                None
            }
            Err(_) => None,
        };
        Self { paths, lost, watcher }
    }

    /// Paths that changed, once it is quiet; none after a while in which nothing did.
    async fn gather(&mut self, pace: &Pace) -> BTreeSet<PathBuf> {
        let mut all = BTreeSet::new();
        let begin = Instant::now();
        if self.watcher.is_none() {
            tokio::time::sleep(pace.look).await;
            return all;
        }
        match timeout_at(begin + pace.look, self.paths.recv()).await {
            Ok(Some(first)) => drop(all.insert(first)),
            Err(_) => return all,
            // The system's side ended by itself: from now on the folders are looked through.
            Ok(None) => {
                self.watcher = None;
                return all;
            }
        }
        let end = Instant::now() + pace.patience;
        loop {
            let until = (Instant::now() + pace.quiet).min(end);
            match timeout_at(until, self.paths.recv()).await {
                Ok(Some(path)) if all.len() < MOST_PATHS => drop(all.insert(path)),
                Ok(Some(_)) => self.lost.store(true, Ordering::Release),
                Ok(None) | Err(_) => return all,
            }
        }
    }
}
