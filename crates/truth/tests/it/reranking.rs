use candor_truth::rerank::rerank;
use candor_truth::{Encoders, Query};

use crate::{file, importer, library, quiet, sync};

async fn order(question: &str, texts: &[(&str, &str)]) -> [Vec<String>; 2] {
    let (home, docs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = library(home.path()).await;
    texts.iter().for_each(|(name, text)| file(docs.path(), name, text));
    importer(&library)
        .import(&[docs.path().to_owned()], &quiet)
        .await
        .unwrap();
    sync(&library).await;
    let query = Query {
        text: question.into(),
        limit: 20,
        ..Query::default()
    };
    let found = library.search(&query).await.unwrap();
    let ranked = rerank(&Encoders::new(2), question, found.clone()).await.unwrap();
    [found, ranked].map(|all| all.into_iter().map(|one| one.source.name).collect())
}

#[tokio::test]
async fn a_passage_that_answers_comes_before_one_that_only_has_the_words() {
    let texts = [
        (
            "stone.txt",
            "The lighthouse on the north cape was built of grey stone, and is painted white by its keeper every spring.",
        ),
        (
            "keller.txt",
            "The lighthouse on the north cape was built by Anna Keller in 1874, as the parish books of the town say.",
        ),
        ("else.txt", "The mill has seven rooms."),
    ];
    let [found, ranked] = order("Who built the lighthouse on the north cape?", &texts).await;
    assert_eq!(found, ["stone.txt", "keller.txt"]);
    assert_eq!(ranked, ["keller.txt", "stone.txt"]);
}

#[tokio::test]
async fn nothing_is_lost_and_what_is_not_read_keeps_its_place() {
    let texts: Vec<(String, String)> = (0..14)
        .map(|n| {
            (
                format!("{n}.txt"),
                format!("The harbour has {n} cranes. {}", "It is old. ".repeat(n)),
            )
        })
        .collect();
    let texts: Vec<(&str, &str)> = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let [found, ranked] = order("How many cranes does the harbour have?", &texts).await;
    assert_eq!((found.len(), &found[10..]), (14, &ranked[10..]));
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(found), sorted(ranked));
    let [found, ranked] = order(
        "谁建造了灯塔？",
        &[("a.txt", "灯塔很旧。"), ("b.txt", "灯塔由安娜建造。")],
    )
    .await;
    assert_eq!(found, ranked);
}
