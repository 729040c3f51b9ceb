//! What the tests share: entries made of TOML, impatient options that keep the events, deterministic bytes.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candor_catalog::{Catalog, Entry, Environment, Event, Patience, PullOptions};
use sha2::{Digest, Sha256};

pub type Events = Arc<Mutex<Vec<Event>>>;

/// Bytes that differ everywhere, so that a stretch in the wrong place shows.
pub fn bytes(n: usize) -> Vec<u8> {
    let noise = (0..n as u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8);
    // What is called .gguf and has no hash must at least begin as such a file does.
    b"GGUF".iter().copied().chain(noise.skip(4)).take(n).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// An entry `tiny` with one file; `sources` is TOML.
pub fn entry(size: usize, hash: Option<&str>, sources: &str) -> Entry {
    let hash = hash.map_or(String::new(), |hash| format!("sha256 = \"{hash}\""));
    let files = format!("[[model.file]]\nname = \"tiny.gguf\"\nsize = {size}\n{hash}");
    entry_of(&files, sources)
}

pub fn entry_of(files: &str, sources: &str) -> Entry {
    let text = format!(
        "[[model]]\nname = \"tiny\"\ntitle = \"Tiny\"\nkind = \"chat\"\nlicence = \"MIT\"\nparameters = \"1M\"\n\
         context = 64\ngood_for = \"tests\"\nlanguages = [\"en\"]\n{files}\n{sources}"
    );
    Catalog::parse("test", &text).unwrap().get("tiny").unwrap().clone()
}

pub fn url(address: &str) -> String {
    format!("[[model.source]]\nkind = \"url\"\nfiles = {{ \"tiny.gguf\" = \"{address}\" }}\n")
}

pub fn hub() -> String {
    "[[model.source]]\nkind = \"hub\"\nrepo = \"org/tiny\"\n".into()
}

pub fn options(dir: &Path, endpoint: &str) -> (PullOptions, Events) {
    let events = Events::default();
    let log = events.clone();
    let options = PullOptions {
        environment: Environment {
            hub_endpoint: endpoint.into(),
            hub_token: Some("hf_secret".into()),
            ..Environment::default()
        },
        patience: Patience {
            connect: Duration::from_secs(2),
            answer: Duration::from_millis(1500),
            idle: Duration::from_millis(1500),
            retries: 3,
            pause: Duration::from_millis(10),
        },
        ..PullOptions::new(dir)
    };
    (
        options.with_progress(move |event| log.lock().unwrap().push(event)),
        events,
    )
}

/// Begins a pull and drops it once this many bytes came, as the end of the process would.
pub async fn stop_after(bytes: u64, entry: &Entry, options: &PullOptions, events: &Events) {
    let enough = async {
        while count(
            events,
            |e| matches!(e, Event::Downloading { done, .. } if done.0 >= bytes),
        ) == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        pulled = candor_catalog::pull(entry, options) => panic!("it was not stopped: {pulled:?}"),
        () = enough => {}
    }
}

pub fn count(events: &Events, which: impl Fn(&Event) -> bool) -> usize {
    events.lock().unwrap().iter().filter(|event| which(event)).count()
}
