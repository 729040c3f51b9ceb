//! Files and vector stores from outside, over a library of plain texts. What OpenAI's client sees is in `tests/clients`.

use std::sync::Arc;

use axum::body::Body;
use candor_server::{App, Models, ServerConfig};
use candor_store::Store;
use candor_truth::{Index, Intake, Library, PlainText};
use http::header;
use serde_json::{Value, json};

use super::{Reply, app, fake, get, keyed, post, request, send};

const TEXT: &str = "The lighthouse stood on the island of Pharos. Sailors saw its fire from afar.";

struct Shelf {
    app: App,
    intake: Intake,
    _home: tempfile::TempDir,
}

async fn shelf(config: ServerConfig) -> Shelf {
    let home = tempfile::tempdir().unwrap();
    let library = Library {
        store: Store::open(home.path().join("candor.db")).await.unwrap(),
        index: Arc::new(Index::open(home.path().join("index"), 1).unwrap()),
        embedder: None.into(),
    };
    let intake = Intake::new(library, Arc::new(PlainText), home.path().join("uploads"));
    let models = Models::new();
    models.insert("fake", Arc::new(fake::Fake::default()));
    Shelf {
        app: App::new(Arc::new(models), config).with(intake.clone()),
        intake,
        _home: home,
    }
}

fn form(name: &str, text: &str) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--b\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{text}\r\n--b--\r\n"
    )
}

async fn upload(app: &App, name: &str, text: &str) -> Reply {
    let request = request("POST", "/v1/files").header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
    send(app, request.body(Body::from(form(name, text))).unwrap()).await
}

async fn delete(app: &App, path: &str) -> Reply {
    send(app, request("DELETE", path).body(Body::empty()).unwrap()).await
}

/// A shelf with one file that can be found, in one vector store.
async fn filled() -> (Shelf, String, String) {
    let shelf = shelf(ServerConfig::default()).await;
    let file = upload(&shelf.app, "notes.txt", TEXT).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let store = post(
        &shelf.app,
        "/v1/vector_stores",
        &json!({ "name": "n", "file_ids": [file] }),
    )
    .await
    .json();
    let store = store["id"].as_str().unwrap().to_owned();
    shelf.intake.catch_up().await.unwrap();
    (shelf, file, store)
}

