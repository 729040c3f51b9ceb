use candor_store::{
    NewCollection, NewConversation, NewMessage, NewSource, NewText, PutOutcome, SourceFilter, SourceState, Store,
    StoreError,
};
use serde_json::json;

use crate::fresh;

fn file(path: &str, text: &str) -> NewSource {
    NewSource {
        name: path.rsplit('/').next().unwrap().into(),
        kind: "text".into(),
        origin: Some(path.into()),
        bytes_sha256: format!("hash of {text}"),
        size: text.len() as i64,
        text: Some(NewText {
            text: text.into(),
            layout: json!({ "pages": [3] }),
        }),
        ..NewSource::default()
    }
}

async fn put(store: &Store, new: NewSource) -> candor_store::Put {
    store.put_sources(vec![new]).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_text_is_kept_once_and_goes_with_its_last_source() {
    let (store, _folder) = fresh().await;
    let a = put(&store, file("/a", "the same words")).await.source;
    let b = put(&store, file("/b", "the same words")).await.source;
    assert!(a.id.starts_with("file-") && a.id != b.id && a.text_sha256 == b.text_sha256);
    let sha = a.text_sha256.unwrap();
    let info = store.text_info(&sha).await.unwrap();
    assert_eq!((info.size, info.layout), (14, json!({ "pages": [3] })));
    assert_eq!(store.text_ids().await.unwrap().len(), 1);
    assert!(store.delete_source(&a.id).await.unwrap());
    assert_eq!(store.text(&sha).await.unwrap(), "the same words");
    assert!(store.delete_source(&b.id).await.unwrap() && !store.delete_source(&b.id).await.unwrap());
    assert!(matches!(store.text(&sha).await, Err(StoreError::Missing { .. })));
}

#[tokio::test]
async fn a_changed_file_keeps_its_id_and_gets_a_text_with_a_new_number() {
    let (store, _folder) = fresh().await;
    let first = put(&store, file("/a", "one")).await;
    let number = store.text_ids().await.unwrap()[0];
    store.mark_ready(number).await.unwrap();
    let again = put(&store, file("/a", "one")).await;
    assert_eq!(
        (first.outcome, again.outcome),
        (PutOutcome::Added, PutOutcome::Unchanged)
    );
    assert_eq!(again.source.state, SourceState::Ready);
    let changed = put(&store, file("/a", "two")).await;
    assert_eq!(
        (changed.outcome, changed.source.state),
        (PutOutcome::Changed, SourceState::Pending)
    );
    assert_eq!(changed.source.id, first.source.id);
    assert!(
        store.text_ids().await.unwrap()[0] > number,
        "numbers are never used twice"
    );
    let broken = NewSource {
        text: None,
        error: Some("it is encrypted".into()),
        ..file("/a", "")
    };
    assert_eq!(put(&store, broken).await.source.state, SourceState::Failed);
    assert!(store.text_ids().await.unwrap().is_empty());
}

#[tokio::test]
async fn any_range_of_a_long_text_can_be_read() {
    let (store, _folder) = fresh().await;
    let text: String = (0..60_000).map(|n| format!("{n} 字 ")).collect();
    let sha = put(&store, file("/a", &text)).await.source.text_sha256.unwrap();
    assert_eq!(store.text(&sha).await.unwrap(), text);
    let info = store.text_info(&sha).await.unwrap();
    for (start, end) in [
        (0, 0),
        (0, 5),
        (65_530, 65_540),
        (65_536, 131_072),
        (1, text.len()),
        (text.len() - 3, text.len() + 9),
        (9, 3),
    ] {
        let wanted = text.as_bytes().get(start..end.min(text.len())).unwrap_or_default();
        assert_eq!(
            store.text_bytes(&info, start, end).await.unwrap(),
            wanted,
            "{start}..{end}"
        );
    }
}

#[tokio::test]
async fn filters_keep_to_collection_date_and_language() {
    let (store, _folder) = fresh().await;
    let named = store.collection_named("papers").await.unwrap();
    assert_eq!(store.collection_named("papers").await.unwrap(), named);
    let old = NewSource {
        date: Some("1999-12-31".into()),
        language: Some("en".into()),
        collection: Some(named.id.clone()),
        ..file("/old", "old")
    };
    let new = NewSource {
        date: Some("2020-01-01".into()),
        language: Some("zh".into()),
        ..file("/new", "new")
    };
    let ids: Vec<String> = store
        .put_sources(vec![old, new, file("/plain", "plain")])
        .await
        .unwrap()
        .into_iter()
        .map(|put| put.source.id)
        .collect();
    let found = async |filter: SourceFilter| -> Vec<usize> {
        let texts = store.texts_of(&filter).await.unwrap();
        let sources = store.sources(&filter, None, 10).await.unwrap();
        assert_eq!(texts.len(), sources.len());
        sources
            .iter()
            .map(|one| ids.iter().position(|id| *id == one.id).unwrap())
            .collect()
    };
    let filter = SourceFilter::default;
    assert_eq!(found(filter()).await, [0, 1, 2]);
    assert_eq!(
        found(SourceFilter {
            collections: vec![named.id.clone()],
            ..filter()
        })
        .await,
        [0]
    );
    assert_eq!(
        found(SourceFilter {
            language: Some("zh".into()),
            ..filter()
        })
        .await,
        [1]
    );
    assert_eq!(
        found(SourceFilter {
            from: Some("2000-01-01".into()),
            ..filter()
        })
        .await,
        [1]
    );
    assert_eq!(
        found(SourceFilter {
            to: Some("2000-01-01".into()),
            ..filter()
        })
        .await,
        [0]
    );
    assert_eq!(
        found(SourceFilter {
            sources: vec![ids[2].clone()],
            ..filter()
        })
        .await,
        [2]
    );
    assert_eq!(
        store.collections_of(&ids[0]).await.unwrap(),
        std::slice::from_ref(&named)
    );
    store.add_to_collection(&named.id, &ids[2]).await.unwrap();
    store.add_to_collection(&named.id, &ids[2]).await.unwrap();
    assert_eq!(
        found(SourceFilter {
            collections: vec![named.id.clone()],
            ..filter()
        })
        .await,
        [0, 2]
    );
    assert!(store.remove_from_collection(&named.id, &ids[2]).await.unwrap());
    assert!(store.delete_source(&ids[0]).await.unwrap());
    assert!(
        found(SourceFilter {
            collections: vec![named.id.clone()],
            ..filter()
        })
        .await
        .is_empty()
    );
    assert!(store.delete_collection(&named.id).await.unwrap());
    assert_eq!(found(filter()).await, [1, 2]);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_nothing_of_its_batch_is_stored() {
    let (store, _folder) = fresh().await;
    let nowhere = NewSource {
        collection: Some("vs_none".into()),
        ..file("/b", "b")
    };
    let error = store.put_sources(vec![file("/a", "a"), nowhere]).await.unwrap_err();
    assert!(error.to_string().contains("collection `vs_none`"), "{error}");
    assert!(
        store
            .sources(&SourceFilter::default(), None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.text_ids().await.unwrap().is_empty());
    let long = NewSource {
        origin: Some("x".repeat(5000)),
        ..file("/a", "a")
    };
    assert!(store.put_sources(vec![long]).await.is_err());
    let metadata = NewCollection {
        metadata: json!([1]),
        ..NewCollection::default()
    };
    assert!(store.create_collection(metadata).await.is_err());
}

#[tokio::test]
async fn two_programs_that_import_the_same_files_at_once_store_each_once() {
    let (one, folder) = fresh().await;
    let two = Store::open(folder.path().join("candor.db")).await.unwrap();
    let import = async |store: &Store| {
        for n in 0..100 {
            store
                .put_sources(vec![file(&format!("/{n}"), &format!("text {}", n / 2))])
                .await
                .unwrap();
        }
    };
    tokio::join!(import(&one), import(&two));
    assert_eq!(
        one.sources(&SourceFilter::default(), None, 1000).await.unwrap().len(),
        100
    );
    assert_eq!(two.text_ids().await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_store_from_before_there_were_sources_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("candor.db");
    // Made by the first released schema: `fixtures/first.sql` says how.
    let dump = include_str!("../../fixtures/first.sql");
    let db = sea_orm::Database::connect(format!("sqlite://{}?mode=rwc", path.display()))
        .await
        .unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&db, dump).await.unwrap();
    db.close().await.unwrap();
    let store = Store::open(&path).await.unwrap();
    let list = store.conversations(false, None, 10).await.unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(
        (list[0].title.as_str(), list[0].system_prompt.as_str()),
        ("Kept", "Be brief.")
    );
    let messages = store.messages(&list[0].id).await.unwrap();
    assert_eq!(
        messages.iter().map(|one| one.content.as_str()).collect::<Vec<_>>(),
        ["a question", "an answer"]
    );
    assert_eq!(store.feedback(None).await.unwrap()[0].text, "well said");
    assert_eq!(store.settings().await.unwrap()["theme"], json!("dark"));
    put(&store, file("/a", "a")).await;
    let id = store.create_conversation(NewConversation::default()).await.unwrap().id;
    store
        .add_messages(&id, vec![NewMessage::user(None, "new".into())])
        .await
        .unwrap();
    store.check().await.unwrap();
}
