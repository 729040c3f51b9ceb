//! The shared documents: what their manifest says must be found, refused, or reported as empty, in this process and in a child.

use std::path::PathBuf;

use candor_extract::{ExtractError, Extracted, Extractor, Hints, Kind, Limits, Source, extract_here_with};
use unicode_normalization::UnicodeNormalization as _;

/// The folder of shared documents; `None` (with a note) where there is none and nobody insists.
pub(crate) fn folder() -> Option<PathBuf> {
    let base = std::env::var_os("CANDOR_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = base.join("data/documents");
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var("CANDOR_REQUIRE_SHARED").as_deref() != Ok("1"),
        "{} is missing and CANDOR_REQUIRE_SHARED=1 insists on it",
        path.display()
    );
    println!("not run: {} is not at hand", path.display());
    None
}

pub(crate) fn bytes(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(folder()?.join(name)).unwrap())
}

/// As the manifest says to compare: after NFKC, without white space, zero-width spaces and hyphens.
fn plain(text: &str) -> String {
    let skip = |c: &char| !c.is_whitespace() && !matches!(*c, '\u{200B}' | '\u{AD}' | '-' | '\u{2010}' | '\u{2011}');
    text.nfkc().filter(skip).collect()
}

fn read(name: &str, bytes: &[u8], password: Option<&str>) -> Result<Extracted, ExtractError> {
    extract_here_with(
        bytes,
        &Hints {
            name: Some(name.into()),
            password: password.map(str::to_owned),
        },
        &Limits::default(),
    )
}

/// Holds a reader to the manifest.
fn keeps_to_the_manifest(read: impl Fn(&str, &[u8], Option<&str>) -> Result<Extracted, ExtractError>) {
    let Some(folder) = folder() else { return };
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let mut failures = Vec::new();
    for entry in manifest["documents"].as_array().unwrap() {
        let text = |key: &str| entry[key].as_str();
        let file = text("file").unwrap();
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let wanted: Vec<&str> = entry["must_contain"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|words| words.as_str())
            .collect();
        let holds = |result: &Result<Extracted, ExtractError>| {
            result
                .as_ref()
                .is_ok_and(|doc| wanted.iter().all(|words| plain(&doc.text).contains(&plain(words))))
        };
        let result = read(file, &bytes, None);
        crate::sound::check_result(&result);
        let good = match text("expect").unwrap() {
            "text" => holds(&result),
            "no_text" => matches!(result, Err(ExtractError::NoText { .. })),
            "password_needed" => {
                let opened = text("password")
                    .filter(|_| !wanted.is_empty())
                    .is_none_or(|password| holds(&read(file, &bytes, Some(password))));
                let wrong = read(file, &bytes, Some("not the password"));
                matches!(result, Err(ExtractError::Encrypted { .. }))
                    && opened
                    && matches!(
                        wrong,
                        Err(ExtractError::WrongPassword { .. } | ExtractError::Encrypted { .. })
                    )
            }
            "error" => matches!(result, Err(ExtractError::Broken { .. })),
            "error_or_partial" => result.as_ref().is_err() || result.as_ref().is_ok_and(|doc| !doc.notes.is_empty()),
            "garbled" => {
                matches!(&result, Err(ExtractError::NoText { .. }))
                    || result
                        .as_ref()
                        .is_ok_and(|doc| doc.notes.iter().any(|note| note.contains("doubtful")))
            }
            other => panic!("the manifest expects `{other}`, which this test does not know"),
        };
        let said = match &result {
            Ok(doc) => format!("{:?}, {} bytes, {:?}", doc.kind, doc.text.len(), doc.notes),
            Err(error) => error.to_string(),
        };
        println!("{} {file}: {said}", if good { "good" } else { "BAD " });
        if !good {
            failures.push(file.to_owned());
        }
    }
    assert!(failures.is_empty(), "not as the manifest says: {failures:?}");
}

#[test]
fn every_shared_document_is_read_as_its_manifest_says() {
    keeps_to_the_manifest(read);
}

#[test]
fn every_shared_document_is_read_by_a_child_as_its_manifest_says() {
    let extractor = Extractor::new(env!("CARGO_BIN_EXE_candor-extract-child"), Limits::default());
    keeps_to_the_manifest(|name, bytes, password| {
        let hints = Hints {
            name: Some(name.into()),
            password: password.map(str::to_owned),
        };
        extractor.extract_with(Source::Bytes(bytes.to_vec()), &hints)
    });
}

