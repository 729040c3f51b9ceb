//! XML as a stream of tokens with names less their prefix, bounded in depth. Entities that a document defines are never
//! expanded, nothing outside the document is ever looked at, and a document that breaks off gives what came before.

use std::io::BufRead;

use quick_xml::events::{BytesStart, Event};

use crate::error::ExtractError;

/// An element's start.
#[derive(Debug)]
pub(crate) struct Element {
    /// The name without its prefix.
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    /// An attribute by its full name (`r:id`) or by its name without a prefix (`val` for `w:val`), the full name first.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let of = |matches: &dyn Fn(&str) -> bool| {
            self.attributes
                .iter()
                .find(|(key, _)| matches(key))
                .map(|(_, value)| value.as_str())
        };
        of(&|key| key == name).or_else(|| of(&|key| key.rsplit(':').next() == Some(name)))
    }
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Token {
    Start(Element),
    End(String),
    Text(String),
    Eof,
}

/// Reads tokens.
pub(crate) struct Xml<R> {
    reader: quick_xml::Reader<R>,
    buffer: Vec<u8>,
    depth: usize,
    deepest: usize,
    /// Where and how the document broke off.
    pub(crate) broken: Option<String>,
    /// Whether it referred to entities of its own.
    pub(crate) own_entities: bool,
}

impl<R: BufRead> Xml<R> {
    pub(crate) fn new(input: R, deepest: usize) -> Self {
        let mut reader = quick_xml::Reader::from_reader(input);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        config.allow_unmatched_ends = true;
        config.check_end_names = false;
        Self {
            reader,
            buffer: Vec::new(),
            depth: 0,
            deepest,
            broken: None,
            own_entities: false,
        }
    }

    /// The next token; [`Token::Eof`] at the end of the document, and for good.
    pub(crate) fn next(&mut self) -> Result<Token, ExtractError> {
        while self.broken.is_none() {
            self.buffer.clear();
            let at = self.reader.buffer_position();
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => {
                    self.broken = Some(format!("at byte {at}: {error}"));
                    break;
                }
            };
            match event {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > self.deepest {
                        return Err(ExtractError::too_large(
                            "the nesting of this document",
                            format!(
                                "its elements lie more than {} deep in each other, which no ordinary document needs",
                                self.deepest
                            ),
                        ));
                    }
                    return Ok(Token::Start(element(&start)));
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Token::End(end.local_name().as_ref().to_owned()));
                }
                Event::Text(text) => return Ok(Token::Text(text.into_inner().into_owned())),
                Event::CData(text) => return Ok(Token::Text(text.into_inner().into_owned())),
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().ok().flatten();
                    match character.or_else(|| named(&reference)) {
                        Some(c) => return Ok(Token::Text(c.into())),
                        None => self.own_entities = true,
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        Ok(Token::Eof)
    }
}

fn element(start: &BytesStart<'_>) -> Element {
    let mut attributes = Vec::new();
    for attribute in start.attributes().with_checks(false).flatten().take(256) {
        let raw = &attribute.value;
        let value = quick_xml::escape::unescape_with(raw, |name| match name {
            "nbsp" => Some("\u{a0}"),
            other => quick_xml::escape::resolve_predefined_entity(other),
        });
        attributes.push((
            attribute.key.as_ref().to_owned(),
            value.map_or_else(|_| raw.to_string(), Into::into),
        ));
    }
    Element {
        name: start.local_name().as_ref().to_owned(),
        attributes,
    }
}

/// The five names that XML has, and the one that everybody uses.
fn named(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(xml: &str) -> Result<(String, Xml<&[u8]>), ExtractError> {
        let mut tokens = Xml::new(xml.as_bytes(), 64);
        let mut text = String::new();
        loop {
            match tokens.next()? {
                Token::Text(words) => text.push_str(&words),
                Token::Eof => return Ok((text, tokens)),
                _ => {}
            }
        }
    }

    #[test]
    fn an_entity_bomb_expands_to_nothing() {
        let bomb = r#"<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><t x="&b;">one &b; two &lt;&#x4e00;&nbsp;</t>"#;
        let (text, tokens) = text_of(bomb).unwrap();
        assert_eq!(text, "one  two <一\u{a0}");
        assert!(tokens.own_entities);
    }

    #[test]
    fn outside_entities_are_not_looked_at() {
        let (text, tokens) = text_of(r#"<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><t>&x;</t>"#).unwrap();
        assert_eq!((text.as_str(), tokens.own_entities), ("", true));
    }

    #[test]
    fn deep_nesting_is_refused_before_it_costs() {
        let deep = "<a>".repeat(100_000);
        assert!(matches!(text_of(&deep), Err(ExtractError::TooLarge { .. })));
    }

    #[test]
    fn a_document_that_breaks_off_gives_what_came_before() {
        let (text, tokens) = text_of("<a><b>words</b><c attr=\"").unwrap();
        assert_eq!(text, "words");
        assert!(tokens.broken.is_some());
    }
}
