//! Presentations: slide by slide (a slide is a page), titles as headings, tables as rows, the speaker's notes after each slide.

use super::{metadata, relations, say_if_broken};
use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::package::Package;
use crate::text::Writer;
use crate::xml::{Token, Xml};

const WHAT: &str = "presentation";
const MAIN: &str = "ppt/presentation.xml";

pub(crate) fn read(mut package: Package<'_>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut out = Writer::new(limits);
    if let Some(core) = package.xml("docProps/core.xml")? {
        metadata(&core, &mut out, limits)?;
    }
    let main = crate::decode::xml(&package.must_read(MAIN)?);
    let parts = relations(&mut package, MAIN, limits)?;
    let mut tokens = Xml::new(main.as_bytes(), limits.depth);
    let mut slides = Vec::new();
    loop {
        match tokens.next()? {
            Token::Start(element) if element.name == "sldId" => {
                slides.extend(
                    element
                        .get("r:id")
                        .or_else(|| element.get("id"))
                        .and_then(|id| parts.get(id))
                        .map(|(_, path)| path.clone()),
                );
            }
            Token::Eof => break,
            _ => {}
        }
    }
    let mut hidden = Vec::new();
    for (n, slide) in slides.iter().enumerate() {
        if out.is_full() {
            break;
        }
        out.page();
        let Some(xml) = package.xml(slide)? else { continue };
        if shapes(&xml, &mut out, false, limits)? {
            hidden.push(n + 1);
        }
        let notes = relations(&mut package, slide, limits)?
            .into_values()
            .find(|(kind, _)| kind == "notesSlide");
        if let Some((_, path)) = notes
            && let Some(xml) = package.xml(&path)?
        {
            shapes(&xml, &mut out, true, limits)?;
        }
    }
    if let [first, ..] = hidden.as_slice() {
        out.note(format!(
            "{} slides, from slide {first} on, are hidden in the show; their text was kept",
            hidden.len()
        ));
    }
    if out.is_empty() {
        return Err(ExtractError::no_text(
            WHAT,
            "there are no words on its slides, at most pictures",
        ));
    }
    Ok(out.finish(Kind::Pptx))
}

/// Writes the words of a slide or of its notes; says whether the slide is hidden.
fn shapes(xml: &str, out: &mut Writer, notes: bool, limits: &Limits) -> Result<bool, ExtractError> {
    let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
    let (mut hidden, mut in_text, mut skip) = (false, false, 0_usize);
    // The role of the shape, its words so far, and the cells of an open table.
    let (mut role, mut words, mut level) = (String::new(), String::new(), 0_usize);
    let mut row: Option<Vec<String>> = None;
    let mut cell = String::new();
    while !out.is_full() {
        match tokens.next()? {
            Token::Start(_) if skip > 0 => skip += 1,
            Token::End(_) if skip > 0 => skip -= 1,
            Token::Start(element) => {
                in_text = element.name == "t";
                match element.name.as_str() {
                    "Fallback" => skip = 1,
                    "sld" => hidden = matches!(element.get("show"), Some("0" | "false")),
                    "sp" | "graphicFrame" | "pic" => role.clear(),
                    "ph" => role = element.get("type").unwrap_or("body").to_owned(),
                    "tbl" => out.end_rows(),
                    "tr" => row = Some(Vec::new()),
                    "tc" => cell.clear(),
                    "p" => (words, level) = (String::new(), 0),
                    "pPr" => level = element.get("lvl").and_then(|level| level.parse().ok()).unwrap_or(0),
                    "br" | "tab" => words.push('\n'),
                    _ => {}
                }
            }
            Token::Text(text) if in_text => words.push_str(&text),
            Token::Text(_) => {}
            Token::End(name) => {
                in_text = false;
                match name.as_str() {
                    "p" if row.is_some() => {
                        cell.push('\n');
                        cell.push_str(&std::mem::take(&mut words));
                    }
                    "p" => {
                        let words = std::mem::take(&mut words);
                        match role.as_str() {
                            // Numbers, dates and running feet repeat on every slide.
                            "sldNum" | "dt" | "ftr" | "hdr" => {}
                            "title" | "ctrTitle" if !notes => out.heading(1, &words),
                            "body" if !notes && level > 0 => out.item(level.min(8), "-", &words),
                            _ => out.paragraph(&words),
                        }
                    }
                    "tc" => row.iter_mut().for_each(|row| row.push(std::mem::take(&mut cell))),
                    "tr" => row.take().into_iter().for_each(|row| out.row(&row)),
                    "tbl" | "sp" => out.end_rows(),
                    _ => {}
                }
            }
            Token::Eof => break,
        }
    }
    out.end_rows();
    say_if_broken(&tokens, WHAT, out)?;
    Ok(hidden)
}
