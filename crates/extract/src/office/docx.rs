//! Word documents: paragraphs, headings by style or outline level, lists with their numbers, tables, text boxes, foot- and
//! endnotes. Deleted and hidden text is left out; headers and footers, which repeat on every page, are not read.

use std::collections::HashMap;

use super::{metadata, say_if_broken};
use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::package::Package;
use crate::text::Writer;
use crate::xml::{Element, Token, Xml};

const WHAT: &str = "Word document";

pub(crate) fn read(mut package: Package<'_>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut out = Writer::new(limits);
    if let Some(core) = package.xml("docProps/core.xml")? {
        metadata(&core, &mut out, limits)?;
    }
    let styles = package
        .xml("word/styles.xml")?
        .map_or_else(|| Ok(HashMap::new()), |xml| styles(&xml, limits))?;
    let numbering = package
        .xml("word/numbering.xml")?
        .map_or_else(|| Ok(HashMap::new()), |xml| numbering(&xml, limits))?;
    let body = crate::decode::xml(&package.must_read("word/document.xml")?);
    let mut reader = Reader {
        out: &mut out,
        styles,
        numbering,
        counters: HashMap::new(),
        paragraphs: Vec::new(),
        tables: Vec::new(),
        hidden: 0,
    };
    reader.part(&body, limits)?;
    for notes in ["word/footnotes.xml", "word/endnotes.xml"] {
        if let Some(xml) = package.xml(notes)? {
            reader.part(&xml, limits)?;
        }
    }
    if reader.hidden > 0 {
        let hidden = reader.hidden;
        out.note(format!(
            "hidden text ({hidden} characters) that a reader of the document does not see was left out"
        ));
    }
    if out.is_empty() {
        return Err(ExtractError::no_text(
            WHAT,
            "there are no words in it, at most pictures",
        ));
    }
    Ok(out.finish(Kind::Docx))
}

/// A paragraph that is being read.
#[derive(Default)]
struct Paragraph {
    words: String,
    level: Option<u8>,
    list: Option<(String, usize)>,
    shaded: bool,
    run: Run,
}

/// The properties of the run that is being read.
#[derive(Default)]
struct Run {
    inside: bool,
    hidden: bool,
    white: bool,
}

struct Table {
    cells: Vec<String>,
    cell: Option<String>,
}

struct Reader<'a> {
    out: &'a mut Writer,
    /// Heading levels of styles.
    styles: HashMap<String, u8>,
    /// How the level of a list is marked.
    numbering: HashMap<(String, usize), String>,
    counters: HashMap<(String, usize), usize>,
    /// Text boxes put paragraphs into paragraphs.
    paragraphs: Vec<Paragraph>,
    tables: Vec<Table>,
    hidden: usize,
}

