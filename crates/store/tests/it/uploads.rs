use candor_store::{
    FilePage, Joining, MemberPage, NewCollection, NewSource, NewText, NewUpload, SourceFilter, SourceState, Standing,
    Store, StoreError,
};
use serde_json::json;

use crate::fresh;

async fn upload(store: &Store, name: &str) -> candor_store::Source {
    let new = NewUpload {
        name: name.into(),
        purpose: "assistants".into(),
        bytes_sha256: format!("hash of {name}"),
        size: 5,
    };
    store.add_upload(new).await.unwrap()
}

fn words(name: &str, text: &str) -> NewSource {
    NewSource {
        name: name.into(),
        kind: "text".into(),
        bytes_sha256: format!("hash of {name}"),
        text: Some(NewText {
            text: text.into(),
            layout: json!({}),
        }),
        ..NewSource::default()
    }
}

fn joining(source: &str, attributes: Option<serde_json::Value>) -> Joining {
    Joining {
        source: source.into(),
        attributes,
    }
}

async fn collection(store: &Store) -> String {
    store.create_collection(NewCollection::default()).await.unwrap().id
}

#[tokio::test]
async fn an_upload_waits_until_it_is_read() {
    let (store, _folder) = fresh().await;
    let source = upload(&store, "a.txt").await;
    assert_eq!(
        (source.state, source.text_sha256.as_ref()),
        (SourceState::Waiting, None)
    );
    assert_eq!(store.waiting_uploads(9).await.unwrap(), std::slice::from_ref(&source));
    let read = store
        .fill_upload(&source.id, words("a.txt", "one"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&read.id, read.state), (&source.id, SourceState::Pending));
    assert!(store.waiting_uploads(9).await.unwrap().is_empty());
    store.mark_ready(store.text_ids().await.unwrap()[0]).await.unwrap();
    let file = store.file(&source.id).await.unwrap();
    assert_eq!(
        (file.source.state, file.purpose.as_deref()),
        (SourceState::Ready, Some("assistants"))
    );
}

#[tokio::test]
async fn an_upload_that_is_deleted_while_it_is_read_stays_deleted() {
    let (store, _folder) = fresh().await;
    let source = upload(&store, "a.txt").await;
    assert!(store.has_upload_of("hash of a.txt").await.unwrap());
    assert!(store.delete_source(&source.id).await.unwrap());
    assert!(!store.has_upload_of("hash of a.txt").await.unwrap());
    assert_eq!(
        store.fill_upload(&source.id, words("a.txt", "one")).await.unwrap(),
        None
    );
    assert!(store.text_ids().await.unwrap().is_empty());
}

#[tokio::test]
async fn files_are_listed_by_purpose_and_imports_count_as_what_they_are_said_to_be() {
    let (store, _folder) = fresh().await;
    let first = upload(&store, "a.txt").await.id;
    let imported = store
        .put_sources(vec![words("b.txt", "two")])
        .await
        .unwrap()
        .remove(0)
        .source
        .id;
    let last = upload(&store, "c.txt").await.id;
    let page = |purpose: Option<&str>, after: Option<&str>, ascending| FilePage {
        purpose: purpose.map(str::to_owned),
        otherwise: "imports".into(),
        after: after.map(str::to_owned),
        ascending,
        limit: 10,
    };
    let ids = async |page: FilePage| -> Vec<String> {
        let files = store.files(&page).await.unwrap();
        files.into_iter().map(|file| file.source.id).collect()
    };
    assert_eq!(
        ids(page(None, None, false)).await,
        [last.clone(), imported.clone(), first.clone()]
    );
    assert_eq!(
        ids(page(Some("assistants"), None, true)).await,
        [first.clone(), last.clone()]
    );
    assert_eq!(
        ids(page(Some("imports"), None, true)).await,
        std::slice::from_ref(&imported)
    );
    assert_eq!(ids(page(None, Some(&imported), false)).await, [first]);
    assert_eq!(ids(page(None, Some(&imported), true)).await, [last]);
    assert!(ids(page(Some("vision"), None, true)).await.is_empty());
}

#[tokio::test]
async fn members_have_attributes_and_a_batch_joins_whole_or_not_at_all() {
    let (store, _folder) = fresh().await;
    let (a, b) = (upload(&store, "a").await.id, upload(&store, "b").await.id);
    let id = collection(&store).await;
    let wrong = store
        .add_batch(&id, &[joining(&a, None), joining("file-x", None)])
        .await;
    assert!(matches!(wrong, Err(StoreError::Missing { what: "source", .. })));
    assert_eq!(store.standings(&id, None).await.unwrap().total(), 0);
    let wrong = store.add_members("vs_x", &[]).await;
    assert!(matches!(wrong, Err(StoreError::Missing { what: "collection", .. })));

    let batch = store
        .add_batch(&id, &[joining(&a, Some(json!({ "n": 1 }))), joining(&b, None)])
        .await
        .unwrap();
    assert!(batch.id.starts_with("vsfb_") && !batch.cancelled);
    assert_eq!(store.member(&id, &a).await.unwrap().attributes, Some(json!({ "n": 1 })));
    // Put in again without attributes it keeps those it has.
    store.add_members(&id, &[joining(&a, None)]).await.unwrap();
    assert_eq!(store.member(&id, &a).await.unwrap().attributes, Some(json!({ "n": 1 })));
    let changed = store.set_attributes(&id, &a, json!({})).await.unwrap();
    assert_eq!(changed.attributes, Some(json!({})));
    assert!(store.set_attributes(&id, "file-x", json!({})).await.is_err());
    assert_eq!(store.standings(&id, Some(&batch.id)).await.unwrap().in_progress, 2);
    store.delete_source(&a).await.unwrap();
    assert_eq!(store.standings(&id, Some(&batch.id)).await.unwrap().total(), 1);
}