#[tokio::test]
async fn a_server_without_a_library_says_so() {
    for path in [
        "/v1/files",
        "/v1/files/x",
        "/v1/files/x/text",
        "/v1/vector_stores",
        "/v1/vector_stores/x/files",
    ] {
        let error = get(&app(), path).await.error(503);
        assert!(
            error["message"].as_str().unwrap().contains("without a library"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn every_route_of_files_wants_the_key() {
    let shelf = shelf(keyed()).await;
    for (method, path) in [
        ("GET", "/v1/files"),
        ("POST", "/v1/files"),
        ("GET", "/v1/files/x"),
        ("DELETE", "/v1/files/x"),
        ("GET", "/v1/files/x/content"),
        ("GET", "/v1/files/x/text"),
        ("POST", "/v1/vector_stores"),
        ("POST", "/v1/vector_stores/x/search"),
        ("DELETE", "/v1/vector_stores/x/files/y"),
        ("POST", "/v1/vector_stores/x/file_batches/y/cancel"),
    ] {
        send(&shelf.app, request(method, path).body(Body::empty()).unwrap())
            .await
            .error(401);
    }
}

#[tokio::test]
async fn a_file_goes_from_uploaded_to_processed_and_its_text_waits_for_that() {
    let shelf = shelf(ServerConfig::default()).await;
    let file = upload(&shelf.app, "../notes.txt", TEXT).await.json();
    assert_eq!(
        (&file["status"], &file["filename"]),
        (&json!("uploaded"), &json!("notes.txt"))
    );
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    let early = get(&shelf.app, &format!("{path}/text")).await;
    early.error(409);
    assert_eq!(early.header("retry-after"), "1");
    shelf.intake.catch_up().await.unwrap();
    assert_eq!(get(&shelf.app, &path).await.json()["status"], "processed");
    let text = get(&shelf.app, &format!("{path}/text")).await;
    assert_eq!((text.text.as_str(), text.header("accept-ranges")), (TEXT, "bytes"));
    let part = get(&shelf.app, &format!("{path}/text?start=4&end=14")).await;
    assert_eq!(part.text, "lighthouse");
    let content = get(&shelf.app, &format!("{path}/content")).await;
    assert_eq!(content.text, TEXT);
    assert_eq!(content.header("content-type"), "application/octet-stream");
    assert!(content.header("content-disposition").starts_with("attachment"));
    delete(&shelf.app, &path).await.json();
    get(&shelf.app, &path).await.error(404);
    delete(&shelf.app, &path).await.error(404);
}

#[tokio::test]
async fn an_upload_that_is_too_large_is_refused_and_leaves_nothing() {
    let shelf = shelf(ServerConfig {
        max_upload_bytes: 1000,
        ..ServerConfig::default()
    })
    .await;
    for size in [1001, 200_000] {
        let error = upload(&shelf.app, "big.txt", &"x".repeat(size)).await.error(413);
        assert!(
            error["message"].as_str().unwrap().contains("max_upload_bytes"),
            "{error}"
        );
    }
    assert_eq!(
        upload(&shelf.app, "fits.txt", &"x".repeat(1000)).await.json()["bytes"],
        1000
    );
    assert_eq!(
        get(&shelf.app, "/v1/files").await.json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_source_that_was_imported_is_a_file_whose_bytes_are_not_kept() {
    let shelf = shelf(ServerConfig::default()).await;
    let source = candor_store::NewSource {
        name: "book.pdf".into(),
        text: Some(candor_store::NewText {
            text: TEXT.into(),
            layout: json!({}),
        }),
        ..candor_store::NewSource::default()
    };
    let put = shelf.intake.library().store.put_sources(vec![source]).await.unwrap();
    let path = format!("/v1/files/{}", put[0].source.id);
    assert_eq!(get(&shelf.app, &path).await.json()["purpose"], "assistants");
    assert_eq!(get(&shelf.app, &format!("{path}/text")).await.text, TEXT);
    let error = get(&shelf.app, &format!("{path}/content")).await.error(404);
    assert!(error["message"].as_str().unwrap().contains("/text"), "{error}");
}

#[tokio::test]
async fn a_search_shows_the_bytes_of_what_it_found() {
    let (shelf, file, store) = filled().await;
    let search = format!("/v1/vector_stores/{store}/search");
    let page = post(&shelf.app, &search, &json!({ "query": "Where was the lighthouse?" }))
        .await
        .json();
    let first = &page["data"][0];
    assert_eq!((&first["file_id"], &first["score"]), (&json!(file), &json!(1.0)));
    let content = &first["content"][0];
    let (start, end) = (
        content["start"].as_u64().unwrap() as usize,
        content["end"].as_u64().unwrap() as usize,
    );
    assert_eq!(content["text"], TEXT[start..end]);
    assert!(get(&shelf.app, &format!("/v1/vector_stores/{store}")).await.json()["last_active_at"].is_u64());
}

/// Asks the fake model, which repeats the end of what it was shown.
async fn respond(shelf: &Shelf, body: Value) -> Reply {
    let mut all = json!({ "model": "fake" });
    all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    post(&shelf.app, "/v1/responses", &all).await
}

#[tokio::test]
async fn a_response_searches_files_only_in_stores_that_are_there() {
    let (shelf, file, store) = filled().await;
    let tool = |store: &str| json!([{ "type": "file_search", "vector_store_ids": [store] }]);
    let question = "Where did the lighthouse stand?";
    respond(&shelf, json!({ "input": question, "tools": tool("vs_x") }))
        .await
        .error(404);
    let include = json!(["file_search_call.results"]);
    let answer = respond(
        &shelf,
        json!({ "input": question, "tools": tool(&store), "include": include }),
    )
    .await
    .json();
    let call = &answer["output"][0];
    assert_eq!(
        (&call["type"], &call["queries"]),
        (&json!("file_search_call"), &json!([question]))
    );
    assert_eq!(call["results"][0]["file_id"], file);
    assert_eq!(answer["output"][1]["type"], "message");
    let none = json!({ "input": question, "tools": tool(&store), "tool_choice": "none" });
    assert_eq!(respond(&shelf, none).await.json()["output"][0]["type"], "message");
}