impl Reader<'_> {
    fn part(&mut self, xml: &str, limits: &Limits) -> Result<(), ExtractError> {
        let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
        let (mut skip, mut in_text) = (0_usize, false);
        while !self.out.is_full() {
            match tokens.next()? {
                Token::Start(_) if skip > 0 => skip += 1,
                Token::End(_) if skip > 0 => skip -= 1,
                // The fallback says again what the choice has said; what was deleted or moved away is no text.
                Token::Start(element)
                    if matches!(
                        element.name.as_str(),
                        "Fallback" | "del" | "moveFrom" | "instrText" | "delText"
                    ) =>
                {
                    skip = 1
                }
                Token::Start(element) => {
                    in_text = element.name == "t";
                    self.start(&element);
                }
                Token::End(name) => {
                    in_text = false;
                    self.end(&name);
                }
                Token::Text(words) if in_text && skip == 0 => self.words(&words),
                Token::Text(_) => {}
                Token::Eof => break,
            }
        }
        // What was open when the part broke off.
        while !self.paragraphs.is_empty() {
            self.end("p");
        }
        while !self.tables.is_empty() {
            self.end("tc");
            self.end("tr");
            self.end("tbl");
        }
        self.out.end_rows();
        say_if_broken(&tokens, WHAT, self.out)
    }

    fn words(&mut self, words: &str) {
        let in_table = !self.tables.is_empty();
        let Some(paragraph) = self.paragraphs.last_mut() else {
            return;
        };
        // White words stand on coloured ground in tables; elsewhere nobody sees them.
        if paragraph.run.hidden || (paragraph.run.white && !paragraph.shaded && !in_table) {
            self.hidden += words.chars().count();
        } else {
            paragraph.words.push_str(words);
        }
    }

    fn start(&mut self, element: &Element) {
        let value = element.get("val");
        let on = !matches!(value, Some("0" | "false" | "off"));
        match element.name.as_str() {
            "p" => return self.paragraphs.push(Paragraph::default()),
            "tbl" => {
                if self.tables.is_empty() {
                    self.out.end_rows();
                }
                return self.tables.push(Table {
                    cells: Vec::new(),
                    cell: None,
                });
            }
            "tr" => return self.tables.last_mut().into_iter().for_each(|table| table.cells.clear()),
            "tc" => {
                return self
                    .tables
                    .last_mut()
                    .into_iter()
                    .for_each(|table| table.cell = Some(String::new()));
            }
            _ => {}
        }
        let Some(paragraph) = self.paragraphs.last_mut() else {
            return;
        };
        match element.name.as_str() {
            "r" => {
                paragraph.run = Run {
                    inside: true,
                    ..Run::default()
                }
            }
            "tab" | "br" | "cr" if paragraph.run.inside => paragraph.words.push('\n'),
            "noBreakHyphen" => paragraph.words.push('-'),
            "vanish" if paragraph.run.inside => paragraph.run.hidden |= on,
            "sz" if paragraph.run.inside => {
                paragraph.run.hidden |= value
                    .and_then(|size| size.parse().ok())
                    .is_some_and(|size: u32| size <= 2)
            }
            "color" if paragraph.run.inside => {
                paragraph.run.white = value.is_some_and(|colour| colour.eq_ignore_ascii_case("ffffff"))
            }
            "shd" | "highlight" => paragraph.shaded = true,
            "pStyle" => {
                paragraph.level = value
                    .and_then(|style| self.styles.get(style))
                    .copied()
                    .or(paragraph.level)
            }
            "outlineLvl" => {
                paragraph.level = value
                    .and_then(|level| level.parse::<u8>().ok())
                    .filter(|level| *level < 9)
                    .map(|level| level + 1)
            }
            "ilvl" => paragraph.list = Some((String::new(), value.and_then(|level| level.parse().ok()).unwrap_or(0))),
            "numId" => {
                let depth = paragraph.list.as_ref().map_or(0, |(_, depth)| *depth);
                paragraph.list = value.filter(|id| *id != "0").map(|id| (id.to_owned(), depth.min(8)));
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "r" => self
                .paragraphs
                .last_mut()
                .into_iter()
                .for_each(|paragraph| paragraph.run = Run::default()),
            "p" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.write(paragraph);
                }
            }
            "tc" => {
                if let Some(table) = self.tables.last_mut() {
                    table.cells.extend(table.cell.take());
                }
            }
            "tr" => {
                let Some(table) = self.tables.last_mut() else { return };
                let cells = std::mem::take(&mut table.cells);
                match self.tables.len() {
                    1 => self.out.row(&cells),
                    // A table in a cell of another is that cell's text.
                    n => self.tables[n - 2].cell.iter_mut().for_each(|cell| {
                        cell.push('\n');
                        cell.push_str(&cells.join(" "));
                    }),
                }
            }
            "tbl" => {
                self.tables.pop();
                if self.tables.is_empty() {
                    self.out.end_rows();
                }
            }
            _ => {}
        }
    }

    fn write(&mut self, paragraph: Paragraph) {
        let words = paragraph.words;
        if words.trim().is_empty() {
            return;
        }
        if let Some(cell) = self.tables.last_mut().and_then(|table| table.cell.as_mut()) {
            cell.push('\n');
            return cell.push_str(&words);
        }
        match (paragraph.level, paragraph.list) {
            (Some(level), _) => {
                // 0 is the style named Title: the document's own name.
                if level == 0 {
                    self.out.set_title(&words);
                }
                self.out.heading(level.max(1), &words);
            }
            (None, Some((list, depth))) => {
                let mark = self.mark(&list, depth);
                self.out.item(depth, &mark, &words);
            }
            (None, None) => self.out.paragraph(&words),
        }
    }

    /// The mark of the next item of a list; items of deeper levels start anew after it.
    fn mark(&mut self, list: &str, depth: usize) -> String {
        let count = self.counters.entry((list.to_owned(), depth)).or_insert(0);
        *count += 1;
        let count = *count;
        for deeper in depth + 1..=9 {
            self.counters.remove(&(list.to_owned(), deeper));
        }
        match self.numbering.get(&(list.to_owned(), depth)).map(String::as_str) {
            Some("decimal" | "decimalZero") => format!("{count}."),
            Some(letters @ ("lowerLetter" | "upperLetter")) if count <= 26 => {
                let first = if letters == "lowerLetter" { b'a' } else { b'A' };
                format!("{}.", char::from(first + count as u8 - 1))
            }
            _ => "-".into(),
        }
    }
}

