use std::sync::Arc;

use candor_store::SourceFilter;
use candor_truth::{Embedder, Index, Library, Query, Stages};

use crate::toy::Toy;
use crate::{file, importer, library, quiet, sync};

async fn with_meaning(folder: &std::path::Path) -> Library {
    let generator = Arc::new(Toy { name: "toy" });
    Library {
        embedder: Some(Embedder::new(generator).unwrap()).into(),
        ..library(folder).await
    }
}

fn query(text: &str) -> Query {
    Query {
        text: text.into(),
        limit: 3,
        ..Query::default()
    }
}

async fn filled(docs: &std::path::Path, library: &Library) {
    file(docs, "cats.md", "# Pets\n\n## Cats\n\nThe feline sleeps. It is grey.");
    file(docs, "cars.txt", "An automobile needs fuel.");
    file(docs, "moon.txt", "The lunar surface is dusty.");
    file(docs, "zh.txt", "北京大学位于中国的首都。月球没有大气层。");
    importer(library).import(&[docs.to_owned()], &quiet).await.unwrap();
    sync(library).await;
}

#[tokio::test]
async fn words_and_meaning_find_what_the_other_does_not() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = with_meaning(home.path()).await;
    filled(docs.path(), &library).await;
    let found = library.search(&query("Where is my kitten?")).await.unwrap();
    assert_eq!(found[0].source.name, "cats.md");
    assert_eq!(
        (found[0].scores.words, found[0].headings.as_slice()),
        (None, &["Pets".to_owned(), "Cats".to_owned()][..])
    );
    let words = Query {
        stages: Stages::Words,
        ..query("kitten")
    };
    assert!(library.search(&words).await.unwrap().is_empty());
    let chinese = library.search(&query("中国的首都有什么大学？")).await.unwrap();
    assert_eq!(chinese[0].source.name, "zh.txt");
    let text = library.store.text(found[0].quote.text_sha256()).await.unwrap();
    assert_eq!(&text[found[0].quote.range()], found[0].quote.text());
    let written = serde_json::to_value(&found[0]).unwrap();
    assert_eq!(written["quote"].as_str(), Some(found[0].quote.text()));
    assert!(library.search(&query("  ")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_search_keeps_to_its_filter() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = with_meaning(home.path()).await;
    filled(docs.path(), &library).await;
    let sources = library.store.sources(&SourceFilter::default(), None, 9).await.unwrap();
    let cars = sources.iter().find(|one| one.name == "cars.txt").unwrap();
    let only = |filter: SourceFilter| Query {
        filter,
        limit: 10,
        ..query("feline automobile lunar 大学")
    };
    let found = library
        .search(&only(SourceFilter {
            sources: vec![cars.id.clone()],
            ..SourceFilter::default()
        }))
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|one| one.source.name.as_str()).collect::<Vec<_>>(),
        ["cars.txt"]
    );
    let found = library
        .search(&only(SourceFilter {
            language: Some("zh".into()),
            ..SourceFilter::default()
        }))
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|one| one.source.name.as_str()).collect::<Vec<_>>(),
        ["zh.txt"]
    );
    let none = only(SourceFilter {
        collections: vec!["vs_none".into()],
        ..SourceFilter::default()
    });
    assert!(library.search(&none).await.unwrap().is_empty());
}

#[tokio::test]
async fn passages_of_deleted_texts_do_not_stand_in_the_way() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = library(home.path()).await;
    for n in 0..400 {
        file(
            docs.path(),
            &format!("{n:03}.txt"),
            &format!("Rain rain rain, day {n}."),
        );
    }
    file(
        docs.path(),
        "last.txt",
        "At last it was over, after so many weeks of it, the long and heavy rain of that year.",
    );
    importer(&library)
        .import(&[docs.path().to_owned()], &quiet)
        .await
        .unwrap();
    sync(&library).await;
    for source in library
        .store
        .sources(&SourceFilter::default(), None, 1000)
        .await
        .unwrap()
    {
        if source.name != "last.txt" {
            library.store.delete_source(&source.id).await.unwrap();
        }
    }
    let found = library.search(&query("rain")).await.unwrap();
    assert_eq!(
        found.iter().map(|one| one.source.name.as_str()).collect::<Vec<_>>(),
        ["last.txt"]
    );
}

