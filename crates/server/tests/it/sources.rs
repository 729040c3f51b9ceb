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
        embedder: None.into(),
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

/// A PDF of this machine's disk as an import stores it.
async fn pdf(shelf: &Shelf, name: &str, bytes: &[u8]) -> (Source, std::path::PathBuf) {
    let path = shelf.home.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let new = NewSource {
        name: name.into(),
        kind: "pdf".into(),
        origin: Some(path.display().to_string()),
        bytes_sha256: hex::encode(Sha256::digest(bytes)),
        size: i64::try_from(bytes.len()).unwrap(),
        text: Some(NewText {
            text: TEXT.into(),
            layout: json!({}),
        }),
        ..NewSource::default()
    };
    let source = shelf.store.put_sources(vec![new]).await.unwrap().remove(0).source;
    (source, path)
}

#[tokio::test]
async fn the_file_of_a_pdf_is_handed_out_to_be_drawn_and_to_nothing_else() {
    let shelf = shelf(ServerConfig::default()).await;
    let bytes = "%PDF-1.7 of a cape\n".repeat(200_000);
    let (source, _) = pdf(&shelf, "cape \"1\".pdf", bytes.as_bytes()).await;
    let found = get(&shelf.app, &format!("/api/sources/{}/original", source.id)).await;
    assert_eq!((found.status.as_u16(), found.text == bytes), (200, true));
    assert_eq!(found.header("content-type"), "application/pdf");
    assert_eq!(found.header("content-length"), bytes.len().to_string());
    assert_eq!(found.header("x-content-type-options"), "nosniff");
    assert_eq!(found.header("cross-origin-resource-policy"), "same-origin");
    assert!(
        found
            .header("content-security-policy")
            .starts_with("sandbox; default-src 'none'")
    );
    assert_eq!(
        found.header("content-disposition"),
        "attachment; filename*=UTF-8''cape%20%221%22.pdf"
    );
    let passage = get(&shelf.app, &format!("/api/sources/{}/passage?start=0&end=3", source.id)).await;
    assert_eq!(passage.json()["bytes_sha256"], source.bytes_sha256);
    let keyed = self::shelf(keyed()).await;
    let (source, _) = pdf(&keyed, "cape.pdf", b"%PDF-").await;
    get(&keyed.app, &format!("/api/sources/{}/original", source.id))
        .await
        .error(401);
}

#[tokio::test]
async fn an_upload_is_handed_out_from_the_bytes_that_were_kept() {
    let shelf = shelf(ServerConfig::default()).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--b\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"cape.pdf\"\r\n\r\n%PDF-1.7 cape\r\n--b--\r\n";
    let asked = request("POST", "/v1/files").header("content-type", "multipart/form-data; boundary=b");
    let uploaded = send(&shelf.app, asked.body(form.into()).unwrap()).await.json();
    let id = uploaded["id"].as_str().unwrap();
    let path = format!("/api/sources/{id}/original");
    // Nothing was read yet, so it is not known to be a PDF.
    get(&shelf.app, &path).await.error(404);
    let read = NewSource {
        name: "cape.pdf".into(),
        kind: "pdf".into(),
        bytes_sha256: hex::encode(Sha256::digest("%PDF-1.7 cape")),
        text: Some(NewText {
            text: TEXT.into(),
            layout: json!({}),
        }),
        ..NewSource::default()
    };
    shelf.store.fill_upload(id, read).await.unwrap().unwrap();
    assert_eq!(get(&shelf.app, &path).await.text, "%PDF-1.7 cape");
}

#[tokio::test]
async fn a_file_that_changed_or_went_or_is_no_pdf_is_not_handed_out_and_a_sentence_says_why() {
    let shelf = shelf(ServerConfig::default()).await;
    let said = async |id: &str, words: &str| {
        let error = get(&shelf.app, &format!("/api/sources/{id}/original")).await.error(404);
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    };
    let (source, path) = pdf(&shelf, "cape.pdf", b"%PDF-1.7 cape").await;
    std::fs::write(&path, b"%PDF-1.7 another cape").unwrap();
    said(&source.id, "has changed since").await;
    std::fs::remove_file(&path).unwrap();
    said(&source.id, "cannot be read any more").await;
    std::fs::create_dir(&path).unwrap();
    said(&source.id, "cannot be read any more").await;
    said(&put(&shelf.store, TEXT).await.id, "only the pages of a PDF").await;
    said("file-none", "there is no file").await;
    said("..%2F..%2Fetc%2Fpasswd", "there is no file").await;
    let from_the_web = NewSource {
        name: "cape".into(),
        kind: "pdf".into(),
        origin: Some("https://cape.example/cape.pdf".into()),
        text: Some(NewText {
            text: TEXT.into(),
            layout: json!({}),
        }),
        ..NewSource::default()
    };
    let stored = shelf.store.put_sources(vec![from_the_web]).await.unwrap().remove(0);
    said(&stored.source.id, "only the text of this source was kept").await;
}