#[tokio::test]
async fn a_cancelled_batch_keeps_what_was_done_and_is_not_searched_otherwise() {
    let (store, _folder) = fresh().await;
    let (a, b) = (upload(&store, "a").await.id, upload(&store, "b").await.id);
    let id = collection(&store).await;
    let batch = store
        .add_batch(&id, &[joining(&a, None), joining(&b, None)])
        .await
        .unwrap()
        .id;
    store.fill_upload(&a, words("a", "one")).await.unwrap();
    store.mark_ready(store.text_ids().await.unwrap()[0]).await.unwrap();
    let cancelled = store.cancel_batch(&id, &batch).await.unwrap();
    assert!(cancelled.cancelled);
    assert_eq!(store.member(&id, &a).await.unwrap().standing(), Standing::Completed);
    assert_eq!(store.member(&id, &b).await.unwrap().standing(), Standing::Cancelled);
    let only = |standing| MemberPage {
        standing: Some(standing),
        limit: 10,
        ..MemberPage::default()
    };
    assert_eq!(
        store.members(&id, &only(Standing::Cancelled)).await.unwrap()[0]
            .source
            .id,
        b
    );
    store.fill_upload(&b, words("b", "two")).await.unwrap();
    let filter = SourceFilter {
        collections: vec![id.clone()],
        ..SourceFilter::default()
    };
    assert_eq!(store.texts_of(&filter).await.unwrap().len(), 1);
    store.add_members(&id, &[joining(&b, None)]).await.unwrap();
    assert_eq!(store.texts_of(&filter).await.unwrap().len(), 2);
    // A batch that has ended stays as it is.
    let ended = store.add_batch(&id, &[joining(&a, None)]).await.unwrap().id;
    assert!(!store.cancel_batch(&id, &ended).await.unwrap().cancelled);
    assert!(store.batch("vs_x", &ended).await.is_err());
}

#[tokio::test]
async fn pages_of_members_go_both_ways() {
    let (store, _folder) = fresh().await;
    let id = collection(&store).await;
    let mut all = Vec::new();
    for name in ["a", "b", "c", "d"] {
        all.push(upload(&store, name).await.id);
        store
            .add_members(&id, &[joining(all.last().unwrap(), None)])
            .await
            .unwrap();
    }
    let ids = async |page: MemberPage| -> Vec<String> {
        let members = store.members(&id, &MemberPage { limit: 2, ..page }).await.unwrap();
        members.into_iter().map(|member| member.source.id).collect()
    };
    let page = |after: Option<usize>, before: Option<usize>, ascending| MemberPage {
        after: after.map(|n| all[n].clone()),
        before: before.map(|n| all[n].clone()),
        ascending,
        ..MemberPage::default()
    };
    assert_eq!(ids(page(None, None, true)).await, all[..2]);
    assert_eq!(ids(page(Some(1), None, true)).await, all[2..]);
    assert_eq!(ids(page(None, Some(3), true)).await, all[1..3]);
    assert_eq!(ids(page(None, None, false)).await, [all[3].clone(), all[2].clone()]);
    assert_eq!(ids(page(None, Some(0), false)).await, [all[2].clone(), all[1].clone()]);
}

#[tokio::test]
async fn a_filter_takes_more_sources_than_sqlite_takes_parameters() {
    let (store, _folder) = fresh().await;
    let source = store
        .put_sources(vec![words("a", "one")])
        .await
        .unwrap()
        .remove(0)
        .source
        .id;
    let mut sources: Vec<String> = (0..50_000).map(|n| format!("file-{n}")).collect();
    sources.push(source);
    let filter = SourceFilter {
        sources,
        ..SourceFilter::default()
    };
    assert_eq!(store.sources(&filter, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.texts_of(&filter).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_store_from_before_uploads_goes_on_working() {
    let (store, folder) = fresh().await;
    store.put_sources(vec![words("old", "one")]).await.unwrap();
    let id = collection(&store).await;
    let old = store
        .sources(&SourceFilter::default(), None, 1)
        .await
        .unwrap()
        .remove(0)
        .id;
    store.add_to_collection(&id, &old).await.unwrap();
    store.undo_changes_for_test("m2026_11_26_uploads").await;
    store.close().await.unwrap();
    let store = Store::open(folder.path().join("candor.db")).await.unwrap();
    let member = store.member(&id, &old).await.unwrap();
    assert_eq!((member.attributes, member.cancelled), (None, false));
    assert_eq!(store.file(&old).await.unwrap().purpose, None);
    assert_eq!(store.collection(&id).await.unwrap().description, None);
    upload(&store, "new").await;
}
