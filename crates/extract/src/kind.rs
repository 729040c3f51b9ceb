//! What the bytes are. Containers are told by their marks and members, texts by how they begin and what their lines look like; a
//! file's name only chooses between kinds of text, for it is the sender who gives it.

use crate::decode::{self, Decoded};
use crate::document::Kind;
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::package::Package;

/// What was found, with what has been read on the way.
pub(crate) enum Found<'a> {
    Pdf,
    Package(Kind, Package<'a>),
    Text(Kind, Decoded),
}

/// Files that are recognised in order to say what to do instead.
const NOT_READ: [(&[u8], &str, &str); 24] = [
    (b"\x1f\x8b", "a gzip file", "unpack it first"),
    (b"BZh", "a bzip2 file", "unpack it first"),
    (b"\xfd7zXZ\0", "an xz file", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and add the folder"),
    (b"Rar!", "a RAR archive", "unpack it and add the folder"),
    (
        b"\x89PNG",
        "a picture",
        "only text is read; a scanned page must go through text recognition first",
    ),
    (
        b"\xff\xd8\xff",
        "a picture",
        "only text is read; a scanned page must go through text recognition first",
    ),
    (b"GIF8", "a picture", "only text is read"),
    (
        b"II*\0",
        "a picture",
        "only text is read; a scanned page must go through text recognition first",
    ),
    (
        b"MM\0*",
        "a picture",
        "only text is read; a scanned page must go through text recognition first",
    ),
    (b"RIFF", "a picture, sound or film", "only text is read"),
    (b"ID3", "a sound file", "only text is read"),
    (b"OggS", "a sound file", "only text is read"),
    (b"fLaC", "a sound file", "only text is read"),
    (b"\x1aE\xdf\xa3", "a film", "only text is read"),
    (b"{\\rtf", "an RTF file", "save it as .docx or .txt"),
    (b"\x7fELF", "a program", "only text is read"),
    (b"MZ\x90", "a program", "only text is read"),
    (b"\xca\xfe\xba\xbe", "a program", "only text is read"),
    (b"\0asm", "a program", "only text is read"),
    (b"SQLite format 3", "a database", "export its tables as CSV"),
    (b"GGUF", "a model file", "only text is read"),
    (b"%!PS", "a PostScript file", "turn it into a PDF first"),
];

pub(crate) fn find<'a>(bytes: &'a [u8], name: Option<&str>, limits: &'a Limits) -> Result<Found<'a>, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::Empty);
    }
    // Other bytes may come before the header; a text that only speaks of it has no objects.
    let header = bytes[..bytes.len().min(1024)]
        .windows(5)
        .position(|window| window == b"%PDF-");
    if header == Some(0) || (header.is_some() && bytes.windows(6).any(|window| window == b"endobj")) {
        return Ok(Found::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return package(bytes, limits);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Err(compound(bytes));
    }
    if let Some((_, what, hint)) = NOT_READ.iter().find(|(mark, ..)| bytes.starts_with(mark)) {
        return Err(ExtractError::Unsupported {
            what: (*what).into(),
            hint: (*hint).into(),
        });
    }
    text(bytes, name)
}

fn package<'a>(bytes: &'a [u8], limits: &'a Limits) -> Result<Found<'a>, ExtractError> {
    let mut package = Package::open(bytes, "office document or book", limits)?;
    let main = |start: &'static str| move |name: &str| name.starts_with(start) && name.ends_with(".xml");
    if package.has("[Content_Types].xml")
        || package
            .names()
            .any(|name| name.eq_ignore_ascii_case("[content_types].xml"))
    {
        for (start, kind, what) in [
            ("word/", Kind::Docx, "Word document"),
            ("ppt/", Kind::Pptx, "presentation"),
            ("xl/", Kind::Xlsx, "spreadsheet"),
        ] {
            if package.names().any(main(start)) {
                return Ok(Found::Package(kind, package.named(what)));
            }
        }
    }
    let mimetype = package.read("mimetype").ok().flatten().unwrap_or_default();
    if mimetype.starts_with(b"application/epub+zip") || package.has("META-INF/container.xml") {
        return Ok(Found::Package(Kind::Epub, package.named("book")));
    }
    if mimetype.starts_with(b"application/vnd.oasis.opendocument")
        || (package.has("content.xml") && package.has("META-INF/manifest.xml"))
    {
        return Ok(Found::Package(Kind::Odt, package.named("OpenDocument file")));
    }
    Err(ExtractError::Unsupported {
        what: "a zip archive".into(),
        hint: "unpack it and add the folder".into(),
    })
}

