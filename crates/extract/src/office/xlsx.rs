//! Spreadsheets: each sheet's name as a heading, then its rows. Formulas give the values that were saved with them; day numbers
//! become dates and shares per cent, as the cell's format says.

use super::{metadata, relations, say_if_broken};
use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::package::Package;
use crate::text::Writer;
use crate::xml::{Element, Token, Xml};

const WHAT: &str = "spreadsheet";
const MAIN: &str = "xl/workbook.xml";
/// Empty cells before a filled one are kept up to here, so that columns stay in line.
const WIDEST_GAP: usize = 64;

pub(crate) fn read(mut package: Package<'_>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut out = Writer::new(limits);
    if let Some(core) = package.xml("docProps/core.xml")? {
        metadata(&core, &mut out, limits)?;
    }
    let main = crate::decode::xml(&package.must_read(MAIN)?);
    let parts = relations(&mut package, MAIN, limits)?;
    let of_kind = |kind: &str| {
        parts
            .values()
            .find(|(has, _)| has == kind)
            .map(|(_, path)| path.clone())
    };
    let strings = of_kind("sharedStrings").unwrap_or_else(|| "xl/sharedStrings.xml".into());
    let strings = package
        .xml(&strings)?
        .map_or_else(|| Ok(Vec::new()), |xml| shared_strings(&xml, limits))?;
    let styles = of_kind("styles").unwrap_or_else(|| "xl/styles.xml".into());
    let formats = package
        .xml(&styles)?
        .map_or_else(|| Ok(Vec::new()), |xml| formats(&xml, limits))?;
    let mut tokens = Xml::new(main.as_bytes(), limits.depth);
    let (mut sheets, mut hidden, mut from_1904) = (Vec::new(), Vec::new(), false);
    loop {
        match tokens.next()? {
            Token::Start(element) if element.name == "workbookPr" => {
                from_1904 = matches!(element.get("date1904"), Some("1" | "true"))
            }
            Token::Start(element) if element.name == "sheet" => {
                let name = element.get("name").unwrap_or_default().to_owned();
                let path = element
                    .get("r:id")
                    .and_then(|id| parts.get(id))
                    .map(|(_, path)| path.clone());
                match element.get("state") {
                    Some("hidden" | "veryHidden") => hidden.push(name),
                    _ => sheets.extend(path.map(|path| (name, path))),
                }
            }
            Token::Eof => break,
            _ => {}
        }
    }
    let book = Book {
        strings,
        formats,
        from_1904,
    };
    let mut filled = false;
    for (name, path) in sheets {
        let Some(xml) = package.xml(&path)? else { continue };
        filled |= book.sheet(&name, &xml, &mut out, limits)?;
    }
    if !hidden.is_empty() {
        out.note(format!(
            "{} hidden sheets were left out: {}",
            hidden.len(),
            hidden.join(", ")
        ));
    }
    if !filled {
        return Err(ExtractError::no_text(WHAT, "all its cells are empty"));
    }
    Ok(out.finish(Kind::Xlsx))
}

/// How a number is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Number,
    Date,
    Share,
}

struct Book {
    strings: Vec<String>,
    formats: Vec<Format>,
    from_1904: bool,
}

impl Book {
    /// Writes a sheet; says whether there was anything on it.
    fn sheet(&self, name: &str, xml: &str, out: &mut Writer, limits: &Limits) -> Result<bool, ExtractError> {
        let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
        let mut row: Vec<String> = Vec::new();
        let (mut kind, mut format, mut value) = (String::new(), Format::Number, String::new());
        let (mut taken, mut phonetic, mut named) = (false, false, false);
        while !out.is_full() {
            match tokens.next()? {
                Token::Start(element) => match element.name.as_str() {
                    "row" => row.clear(),
                    "c" => {
                        let column = element.get("r").map_or(row.len(), column);
                        let gap = column.saturating_sub(row.len());
                        row.extend(std::iter::repeat_n(String::new(), gap.min(WIDEST_GAP)));
                        kind = element.get("t").unwrap_or("n").to_owned();
                        format = element
                            .get("s")
                            .and_then(|s| self.formats.get(s.parse::<usize>().ok()?))
                            .copied()
                            .unwrap_or(Format::Number);
                        value.clear();
                    }
                    "rPh" => phonetic = true,
                    "v" | "t" => taken = !phonetic,
                    _ => taken = false,
                },
                Token::Text(text) if taken => value.push_str(&text),
                Token::Text(_) => {}
                Token::End(end) => match end.as_str() {
                    "v" | "t" => taken = false,
                    "rPh" => phonetic = false,
                    "c" => row.push(self.shown(&kind, format, &std::mem::take(&mut value))),
                    "row" => {
                        let end = row
                            .iter()
                            .rposition(|cell| !cell.trim().is_empty())
                            .map_or(0, |last| last + 1);
                        if end > 0 {
                            if !named {
                                out.heading(1, name);
                                named = true;
                            }
                            out.row(&row[..end]);
                        }
                    }
                    _ => {}
                },
                Token::Eof => break,
            }
        }
        out.end_rows();
        say_if_broken(&tokens, WHAT, out)?;
        Ok(named)
    }

