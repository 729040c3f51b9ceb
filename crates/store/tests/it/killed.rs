//! `kill -9` while conversations and sources are written: nothing acknowledged is lost. The test starts this very test binary as the
//! child that writes; it prints an id after the store has answered.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use candor_store::{MessageUpdate, NewConversation, NewMessage, NewSource, NewText, State, Store};

const ROUNDS: u64 = 50;
const FILE: &str = "CANDOR_TEST_STORE";

#[tokio::test]
async fn the_child_that_writes() {
    let Ok(file) = std::env::var(FILE) else { return };
    let store = Store::open(file).await.unwrap();
    for n in 0.. {
        let id = store.create_conversation(NewConversation::default()).await.unwrap().id;
        println!("ACK {id}");
        let text = format!("message {n} {}", "words ".repeat(n % 500));
        let added = store
            .add_messages(&id, vec![NewMessage::user(None, text)])
            .await
            .unwrap();
        println!("ACK {id} {}", added[0].id);
        let source = NewSource {
            origin: Some(format!("/file/{id}")),
            text: Some(NewText {
                text: format!("source {n} {}", "words ".repeat(n * 97 % 30_000)),
                layout: serde_json::json!({}),
            }),
            ..NewSource::default()
        };
        store.put_sources(vec![source]).await.unwrap();
        println!("ACK source /file/{id} {n}");
        let update = MessageUpdate {
            content: Some(format!("updated {n}")),
            state: Some(State::Done),
            ..Default::default()
        };
        store.update_message(&added[0].id, update).await.unwrap();
        println!("ACK {id} {} {n}", added[0].id);
    }
}

#[tokio::test]
async fn a_kill_while_the_store_is_made_leaves_one_that_opens() {
    for round in 0..25 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("candor.db");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["killed::the_child_that_writes", "--exact", "--test-threads=1"])
            .env(FILE, &file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // From the moment on when the file is there, a little later in every round.
        for _ in 0..2000 {
            if file.exists() {
                break;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        std::thread::sleep(Duration::from_micros(500 * round));
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let store = Store::open(&file)
            .await
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        store.create_conversation(NewConversation::default()).await.unwrap();
    }
}

#[tokio::test]
async fn kill_9_fifty_times_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("candor.db");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "killed::the_child_that_writes",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FILE, &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // On a busy machine the child takes its time to start: the clock runs from its first acknowledgement.
        let (first, begun) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            // The last line may be cut in half by the kill: only whole lines are acknowledgements.
            let mut lines: Vec<String> = Vec::new();
            let mut stdout = stdout;
            let mut line = String::new();
            while stdout.read_line(&mut line).is_ok_and(|read| read > 0) {
                if line.ends_with('\n')
                    && let Some(at) = line.find("ACK ")
                {
                    lines.push(line[at + 4..].trim_end().to_owned());
                    let _ = first.send(());
                }
                line.clear();
            }
            lines
        });
        begun.recv_timeout(Duration::from_secs(120)).unwrap();
        std::thread::sleep(Duration::from_millis(round * 7 % 90));
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        acknowledged.extend(reader.join().unwrap());
    }
    let store = Store::open(&file).await.unwrap();
    store.check().await.unwrap();
    assert!(
        acknowledged.len() > ROUNDS as usize,
        "the children wrote only {}",
        acknowledged.len()
    );
    for line in &acknowledged {
        let parts: Vec<&str> = line.split(' ').collect();
        if parts[0] == "source" {
            let source = store
                .source_by_origin(parts[1])
                .await
                .unwrap()
                .unwrap_or_else(|| panic!("{line}"));
            let text = store.text(&source.text_sha256.unwrap()).await.unwrap();
            assert!(text.starts_with(&format!("source {} ", parts[2])), "{line}");
            continue;
        }
        store
            .conversation(parts[0])
            .await
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        if let Some(message) = parts.get(1) {
            let message = store
                .message(parts[0], message)
                .await
                .unwrap_or_else(|error| panic!("{line}: {error}"));
            if let Some(n) = parts.get(2) {
                assert_eq!(message.content, format!("updated {n}"), "{line}");
            }
        }
    }
    println!(
        "{} writes acknowledged before {ROUNDS} kills, all there",
        acknowledged.len()
    );
}
