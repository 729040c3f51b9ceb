//! Markdown as a reader sees it: marks become words, lists and tables; code stays as it is; HTML in it is read like HTML, so
//! comments and hidden elements are left out. A header of `key: value` lines gives title and date.

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use crate::document::{Extracted, Kind};
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::text::Writer;

pub(crate) fn read(text: &str, note: Option<String>, limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut out = Writer::new(limits);
    note.into_iter().for_each(|note| out.note(note));
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut reader = Reader {
        out: &mut out,
        limits,
        line: String::new(),
        cells: Vec::new(),
        lists: Vec::new(),
        mark: None,
        html: String::new(),
        taken: Taken::Words,
    };
    for event in Parser::new_ext(text, options) {
        reader.take(event)?;
        if reader.out.is_full() {
            break;
        }
    }
    reader.flush();
    if out.is_empty() {
        return Err(ExtractError::no_text("Markdown file", "there are no words in it"));
    }
    Ok(out.finish(Kind::Markdown))
}

/// Where text goes.
#[derive(PartialEq)]
enum Taken {
    Words,
    Code,
    Header,
}

struct Reader<'a> {
    out: &'a mut Writer,
    limits: &'a Limits,
    line: String,
    cells: Vec<String>,
    lists: Vec<Option<u64>>,
    mark: Option<String>,
    html: String,
    taken: Taken,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>) -> Result<(), ExtractError> {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag)?,
            Event::Text(words) | Event::Code(words) => self.line.push_str(&words),
            Event::InlineMath(words) | Event::DisplayMath(words) => self.line.push_str(&words),
            Event::SoftBreak => self.line.push('\n'),
            Event::HardBreak => self.line.push(' '),
            Event::Html(html) => self.html.push_str(&html),
            // Inline tags vanish; the words between them are text of their own.
            Event::InlineHtml(tag) if tag.starts_with("<br") => self.line.push(' '),
            Event::InlineHtml(_) | Event::FootnoteReference(_) | Event::Rule => {}
            Event::TaskListMarker(done) => self.line.push_str(if done { "[x] " } else { "[ ] " }),
        }
        Ok(())
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::List(first) => {
                self.flush();
                if self.lists.is_empty() {
                    self.out.end_rows();
                }
                self.lists.push(*first);
            }
            Tag::Item => {
                self.flush();
                self.mark = Some(match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number = number.saturating_add(1);
                        format!("{}.", *number - 1)
                    }
                    _ => "-".into(),
                });
            }
            Tag::CodeBlock(_) => {
                self.flush();
                self.taken = Taken::Code;
            }
            Tag::MetadataBlock(_) => self.taken = Taken::Header,
            Tag::Table(_) => {
                self.flush();
                self.out.end_rows();
            }
            Tag::Paragraph | Tag::Heading { .. } | Tag::BlockQuote(_) | Tag::HtmlBlock | Tag::FootnoteDefinition(_) => {
                self.flush()
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) -> Result<(), ExtractError> {
        match tag {
            TagEnd::Heading(level) => {
                let words = std::mem::take(&mut self.line);
                self.out.heading(level_of(level), &words);
            }
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                if self.lists.is_empty() {
                    self.out.end_rows();
                }
            }
            TagEnd::CodeBlock => {
                let code = std::mem::take(&mut self.line);
                self.out.lines(&code);
                self.taken = Taken::Words;
            }
            TagEnd::MetadataBlock(kind) => {
                let header = std::mem::take(&mut self.line);
                self.header(&header, kind);
                self.taken = Taken::Words;
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.line);
                self.cells.push(cell);
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                let cells = std::mem::take(&mut self.cells);
                self.out.row(&cells);
            }
            TagEnd::Table => self.out.end_rows(),
            TagEnd::HtmlBlock => {
                let html = std::mem::take(&mut self.html);
                crate::html::fragment(&html, self.out, self.limits)?;
            }
            TagEnd::Paragraph | TagEnd::Item | TagEnd::BlockQuote(_) | TagEnd::FootnoteDefinition => self.flush(),
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self) {
        if self.line.trim().is_empty() || self.taken != Taken::Words {
            return;
        }
        let line = std::mem::take(&mut self.line);
        match self.lists.len().checked_sub(1) {
            Some(depth) => {
                let mark = self.mark.take().unwrap_or_else(|| " ".into());
                self.out.item(depth, &mark, &line);
            }
            None => self.out.paragraph(&line),
        }
    }

    fn header(&mut self, header: &str, kind: MetadataBlockKind) {
        let between = if kind == MetadataBlockKind::PlusesStyle {
            '='
        } else {
            ':'
        };
        let mut dates = Vec::new();
        for line in header.lines() {
            let Some((key, value)) = line.split_once(between) else {
                continue;
            };
            let value = value.trim().trim_matches(['"', '\'']);
            match key.trim().to_ascii_lowercase().as_str() {
                "title" => self.out.set_title(value),
                "updated" | "lastmod" | "last_modified" | "modified" => dates.insert(0, value),
                "date" | "published" | "created" => dates.push(value),
                _ => {}
            }
        }
        dates.into_iter().for_each(|date| self.out.set_date(date));
    }
}

fn level_of(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_words_lists_tables_and_code() {
        let doc = read(
            "---\ntitle: \"T: x\"\ndate: 2024-01-31\n---\n# Head *line*\n\nSome **bold** [link](http://x)\nnext.<!-- no -->\n\n- a\n  1. b\n- c\n\n| k | v |\n|---|---|\n| 1 | `2` |\n\n```rust\nfn  x() {}\n```\n\n<div hidden>Ignore this.</div>\n<p>html</p>\n",
            None,
            &Limits::default(),
        )
        .unwrap();
        assert_eq!(
            doc.text,
            "Head line\n\nSome bold link next.\n\n- a\n  1. b\n- c\n\nk | v\n1 | 2\n\nfn  x() {}\n\nhtml"
        );
        assert_eq!(
            (doc.title.as_deref(), doc.date.as_deref()),
            (Some("T: x"), Some("2024-01-31"))
        );
        assert!(doc.notes[0].contains("hidden"));
        assert_eq!(doc.headings[0].level, 1);
    }
}
