use candor_store::{SourceFilter, SourceState};
use candor_truth::ingest::{Importer, Summary};
use candor_truth::{Library, Query};

use crate::{file, importer, library, quiet, sync};

async fn import(library: &Library, folder: &std::path::Path) -> Summary {
    importer(library).import(&[folder.to_owned()], &quiet).await.unwrap()
}

async fn names(library: &Library, text: &str) -> Vec<String> {
    let query = Query {
        text: text.into(),
        limit: 10,
        ..Query::default()
    };
    let found = library.search(&query).await.unwrap();
    found.into_iter().map(|one| one.source.name).collect()
}

#[tokio::test]
async fn a_folder_is_imported_once_and_then_only_what_changed() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = library(home.path()).await;
    file(docs.path(), "a.txt", "The aardvark digs at night.");
    file(docs.path(), "deep/b.md", "# Birds\n\nThe bittern booms in the reeds.");
    file(docs.path(), ".hidden/c.txt", "A secret civet.");
    std::fs::write(docs.path().join("picture.bin"), [0xff, 0xd8, 0xff, 0x00]).unwrap();
    let first = import(&library, docs.path()).await;
    assert_eq!((first.added, first.passed_over, first.failed), (2, 1, 0));
    sync(&library).await;
    assert_eq!(names(&library, "aardvarks").await, ["a.txt"]);
    assert!(names(&library, "civet").await.is_empty());

    assert_eq!(import(&library, docs.path()).await.unchanged, 2);
    file(docs.path(), "a.txt", "The antelope runs by day, as everyone knows.");
    let again = import(&library, docs.path()).await;
    assert_eq!((again.changed, again.unchanged), (1, 1));
    sync(&library).await;
    assert!(names(&library, "aardvark").await.is_empty());
    assert_eq!(names(&library, "antelope").await, ["a.txt"]);
}

#[tokio::test]
async fn the_same_bytes_are_stored_once_and_found_once() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = library(home.path()).await;
    file(docs.path(), "one.txt", "Zebras have stripes.");
    file(docs.path(), "two.txt", "Zebras have stripes.");
    assert_eq!(import(&library, docs.path()).await.added, 2);
    assert_eq!(sync(&library).await.passages, 1);
    assert_eq!(names(&library, "zebra").await, ["one.txt"]);
    let sources = library.store.sources(&SourceFilter::default(), None, 9).await.unwrap();
    assert!(sources.iter().all(|one| one.state == SourceState::Ready));
    library.store.delete_source(&sources[0].id).await.unwrap();
    assert_eq!(names(&library, "zebra").await, ["two.txt"]);
    library.store.delete_source(&sources[1].id).await.unwrap();
    assert!(names(&library, "zebra").await.is_empty());
}

#[tokio::test]
async fn a_file_that_cannot_be_read_says_why_and_stops_nothing() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = library(home.path()).await;
    file(docs.path(), "a-empty.txt", "  \n");
    file(docs.path(), "b.txt", "Words that can be found.");
    let summary = import(&library, docs.path()).await;
    assert_eq!((summary.added, summary.failed), (1, 1));
    let empty = library
        .store
        .sources(&SourceFilter::default(), None, 9)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(empty.state, SourceState::Failed);
    assert!(empty.error.unwrap().contains("nothing to search"));
    let error = importer(&library)
        .import(&[docs.path().join("nowhere")], &quiet)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no such file"), "{error}");
    let picture = docs.path().join("picture.bin");
    std::fs::write(&picture, [0xff, 0xd8]).unwrap();
    assert_eq!(import(&library, &picture).await.failed, 1, "named, so it counts");
}

#[tokio::test]
async fn a_refresh_finds_what_is_new_what_changed_and_what_is_gone() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = library(home.path()).await;
    for name in ["a.txt", "b.txt", "c.txt"] {
        file(docs.path(), name, &format!("Text of {name} as it was."));
    }
    import(&library, docs.path()).await;
    sync(&library).await;
    std::fs::remove_file(docs.path().join("a.txt")).unwrap();
    file(docs.path(), "b.txt", "Another text, longer than before, about badgers.");
    file(docs.path(), "d.txt", "A new dormouse.");
    let summary = importer(&library).refresh(&quiet).await.unwrap();
    assert_eq!(
        (summary.gone, summary.changed, summary.added, summary.unchanged),
        (1, 1, 1, 1)
    );
    sync(&library).await;
    let gone = library
        .store
        .sources(&SourceFilter::default(), None, 9)
        .await
        .unwrap()
        .remove(0);
    assert_eq!((gone.name.as_str(), gone.state), ("a.txt", SourceState::Gone));
    assert!(
        library
            .store
            .text(&gone.text_sha256.unwrap())
            .await
            .unwrap()
            .contains("a.txt")
    );
    file(docs.path(), "a.txt", "Text of a.txt as it was.");
    importer(&library).refresh(&quiet).await.unwrap();
    sync(&library).await;
    let back = library.store.source(&gone.id).await.unwrap();
    assert_eq!(back.state, SourceState::Ready);
}

#[tokio::test]
async fn two_imports_of_one_folder_at_once_store_and_index_each_file_once() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for n in 0..150 {
        file(
            docs.path(),
            &format!("{n}.txt"),
            &format!("File number {n} speaks of topic{n}."),
        );
    }
    let (one, two) = (library(home.path()).await, library(home.path()).await);
    let both = async |library: &Library| {
        import(library, docs.path()).await;
        sync(library).await
    };
    let (first, second) = tokio::join!(both(&one), both(&two));
    assert_eq!(first.passages + second.passages, 150);
    assert_eq!(one.index.size().passages, 150);
    for library in [&one, &two] {
        assert_eq!(names(library, "topic77").await, ["77.txt"]);
    }
}

#[tokio::test]
async fn bytes_from_a_pipe_take_the_place_of_the_earlier_ones() {
    let home = tempfile::tempdir().unwrap();
    let library = library(home.path()).await;
    let collection = library.store.collection_named("notes").await.unwrap();
    let importer = Importer {
        collection: Some(collection.id.clone()),
        ..importer(&library)
    };
    let first = importer
        .bytes(b"One wolf.".to_vec(), "notes.txt", Some("stdin:notes.txt"))
        .await
        .unwrap();
    let second = importer
        .bytes(b"Two foxes.".to_vec(), "notes.txt", Some("stdin:notes.txt"))
        .await
        .unwrap();
    assert_eq!(first[0].id, second[0].id);
    sync(&library).await;
    assert!(names(&library, "wolf").await.is_empty());
    assert_eq!(names(&library, "fox").await, ["notes.txt"]);
    assert_eq!(library.store.collections_of(&second[0].id).await.unwrap(), [collection]);
}
