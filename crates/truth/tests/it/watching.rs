//! Watched folders: what changes on the disk is in the store shortly after, also across restarts.

use std::path::Path;
use std::time::{Duration, Instant};

use candor_store::{Source, SourceFilter, SourceState};
use candor_truth::Library;
use candor_truth::ingest::watch::{Pace, Watcher};

use crate::{file, importer, library, quiet};

/// Quick enough for a test. Nothing but notices brings a change within it.
fn pace() -> Pace {
    Pace {
        quiet: Duration::from_millis(50),
        patience: Duration::from_secs(1),
        look: Duration::from_millis(200),
        rescan: Duration::from_secs(3600),
        rescan_blind: Duration::from_secs(3600),
    }
}

fn start(library: &Library, pace: Pace) -> tokio::task::JoinHandle<()> {
    let watcher = Watcher::new(importer(library), pace);
    tokio::spawn(async move { watcher.run(&quiet, &|_| {}).await })
}

async fn source(library: &Library, name: &str) -> Option<Source> {
    let all = library.store.sources(&SourceFilter::default(), None, 99).await.unwrap();
    all.into_iter().find(|one| one.name == name)
}

/// Waits until a source is as it should be.
async fn until(library: &Library, name: &str, good: impl Fn(Option<&Source>) -> bool) {
    let start = Instant::now();
    loop {
        let found = source(library, name).await;
        if good(found.as_ref()) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{name}: {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn says(library: &Library, name: &str, words: &str) {
    let start = Instant::now();
    loop {
        if let Some(sha) = source(library, name).await.and_then(|one| one.text_sha256)
            && library.store.text(&sha).await.is_ok_and(|text| text.contains(words))
        {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{name} never says {words}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn gone(source: Option<&Source>) -> bool {
    source.is_some_and(|one| one.state == SourceState::Gone)
}

async fn watched(docs: &Path) -> (tempfile::TempDir, Library) {
    let home = tempfile::tempdir().unwrap();
    let library = library(home.path()).await;
    importer(&library).watch(docs).await.unwrap();
    (home, library)
}

#[tokio::test]
async fn what_changes_in_a_watched_folder_is_imported_and_what_leaves_it_is_marked() {
    let docs = tempfile::tempdir().unwrap();
    file(docs.path(), "old.txt", "An old otter.");
    let (_home, library) = watched(docs.path()).await;
    let watching = start(&library, pace());
    says(&library, "old.txt", "otter").await;

    file(docs.path(), "new.txt", "A new newt.");
    says(&library, "new.txt", "newt").await;
    file(docs.path(), "new.txt", "A newer newt, and a toad beside it.");
    says(&library, "new.txt", "toad").await;
    file(docs.path(), "deep/er/eel.txt", "An eel in deep water.");
    says(&library, "eel.txt", "eel").await;
    file(docs.path(), ".hidden/secret.txt", "A hidden hare.");
    file(docs.path(), "node_modules/x.txt", "A machine made moth.");

    std::fs::remove_file(docs.path().join("old.txt")).unwrap();
    until(&library, "old.txt", gone).await;
    std::fs::rename(docs.path().join("deep"), docs.path().join("shallow")).unwrap();
    let moved = std::fs::canonicalize(docs.path().join("shallow/er/eel.txt")).unwrap();
    let start = Instant::now();
    while library
        .store
        .source_by_origin(&moved.display().to_string())
        .await
        .unwrap()
        .is_none()
    {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "the moved folder is not seen"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    file(docs.path(), "old.txt", "An old otter.");
    until(&library, "old.txt", |one| !gone(one)).await;
    assert!(source(&library, "secret.txt").await.is_none() && source(&library, "x.txt").await.is_none());
    watching.abort();
}

#[tokio::test]
async fn what_changed_while_nobody_watched_is_found_at_the_next_start() {
    let docs = tempfile::tempdir().unwrap();
    file(docs.path(), "a.txt", "An ant.");
    let (_home, library) = watched(docs.path()).await;
    let watching = start(&library, pace());
    says(&library, "a.txt", "ant").await;
    watching.abort();
    let _ = watching.await;
    std::fs::remove_file(docs.path().join("a.txt")).unwrap();
    file(docs.path(), "b.txt", "A bee.");
    let watching = start(&library, pace());
    says(&library, "b.txt", "bee").await;
    until(&library, "a.txt", gone).await;
    watching.abort();
}

#[tokio::test]
async fn a_folder_that_is_watched_later_or_was_away_is_noticed_without_a_restart() {
    let (first, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_home, library) = watched(first.path()).await;
    let watching = start(&library, pace());
    let later = place.path().join("later");
    file(&later, "c.txt", "A crane.");
    importer(&library).watch(&later).await.unwrap();
    says(&library, "c.txt", "crane").await;
    std::fs::remove_dir_all(&later).unwrap();
    until(&library, "c.txt", gone).await;
    file(&later, "d.txt", "A dove.");
    says(&library, "d.txt", "dove").await;
    assert!(
        importer(&library)
            .unwatch(&std::fs::canonicalize(&later).unwrap())
            .await
            .unwrap()
    );
    assert_eq!(importer(&library).watched().await.unwrap().len(), 1);
    watching.abort();
}

#[tokio::test]
async fn where_the_system_tells_nothing_folders_are_looked_through() {
    let docs = tempfile::tempdir().unwrap();
    let (_home, library) = watched(docs.path()).await;
    // No notice is waited for: every turn is a look through the whole folder.
    let pace = Pace {
        rescan: Duration::ZERO,
        rescan_blind: Duration::ZERO,
        ..pace()
    };
    let watching = start(&library, pace);
    file(docs.path(), "e.txt", "An egret.");
    says(&library, "e.txt", "egret").await;
    watching.abort();
    assert!(importer(&library).watch(&docs.path().join("e.txt")).await.is_err());
}
