//! Claims against real text with the weights that come with the program.

use candor_store::SourceFilter;
use candor_truth::{Checker, Encoders, Verdict};

use crate::{file, importer, library, quiet, sync};

const TEXT: &str = "The lighthouse on the north cape was built by Anna Keller in 1874. It was lit by whale oil until 1956.\n\n\
The old mill near Lindau has seven rooms and a cellar. Its wheel is made of oak.";

async fn checker(folder: &std::path::Path) -> Checker {
    file(&folder.join("docs"), "facts.txt", TEXT);
    let library = library(folder).await;
    importer(&library).import(&[folder.join("docs")], &quiet).await.unwrap();
    sync(&library).await;
    Checker::new(library, Encoders::new(2))
}

#[tokio::test]
async fn what_the_source_says_is_supported_and_what_it_does_not_say_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let checker = checker(folder.path()).await;
    let all = SourceFilter::default();
    for claim in [
        "The lighthouse on the north cape was built by Anna Keller in 1874.",
        "The old mill near Lindau has seven rooms.",
    ] {
        let checked = checker.check(claim, 0, &all).await.unwrap();
        assert_eq!(checked.verdict, Verdict::Supported, "{checked:?}");
        checked
            .evidence
            .unwrap()
            .quote
            .recheck(&checker.library.store)
            .await
            .unwrap();
    }
    for (claim, wrong) in [
        (
            "The lighthouse on the north cape was built by Anna Keller in 1894.",
            "1894",
        ),
        (
            "The lighthouse on the north cape was built by Otto Brandt in 1874.",
            "Otto",
        ),
        ("The old mill near Lindau has nineteen rooms.", "nineteen"),
    ] {
        let checked = checker.check(claim, 0, &all).await.unwrap();
        assert_ne!(checked.verdict, Verdict::Supported, "{checked:?}");
        assert!(
            checked
                .unsupported
                .iter()
                .any(|range| claim[range.clone()].contains(wrong)),
            "{checked:?}"
        );
        assert!(
            checked.reasons.iter().any(|reason| reason.contains(wrong)),
            "{checked:?}"
        );
    }
    let denied = "The lighthouse on the north cape was not built by Anna Keller.";
    let checked = checker.check(denied, 0, &all).await.unwrap();
    assert_eq!(checked.verdict, Verdict::Contradicted, "{checked:?}");
    let elsewhere = checker.check("Mercury boils at 357 degrees.", 0, &all).await.unwrap();
    assert_eq!(elsewhere.verdict, Verdict::NotEnough, "{elsewhere:?}");
}

#[tokio::test]
async fn a_claim_beside_no_source_at_all_has_not_enough_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let checker = Checker::new(library(folder.path()).await, Encoders::new(1));
    let checked = checker
        .check("The mill has seven rooms.", 3, &SourceFilter::default())
        .await
        .unwrap();
    assert_eq!(
        (checked.verdict, checked.start, checked.end),
        (Verdict::NotEnough, 3, 28)
    );
    assert!(checked.evidence.is_none() && !checked.reasons.is_empty());
}