#[test]
fn kinds_are_told_without_any_name() {
    for (name, kind) in [
        ("slides.pptx", Kind::Pptx),
        ("sheet.xlsx", Kind::Xlsx),
        ("lists.docx", Kind::Docx),
        ("text.odt", Kind::Odt),
        ("small.epub", Kind::Epub),
        ("utf8.html", Kind::Html),
        ("utf16le.html", Kind::Html),
        ("chinese_markdown.md", Kind::Markdown),
        ("chinese_gb18030.txt", Kind::Text),
        ("google_doc.pdf", Kind::Pdf),
        ("wikipedia_article.html", Kind::Html),
    ] {
        let Some(bytes) = bytes(name) else { return };
        for wrong in [None, Some("a.txt".to_owned()), Some("a.pdf".to_owned())] {
            // Markdown looks like text, and `.txt` says that it is.
            if kind != Kind::Markdown || wrong.as_deref() != Some("a.txt") {
                let doc = extract_here_with(
                    &bytes,
                    &Hints {
                        name: wrong,
                        password: None,
                    },
                    &Limits::default(),
                )
                .unwrap();
                assert_eq!(doc.kind, kind, "{name}");
            }
        }
    }
}

#[test]
fn sentences_of_two_columns_do_not_mix() {
    let Some(bytes) = bytes("two_columns.pdf") else { return };
    let doc = read("two_columns.pdf", &bytes, None).unwrap();
    let at = |words: &str| assert!(doc.text.contains(words), "{words}\n{}", doc.text);
    // A sentence of the left column is whole, and so is the one that goes on from its foot to the head of the right column.
    at(
        "Ut purus elit, vestibulum ut, placerat ac, adipiscing vitae, felis. Curabitur dictum gravida mauris. Nam arcu libero",
    );
    at("Abstract\n\nThis is a sample document with two columns filled with Lorem Ipsum text.");
    at("Vivamus viverra fermentum felis. Donec nonummy pellentesque ante. Phasellus adipiscing semper elit.");
    at("Belgium | 11.5 | 30,689 | Brussels | Dutch, French, German");
}

#[test]
fn pages_titles_headings_and_dates_of_pdfs_are_found() {
    let Some(bytes) = bytes("four_pages.pdf") else { return };
    let doc = read("four_pages.pdf", &bytes, None).unwrap();
    assert_eq!(doc.pages.len(), 4);
    assert_eq!(doc.page_at(doc.text.len() - 1), Some(4));
    assert_eq!(doc.date.as_deref(), Some("2022-04-03"));
    assert!(
        doc.text.contains("information"),
        "words parted at line ends are whole again"
    );
}

#[test]
fn headings_of_a_pdf_are_told_by_their_size() {
    let Some(bytes) = bytes("chinese_style_guide.pdf") else {
        return;
    };
    let doc = read("chinese_style_guide.pdf", &bytes, None).unwrap();
    let headings: Vec<(u8, &str)> = doc
        .headings
        .iter()
        .map(|heading| (heading.level, &doc.text[heading.start..heading.end]))
        .collect();
    assert_eq!(
        headings[..3],
        [(1, "1. 关于本指南"), (2, "1.1 目的"), (2, "1.2 适用范围")]
    );
}

#[test]
fn menus_of_a_saved_encyclopedia_page_are_left_out() {
    let Some(bytes) = bytes("wikipedia_article.html") else {
        return;
    };
    let doc = read("x.html", &bytes, None).unwrap();
    for menu in ["Main page", "Random article", "Create account", "Jump to navigation"] {
        assert!(
            !doc.text.lines().any(|line| line.trim_start_matches(['-', ' ']) == menu),
            "{menu}"
        );
    }
    assert!(doc.title.as_deref().unwrap().starts_with("Microsoft"));
    assert!(
        doc.headings
            .iter()
            .any(|heading| &doc.text[heading.start..heading.end] == "History")
    );
}

#[test]
fn notes_of_a_word_document_follow_its_text() {
    let Some(bytes) = bytes("footnotes.docx") else { return };
    assert_eq!(
        read("x", &bytes, None).unwrap().text,
        "Eto ochen prostoy text so snoskoy\n\nsnoska"
    );
}

#[test]
fn cut_off_at_any_place_nothing_falls_over() {
    let Some(folder) = folder() else { return };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        // Large documents are cut at fewer places: each cut is read from its beginning.
        let cuts = if bytes.len() > 100_000 { 12 } else { 60 };
        for n in 0..cuts {
            let cut = &bytes[..bytes.len() * n / cuts];
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            crate::sound::check_result(&read(&name, cut, None));
        }
    }
}
