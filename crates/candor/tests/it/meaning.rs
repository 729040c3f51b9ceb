//! The model that finds passages by meaning comes by itself, and nothing waits for it that need not.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command};

use crate::program::{Place, Ran};

/// A place whose catalog has a small encoder under the name of the usual one, at `path`.
fn place(path: &Path) -> Place {
    let place = Place::new();
    let path = path.to_str().unwrap();
    let entry = format!(
        "[[model]]\nname = \"all-minilm-l6-v2\"\ntitle = \"Small\"\nkind = \"embedding\"\nlicence = \"Apache-2.0\"\n\
         parameters = \"1K\"\ncontext = 64\ngood_for = \"Tests.\"\nlanguages = [\"en\"]\ntried = true\n\
         [[model.file]]\nname = \"bert.gguf\"\nsize = 40000\napproximate = true\n\
         [[model.source]]\nkind = \"path\"\nfiles = {{ \"bert.gguf\" = '{path}' }}\n"
    );
    place.write("config/candor/catalog.toml", &entry);
    place.write("docs/mill.txt", "The mill was built in 1874.\n");
    place
}

fn encoder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/fixtures/bert.gguf")
}

/// A command that may fetch.
fn online(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command.env_remove("HF_HUB_OFFLINE");
    command
}

fn run(place: &Place, arguments: &[&str]) -> Ran {
    Ran::from(online(place, arguments).output().unwrap())
}

#[test]
fn the_first_command_that_needs_it_fetches_it_once() {
    let place = place(&encoder());
    let docs = place.path().join("docs");
    let add = ["sources", "add", docs.to_str().unwrap()];
    let first = run(&place, &add);
    assert_eq!(first.status, 0, "{}", first.err);
    assert!(first.err.contains("getting all-minilm-l6-v2"), "{}", first.err);
    assert!(!first.out.contains("by words alone"), "{}", first.out);
    let again = run(&place, &add);
    assert!(again.status == 0 && !again.err.contains("getting"), "{}", again.err);
}

#[test]
fn one_that_cannot_be_had_is_told_and_words_serve() {
    let place = place(Path::new("/nowhere/bert.gguf"));
    let docs = place.path().join("docs");
    let added = run(&place, &["sources", "add", docs.to_str().unwrap()]);
    assert_eq!(added.status, 0, "{}", added.err);
    assert!(
        added.err.contains("searching by words alone") && added.err.contains("candor pull all-minilm-l6-v2"),
        "{}",
        added.err
    );
    assert!(added.out.contains("1 of them by words alone"), "{}", added.out);
    let searched = run(&place, &["search", "mill"]);
    assert!(searched.out.contains("1874"), "{}", searched.out);
    assert!(
        !searched.err.contains("getting") && searched.err.contains("adds search by meaning"),
        "it is not tried at every command: {}",
        searched.err
    );
}

#[test]
fn nothing_is_fetched_where_that_is_not_wanted() {
    let place = place(&encoder());
    let docs = place.path().join("docs");
    let add = ["sources", "add", docs.to_str().unwrap()];
    let unwanted = online(&place, &add).env("CANDOR_SOURCES_MEANING", "false").output();
    let unwanted = Ran::from(unwanted.unwrap());
    assert!(unwanted.status == 0 && unwanted.err.is_empty(), "{}", unwanted.err);
    let offline = place.run(&add);
    assert!(
        offline
            .err
            .contains("`candor pull all-minilm-l6-v2` adds search by meaning"),
        "{}",
        offline.err
    );
    let listed = place.run(&["models", "--here", "--json"]);
    assert_eq!(listed.out.trim(), "[]");
}

/// Ends with the test, whatever its end is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_is_ready_before_and_learns_meaning_while_it_runs() {
    let place = place(&encoder());
    let docs = place.path().join("docs");
    let words = place.run(&["sources", "add", docs.to_str().unwrap()]);
    assert!(words.out.contains("1 of them by words alone"), "{}", words.out);
    let llama = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/fixtures/llama.gguf");
    let arguments = ["serve", "-m", llama.to_str().unwrap(), "--port", "0", "--threads", "1"];
    let mut child = Running(online(&place, &arguments).spawn().unwrap());
    let mut said = Vec::new();
    for line in BufReader::new(child.0.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok)
    {
        let done = line.contains("found by meaning now") || line.contains("words alone");
        said.push(line);
        if done {
            break;
        }
    }
    assert!(
        said.first()
            .is_some_and(|line| line.contains("getting all-minilm-l6-v2")),
        "{said:?}"
    );
    assert!(
        said.last().is_some_and(|line| line.contains("found by meaning now")),
        "{said:?}"
    );
    drop(child);
    let after = place.run(&["sources", "refresh"]);
    assert!(!after.out.contains("by words alone"), "{}", after.out);
}
