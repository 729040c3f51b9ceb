//! Pages and feeds by their address, from a server on loopback that each test answers for.

use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use candor_extract::{Hints, Limits, documents_here};
use candor_store::{Source, SourceFilter, SourceState};
use candor_truth::ingest::web::Web;
use candor_truth::ingest::{Importer, Outcome};
use candor_truth::{Address, Document, Input, Library, Query, ReadError, Reader};

use crate::{library, quiet, sync};

/// Reads as the program does, without the child.
struct Here;

impl Reader for Here {
    fn read(&self, input: Input, name: &str, each: &mut dyn FnMut(Document) -> bool) -> Result<(), ReadError> {
        let Input::Bytes(bytes) = input else { panic!("bytes") };
        let hints = Hints {
            name: Some(name.to_owned()),
            password: None,
        };
        let mut bytes = BufReader::new(bytes.as_slice());
        documents_here(&mut bytes, &hints, &Limits::default(), &mut |document| {
            each(document.into())
        })?;
        Ok(())
    }
}

/// What the server says of each path: status line with headers, and body.
#[derive(Clone, Default)]
struct Site {
    pages: Arc<Mutex<HashMap<String, (String, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    port: u16,
}

impl Site {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let site = Self {
            port: listener.local_addr().unwrap().port(),
            ..Self::default()
        };
        let own = site.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                own.asked.lock().unwrap().push(head.clone());
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let known = own.pages.lock().unwrap().get(&path).cloned();
                let (status, body) = known.unwrap_or_else(|| ("404 Not Found".into(), String::new()));
                let tag = format!("\"{}\"", body.len());
                let answer = if head.contains(&format!("if-none-match: {tag}")) {
                    "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned()
                } else {
                    format!(
                        "HTTP/1.1 {status}\r\nETag: {tag}\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    )
                };
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        site
    }

