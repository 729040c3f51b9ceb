//! `kill -9` during an import: what was acknowledged is in the store, and the index catches up to the same answers. The
//! test starts this very test binary as the child that imports.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use candor_store::SourceFilter;
use candor_truth::ingest::{Event, Outcome};
use candor_truth::{Embedder, Query, Stages};

use crate::toy::Toy;
use crate::{file, importer, library, quiet, sync};

const HOME: &str = "CANDOR_TEST_HOME";
const DOCS: &str = "CANDOR_TEST_DOCS";

#[tokio::test]
async fn the_child_that_imports() {
    let (Ok(home), Ok(docs)) = (std::env::var(HOME), std::env::var(DOCS)) else {
        return;
    };
    let library = library(Path::new(&home)).await;
    library
        .embedder
        .put(Embedder::new(Arc::new(Toy { name: "toy" })).unwrap());
    let told = |event: Event<'_>| {
        if let Event::Done {
            path,
            outcome: Outcome::Added | Outcome::Unchanged,
            ..
        } = event
        {
            println!("ACK {}", path.display());
        }
    };
    // A few files at a time, so that kills come between commits of the index too.
    let mut files: Vec<PathBuf> = std::fs::read_dir(docs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for files in files.chunks(20) {
        importer(&library).import(files, &told).await.unwrap();
        sync(&library).await;
    }
}

#[tokio::test]
async fn kill_9_during_an_import_loses_nothing_and_the_next_one_goes_on() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for n in 0..300 {
        file(
            docs.path(),
            &format!("{n:03}.txt"),
            &format!("File number {n} is about topic{n} and a kitten."),
        );
    }
    let mut acknowledged = std::collections::BTreeSet::new();
    for round in 0..20u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "killed::the_child_that_imports",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(HOME, home.path())
            .env(DOCS, docs.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (first, begun) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut lines = Vec::new();
            let (mut stdout, mut line) = (stdout, String::new());
            while stdout.read_line(&mut line).is_ok_and(|read| read > 0) {
                // The last line may be cut in half by the kill: only whole lines are acknowledgements.
                if let Some((_, path)) = line.split_once("ACK ").filter(|(_, path)| path.ends_with('\n')) {
                    lines.push(path.trim_end().to_owned());
                    let _ = first.send(());
                }
                line.clear();
            }
            lines
        });
        // On a busy machine the child takes its time to start: the clock runs from its first acknowledgement.
        begun.recv_timeout(Duration::from_secs(120)).unwrap();
        std::thread::sleep(Duration::from_millis(round * 37 % 200));
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        acknowledged.extend(reader.join().unwrap());
    }
    assert!(!acknowledged.is_empty(), "the children imported nothing");
    let library = library(home.path()).await;
    library
        .embedder
        .put(Embedder::new(Arc::new(Toy { name: "toy" })).unwrap());
    for path in &acknowledged {
        let path = std::fs::canonicalize(path).unwrap();
        let source = library
            .store
            .source_by_origin(&path.display().to_string())
            .await
            .unwrap();
        let sha = source.unwrap().text_sha256.unwrap();
        assert_eq!(
            library.store.text(&sha).await.unwrap(),
            std::fs::read_to_string(&path).unwrap()
        );
    }
    importer(&library)
        .import(&[docs.path().to_owned()], &quiet)
        .await
        .unwrap();
    sync(&library).await;
    assert_eq!(
        library
            .store
            .sources(&SourceFilter::default(), None, 999)
            .await
            .unwrap()
            .len(),
        300
    );
    assert_eq!(
        (library.index.size().passages, library.index.size().vectors),
        (300, 300)
    );
    for n in 0..300 {
        let query = Query {
            text: format!("topic{n}"),
            limit: 1,
            stages: Stages::Words,
            ..Query::default()
        };
        assert_eq!(
            library.search(&query).await.unwrap()[0].source.name,
            format!("{n:03}.txt")
        );
    }
    println!("{} files acknowledged before 20 kills, all there", acknowledged.len());
}
