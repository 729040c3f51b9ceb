//! Tool calls in the answers of the model families, found while the text streams.
//!
//! Hermes and Qwen write `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, SmolLM2 a list in the same tags, Mistral
//! `[TOOL_CALLS][{…}]` or `[TOOL_CALLS]name[ARGS]{…}`, Llama 3 bare `{"name": …, "parameters": {…}}`, with or without
//! `<|python_tag|>`. All are understood from every model. Text that may become a call is held back; what turns out to be
//! none is given out as text, so nothing of the answer is lost.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Longest call; anything longer is text.
const LONGEST: usize = 256 * 1024;
const CLOSE: &str = "</tool_call>";
const ARGS: &str = "[ARGS]";
/// What opens a call.
const OPEN: [(&str, Format); 4] = [
    ("<tool_call>", Format::Tagged),
    ("[TOOL_CALLS]", Format::Listed),
    ("<|tool_call|>", Format::Listed),
    ("<|python_tag|>", Format::Plain),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// JSON up to a closing tag.
    Tagged,
    /// JSON, or a name and JSON.
    Listed,
    /// JSON.
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning, or after a call: bare JSON may follow.
    Start,
    /// Inside text.
    Text,
    /// After an opening marker.
    Call(&'static str, Format),
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text to show.
    Text(String),
    /// A call; the arguments are a JSON object as text.
    Call {
        /// The function's name.
        name: String,
        /// Its arguments.
        arguments: String,
    },
}

/// What a look at the buffer led to.
enum Look {
    /// More text is needed.
    Wait,
    /// The first bytes of the buffer are these calls.
    Calls(usize, Vec<Piece>),
    /// It is no call.
    No,
}

/// Finds calls in one answer.
#[derive(Debug)]
pub struct ToolParser {
    names: HashSet<String>,
    buffer: String,
    state: State,
    /// Whitespace before the marker of a call, which goes if it is one and stays if it is not.
    lead: String,
    called: bool,
    out: Vec<Piece>,
}

impl ToolParser {
    /// A parser for an answer that may call these functions.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(String::from).collect();
        Self {
            names,
            buffer: String::new(),
            state: State::Start,
            lead: String::new(),
            called: false,
            out: Vec::new(),
        }
    }

    /// Whether a special token's text is part of a call and must be seen here.
    pub(crate) fn is_marker(text: &str) -> bool {
        text == CLOSE || text == ARGS || text == "[CALL_ID]" || OPEN.iter().any(|(marker, _)| *marker == text)
    }

    /// Adds text; returns what is certain by now.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        self.buffer.push_str(text);
        if !text.is_empty() {
            while self.step(false) {}
        }
        std::mem::take(&mut self.out)
    }

    /// The rest, when the answer has ended.
    pub fn finish(&mut self) -> Vec<Piece> {
        while self.step(true) {}
        let rest = std::mem::take(&mut self.buffer);
        if let State::Call(marker, _) = self.state {
            let lead = std::mem::take(&mut self.lead);
            self.text(lead + marker + &rest);
        } else if !(self.called && rest.trim().is_empty()) {
            self.text(rest);
        }
        self.state = State::Text;
        std::mem::take(&mut self.out)
    }

    fn text(&mut self, text: String) {
        match self.out.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(&text),
            _ => self.out.push(Piece::Text(text)),
        }
    }

    /// One decision; false when there is none to make.
    fn step(&mut self, last: bool) -> bool {
        match self.state {
            State::Start => self.step_start(last),
            State::Text => self.step_text(),
            State::Call(marker, format) => {
                let look = if self.buffer.len() > LONGEST {
                    Look::No
                } else {
                    self.look(format, last)
                };
                match look {
                    Look::Wait => false,
                    Look::Calls(len, calls) => self.accept(len, calls),
                    Look::No => {
                        let lead = std::mem::take(&mut self.lead);
                        self.text(lead + marker);
                        self.state = State::Text;
                        true
                    }
                }
            }
        }
    }

    fn accept(&mut self, len: usize, calls: Vec<Piece>) -> bool {
        self.out.extend(calls);
        self.buffer.drain(..len);
        self.lead.clear();
        self.called = true;
        self.state = State::Start;
        true
    }

    fn step_start(&mut self, last: bool) -> bool {
        let begin = self
            .buffer
            .trim_start_matches(|c: char| c.is_whitespace() || self.called && c == ';');
        let skipped = self.buffer.len() - begin.len();
        if begin.is_empty() {
            return false;
        }
        if let Some((marker, _)) = OPEN.iter().find(|(marker, _)| begin.starts_with(marker)) {
            let marker = *marker;
            self.lead = self.buffer.drain(..skipped).collect();
            return self.open(0, marker);
        }
        if !last && OPEN.iter().any(|(marker, _)| marker.starts_with(begin)) {
            return false;
        }
        let look = if begin.len() > LONGEST {
            Look::No
        } else {
            self.look_bare(begin, skipped)
        };
        match look {
            Look::Wait => false,
            Look::Calls(len, calls) => self.accept(len, calls),
            Look::No => {
                self.state = State::Text;
                true
            }
        }
    }

    fn step_text(&mut self) -> bool {
        let found = OPEN
            .iter()
            .filter_map(|(marker, _)| Some((self.buffer.find(marker)?, *marker)))
            .min();
        if let Some((at, marker)) = found {
            return self.open(at, marker);
        }
        let held = |marker: &str| {
            (1..marker.len())
                .rev()
                .find(|n| self.buffer.ends_with(&marker[..*n]))
                .unwrap_or(0)
        };
        let held = OPEN.iter().map(|(marker, _)| held(marker)).max().unwrap_or(0);
        let text = self.buffer.drain(..self.buffer.len() - held).collect();
        self.text(text);
        false
    }

    fn open(&mut self, at: usize, marker: &'static str) -> bool {
        let text = self.buffer.drain(..at).collect();
        self.text(text);
        self.buffer.drain(..marker.len());
        let format = OPEN
            .iter()
            .find(|(known, _)| *known == marker)
            .map_or(Format::Plain, |(_, format)| *format);
        self.state = State::Call(marker, format);
        true
    }

    fn look(&self, format: Format, last: bool) -> Look {
        let begin = self.buffer.trim_start();
        let skipped = self.buffer.len() - begin.len();
        match begin.as_bytes().first() {
            None => return Look::Wait,
            Some(b'{' | b'[') => {}
            Some(_) if format == Format::Listed => return named(begin, skipped),
            Some(_) => return Look::No,
        }
        let (value, used) = match first_value(begin) {
            Ok(Some(found)) => found,
            Ok(None) => return Look::Wait,
            Err(()) => return Look::No,
        };
        let Some(calls) = calls_of(&value, None) else {
            return Look::No;
        };
        let mut len = skipped + used;
        if format == Format::Tagged {
            let after = begin[used..].trim_start();
            if after.starts_with(CLOSE) {
                len = self.buffer.len() - after.len() + CLOSE.len();
            } else if CLOSE.starts_with(after) && !last {
                return Look::Wait;
            }
        }
        Look::Calls(len, calls)
    }

    /// JSON without a marker is a call only if it names a function that was offered.
    fn look_bare(&self, begin: &str, skipped: usize) -> Look {
        if !begin.starts_with(['{', '[']) || !may_be_call(begin) {
            return Look::No;
        }
        match first_value(begin) {
            Ok(Some((value, used))) => match calls_of(&value, Some(&self.names)) {
                Some(calls) => Look::Calls(skipped + used, calls),
                None => Look::No,
            },
            Ok(None) => Look::Wait,
            Err(()) => Look::No,
        }
    }
}