    fn says(&self, path: &str, body: &str) {
        let page = ("200 OK".to_owned(), body.to_owned());
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    fn address(&self, path: &str) -> Address {
        Address::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }
}

fn web(library: &Library) -> Web {
    Web::new(Importer {
        store: library.store.clone(),
        reader: Arc::new(Here),
        collection: None,
    })
    .unwrap()
}

async fn all(library: &Library) -> Vec<Source> {
    library.store.sources(&SourceFilter::default(), None, 99).await.unwrap()
}

fn page(words: &str) -> String {
    format!(
        "<!doctype html><html><head><title>The cape</title><meta property='article:modified_time' content='2024-03-01'>\
         <script>document.title = 'x'</script></head><body><main><p>{words}</p></main></body></html>"
    )
}

async fn home() -> (tempfile::TempDir, Library) {
    let home = tempfile::tempdir().unwrap();
    let library = library(home.path()).await;
    (home, library)
}

#[tokio::test]
async fn a_page_carries_title_date_and_address_and_is_fetched_again_only_when_it_changed() {
    let ((_home, library), site) = (home().await, Site::new());
    site.says("/cape", &page("The lighthouse was built by Ada."));
    let web = web(&library);
    let added = web.add(&site.address("/cape#top"), true).await.unwrap();
    assert_eq!((added.outcome, added.sources.len()), (Outcome::Added, 1));
    let source = &added.sources[0];
    assert_eq!(
        (source.title.as_deref(), source.date.as_deref(), source.kind.as_str()),
        (Some("The cape"), Some("2024-03-01"), "html")
    );
    assert_eq!(source.url.as_deref(), Some(site.address("/cape").as_str()));
    sync(&library).await;
    let query = Query {
        text: "Who built the lighthouse?".into(),
        limit: 3,
        ..Query::default()
    };
    let found = library.search(&query).await.unwrap();
    assert_eq!((found[0].source.url.clone(), found.len()), (source.url.clone(), 1));
    assert!(!found[0].quote.text().contains("document.title"));

    let again = web.refresh(&quiet).await.unwrap();
    assert_eq!(
        (again.unchanged, again.bytes),
        (1, 0),
        "the tag said that it is the same"
    );
    site.says("/cape", &page("The lighthouse was built by Ida Keller."));
    assert_eq!(web.refresh(&quiet).await.unwrap().changed, 1);
    assert_eq!(all(&library).await[0].id, source.id);
    site.pages.lock().unwrap().clear();
    assert_eq!(web.refresh(&quiet).await.unwrap().gone, 1);
    let gone = all(&library).await.remove(0);
    assert_eq!(gone.state, SourceState::Gone);
    assert!(
        library
            .store
            .text(&gone.text_sha256.unwrap())
            .await
            .unwrap()
            .contains("Ida")
    );
    site.says("/cape", &page("The lighthouse was built by Ida Keller."));
    web.refresh(&quiet).await.unwrap();
    sync(&library).await;
    assert_eq!(all(&library).await[0].state, SourceState::Ready);
}

fn feed(entries: &[(&str, &str)]) -> String {
    let item = |(id, words): &(&str, &str)| {
        format!(
            "<item><title>About {id}</title><link>https://news.example/{id}</link><guid>{id}</guid>\
             <pubDate>Wed, 31 Jan 2024 10:00:00 GMT</pubDate><description>&lt;p&gt;{words}&lt;/p&gt;</description></item>"
        )
    };
    let items: String = entries.iter().map(item).collect();
    format!("<?xml version='1.0'?><rss><channel><title>News</title>{items}</channel></rss>")
}

#[tokio::test]
async fn entries_of_a_feed_keep_their_place_when_new_ones_come_and_stay_when_they_leave_it() {
    let ((_home, library), site) = (home().await, Site::new());
    let web = web(&library);
    site.says("/feed", &feed(&[("owls", "Owls hunt at night.")]));
    assert_eq!(
        web.add(&site.address("/feed"), true).await.unwrap().outcome,
        Outcome::Added
    );
    let owls = all(&library).await.remove(0);
    assert_eq!(
        (owls.title.as_deref(), owls.url.as_deref(), owls.date.as_deref()),
        (
            Some("About owls"),
            Some("https://news.example/owls"),
            Some("2024-01-31")
        )
    );
    site.says(
        "/feed",
        &feed(&[("larks", "Larks sing at dawn."), ("owls", "Owls hunt at night.")]),
    );
    assert_eq!(web.refresh(&quiet).await.unwrap().changed, 1);
    assert_eq!(all(&library).await.len(), 2);
    site.says("/feed", &feed(&[("swifts", "Swifts sleep in the air.")]));
    web.refresh(&quiet).await.unwrap();
    let now = all(&library).await;
    assert_eq!(now.len(), 3);
    let kept = now.iter().find(|one| one.id == owls.id).unwrap();
    assert_eq!((&kept.text_sha256, kept.state), (&owls.text_sha256, owls.state));
}

#[tokio::test]
async fn class_12_an_address_of_the_local_network_is_refused_and_leaves_nothing() {
    let ((_home, library), site) = (home().await, Site::new());
    site.says("/", &page("Secret words of this machine."));
    let web = web(&library);
    for address in [
        site.address("/").as_str().to_owned(),
        format!("http://localhost:{}/", site.port),
        format!("http://[::ffff:127.0.0.1]:{}/", site.port),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
    ] {
        let taken = web.add(&Address::parse(&address).unwrap(), false).await.unwrap();
        assert_eq!(taken.outcome, Outcome::Failed);
        assert!(taken.reason.unwrap().contains("was not asked"), "{address}");
    }
    assert!(site.asked.lock().unwrap().is_empty() && all(&library).await.is_empty());
    assert!(library.store.addresses().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_page_that_leads_into_the_local_network_is_not_followed_and_what_was_there_stays() {
    let ((_home, library), site) = (home().await, Site::new());
    let web = web(&library);
    site.says("/cape", &page("The lighthouse was built by Ada."));
    web.add(&site.address("/cape"), true).await.unwrap();
    let redirect = "302 Found\r\nLocation: http://169.254.169.254/latest/".to_owned();
    site.pages
        .lock()
        .unwrap()
        .insert("/cape".into(), (redirect, "moved".into()));
    let told = Mutex::new(Vec::new());
    let summary = web
        .refresh(&|event| {
            if let candor_truth::ingest::Event::Done { reason: Some(why), .. } = event {
                told.lock().unwrap().push(why.to_owned());
            }
        })
        .await
        .unwrap();
    assert_eq!(summary.failed, 1);
    assert!(told.lock().unwrap()[0].contains("link-local"), "{told:?}");
    let kept = all(&library).await.remove(0);
    assert!(
        library
            .store
            .text(&kept.text_sha256.unwrap())
            .await
            .unwrap()
            .contains("Ada")
    );
}

#[tokio::test]
async fn what_is_no_document_is_a_sentence_and_is_not_kept() {
    let ((_home, library), site) = (home().await, Site::new());
    let web = web(&library);
    site.says("/picture", "\u{7f}ELF\u{2}\u{1}\u{1}");
    site.says("/blank", "<!doctype html><script>only()</script>");
    for (path, says) in [("/picture", "only text"), ("/blank", "no text"), ("/none", "404")] {
        let taken = web.add(&site.address(path), true).await.unwrap();
        let reason = taken.reason.unwrap();
        assert!(
            taken.outcome == Outcome::Failed && reason.contains(says),
            "{path}: {reason}"
        );
    }
    assert!(all(&library).await.is_empty() && library.store.addresses().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_collection_is_joined_by_what_a_feed_brings_later() {
    let ((home, library), site) = (home().await, Site::new());
    let _: &Path = home.path();
    let collection = library.store.collection_named("news").await.unwrap();
    let with = Web::new(Importer {
        store: library.store.clone(),
        reader: Arc::new(Here),
        collection: Some(collection.id.clone()),
    })
    .unwrap();
    site.says("/feed", &feed(&[("owls", "Owls hunt at night.")]));
    with.add(&site.address("/feed"), true).await.unwrap();
    site.says("/feed", &feed(&[("larks", "Larks sing at dawn.")]));
    web(&library).refresh(&quiet).await.unwrap();
    for source in all(&library).await {
        assert_eq!(
            library.store.collections_of(&source.id).await.unwrap(),
            std::slice::from_ref(&collection)
        );
    }
}