#[tokio::test]
async fn a_deleted_or_damaged_index_is_made_anew() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = with_meaning(home.path()).await;
    filled(docs.path(), &library).await;
    let before = library.search(&query("feline")).await.unwrap();
    let folder = home.path().join("index");
    for damage in ["delete", "meta", "passages"] {
        match damage {
            "delete" => std::fs::remove_dir_all(&folder).unwrap(),
            "meta" => std::fs::write(folder.join("terms/meta.json"), "{").unwrap(),
            _ => {
                for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
                    if entry.file_name().to_string_lossy().starts_with("passages") {
                        std::fs::write(entry.path(), "x").unwrap();
                    }
                }
            }
        }
        let anew = Library {
            index: Arc::new(Index::open(&folder, 1).unwrap()),
            ..library.clone()
        };
        assert_eq!(sync(&anew).await.vectors, 4, "{damage}");
        assert_eq!(anew.search(&query("feline")).await.unwrap(), before, "{damage}");
    }
}

#[tokio::test]
async fn vectors_can_come_later_and_another_model_makes_them_anew() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plain = library(home.path()).await;
    filled(docs.path(), &plain).await;
    assert_eq!((plain.index.size().passages, plain.index.size().vectors), (4, 0));
    let library = with_meaning(home.path()).await;
    assert!(
        library.search(&query("kitten")).await.unwrap().is_empty(),
        "no vectors yet"
    );
    assert_eq!(sync(&library).await.vectors, 4);
    assert_eq!(
        library.search(&query("kitten")).await.unwrap()[0].source.name,
        "cats.md"
    );
    let other = Library {
        embedder: Some(Embedder::new(Arc::new(Toy { name: "other" })).unwrap()).into(),
        ..library.clone()
    };
    assert!(
        other.search(&query("kitten")).await.unwrap().is_empty(),
        "vectors of two models are not compared"
    );
    assert_eq!((sync(&other).await.vectors, sync(&other).await.vectors), (4, 0));
    assert_eq!(other.search(&query("kitten")).await.unwrap()[0].source.name, "cats.md");
}

#[tokio::test]
async fn many_dead_passages_are_cleared_away_and_the_living_keep_their_vectors() {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = with_meaning(home.path()).await;
    filled(docs.path(), &library).await;
    let long: String = (0..1200)
        .map(|n| format!("## Part {n}\n\nA loaf of number {n}.\n\n"))
        .collect();
    file(docs.path(), "long.md", &long);
    importer(&library)
        .import(&[docs.path().to_owned()], &quiet)
        .await
        .unwrap();
    assert_eq!(sync(&library).await.vectors, 1200);
    let before = library.search(&query("lunar kitten")).await.unwrap();
    let sources = library.store.sources(&SourceFilter::default(), None, 9).await.unwrap();
    let long = sources.iter().find(|one| one.name == "long.md").unwrap();
    library.store.delete_source(&long.id).await.unwrap();
    let synced = sync(&library).await;
    assert_eq!(
        (synced.cleared, synced.vectors, library.index.size().vectors),
        (1200, 0, 4)
    );
    let after = library.search(&query("lunar kitten")).await.unwrap();
    let places = |found: &[candor_truth::Found]| found.iter().map(|one| one.quote.clone()).collect::<Vec<_>>();
    assert_eq!(places(&after)[..2], places(&before)[..2]);
    file(docs.path(), "new.txt", "A new vehicle.");
    importer(&library)
        .import(&[docs.path().to_owned()], &quiet)
        .await
        .unwrap();
    sync(&library).await;
    let found = library.search(&query("the new vehicle")).await.unwrap();
    assert_eq!(found[0].source.name, "new.txt");
}
