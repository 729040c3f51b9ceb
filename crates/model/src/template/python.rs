//! Values as Python shows them: templates are written against Jinja2, where `{{ true }}` prints `True` and
//! `tojson` puts a space after each comma.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Output, State, Value};

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

/// A value as JSON.
pub(super) fn json(value: &Value, indent: Option<usize>, sorted: bool) -> Result<String, Error> {
    let mut out = String::new();
    Writer {
        out: &mut out,
        style: Style::Json {
            indent: indent.map(|n| n.min(16)),
            sorted,
        },
    }
    .write(value, 0)?;
    Ok(out)
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Json { indent: Option<usize>, sorted: bool },
    Repr,
}

struct Writer<'a> {
    out: &'a mut String,
    style: Style,
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
                self.out.push_str(&float(number));
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
        if let Style::Json { sorted: true, .. } = self.style {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.out.push('{');
        for (i, (key, item)) in entries.iter().enumerate() {
            self.separate(i, depth + 1);
            match (self.style, key.as_str()) {
                (Style::Repr, _) => self.write(key, depth + 1)?,
                (_, Some(key)) => self.string(key),
                (_, None) => self.string(&key.to_string()),
            }
            self.out.push_str(": ");
            self.write(item, depth + 1)?;
        }
        self.close(entries.is_empty(), depth, '}');
        Ok(())
    }

    fn separate(&mut self, i: usize, depth: usize) {
        match self.style {
            Style::Json {
                indent: Some(indent), ..
            } => {
                self.out.push_str(if i == 0 { "\n" } else { ",\n" });
                self.out.extend(std::iter::repeat_n(' ', indent * depth));
            }
            _ if i > 0 => self.out.push_str(", "),
            _ => {}
        }
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: char) {
        if let Style::Json {
            indent: Some(indent), ..
        } = self.style
            && !empty
        {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * depth));
        }
        self.out.push(bracket);
    }

    fn string(&mut self, text: &str) {
        let quote = match self.style {
            Style::Repr if !text.contains('\'') || text.contains('"') => '\'',
            _ => '"',
        };
        self.out.push(quote);
        for c in text.chars() {
            match c {
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                c if c == quote => self.out.extend(['\\', c]),
                '\u{8}' if self.style != Style::Repr => self.out.push_str("\\b"),
                '\u{c}' if self.style != Style::Repr => self.out.push_str("\\f"),
                c if u32::from(c) < 0x20 && self.style == Style::Repr => {
                    self.out.push_str(&format!("\\x{:02x}", u32::from(c)))
                }
                c if u32::from(c) < 0x20 => self.out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => self.out.push(c),
            }
        }
        self.out.push(quote);
    }
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
