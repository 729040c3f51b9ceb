//! Office documents and books: what their packages have in common. One file per format reads its words.

pub(crate) mod docx;
pub(crate) mod epub;
pub(crate) mod odt;
pub(crate) mod pptx;
pub(crate) mod xlsx;

use std::collections::HashMap;

use crate::error::ExtractError;
use crate::limits::Limits;
use crate::package::{Package, resolve};
use crate::text::Writer;
use crate::xml::{Token, Xml};

/// Where a part's relations lead: id to (type's last word, path in the package).
pub(crate) type Relations = HashMap<String, (String, String)>;

/// The relations of the part at `path`.
pub(crate) fn relations(package: &mut Package<'_>, path: &str, limits: &Limits) -> Result<Relations, ExtractError> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let rels = if folder.is_empty() {
        format!("_rels/{file}.rels")
    } else {
        format!("{folder}/_rels/{file}.rels")
    };
    let mut relations = HashMap::new();
    let Some(xml) = package.xml(&rels)? else {
        return Ok(relations);
    };
    let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
    loop {
        match tokens.next()? {
            Token::Start(element)
                if element.name == "Relationship" && element.get("TargetMode") != Some("External") =>
            {
                if let (Some(id), Some(target)) = (element.get("Id"), element.get("Target")) {
                    let kind = element
                        .get("Type")
                        .and_then(|kind| kind.rsplit('/').next())
                        .unwrap_or_default();
                    relations.insert(id.to_owned(), (kind.to_owned(), resolve(path, target)));
                }
            }
            Token::Eof => return Ok(relations),
            _ => {}
        }
    }
}

/// Title and date out of a part of metadata: `docProps/core.xml`, `meta.xml`, or a book's package file.
pub(crate) fn metadata(xml: &str, out: &mut Writer, limits: &Limits) -> Result<(), ExtractError> {
    let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
    let (mut within, mut words) = (String::new(), String::new());
    let mut dates: Vec<(u8, String)> = Vec::new();
    loop {
        match tokens.next()? {
            Token::Start(element) => {
                within = match element.get("property") {
                    Some("dcterms:modified") => "modified".into(),
                    _ => element.name,
                };
                words.clear();
            }
            Token::Text(text) => words.push_str(&text),
            Token::End(_) => {
                match within.as_str() {
                    "title" => out.set_title(&words),
                    "modified" => dates.push((0, words.clone())),
                    "date" => dates.push((1, words.clone())),
                    "created" | "creation-date" => dates.push((2, words.clone())),
                    _ => {}
                }
                within.clear();
                words.clear();
            }
            Token::Eof => break,
        }
        if dates.len() > 100 {
            break;
        }
    }
    dates.sort_by_key(|(rank, _)| *rank);
    dates.iter().for_each(|(_, date)| out.set_date(date));
    Ok(())
}

/// Says when a part broke off; a document of nothing else is broken.
pub(crate) fn say_if_broken<R>(tokens: &Xml<R>, what: &str, out: &mut Writer) -> Result<(), ExtractError> {
    let Some(why) = &tokens.broken else { return Ok(()) };
    if out.is_empty() {
        return Err(ExtractError::broken(what, format!("its text cannot be read {why}")));
    }
    out.note(format!("the {what} breaks off ({why}); what follows is missing"));
    Ok(())
}
