//! Sources from the web and watched folders, as a person types them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::Place;

const PAGE: &str = "<!doctype html><title>The cape</title><p>The lighthouse on the north cape was built by Anna Keller in 1874.</p>\
     <script>document.write('Ignore this')</script>";

/// A site of one page, and how often it was asked.
fn site(page: &str) -> (String, Arc<Mutex<String>>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://127.0.0.1:{}/cape", listener.local_addr().unwrap().port());
    let (says, asked) = (Arc::new(Mutex::new(page.to_owned())), Arc::<AtomicUsize>::default());
    let (page, count) = (Arc::clone(&says), Arc::clone(&asked));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            count.fetch_add(1, Ordering::SeqCst);
            let page = page.lock().unwrap().clone();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}",
                page.len()
            );
        }
    });
    (address, says, asked)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_page_is_added_asked_changed_and_removed_and_earlier_answers_learn_of_it() {
    let place = Place::new();
    let (address, says, asked) = site(PAGE);
    let refused = place.run(&["sources", "add", &address]);
    assert_eq!(refused.status, 1);
    assert!(
        refused.err.contains("this machine itself") && refused.err.contains("--allow-private"),
        "{}",
        refused.err
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let added = place.run(&["sources", "add", &address, "--allow-private"]);
    assert!(
        added.status == 0 && added.out.contains("1 added"),
        "{}{}",
        added.out,
        added.err
    );
    let list = json(&place.run(&["sources", "list", "--json"]).out);
    assert_eq!(
        (&list[0]["url"], &list[0]["title"]),
        (&address.clone().into(), &"The cape".into())
    );

    let question = "Who built the lighthouse on the north cape?";
    let answer = json(&place.run(&["ask", question, "--dial", "off", "--json"]).out);
    let citation = &answer["sentences"][0]["citations"][0];
    assert_eq!(citation["source"]["url"], address);
    assert!(place.run(&["ask", question, "--dial", "off"]).out.contains(&address));
    let receipt = answer["receipt"].as_str().unwrap();
    let verified = place.run(&["verify", receipt]);
    assert!(
        verified.status == 0 && !verified.out.contains("changed"),
        "{}",
        verified.out
    );

    says.lock()
        .unwrap()
        .insert_str(PAGE.find("<p>").unwrap(), "<p>News of the cape.</p>");
    let refreshed = place.run(&["sources", "refresh"]);
    assert!(
        refreshed.err.contains("2 earlier answers cite"),
        "{}{}",
        refreshed.out,
        refreshed.err
    );
    let verified = place.run(&["verify", receipt]).out;
    assert!(
        verified.contains("sound    quote 1") && verified.contains("still says so"),
        "{verified}"
    );
    *says.lock().unwrap() = PAGE.replace("Anna", "Ida");
    place.run(&["sources", "refresh"]);
    let verified = place.run(&["verify", receipt]);
    assert!(
        verified.status == 0 && verified.out.contains("changed  quote 1") && verified.out.contains("does not say so"),
        "{}",
        verified.out
    );
    let removed = place.run(&["sources", "remove", &address]);
    assert_eq!(removed.out, "1 removed\n", "{}", removed.err);
    let verified = place.run(&["verify", receipt, "--json"]).out;
    assert!(verified.contains("removed or replaced"), "{verified}");
    let before = asked.load(Ordering::SeqCst);
    place.run(&["sources", "refresh"]);
    assert_eq!(
        asked.load(Ordering::SeqCst),
        before,
        "what was removed is not fetched again"
    );
}

#[test]
fn mistakes_with_addresses_are_sentences() {
    let place = Place::new();
    for (address, says) in [
        ("https://me:secret@example.org/", "password"),
        ("http://169.254.169.254/latest/", "link-local"),
        ("http://[::1]:1/", "this machine itself"),
        ("http://0x7f.1/", "this machine itself"),
        ("https://", "does not parse"),
    ] {
        let ran = place.run(&["sources", "add", address]);
        assert!(ran.status == 1 && ran.err.contains(says), "{address}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
    let ran = place.run(&["sources", "add", "https://example.org/", "--watch"]);
    assert!(
        ran.status == 1 && ran.err.contains("--watch is for folders"),
        "{}",
        ran.err
    );
    let ran = place.run(&["sources", "watch"]);
    assert!(ran.status == 1 && ran.err.contains("--watch` begins it"), "{}", ran.err);
}

#[test]
fn a_watched_folder_is_followed_killed_and_followed_again() {
    let place = Place::new();
    let docs = place.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("a.txt"), "An antelope runs by day.").unwrap();
    let added = place.run(&["sources", "add", docs.to_str().unwrap(), "--watch"]);
    assert_eq!(added.status, 0, "{}", added.err);
    let found = |word: &str| place.run(&["search", word]).out.contains(word);
    let until = |word: &str| {
        let start = Instant::now();
        while !found(word) {
            assert!(start.elapsed() < Duration::from_secs(60), "{word} is not found");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let watch = || {
        let mut child = place.spawn(&["sources", "watch", "--no-vectors"]);
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert!(line.starts_with("watching "), "{line}");
        (child, out)
    };
    let (mut child, out) = watch();
    std::fs::write(docs.join("b.txt"), "A badger digs at night.").unwrap();
    until("badger");
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    drop(out);
    std::fs::write(docs.join("c.txt"), "A cormorant dries its wings.").unwrap();
    std::fs::remove_file(docs.join("a.txt")).unwrap();
    let (mut child, _out) = watch();
    until("cormorant");
    let start = Instant::now();
    while !place.run(&["sources", "list"]).out.contains("gone") {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the removed file is not marked"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let removed = place.run(&["sources", "remove", docs.to_str().unwrap()]);
    assert_eq!(removed.out, "3 removed\n", "{}", removed.err);
    assert_eq!(
        place.run(&["sources", "watch"]).status,
        1,
        "nothing is watched any more"
    );
}
