//! Office documents and books: the package itself as any bytes, and packages whose parts are any text.
#![no_main]

use std::io::{Cursor, Write};

use candor_extract::{ExtractError, Extracted, Limits, extract_here};
use libfuzzer_sys::fuzz_target;

const RELATIONS: &[u8] = b"<Relationships><Relationship Id='r' Type='x/slide' Target='part.xml'/></Relationships>";

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { text_bytes: 1 << 16, member_bytes: 1 << 20, unpacked_bytes: 4 << 20, ..Limits::default() };
    check(extract_here(&[b"PK\x03\x04", bytes].concat(), None, &limits));
    let (kind, part) = bytes.split_first().unwrap_or((&0, &[]));
    let types = ("[Content_Types].xml", &b"<Types/>"[..]);
    let members: Vec<(&str, &[u8])> = match kind % 5 {
        0 => vec![types, ("word/document.xml", part), ("word/styles.xml", part), ("word/numbering.xml", part)],
        1 => vec![types, ("ppt/presentation.xml", b"<p><sldId r:id='r'/></p>"), ("ppt/_rels/presentation.xml.rels", RELATIONS), ("ppt/part.xml", part)],
        2 => vec![types, ("xl/workbook.xml", b"<w><sheet name='n' r:id='r'/></w>"), ("xl/_rels/workbook.xml.rels", RELATIONS), ("xl/part.xml", part), ("xl/sharedStrings.xml", part), ("xl/styles.xml", part)],
        3 => vec![("content.xml", part), ("META-INF/manifest.xml", b"<m/>"), ("meta.xml", part)],
        _ => vec![("META-INF/container.xml", b"<c><rootfile full-path='b.opf'/></c>"), ("b.opf", part), ("a.html", part)],
    };
    check(extract_here(&package(&members), None, &limits));
});

fn package(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in members {
        zip.start_file(*name, options).expect("a member can be started in memory");
        zip.write_all(bytes).expect("memory takes bytes");
    }
    zip.finish().expect("a package can be finished in memory").into_inner()
}

fn check(result: Result<Extracted, ExtractError>) {
    match result {
        Ok(doc) => {
            assert!(!doc.text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            assert!(doc.headings.iter().all(|heading| doc.text.get(heading.start..heading.end).is_some()));
            assert!(doc.pages.is_sorted() && doc.pages.iter().all(|start| doc.text.is_char_boundary(*start)));
        }
        Err(error) => assert!(!matches!(error, ExtractError::ReaderFailed { .. }), "{error}"),
    }
}
