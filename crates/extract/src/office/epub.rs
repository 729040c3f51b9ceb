//! Books: the chapters in reading order, each an HTML page.

use std::collections::HashMap;

use super::metadata;
use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::package::{Package, resolve};
use crate::text::Writer;
use crate::xml::{Token, Xml};

const WHAT: &str = "book";

pub(crate) fn read(mut package: Package<'_>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut out = Writer::new(limits);
    let container = crate::decode::xml(&package.must_read("META-INF/container.xml")?);
    let main = root_file(&container, limits)?;
    let opf = crate::decode::xml(&package.must_read(&main)?);
    metadata(&opf, &mut out, limits)?;
    let chapters = chapters(&main, &opf, limits)?;
    // Fonts may be scrambled in free books; scrambled chapters are a lock.
    let locks = package.xml("META-INF/encryption.xml")?.unwrap_or_default();
    if chapters.iter().any(|chapter| locks.contains(chapter.as_str())) {
        return Err(ExtractError::Encrypted { what: WHAT.into() });
    }
    let mut missing = 0_usize;
    for chapter in &chapters {
        if out.is_full() {
            break;
        }
        match package.read(chapter)? {
            Some(bytes) => {
                let html = crate::decode::decode(&bytes, crate::decode::declared_in_html(&bytes)).text;
                crate::html::fragment(&without_short_tags(&html), &mut out, limits)?;
            }
            None => missing += 1,
        }
    }
    if missing > 0 {
        out.note(format!(
            "{missing} of {} chapters are missing from the package",
            chapters.len()
        ));
    }
    if out.is_empty() {
        return Err(ExtractError::no_text(
            WHAT,
            "there are no words in its chapters, at most pictures",
        ));
    }
    Ok(out.finish(Kind::Epub))
}

/// `<title/>` and `<script/>` are whole elements in a book (XML) and would swallow the rest of the page in HTML.
fn without_short_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find("/>") {
        let (before, after) = rest.split_at(at);
        let open = before.rfind('<').unwrap_or(0);
        let name = before[open..]
            .trim_start_matches('<')
            .split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or_default();
        if matches!(
            name,
            "title"
                | "script"
                | "style"
                | "a"
                | "div"
                | "span"
                | "p"
                | "i"
                | "b"
                | "em"
                | "iframe"
                | "textarea"
                | "td"
                | "li"
        ) {
            out.push_str(before);
            out.push_str("></");
            out.push_str(name);
            out.push('>');
        } else {
            out.push_str(before);
            out.push_str("/>");
        }
        rest = &after[2..];
    }
    out.push_str(rest);
    out
}

fn root_file(container: &str, limits: &Limits) -> Result<String, ExtractError> {
    let mut tokens = Xml::new(container.as_bytes(), limits.depth);
    loop {
        match tokens.next()? {
            Token::Start(element) if element.name == "rootfile" => {
                if let Some(path) = element.get("full-path") {
                    return Ok(resolve("", path));
                }
            }
            Token::Eof => return Err(ExtractError::broken(WHAT, "its container names no book")),
            _ => {}
        }
    }
}

/// The paths of the chapters, in the order of the spine. The table of contents is no chapter unless there is nothing else.
fn chapters(main: &str, opf: &str, limits: &Limits) -> Result<Vec<String>, ExtractError> {
    let mut tokens = Xml::new(opf.as_bytes(), limits.depth);
    let (mut items, mut spine, mut contents) = (HashMap::new(), Vec::new(), None);
    loop {
        match tokens.next()? {
            Token::Start(element) if element.name == "item" => {
                if let (Some(id), Some(href)) = (element.get("id"), element.get("href")) {
                    let path = resolve(main, &unescaped(href));
                    if element
                        .get("properties")
                        .is_some_and(|properties| properties.split(' ').any(|property| property == "nav"))
                    {
                        contents = Some(path.clone());
                    }
                    let readable = element
                        .get("media-type")
                        .is_none_or(|kind| kind.contains("html") || kind.contains("dtbook"));
                    if readable {
                        items.insert(id.to_owned(), path);
                    }
                }
            }
            Token::Start(element) if element.name == "itemref" => spine.extend(element.get("idref").map(str::to_owned)),
            Token::Eof => break,
            _ => {}
        }
    }
    let paths: Vec<String> = spine
        .iter()
        .filter_map(|id| items.get(id))
        .take(limits.members)
        .cloned()
        .collect();
    let chapters: Vec<String> = paths
        .iter()
        .filter(|path| Some(*path) != contents.as_ref())
        .cloned()
        .collect();
    Ok(if chapters.is_empty() { paths } else { chapters })
}

/// `%20` and its like in a path.
fn unescaped(href: &str) -> String {
    let bytes = href.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| href.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}
