//! Files that are not what they should be: each is refused with a sentence and stays as it is.

use std::path::Path;

use candor_store::{NewConversation, NewMessage, Store, StoreError};
use sea_orm::{ConnectionTrait, Database};

use crate::fresh;

async fn sql(file: &Path, statement: &str) {
    let db = Database::connect(format!("sqlite://{}?mode=rwc", file.display()))
        .await
        .unwrap();
    db.execute_unprepared(statement).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_store_from_a_newer_program_is_never_touched() {
    let (store, folder) = fresh().await;
    store.close().await.unwrap();
    let file = folder.path().join("candor.db");
    sql(
        &file,
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m2999_01_01_future', 0)",
    )
    .await;
    let before = std::fs::read(&file).unwrap();
    let error = Store::open(&file).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
    assert!(error.to_string().contains("update Candor"), "{error}");
    assert_eq!(before, std::fs::read(&file).unwrap());
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("candor.db");
    for bytes in [b"this is no database".repeat(500), b"SQLite format 3\0".repeat(300)] {
        std::fs::write(&file, &bytes).unwrap();
        let error = Store::open(&file).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_store_cut_in_half_is_found_by_the_check_or_refused() {
    let (store, folder) = fresh().await;
    let id = store.create_conversation(NewConversation::default()).await.unwrap().id;
    for _ in 0..50 {
        store
            .add_messages(&id, vec![NewMessage::user(None, "word ".repeat(2000))])
            .await
            .unwrap();
    }
    store.close().await.unwrap();
    let file = folder.path().join("candor.db");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let outcome = match Store::open(&file).await {
        Ok(store) => store.check().await,
        Err(error) => Err(error),
    };
    assert!(matches!(outcome, Err(StoreError::Corrupt { .. })), "{outcome:?}");
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.db");
    sql(&file, "CREATE TABLE photos (id INTEGER)").await;
    assert!(matches!(Store::open(&file).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn a_folder_in_the_files_place_and_an_odd_name_are_handled() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Store::open(folder.path()).await,
        Err(StoreError::CannotOpen { .. })
    ));
    let odd = folder.path().join("a ?mode=memory&x=%20#中文.db");
    Store::open(&odd).await.unwrap();
    assert!(odd.exists());
}

#[tokio::test]
async fn a_full_disk_while_saving_is_a_sentence_and_loses_nothing_that_was_saved() {
    let (store, folder) = fresh().await;
    let id = store.create_conversation(NewConversation::default()).await.unwrap().id;
    store
        .add_messages(&id, vec![NewMessage::user(None, "kept".into())])
        .await
        .unwrap();
    // SQLite answers a page limit with the same code as a full disk, on the same paths.
    store.limit_pages_for_test(40).await;
    let error = loop {
        let big = NewMessage::user(None, "word ".repeat(4000));
        if let Err(error) = store.add_messages(&id, vec![big]).await {
            break error;
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("free some space"), "{error}");
    store.limit_pages_for_test(1_000_000).await;
    store
        .add_messages(&id, vec![NewMessage::user(None, "again".into())])
        .await
        .unwrap();
    let saved = store.messages(&id).await.unwrap();
    assert_eq!(
        (saved[0].content.as_str(), saved.last().unwrap().content.as_str()),
        ("kept", "again")
    );
    drop(store);
    Store::open(folder.path().join("candor.db"))
        .await
        .unwrap()
        .check()
        .await
        .unwrap();
}
