//! Any bytes: no reader falls over, and what comes out keeps its promises.

use candor_extract::{Hints, Limits, documents_here, extract_here};
use proptest::prelude::*;

use crate::made::{docx, package, pdf};

const NAMES: [&str; 10] = [
    "a.html", "a.md", "a.csv", "a.jsonl", "a.rs", "a.txt", "a.pdf", "a.docx", "a.xml", "a",
];

/// Limits that let many cases run.
fn limits() -> Limits {
    Limits {
        text_bytes: 1 << 16,
        member_bytes: 1 << 20,
        unpacked_bytes: 4 << 20,
        ..Limits::default()
    }
}

fn read(bytes: &[u8], name: &str) {
    crate::sound::check_result(&extract_here(bytes, Some(name), &limits()));
    let mut input = std::io::BufReader::with_capacity(7, bytes);
    let each = documents_here(
        &mut input,
        &Hints {
            name: Some(name.into()),
            password: None,
        },
        &limits(),
        &mut |doc| {
            crate::sound::check(&doc);
            true
        },
    );
    assert!(
        !matches!(each, Err(candor_extract::ExtractError::ReaderFailed { .. })),
        "{each:?}"
    );
}

/// Pieces of markup that mean something to one reader or another.
fn piece() -> impl Strategy<Value = String> {
    let marks = [
        "<",
        ">",
        "</",
        "/>",
        "<p>",
        "</p>",
        "<div hidden>",
        "<table>",
        "<tr>",
        "<td>",
        "<li>",
        "<ul>",
        "<pre>",
        "<br>",
        "<!--",
        "-->",
        "<style>",
        "</style>",
        ".a{display:none}",
        "<script>",
        "<rss>",
        "<item>",
        "<title>",
        "</title>",
        "</item>",
        "<mediawiki>",
        "<page>",
        "<text>",
        "</text>",
        "</page>",
        "{{",
        "}}",
        "[[",
        "]]",
        "|",
        "{|",
        "|}",
        "|-",
        "==",
        "'''",
        "# ",
        "- ",
        "```",
        "\n",
        "\n\n",
        "\r",
        "\t",
        "\u{0}",
        "\u{c}",
        "\u{200B}",
        "\u{E0041}",
        "\u{FE0F}",
        ",",
        ";",
        "\"",
        "{\"a\":",
        "[1,2]",
        "}",
        "&amp;",
        "&#x41;",
        "&x;",
        "<w:p>",
        "<w:t>",
        "</w:t>",
        "</w:p>",
        "<w:tbl>",
        "<w:tr>",
        "<w:tc>",
        "</w:tc>",
        "</w:tr>",
        "</w:tbl>",
        "<a href=x>",
        "<h1>",
        "</h1>",
        "<title/>",
        "有朋",
        "é",
        " ",
        "word",
        "2024-01-31",
        "---\n",
        "title: x\n",
    ];
    prop_oneof![4 => prop::sample::select(marks.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,8}"]
}

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_give_a_document_or_a_sentence(bytes in prop::collection::vec(any::<u8>(), 0..2000), name in prop::sample::select(NAMES.to_vec())) {
        read(&bytes, name);
    }

    #[test]
    fn any_markup_gives_a_document_or_a_sentence(text in soup(), name in prop::sample::select(NAMES.to_vec())) {
        read(text.as_bytes(), name);
        read(format!("<!doctype html>{text}").as_bytes(), name);
        read(format!("<rss><channel><item><title>{text}").as_bytes(), name);
        read(format!("<mediawiki><page><title>t</title><text>{text}</text></page>").as_bytes(), name);
        read(format!("<mediawiki><page><title>t</title><text>{}</text></page>", text.replace('<', "&lt;")).as_bytes(), name);
    }

    #[test]
    fn any_parts_of_a_package_give_a_document_or_a_sentence(text in soup(), other in soup()) {
        read(&docx(&text), "a.docx");
        let types = ("[Content_Types].xml", &b"<Types/>"[..]);
        read(&package(&[types, ("word/document.xml", text.as_bytes()), ("word/styles.xml", other.as_bytes()), ("word/numbering.xml", other.as_bytes())]), "a");
        let slide = format!("<p:sld><a:p><a:t>{text}");
        let rels = b"<Relationships><Relationship Id='r1' Type='x/slide' Target='s.xml'/><Relationship Id='r2' Type='x/worksheet' Target='s.xml'/></Relationships>";
        read(&package(&[types, ("ppt/presentation.xml", b"<p><sldId r:id='r1'/></p>"), ("ppt/_rels/presentation.xml.rels", rels), ("ppt/s.xml", slide.as_bytes())]), "a");
        let sheet = format!("<row><c t='inlineStr'><t>{text}</t></c><c><v>{other}</v></c></row>");
        read(&package(&[types, ("xl/workbook.xml", b"<w><sheet name='n' r:id='r2'/></w>"), ("xl/_rels/workbook.xml.rels", rels), ("xl/s.xml", sheet.as_bytes()), ("xl/sharedStrings.xml", other.as_bytes())]), "a");
        read(&package(&[("content.xml", text.as_bytes()), ("META-INF/manifest.xml", b"<m/>"), ("meta.xml", other.as_bytes())]), "a");
        let opf = format!("<package>{other}<manifest><item id='a' href='a.html'/></manifest><spine><itemref idref='a'/></spine></package>");
        let container = b"<c><rootfile full-path='c.opf'/></c>";
        read(&package(&[("META-INF/container.xml", container), ("c.opf", opf.as_bytes()), ("a.html", text.as_bytes())]), "a");
    }

    #[test]
    fn any_content_of_a_pdf_page_gives_a_document_or_a_sentence(content in "[ 0-9.()<>\\[\\]/FTjJdDmqQBEgcrsk*'\"-]{0,400}") {
        read(&pdf(&format!("BT /F 12 Tf 72 700 Td {content}"), ""), "a.pdf");
    }

    #[test]
    fn a_pdf_with_changed_bytes_gives_a_document_or_a_sentence(changes in prop::collection::vec((0_usize..800, any::<u8>()), 1..12)) {
        let mut bytes = pdf("BT /F 12 Tf 72 700 Td (some words) Tj T* [(more) -300 (words)] TJ ET", "");
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        read(&bytes, "a.pdf");
    }
}