/// The container of old office files, which also holds the encrypted new ones.
fn compound(bytes: &[u8]) -> ExtractError {
    let utf16 = |name: &str| name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let holds = |name: &str| {
        let name = utf16(name);
        bytes.windows(name.len()).any(|window| window == name)
    };
    if holds("EncryptedPackage") {
        return ExtractError::Encrypted {
            what: "office document".into(),
        };
    }
    let (what, hint) = if holds("WordDocument") {
        ("a Word file of before 2007", "save it as .docx")
    } else if holds("Workbook") || holds("Book") {
        ("an Excel file of before 2007", "save it as .xlsx")
    } else if holds("PowerPoint Document") {
        ("a PowerPoint file of before 2007", "save it as .pptx")
    } else {
        ("an old office file", "save it in a format of today")
    };
    ExtractError::Unsupported {
        what: what.into(),
        hint: hint.into(),
    }
}

fn text<'a>(bytes: &[u8], name: Option<&str>) -> Result<Found<'a>, ExtractError> {
    let declared = decode::declared_in_xml(bytes).or_else(|| decode::declared_in_html(bytes));
    let decoded = decode::decode(bytes, declared);
    let head = &decoded.text[..decoded.text.floor_char_boundary(64 << 10)];
    let odd = head
        .chars()
        .filter(|c| (c.is_control() && !"\n\r\t\u{c}\u{1b}\u{8}".contains(*c)) || *c == char::REPLACEMENT_CHARACTER)
        .count();
    if odd * 20 > head.chars().count() || head.contains("\0\0\0\0") {
        return Err(ExtractError::Unsupported {
            what: "this file (it is neither text nor a known kind of document)".into(),
            hint: "save it as PDF, .docx, HTML or text".into(),
        });
    }
    Ok(Found::Text(kind_of_text(&decoded.text, name), decoded))
}

/// The kind of a text: what its first element says, then what its name says, then what its lines look like.
pub(crate) fn kind_of_text(text: &str, name: Option<&str>) -> Kind {
    let extension = name
        .and_then(|name| name.rsplit_once('.'))
        .map(|(_, extension)| extension.to_ascii_lowercase())
        .unwrap_or_default();
    let extension = extension.as_str();
    let root = root_element(text);
    match root.as_deref() {
        Some("rss" | "rdf:rdf") if text.contains("<item") || root.as_deref() == Some("rss") => return Kind::Feed,
        Some("feed") => return Kind::Feed,
        Some("mediawiki") => return Kind::MediaWiki,
        Some("html" | "!doctype html") => return Kind::Html,
        _ => {}
    }
    match extension {
        "html" | "htm" | "xhtml" | "shtml" if root.is_some() || looks_like_html(text) => return Kind::Html,
        "md" | "markdown" | "mdown" | "mkd" | "mdx" => return Kind::Markdown,
        "csv" | "tsv" => return Kind::Csv,
        "jsonl" | "ndjson" if is_jsonish(text) => return Kind::Jsonl,
        "txt" | "text" | "log" => return Kind::Text,
        _ if CODE.contains(&extension) => return Kind::Code,
        _ => {}
    }
    let html = [
        "head", "body", "title", "div", "p", "h1", "table", "ul", "meta", "span", "article", "section", "a", "b",
        "center", "font", "img", "main", "nav",
    ];
    if root.as_deref().is_some_and(|root| html.contains(&root)) && looks_like_html(text) {
        Kind::Html
    } else if text.starts_with("#!") || root.is_some() {
        Kind::Code
    } else if crate::table::is_json_lines(text, 2) {
        Kind::Jsonl
    } else if crate::table::mark(text)
        .is_some_and(|(mark, cells)| (cells > 2 || mark == b'\t' || mark == b';') && text.lines().nth(2).is_some())
    {
        Kind::Csv
    } else if looks_like_markdown(text) {
        Kind::Markdown
    } else {
        Kind::Text
    }
}

/// Endings of source code and of data that is read as it stands.
const CODE: [&str; 77] = [
    "rs", "py", "c", "h", "cc", "cpp", "hpp", "cxx", "java", "kt", "kts", "js", "mjs", "cjs", "ts", "tsx", "jsx", "go",
    "rb", "php", "swift", "scala", "cs", "fs", "vb", "lua", "pl", "pm", "r", "jl", "m", "mm", "sh", "bash", "zsh",
    "fish", "ps1", "bat", "cmd", "sql", "hs", "ml", "mli", "ex", "exs", "erl", "clj", "lisp", "el", "scm", "dart",
    "zig", "nim", "v", "sv", "vhd", "asm", "s", "css", "scss", "less", "vue", "svelte", "xml", "svg", "json", "yaml",
    "yml", "toml", "ini", "cfg", "conf", "proto", "graphql", "tex", "cmake", "gradle",
];

