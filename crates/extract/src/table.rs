//! Tables as text files: CSV and its cousins (which mark separates the cells is told by looking), and JSON lines.

use serde_json::Value;

use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::text::Writer;

/// The marks that separate cells.
const MARKS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// Rows with cells separated by ` | `, the first row as it stands.
pub(crate) fn csv(text: &str, note: Option<String>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut out = Writer::new(limits);
    note.into_iter().for_each(|note| out.note(note));
    let mark = mark(text).map_or(b',', |(mark, _)| mark);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(mark)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).unwrap_or(false) && !out.is_full() {
        let cells: Vec<&str> = record.iter().collect();
        out.row(&cells);
    }
    if out.is_empty() {
        return Err(ExtractError::no_text("table", "all its cells are empty"));
    }
    Ok(out.finish(Kind::Csv))
}

/// The mark that gives the first lines one and the same number of cells, and that number; `None` where no mark does.
pub(crate) fn mark(text: &str) -> Option<(u8, usize)> {
    let head = &text[..text.floor_char_boundary(16 << 10)];
    let cells = |mark: u8| {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(mark)
            .has_headers(false)
            .flexible(true)
            .from_reader(head.as_bytes());
        let mut counts: Vec<usize> = reader
            .records()
            .take(21)
            .map_while(Result::ok)
            .map(|record| record.len())
            .collect();
        // The last record may be cut off by the end of the sample.
        if head.len() < text.len() {
            counts.pop();
        }
        let first = *counts.first()?;
        (first > 1 && counts.len() > 1 && counts.iter().all(|count| *count == first)).then_some((mark, first))
    };
    MARKS.into_iter().filter_map(cells).max_by_key(|(_, cells)| *cells)
}

/// Whether the text is lines of JSON objects.
pub(crate) fn is_json_lines(text: &str, at_least: usize) -> bool {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(4)
        .collect();
    let whole = |line: &str| line.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
    lines.len() >= at_least && lines.iter().all(|line| whole(line))
}

/// One paragraph of `key: value` lines for each line of JSON; a line that is none is kept as it is and counted.
pub(crate) fn json_lines(text: &str, note: Option<String>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut out = Writer::new(limits);
    note.into_iter().for_each(|note| out.note(note));
    let mut bad = 0_usize;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if out.is_full() {
            break;
        }
        match serde_json::from_str::<Value>(line) {
            Ok(value) => {
                let mut lines = String::new();
                flatten(&mut lines, "", &value);
                out.lines(&lines);
            }
            Err(_) => {
                bad += 1;
                out.lines(line);
            }
        }
    }
    if bad > 0 {
        out.note(format!("{bad} lines are no JSON and were kept as they are"));
    }
    if out.is_empty() {
        return Err(ExtractError::no_text("file of JSON lines", "all its values are empty"));
    }
    Ok(out.finish(Kind::Jsonl))
}

/// `key: value` lines, keys joined by dots. The parser bounds the depth (128), so this recursion is bounded too.
fn flatten(lines: &mut String, key: &str, value: &Value) {
    let nested = |name: &str| {
        if key.is_empty() {
            name.to_owned()
        } else {
            format!("{key}.{name}")
        }
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| flatten(lines, &nested(name), value)),
        Value::Array(values) if values.iter().all(|value| !value.is_object() && !value.is_array()) => {
            let values: Vec<String> = values.iter().map(plain).filter(|value| !value.is_empty()).collect();
            line(lines, key, &values.join(", "));
        }
        Value::Array(values) => values.iter().for_each(|value| flatten(lines, key, value)),
        value => line(lines, key, &plain(value)),
    }
}

fn line(lines: &mut String, key: &str, value: &str) {
    if !value.is_empty() {
        if !key.is_empty() {
            lines.push_str(key);
            lines.push_str(": ");
        }
        lines.push_str(value);
        lines.push('\n');
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_told_apart_by_the_mark_that_fits() {
        for (text, want) in [
            ("a,b\n1,\"x, \"\"y\"\"\nz\"\n", "a | b\n1 | x, \"y\" z"),
            ("a;b\n1,5;2\n", "a | b\n1,5 | 2"),
            ("a\tb\tc\n1\t\t3\n", "a | b | c\n1 |  | 3"),
            ("a|b\r\n1|2", "a | b\n1 | 2"),
        ] {
            assert_eq!(csv(text, None, &Limits::default()).unwrap().text, want);
        }
    }

    #[test]
    fn prose_with_commas_is_no_table() {
        assert_eq!(
            mark("Well, this is prose.\nIt has commas, here, and there.\nNot a table.\n"),
            None
        );
    }

    #[test]
    fn json_lines_become_paragraphs() {
        let doc = json_lines(
            "{\"a\":\"x\\ny\",\"b\":{\"c\":[1,2]},\"d\":null}\n{\"e\":[{\"f\":true}]}\nbroken\n",
            None,
            &Limits::default(),
        )
        .unwrap();
        assert_eq!(doc.text, "a: x\ny\nb.c: 1, 2\n\ne.f: true\n\nbroken");
        assert_eq!(doc.notes, ["1 lines are no JSON and were kept as they are"]);
    }
}