/// Whether the first key, as far as it is there, can be a call's: other JSON streams on without delay.
fn may_be_call(begin: &str) -> bool {
    let rest = begin.trim_start_matches(|c: char| c.is_whitespace() || c == '{' || c == '[');
    if begin.starts_with('{') && rest.is_empty() {
        return true;
    }
    let Some(key) = rest.strip_prefix('"') else {
        return rest.is_empty();
    };
    ["name\"", "function\"", "type\"", "id\"", "parameters\"", "arguments\""]
        .iter()
        .any(|known| known.starts_with(key) || key.starts_with(known))
}

/// The first JSON value and its length; `None` while it is incomplete.
fn first_value(text: &str) -> Result<Option<(Value, usize)>, ()> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match stream.next() {
        Some(Ok(value)) => Ok(Some((value, stream.byte_offset()))),
        Some(Err(error)) if error.is_eof() => Ok(None),
        Some(Err(_)) => Err(()),
        None => Ok(None),
    }
}

/// `name[ARGS]{…}` or `name{…}`.
fn named(begin: &str, skipped: usize) -> Look {
    let name_len = begin
        .find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)))
        .unwrap_or(begin.len());
    if name_len == 0 || name_len > 128 {
        return Look::No;
    }
    let (name, mut rest) = begin.split_at(name_len);
    if let Some(after) = rest.strip_prefix("[CALL_ID]") {
        rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    }
    let rest = rest.strip_prefix(ARGS).unwrap_or(rest).trim_start();
    if rest.is_empty() || ARGS.starts_with(rest) || "[CALL_ID]".starts_with(rest) {
        return Look::Wait;
    }
    if !rest.starts_with('{') {
        return Look::No;
    }
    match first_value(rest) {
        Ok(Some((arguments, used))) => {
            let call = Piece::Call {
                name: name.into(),
                arguments: arguments.to_string(),
            };
            Look::Calls(skipped + begin.len() - rest.len() + used, vec![call])
        }
        Ok(None) => Look::Wait,
        Err(()) => Look::No,
    }
}

/// The calls that a JSON value means. With `known`, only these functions count, and arguments must be there.
fn calls_of(value: &Value, known: Option<&HashSet<String>>) -> Option<Vec<Piece>> {
    match value {
        Value::Array(list) if !list.is_empty() => list.iter().map(|value| call_of(value, known)).collect(),
        value => Some(vec![call_of(value, known)?]),
    }
}

fn call_of(value: &Value, known: Option<&HashSet<String>>) -> Option<Piece> {
    let outer = value.as_object()?;
    let inner: &Map<String, Value> = outer.get("function").and_then(Value::as_object).unwrap_or(outer);
    let name = inner
        .get("name")
        .or_else(|| outer.get("function"))
        .and_then(Value::as_str)?;
    let arguments = match inner.get("arguments").or_else(|| inner.get("parameters")) {
        Some(Value::Object(arguments)) => Value::Object(arguments.clone()).to_string(),
        Some(Value::String(text)) if serde_json::from_str::<Map<String, Value>>(text).is_ok() => text.clone(),
        None | Some(Value::Null) if known.is_none() => "{}".into(),
        _ => return None,
    };
    let named = !name.is_empty() && known.is_none_or(|known| known.contains(name));
    named.then(|| Piece::Call {
        name: name.into(),
        arguments,
    })
}

#[cfg(test)]
mod tests;
