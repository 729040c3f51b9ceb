use std::path::Path;
use std::sync::Arc;

use candor_store::{Source, SourceState};
use candor_truth::{Intake, Library, PlainText, Query};

use crate::library;

async fn intake(folder: &Path) -> Intake {
    Intake::new(library(folder).await, Arc::new(PlainText), folder.join("uploads"))
}

async fn upload(intake: &Intake, name: &str, text: &str) -> Source {
    // The place of the bytes has a name of its own, which has nothing to do with the file's.
    let mut arriving = intake.begin(&format!("arriving-{}", text.len())).await.unwrap();
    for part in text.as_bytes().chunks(7) {
        arriving.write(part).await.unwrap();
    }
    assert_eq!(arriving.bytes(), text.len() as u64);
    intake.accept(arriving, name.into(), "assistants".into()).await.unwrap()
}

async fn found(library: &Library, text: &str) -> Vec<String> {
    let query = Query {
        text: text.into(),
        limit: 5,
        ..Query::default()
    };
    let found = library.search(&query).await.unwrap();
    found.into_iter().map(|one| one.source.id).collect()
}

fn kept(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("uploads")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn an_upload_is_kept_at_once_and_found_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let source = upload(&intake(home.path()).await, "notes.txt", "A kitten slept on the roof.").await;
    assert_eq!(source.state, SourceState::Waiting);
    // The program ended here; the next one finds what is left to do.
    let intake = intake(home.path()).await;
    intake.catch_up().await.unwrap();
    assert_eq!(
        found(intake.library(), "kitten").await,
        std::slice::from_ref(&source.id)
    );
    let source = intake.library().store.source(&source.id).await.unwrap();
    assert_eq!((source.state, source.kind.as_str()), (SourceState::Ready, "text"));
    let mut bytes = String::new();
    let mut original = intake.original(&source).await.unwrap().into_std().await;
    std::io::Read::read_to_string(&mut original, &mut bytes).unwrap();
    assert_eq!(bytes, "A kitten slept on the roof.");
}

#[tokio::test]
async fn bytes_go_with_the_last_upload_that_has_them() {
    let home = tempfile::tempdir().unwrap();
    let intake = intake(home.path()).await;
    let one = upload(&intake, "one.txt", "The same kitten.").await;
    let two = upload(&intake, "two.txt", "The same kitten.").await;
    assert!(one.id != two.id && kept(home.path()) == 1);
    assert!(intake.delete(&one.id).await.unwrap() && !intake.delete(&one.id).await.unwrap());
    assert_eq!(kept(home.path()), 1);
    intake.catch_up().await.unwrap();
    assert_eq!(found(intake.library(), "kitten").await, std::slice::from_ref(&two.id));
    assert!(intake.delete(&two.id).await.unwrap());
    assert_eq!(kept(home.path()), 0);
    assert!(found(intake.library(), "kitten").await.is_empty());
}

#[tokio::test]
async fn what_breaks_off_while_it_arrives_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let intake = intake(home.path()).await;
    let mut arriving = intake.begin("broken").await.unwrap();
    arriving.write(b"half of it").await.unwrap();
    assert_eq!(kept(home.path()), 1);
    drop(arriving);
    assert_eq!(kept(home.path()), 0);
}

#[tokio::test]
async fn what_cannot_be_read_fails_with_a_reason_and_stops_no_other() {
    let home = tempfile::tempdir().unwrap();
    let intake = intake(home.path()).await;
    let blank = upload(&intake, "blank.txt", "   ").await;
    let lost = upload(&intake, "lost.txt", "These bytes will be lost.").await;
    std::fs::remove_file(home.path().join("uploads").join(&lost.bytes_sha256)).unwrap();
    let good = upload(&intake, "good.txt", "A kitten again.").await;
    intake.catch_up().await.unwrap();
    for (id, says) in [(&blank.id, "empty"), (&lost.id, "upload it again")] {
        let source = intake.library().store.source(id).await.unwrap();
        assert_eq!(source.state, SourceState::Failed);
        assert!(source.error.unwrap().contains(says));
    }
    assert_eq!(found(intake.library(), "kitten").await, [good.id]);
}