fn is_jsonish(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// The name of the first element, past declarations and comments; `!doctype html` for a page that says so.
fn root_element(text: &str) -> Option<String> {
    let mut rest = text.trim_start().trim_start_matches('\u{FEFF}');
    for _ in 0..32 {
        rest = rest.trim_start();
        let tag = rest.strip_prefix('<')?;
        if tag
            .get(..9)
            .is_some_and(|start| start.eq_ignore_ascii_case("!doctype "))
        {
            if tag[9..]
                .trim_start()
                .get(..4)
                .is_some_and(|name| name.eq_ignore_ascii_case("html"))
            {
                return Some("!doctype html".into());
            }
            // A doctype with definitions of its own ends at `]>`.
            let end = tag.find('>')?;
            let end = if tag[..end].contains('[') {
                tag.find("]>")? + 1
            } else {
                end
            };
            rest = &tag[end + 1..];
        } else if let Some(comment) = tag.strip_prefix("!--") {
            rest = &comment[comment.find("-->")? + 3..];
        } else if let Some(instruction) = tag.strip_prefix('?') {
            rest = &instruction[instruction.find("?>")? + 2..];
        } else {
            let end = tag.find(|c: char| !(c.is_alphanumeric() || ":-_".contains(c)))?;
            return Some(tag[..end].to_ascii_lowercase()).filter(|name| !name.is_empty());
        }
    }
    None
}

fn looks_like_html(text: &str) -> bool {
    let head = text[..text.floor_char_boundary(16 << 10)].to_ascii_lowercase();
    [
        "</p>", "</div>", "</h1>", "</a>", "</html>", "</body>", "</table>", "</ul>", "</title>", "</b>", "</span>",
        "<br", "<p>", "<li>",
    ]
    .iter()
    .any(|tag| head.contains(tag))
}

fn looks_like_markdown(text: &str) -> bool {
    let (mut headings, mut marks) = (0, 0);
    for line in text.lines().take(400) {
        let level = line.bytes().take_while(|b| *b == b'#').count();
        headings += usize::from((1..=6).contains(&level) && line[level..].starts_with(' ') && line.len() > level + 1);
        marks += usize::from(
            line.starts_with("```")
                || line.contains("](")
                || line.starts_with("- ")
                || line.starts_with("* ")
                || line.contains("**"),
        );
    }
    headings > 0 && (marks > 0 || headings > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_by_content_first_and_by_name_last() {
        let page = "<!DOCTYPE html><p>x</p>";
        for (text, name, kind) in [
            (page, "a.txt", Kind::Html),
            (page, "a.md", Kind::Html),
            ("no tags at all", "a.html", Kind::Text),
            ("<p>x</p>", "", Kind::Html),
            ("# a\n\n- b\n", "", Kind::Markdown),
            ("# a\n\n- b\n", "x.txt", Kind::Text),
            ("# a\nb = 1\n", "x.py", Kind::Code),
            ("a,b,c\n1,2,3\n4,5,6\n", "", Kind::Csv),
            ("Dear all,\nyes,\nno,\n", "", Kind::Text),
            ("{\"a\":1}\n{\"a\":2}\n", "", Kind::Jsonl),
            ("{\"a\":1}", "a.jsonl", Kind::Jsonl),
            ("{\"a\":1}", "a.json", Kind::Code),
            ("<?xml version='1.0'?><!-- c --><rss><channel>", "a.txt", Kind::Feed),
            ("<feed xmlns='http://www.w3.org/2005/Atom'>", "", Kind::Feed),
            ("<mediawiki xmlns='x'>", "dump.txt", Kind::MediaWiki),
            ("#!/bin/sh\necho\n", "", Kind::Code),
            ("<svg><text>x</text></svg>", "", Kind::Code),
            ("plain words", "", Kind::Text),
        ] {
            assert_eq!(kind_of_text(text, Some(name)), kind, "{text} {name}");
        }
    }

    #[test]
    fn what_is_no_document_is_refused_with_what_to_do() {
        let limits = Limits::default();
        for (bytes, words) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], "picture"),
            (b"\x1f\x8b\x08", "unpack"),
            (b"\x7fELF\x02", "program"),
            (&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1, 0, 0], "old office"),
            (&[0, 1, 2, 3, 0, 0, 0, 0, 5, 6, 7, 8, 9], "neither text"),
        ] {
            let error = find(bytes, Some("letter.txt"), &limits).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(matches!(find(b"", None, &limits), Err(ExtractError::Empty)));
    }
}
