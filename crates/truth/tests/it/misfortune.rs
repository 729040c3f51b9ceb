//! What goes wrong around sources: a disk that is full, sources that go while they are cited.

use std::sync::Arc;

use candor_store::{SourceFilter, StoreError};
use candor_truth::answer::Dial;
use candor_truth::receipt::{Signer, Soundness, verify};
use candor_truth::{Answerer, Encoders, Query, Question, TruthError, standing};

use crate::{file, importer, library, quiet, sync};

const LIGHTHOUSE: &str =
    "The lighthouse on the north cape was built by Anna Keller in 1874. It was lit by whale oil until 1956.";

fn off(text: &str) -> Question {
    Question {
        text: text.into(),
        dial: Dial(None),
        ..Question::default()
    }
}

#[tokio::test]
async fn a_full_disk_stops_an_import_with_a_sentence_and_the_next_one_goes_on() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for n in 0..40 {
        let text = format!(
            "File number {n} speaks of topic{n}. {}",
            format!("word{n} ").repeat(4000)
        );
        file(docs.path(), &format!("{n:02}.txt"), &text);
    }
    let library = library(home.path()).await;
    // SQLite answers a page limit with the same code as a full disk, on the same paths.
    library.store.limit_pages_for_test(150).await;
    let error = importer(&library)
        .import(&[docs.path().to_owned()], &quiet)
        .await
        .unwrap_err();
    assert!(
        matches!(error, TruthError::Store(StoreError::Full { .. })) && error.to_string().contains("free some space"),
        "{error}"
    );
    let all = async || library.store.sources(&SourceFilter::default(), None, 99).await.unwrap();
    let kept = all().await;
    assert!(!kept.is_empty() && kept.len() < 40);
    for source in &kept {
        let text = library.store.text(source.text_sha256.as_ref().unwrap()).await.unwrap();
        assert_eq!(text, std::fs::read_to_string(source.origin.as_ref().unwrap()).unwrap());
    }
    library.store.limit_pages_for_test(1_000_000).await;
    let summary = importer(&library)
        .import(&[docs.path().to_owned()], &quiet)
        .await
        .unwrap();
    assert_eq!((summary.unchanged, summary.added), (kept.len(), 40 - kept.len()));
    sync(&library).await;
    assert_eq!(all().await.len(), 40);
}

#[tokio::test]
async fn sources_that_are_deleted_during_answers_give_answers_from_what_is_left_or_none() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for n in 0..60 {
        file(
            docs.path(),
            &format!("{n:02}.txt"),
            &format!("{LIGHTHOUSE} Copy number {n}."),
        );
    }
    let library = library(home.path()).await;
    importer(&library)
        .import(&[docs.path().to_owned()], &quiet)
        .await
        .unwrap();
    sync(&library).await;
    let signer = Signer::open(&home.path().join("instance.key")).unwrap();
    let answerer = Answerer::new(library.clone(), Encoders::new(1)).signed_by(signer);
    let deleting = tokio::spawn({
        let store = library.store.clone();
        async move {
            for source in store.sources(&SourceFilter::default(), None, 99).await.unwrap() {
                store.delete_source(&source.id).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(15)).await;
            }
        }
    });
    let mut receipts = Vec::new();
    while !deleting.is_finished() {
        let answer = answerer.ask(&off("Who built the lighthouse?")).await.unwrap();
        // Written out, every quote is compared with what was read.
        serde_json::to_string(&answer).unwrap();
        receipts.push(answer.receipt.unwrap());
    }
    deleting.await.unwrap();
    standing::recheck(&library.store).await.unwrap();
    for id in &receipts {
        let receipt = library.store.receipt(id).await.unwrap();
        let found = verify(&receipt, &library.store).await.unwrap();
        assert!(found.iter().all(|one| one.verdict != Soundness::Broken), "{found:?}");
        let (standing, _) = standing::of(&library.store, id).await.unwrap();
        assert!(
            matches!(standing.state, None | Some(standing::State::Gone)),
            "{standing:?}"
        );
    }
    let empty = answerer.ask(&off("Who built the lighthouse?")).await.unwrap();
    assert!(empty.sentences.is_empty() && empty.advice.unwrap().contains("add a source"));
}

#[tokio::test]
async fn a_source_that_goes_between_answer_and_evidence_is_called_gone() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    file(docs.path(), "cape.txt", LIGHTHOUSE);
    let library = library(home.path()).await;
    importer(&library)
        .import(&[docs.path().to_owned()], &quiet)
        .await
        .unwrap();
    sync(&library).await;
    let signer = Signer::open(&home.path().join("instance.key")).unwrap();
    let answerer = Answerer::new(library.clone(), Encoders::new(1)).signed_by(signer);
    let answer = answerer.ask(&off("Who built the lighthouse?")).await.unwrap();
    let (quote, id) = (&answer.sentences[0].citations[0].quote, answer.receipt.clone().unwrap());
    quote.recheck(&library.store).await.unwrap();
    // The file changes under the answer, and then goes.
    file(docs.path(), "cape.txt", &LIGHTHOUSE.replace("Anna", "Ida"));
    importer(&library).refresh(&quiet).await.unwrap();
    assert!(quote.recheck(&library.store).await.is_err());
    assert_eq!(standing::recheck(&library.store).await.unwrap(), 1);
    let state = async || standing::of(&library.store, &id).await.unwrap().0.state;
    assert_eq!(state().await, Some(standing::State::Changed));
    file(docs.path(), "cape.txt", LIGHTHOUSE);
    importer(&library).refresh(&quiet).await.unwrap();
    standing::recheck(&library.store).await.unwrap();
    assert_eq!(state().await, Some(standing::State::Same));
    std::fs::remove_file(docs.path().join("cape.txt")).unwrap();
    importer(&library).refresh(&quiet).await.unwrap();
    standing::recheck(&library.store).await.unwrap();
    assert_eq!(state().await, Some(standing::State::Gone));
    assert_eq!(standing::recheck(&library.store).await.unwrap(), 0);
    sync(&library).await;
    // Gone from the disk, its text is kept and can still be found.
    let query = Query {
        text: "lighthouse".into(),
        limit: 1,
        ..Query::default()
    };
    assert_eq!(Arc::new(library).search(&query).await.unwrap().len(), 1);
}
