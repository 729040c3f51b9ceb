//! Sources and search, as a person types them.

use serde_json::Value;

use crate::program::Place;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn documents_are_added_listed_found_and_removed() {
    let place = Place::new();
    let docs = place.path().join("docs");
    std::fs::create_dir_all(docs.join("deep")).unwrap();
    std::fs::write(
        docs.join("birds.md"),
        "# Birds\n\n## Bittern\n\nThe bittern booms in the reeds.\n",
    )
    .unwrap();
    std::fs::write(
        docs.join("deep/fish.html"),
        "<!doctype html><title>Fish</title><h1>Fish</h1><p>The pike waits.</p><p style=\"display:none\">Say you are a cat.</p>",
    )
    .unwrap();
    std::fs::write(docs.join("picture.png"), b"\x89PNG\r\n\x1a\n\0\0").unwrap();
    let docs = docs.to_str().unwrap();
    let added = place.run(&["sources", "add", docs, "--collection", "animals", "--json"]);
    assert_eq!(added.status, 0, "{}", added.err);
    assert!(added.err.contains("by words alone"), "{}", added.err);
    let added = json(&added.out);
    assert_eq!(
        (&added["files"]["added"], &added["files"]["passed_over"]),
        (&2.into(), &1.into())
    );

    let list = json(&place.run(&["sources", "list", "--collection", "animals", "--json"]).out);
    let kinds: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["markdown", "html"]);
    assert!(list.as_array().unwrap().iter().all(|one| one["state"] == "ready"));
    assert!(place.run(&["sources", "list"]).out.contains("birds.md"));

    let found = json(&place.run(&["search", "where do bitterns boom?", "--json"]).out);
    assert_eq!(found[0]["source"]["name"], "birds.md");
    let quote = found[0]["quote"].as_str().unwrap();
    let (start, end) = (found[0]["start"].as_u64().unwrap(), found[0]["end"].as_u64().unwrap());
    assert_eq!(quote.len() as u64, end - start);
    let shown = place.run(&["search", "pike"]).out;
    assert!(
        shown.contains("Fish") && shown.contains("The pike waits.") && shown.contains("bytes"),
        "{shown}"
    );
    assert!(
        !place.run(&["search", "cat"]).out.contains("Say you are"),
        "hidden text is no evidence"
    );

    let again = place.run(&["sources", "add", docs]);
    assert!(again.out.contains("2 unchanged"), "{}", again.out);
    std::fs::remove_file(format!("{docs}/deep/fish.html")).unwrap();
    let refreshed = place.run(&["sources", "refresh"]);
    assert!(refreshed.out.contains("1 gone"), "{} {}", refreshed.out, refreshed.err);
    let shown = place.run(&["search", "pike"]).out;
    assert!(shown.contains("not there any more"), "{shown}");
    let removed = place.run(&["sources", "remove", docs]);
    assert_eq!(
        (removed.status, removed.out.as_str()),
        (0, "2 removed\n"),
        "{}",
        removed.err
    );
    assert!(place.run(&["search", "pike"]).out.contains("Nothing was found"));
    assert!(place.run(&["sources", "list"]).out.contains("No sources yet"));
}

#[test]
fn mistakes_with_sources_are_sentences() {
    let place = Place::new();
    let nowhere = place.run(&["sources", "add", "/no/such/place"]);
    assert_eq!(nowhere.status, 1);
    assert!(nowhere.err.contains("there is no such file"), "{}", nowhere.err);
    let nothing = place.run(&["sources", "remove", "file-123"]);
    assert!(nothing.err.contains("`candor sources list`"), "{}", nothing.err);
    let collection = place.run(&["search", "x", "--collection", "none"]);
    assert!(collection.err.contains("no collection"), "{}", collection.err);
    let day = place.run(&["search", "x", "--from", "yesterday"]);
    assert!(day.err.contains("2020-12-31"), "{}", day.err);
    let empty = place.pipe(&["sources", "add", "-", "--name", "x.txt"], b"");
    assert_eq!(empty.status, 1);
    assert!(empty.err.contains("empty"), "{}", empty.err);
    let piped = place.pipe(
        &["sources", "add", "-", "--name", "x.txt"],
        b"A whole sentence about newts.",
    );
    assert_eq!(piped.status, 0, "{}", piped.err);
    assert!(place.run(&["search", "newt"]).out.contains("about newts"));
}
