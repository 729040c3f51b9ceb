//! OpenDocument files (text, and as well spreadsheets and presentations, which have the same words in them).

use super::{metadata, say_if_broken};
use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::package::Package;
use crate::text::Writer;
use crate::xml::{Element, Token, Xml};

const WHAT: &str = "OpenDocument file";

pub(crate) fn read(mut package: Package<'_>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let manifest = package.xml("META-INF/manifest.xml")?.unwrap_or_default();
    if manifest.contains("encryption-data") {
        return Err(ExtractError::Encrypted { what: WHAT.into() });
    }
    let mut out = Writer::new(limits);
    if let Some(meta) = package.xml("meta.xml")? {
        metadata(&meta, &mut out, limits)?;
    }
    let xml = crate::decode::xml(&package.must_read("content.xml")?);
    let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
    let mut reader = Reader {
        out: &mut out,
        blocks: Vec::new(),
        lists: 0,
        marked: false,
        rows: Vec::new(),
        notes: Vec::new(),
    };
    let mut skip = 0_usize;
    while !reader.out.is_full() {
        match tokens.next()? {
            Token::Start(_) if skip > 0 => skip += 1,
            Token::End(_) if skip > 0 => skip -= 1,
            Token::Start(element)
                if matches!(
                    element.name.as_str(),
                    "tracked-changes" | "annotation" | "note-citation" | "forms" | "automatic-styles"
                ) =>
            {
                skip = 1
            }
            Token::Start(element) => reader.start(&element),
            Token::Text(words) if skip == 0 => reader.words(&words),
            Token::Text(_) => {}
            Token::End(name) => reader.end(&name),
            Token::Eof => break,
        }
    }
    for note in std::mem::take(&mut reader.notes) {
        reader.out.paragraph(&note);
    }
    say_if_broken(&tokens, WHAT, &mut out)?;
    if out.is_empty() {
        return Err(ExtractError::no_text(
            WHAT,
            "there are no words in it, at most pictures",
        ));
    }
    Ok(out.finish(Kind::Odt))
}

struct Reader<'a> {
    out: &'a mut Writer,
    /// Open paragraphs: the heading level, and the words so far. Notes and boxes put paragraphs into paragraphs.
    blocks: Vec<(Option<u8>, String)>,
    lists: usize,
    marked: bool,
    /// Open tables: the cells of the row, and how often the open cell is repeated.
    rows: Vec<(Vec<String>, usize)>,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn words(&mut self, words: &str) {
        self.blocks
            .last_mut()
            .into_iter()
            .for_each(|(_, block)| block.push_str(words));
    }

    fn start(&mut self, element: &Element) {
        let number = |key: &str| element.get(key).and_then(|n| n.parse::<usize>().ok());
        match element.name.as_str() {
            "h" => self.blocks.push((
                Some(number("outline-level").unwrap_or(1).clamp(1, 9) as u8),
                String::new(),
            )),
            "p" => self.blocks.push((None, String::new())),
            "s" | "tab" | "line-break" => self.words(" "),
            "list" => {
                if self.lists == 0 {
                    self.out.end_rows();
                }
                self.lists += 1;
            }
            "list-item" => self.marked = false,
            "table" => {
                self.out.end_rows();
                self.rows.push((Vec::new(), 1));
            }
            "table-row" => self.rows.last_mut().into_iter().for_each(|(cells, _)| cells.clear()),
            "table-cell" | "covered-table-cell" => {
                let repeated = number("number-columns-repeated").unwrap_or(1).min(64);
                if let Some((cells, times)) = self.rows.last_mut() {
                    cells.push(String::new());
                    *times = repeated;
                }
            }
            "page" => self.out.page(),
            "note-body" => self.blocks.push((None, String::new())),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "p" | "h" => {
                let Some((level, words)) = self.blocks.pop() else {
                    return;
                };
                if let Some((_, outer)) = self.blocks.last_mut() {
                    outer.push(' ');
                    outer.push_str(&words);
                } else if let Some(cell) = self.rows.last_mut().and_then(|(cells, _)| cells.last_mut()) {
                    cell.push(' ');
                    cell.push_str(&words);
                } else if let Some(level) = level {
                    self.out.heading(level, &words);
                } else if let Some(depth) = self.lists.checked_sub(1) {
                    self.out.item(depth, if self.marked { " " } else { "-" }, &words);
                    self.marked = true;
                } else {
                    self.out.paragraph(&words);
                }
            }
            "note-body" => self.notes.extend(self.blocks.pop().map(|(_, words)| words)),
            "list" => {
                self.lists = self.lists.saturating_sub(1);
                if self.lists == 0 {
                    self.out.end_rows();
                }
            }
            "table-cell" | "covered-table-cell" => {
                if let Some((cells, times)) = self.rows.last_mut() {
                    let cell = cells.last().cloned().unwrap_or_default();
                    let more = std::mem::replace(times, 1).saturating_sub(1);
                    // Sheets are filled up to their edge with repeated empty cells.
                    cells.extend(std::iter::repeat_n(cell, more));
                }
            }
            "table-row" => {
                if let Some((cells, _)) = self.rows.last_mut() {
                    let end = cells
                        .iter()
                        .rposition(|cell| !cell.trim().is_empty())
                        .map_or(0, |last| last + 1);
                    let cells: Vec<String> = cells.drain(..).take(end).collect();
                    match self.rows.len() {
                        1 => self.out.row(&cells),
                        n => self.rows[n - 2].0.last_mut().into_iter().for_each(|cell| {
                            cell.push(' ');
                            cell.push_str(&cells.join(" "));
                        }),
                    }
                }
            }
            "table" => {
                self.rows.pop();
                self.out.end_rows();
            }
            _ => {}
        }
    }
}