/// Heading levels by style: its outline level, else its name (`heading 2`, `Title`), else that of the style it is based on.
fn styles(xml: &str, limits: &Limits) -> Result<HashMap<String, u8>, ExtractError> {
    let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
    let (mut levels, mut based_on, mut id) = (HashMap::new(), Vec::new(), String::new());
    loop {
        match tokens.next()? {
            Token::Start(element) => {
                let value = element.get("val").unwrap_or_default();
                match element.name.as_str() {
                    "style" => id = element.get("styleId").unwrap_or_default().to_owned(),
                    "name" => {
                        let name = value.to_ascii_lowercase();
                        let level = name.strip_prefix("heading ").and_then(|level| level.parse().ok());
                        if let Some(level) = level
                            .filter(|level| (1..=9).contains(level))
                            .or((name == "title").then_some(0))
                        {
                            levels.insert(id.clone(), level);
                        }
                    }
                    "outlineLvl" => {
                        if let Some(level) = value.parse::<u8>().ok().filter(|level| *level < 9) {
                            levels.entry(id.clone()).or_insert(level + 1);
                        }
                    }
                    "basedOn" => based_on.push((id.clone(), value.to_owned())),
                    _ => {}
                }
            }
            Token::Eof => break,
            _ => {}
        }
    }
    for (style, base) in based_on {
        if let (false, Some(level)) = (levels.contains_key(&style), levels.get(&base).copied()) {
            levels.insert(style, level);
        }
    }
    Ok(levels)
}

/// The number format of each level of each list.
fn numbering(xml: &str, limits: &Limits) -> Result<HashMap<(String, usize), String>, ExtractError> {
    let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
    let (mut formats, mut lists) = (HashMap::<String, Vec<(usize, String)>>::new(), Vec::new());
    let (mut of, mut level, mut list) = (String::new(), 0_usize, None);
    loop {
        match tokens.next()? {
            Token::Start(element) => {
                let value = element.get("val").unwrap_or_default();
                match element.name.as_str() {
                    "abstractNum" => of = element.get("abstractNumId").unwrap_or_default().to_owned(),
                    "lvl" => level = element.get("ilvl").and_then(|level| level.parse().ok()).unwrap_or(0),
                    "numFmt" if list.is_none() => formats
                        .entry(of.clone())
                        .or_default()
                        .push((level.min(8), value.to_owned())),
                    "num" => list = element.get("numId").map(str::to_owned),
                    "abstractNumId" => lists.extend(list.clone().map(|list| (list, value.to_owned()))),
                    _ => {}
                }
            }
            Token::Eof => break,
            _ => {}
        }
    }
    let mut numbering = HashMap::new();
    for (list, of) in lists.into_iter().take(10_000) {
        for (level, format) in formats.get(&of).into_iter().flatten().take(9) {
            numbering.insert((list.clone(), *level), format.clone());
        }
    }
    Ok(numbering)
}
