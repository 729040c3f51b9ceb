//! Values as Python shows them: templates are written against Jinja2, where `{{ true }}` prints `True` and
//! `tojson` puts a space after each comma.

use std::sync::OnceLock;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Output, State, Value};
use regex_syntax::hir::{Class, ClassUnicode, HirKind};

/// Values nested deeper than this are refused.
const MAX_DEPTH: usize = 64;

/// JSON as a template's value.
pub(super) fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(v) => Value::from(*v),
        serde_json::Value::Number(v) => match (v.as_i64(), v.as_u64()) {
            (Some(v), _) => Value::from(v),
            (None, Some(v)) => Value::from(v),
            (None, None) => Value::from(v.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(v) => Value::from(v.as_str()),
        serde_json::Value::Array(items) => items.iter().map(value).collect(),
        serde_json::Value::Object(map) => Value::from_pairs(map.iter().map(|(k, v)| (k.as_str(), value(v)))),
    }
}

/// Writes a value as `{{ value }}` does in Jinja2.
pub(super) fn print(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined => Ok(()),
        ValueKind::String => out.write_str(value.as_str().unwrap_or_default()).map_err(Error::from),
        _ => {
            let mut text = String::new();
            Writer {
                out: &mut text,
                style: Style::Repr,
            }
            .write(value, 0)?;
            out.write_str(&text).map_err(Error::from)
        }
    }
}

/// How `json.dumps` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dumps {
    /// What stands before each entry, once per level, where entries have lines of their own.
    pub(super) indent: Option<String>,
    pub(super) sorted: bool,
    /// Only ASCII: everything else as `\uXXXX`.
    pub(super) ascii: bool,
    /// Between entries, and between a key and its value.
    pub(super) separators: (String, String),
}

/// A value as JSON.
pub(super) fn json(value: &Value, style: &Dumps) -> Result<String, Error> {
    let mut out = String::new();
    Writer {
        out: &mut out,
        style: Style::Json(style),
    }
    .write(value, 0)?;
    Ok(out)
}

#[derive(Clone, Copy, PartialEq)]
enum Style<'a> {
    Json(&'a Dumps),
    Repr,
}

struct Writer<'a> {
    out: &'a mut String,
    style: Style<'a>,
}

impl Writer<'_> {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("a value is nested deeper than {MAX_DEPTH}"),
            ));
        }
        let json = self.style != Style::Repr;
        match value.kind() {
            ValueKind::Undefined | ValueKind::None => self.out.push_str(if json { "null" } else { "None" }),
            ValueKind::Bool => {
                self.out.push_str(match (value.is_true(), json) {
                    (true, true) => "true",
                    (false, true) => "false",
                    (true, false) => "True",
                    (false, false) => "False",
                });
            }
            ValueKind::Number if value.is_integer() => self.out.push_str(&value.to_string()),
            ValueKind::Number => {
                let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
                self.out.push_str(&match json {
                    true => float(number),
                    false => float(number).replace("Infinity", "inf").replace("NaN", "nan"),
                });
            }
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Map => self.map(value, depth)?,
            _ if super::is_list(value) => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.out.push('[');
                for (i, item) in items.iter().enumerate() {
                    self.separate(i, depth + 1);
                    self.write(item, depth + 1)?;
                }
                self.close(items.is_empty(), depth, ']');
            }
            _ if json => return Err(Error::new(ErrorKind::InvalidOperation, "a value has no JSON form")),
            _ => self.out.push_str(&value.to_string()),
        }
        Ok(())
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut entries = Vec::new();
        for key in value.try_iter()? {
            entries.push((key.clone(), value.get_item(&key)?));
        }
        if let Style::Json(Dumps { sorted: true, .. }) = self.style {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.out.push('{');
        for (i, (key, item)) in entries.iter().enumerate() {
            self.separate(i, depth + 1);
            match (self.style, key.as_str()) {
                (Style::Repr, _) => self.write(key, depth + 1)?,
                (_, Some(key)) => self.string(key),
                (Style::Json(style), None) => {
                    let key = json(key, style)?;
                    self.string(&key);
                }
            }
            self.out.push_str(match self.style {
                Style::Json(style) => &style.separators.1,
                Style::Repr => ": ",
            });
            self.write(item, depth + 1)?;
        }
        self.close(entries.is_empty(), depth, '}');
        Ok(())
    }

    fn separate(&mut self, i: usize, depth: usize) {
        let Style::Json(style) = self.style else {
            self.out.push_str(if i == 0 { "" } else { ", " });
            return;
        };
        if i > 0 {
            self.out.push_str(&style.separators.0);
        }
        self.line(style, depth);
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if let Style::Json(style) = self.style
            && !empty
        {
            self.line(style, depth);
        }
        self.out.push(bracket);
    }

    /// A new line at this depth, where lines are asked for.
    fn line(&mut self, style: &Dumps, depth: usize) {
        if let Some(indent) = &style.indent {
            self.out.push('\n');
            (0..depth).for_each(|_| self.out.push_str(indent));
        }
    }

    fn string(&mut self, text: &str) {
        let repr = self.style == Style::Repr;
        let ascii = matches!(self.style, Style::Json(Dumps { ascii: true, .. }));
        let quote = match repr && (!text.contains('\'') || text.contains('"')) {
            true => '\'',
            false => '"',
        };
        self.out.push(quote);
        for c in text.chars() {
            let code = u32::from(c);
            match c {
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                c if c == quote => self.out.extend(['\\', c]),
                ' '..='~' => self.out.push(c),
                '\u{8}' if !repr => self.out.push_str("\\b"),
                '\u{c}' if !repr => self.out.push_str("\\f"),
                c if repr && printable(c) => self.out.push(c),
                _ if repr && code < 0x100 => self.out.push_str(&format!("\\x{code:02x}")),
                _ if repr && code < 0x1_0000 => self.out.push_str(&format!("\\u{code:04x}")),
                _ if repr => self.out.push_str(&format!("\\U{code:08x}")),
                _ if code < 0x20 => self.out.push_str(&format!("\\u{code:04x}")),
                c if !ascii => self.out.push(c),
                c => c
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .for_each(|unit| self.out.push_str(&format!("\\u{unit:04x}"))),
            }
        }
        self.out.push(quote);
    }
}

/// Whether Python's `repr` shows a character beyond ASCII as it is.
fn printable(c: char) -> bool {
    static OTHER: OnceLock<Option<ClassUnicode>> = OnceLock::new();
    let other = OTHER.get_or_init(|| match regex_syntax::parse(r"[\p{C}\p{Z}]").ok()?.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        _ => None,
    });
    let beyond = |class: &ClassUnicode| class.ranges().partition_point(|range| range.end() < c);
    other
        .as_ref()
        .is_some_and(|class| class.ranges().get(beyond(class)).is_none_or(|range| range.start() > c))
}

/// A float as Python's `repr` writes it: shortest digits, an exponent below 1e-4 and from 1e16 on.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{number}");
    if plain.contains('.') { plain } else { plain + ".0" }
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn floats_look_like_pythons() {
        let shown: Vec<String> = [1.0, -0.5, 1e16, 1.5e-7, 0.0001, 123456789.125, 1e22].map(float).into();
        assert_eq!(
            shown,
            ["1.0", "-0.5", "1e+16", "1.5e-07", "0.0001", "123456789.125", "1e+22"]
        );
    }
}
