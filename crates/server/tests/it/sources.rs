//! How the sources of an answer stand, and addresses, from outside.

use std::sync::Arc;

use candor_server::{App, Models, ServerConfig};
use candor_store::{NewSource, NewText, Source, Store};
use candor_truth::ingest::Importer;
use candor_truth::ingest::web::Web;
use candor_truth::receipt::{Body, Line, MadeBy, Place, Signer, issue, parse};
use candor_truth::{Index, Intake, Library, PlainText};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{app, fake, get, keyed, post, request, send};

const TEXT: &str = "The lighthouse was built by Ada.";

struct Shelf {
    app: App,
    store: Store,
    home: tempfile::TempDir,
}

async fn shelf(config: ServerConfig) -> Shelf {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().join("candor.db")).await.unwrap();
    let library = Library {
        store: store.clone(),
        index: Arc::new(Index::open(home.path().join("index"), 1).unwrap()),
        embedder: None,
    };
    let importer = Importer {
        store: store.clone(),
        reader: Arc::new(PlainText),
        collection: None,
    };
    let models = Models::new();
    models.insert("fake", Arc::new(fake::Fake::default()));
    let intake = Intake::new(library, Arc::new(PlainText), home.path().join("uploads"));
    let app = App::new(Arc::new(models), config)
        .with(store.clone())
        .with(intake)
        .with(Web::new(importer).unwrap());
    Shelf { app, store, home }
}

async fn put(store: &Store, text: &str) -> Source {
    let new = NewSource {
        name: "cape.txt".into(),
        origin: Some("/cape.txt".into()),
        text: Some(NewText {
            text: text.into(),
            layout: json!({}),
        }),
        ..NewSource::default()
    };
    store.put_sources(vec![new]).await.unwrap().remove(0).source
}

/// A receipt of an answer that quotes the source.
async fn cite(shelf: &Shelf, source: &Source) -> String {
    let place = Place {
        source: source.name.clone(),
        file_id: Some(source.id.clone()),
        text_sha256: source.text_sha256.clone().unwrap(),
        start: 0,
        end: TEXT.len(),
        quote_sha256: hex::encode(Sha256::digest(TEXT)),
    };
    let body = Body {
        question: "Who?".into(),
        before: Vec::new(),
        collections: Vec::new(),
        outcome: "answered".into(),
        short: None,
        confidence: 0.9,
        dial: None,
        sentences: vec![Line {
            text: TEXT.into(),
            mark: "quoted".into(),
            evidence: vec![place],
        }],
        made_by: MadeBy::default(),
    };
    let signer = Signer::open(&shelf.home.path().join("instance.key")).unwrap();
    issue(&shelf.store, &signer, &body).await.unwrap().id
}

#[tokio::test]
async fn an_answers_sources_are_the_same_then_elsewhere_then_changed_then_gone() {
    let shelf = shelf(ServerConfig::default()).await;
    let source = put(&shelf.store, TEXT).await;
    let id = cite(&shelf, &source).await;
    let standing = async || {
        let path = format!("/api/receipts/{id}/standing");
        let own = get(&shelf.app, &path).await.json();
        let receipt = get(&shelf.app, &format!("/v1/receipts/{id}")).await;
        assert_eq!(receipt.json()["standing"], own);
        // What the API gives can be checked by itself.
        parse(receipt.text.as_bytes()).unwrap();
        own
    };
    let first = standing().await;
    assert_eq!((&first["state"], &first["receipt"]), (&json!("same"), &json!(id)));
    assert_eq!(
        first["quotes"][0],
        json!({
            "sentence": 0, "citation": 0, "file_id": source.id, "filename": "cape.txt", "start": 0, "end": TEXT.len(),
            "state": "same", "why": null, "now": null
        })
    );
    put(&shelf.store, &format!("News. {TEXT}")).await;
    let moved = standing().await;
    assert_eq!(moved["state"], "same");
    assert_eq!(
        moved["quotes"][0]["now"],
        json!({ "file_id": source.id, "start": 6, "end": 6 + TEXT.len() })
    );
    put(&shelf.store, "It was built by Ida.").await;
    candor_truth::standing::recheck(&shelf.store).await.unwrap();
    let changed = standing().await;
    assert_eq!(changed["state"], "changed");
    assert!(changed["checked_ms"].as_i64().unwrap() > 0 && changed["quotes"][0]["why"].is_string());
    shelf.store.delete_source(&source.id).await.unwrap();
    assert_eq!(standing().await["state"], "gone");
    shelf.store.empty_receipt(&id).await.unwrap();
    let emptied = standing().await;
    assert_eq!((&emptied["state"], &emptied["quotes"]), (&json!(null), &json!([])));
    get(&shelf.app, "/api/receipts/rcpt-none/standing").await.error(404);
}

#[tokio::test]
async fn class_12_an_address_that_leads_into_the_local_network_is_a_400_that_says_so() {
    let shelf = shelf(ServerConfig::default()).await;
    for address in [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]:1/",
        "http://169.254.169.254/latest/",
        "http://0x7f.1:1/",
        "file:///etc/passwd",
        "https://me:secret@example.org/",
        "no address",
    ] {
        let error = post(&shelf.app, "/api/addresses", &json!({ "address": address }))
            .await
            .error(400);
        assert_eq!(error["param"], "address", "{address}");
    }
    assert_eq!(get(&shelf.app, "/api/addresses").await.json(), json!({ "data": [] }));
}

#[tokio::test]
async fn these_routes_want_the_key_and_say_where_there_is_no_store() {
    let locked = shelf(keyed()).await;
    for (method, path) in [
        ("GET", "/api/receipts/x/standing"),
        ("GET", "/api/addresses"),
        ("POST", "/api/addresses"),
    ] {
        let request = request(method, path).body(axum::body::Body::empty()).unwrap();
        send(&locked.app, request).await.error(401);
    }
    get(&app(), "/api/receipts/x/standing").await.error(503);
    get(&app(), "/api/addresses").await.error(503);
}