    fn shown(&self, kind: &str, format: Format, value: &str) -> String {
        match kind {
            "s" => value
                .trim()
                .parse::<usize>()
                .ok()
                .and_then(|n| self.strings.get(n))
                .cloned()
                .unwrap_or_default(),
            "b" => if value.trim() == "1" { "TRUE" } else { "FALSE" }.into(),
            "n" => {
                let Ok(number) = value.trim().parse::<f64>() else {
                    return value.to_owned();
                };
                match format {
                    Format::Date => crate::date::of_day_number(number, self.from_1904).unwrap_or_else(|| plain(number)),
                    Format::Share => format!("{}%", plain(number * 100.0)),
                    Format::Number => plain(number),
                }
            }
            _ => value.to_owned(),
        }
    }
}

/// A number with the digits that a spreadsheet shows: 15, without the noise of binary fractions.
fn plain(number: f64) -> String {
    if !number.is_finite() {
        return String::new();
    }
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    if rounded != 0.0 && !(1e-7..1e16).contains(&rounded.abs()) {
        format!("{rounded:e}")
    } else {
        rounded.to_string()
    }
}

/// The column of a cell's name, from 0: `C7` is 2.
fn column(name: &str) -> usize {
    let letters = name.bytes().take_while(u8::is_ascii_alphabetic).take(4);
    letters
        .fold(0_usize, |column, letter| {
            column * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1
        })
        .saturating_sub(1)
}

fn shared_strings(xml: &str, limits: &Limits) -> Result<Vec<String>, ExtractError> {
    let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
    let (mut strings, mut words, mut taken, mut phonetic) = (Vec::new(), String::new(), false, false);
    loop {
        match tokens.next()? {
            Token::Start(element) => match element.name.as_str() {
                "si" => words = String::new(),
                "rPh" => phonetic = true,
                name => taken = name == "t" && !phonetic,
            },
            Token::Text(text) if taken => words.push_str(&text),
            Token::Text(_) => {}
            Token::End(end) => match end.as_str() {
                "si" => strings.push(std::mem::take(&mut words)),
                "rPh" => phonetic = false,
                _ => taken = false,
            },
            Token::Eof => return Ok(strings),
        }
    }
}

/// The format of each cell style: dates and shares by their built-in numbers or by the letters of their own format.
fn formats(xml: &str, limits: &Limits) -> Result<Vec<Format>, ExtractError> {
    let mut tokens = Xml::new(xml.as_bytes(), limits.depth);
    let (mut own, mut formats, mut in_cells) = (std::collections::HashMap::new(), Vec::new(), false);
    let id = |element: &Element| {
        element
            .get("numFmtId")
            .and_then(|id| id.parse::<u32>().ok())
            .unwrap_or(0)
    };
    loop {
        match tokens.next()? {
            Token::Start(element) => match element.name.as_str() {
                "numFmt" => drop(own.insert(id(&element), of_code(element.get("formatCode").unwrap_or_default()))),
                "cellXfs" => in_cells = true,
                "xf" if in_cells => formats.push(own.get(&id(&element)).copied().unwrap_or(match id(&element) {
                    9 | 10 => Format::Share,
                    14..=17 | 22 | 27..=36 | 50..=58 => Format::Date,
                    _ => Format::Number,
                })),
                _ => {}
            },
            Token::End(end) if end == "cellXfs" => in_cells = false,
            Token::Eof => return Ok(formats),
            Token::End(_) | Token::Text(_) => {}
        }
    }
}

/// What a format's code shows, past its quoted words and bracketed colours.
fn of_code(code: &str) -> Format {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    let mut letters = String::new();
    for c in code.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted => bracketed = true,
            ']' if !quoted => bracketed = false,
            c if !quoted && !bracketed => letters.push(c.to_ascii_lowercase()),
            _ => {}
        }
    }
    if letters.contains('y') || (letters.contains('d') && letters.contains('m')) {
        Format::Date
    } else if letters.contains('%') {
        Format::Share
    } else {
        Format::Number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_the_sheet_shows_them() {
        for (number, want) in [
            (0.1 + 0.2, "0.3"),
            (1.0, "1"),
            (1234567.5, "1234567.5"),
            (1e20, "1e20"),
            (0.0, "0"),
            (-2.5e-9, "-2.5e-9"),
        ] {
            assert_eq!(plain(number), want);
        }
        assert_eq!(
            (column("A1"), column("Z9"), column("AA1"), column("XFD1"), column("7")),
            (0, 25, 26, 16_383, 0)
        );
        assert_eq!(of_code("yyyy\\-mm\\-dd"), Format::Date);
        assert_eq!(of_code("0.00%"), Format::Share);
        assert_eq!(of_code("#,##0 \"days\"[Red]"), Format::Number);
    }
}
