//! The one place where extracted text is written. Whatever a format's reader hands over, what comes out has no control or
//! invisible characters, paragraphs separated by one blank line, and offsets of headings and pages that lie inside it.

use crate::document::{Extracted, Heading, Kind};
use crate::limits::Limits;

/// What the last thing written was: rows follow rows on the next line, everything else after a blank line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Block,
    Row,
}

/// Builds a document's text.
pub(crate) struct Writer {
    text: String,
    headings: Vec<Heading>,
    pages: Vec<usize>,
    pending_pages: usize,
    notes: Vec<String>,
    last: Last,
    limit: usize,
    full: bool,
    /// Characters left out that can carry a message which nobody sees.
    smuggled: usize,
    pub(crate) title: Option<String>,
    pub(crate) date: Option<String>,
}

impl Writer {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            text: String::new(),
            headings: Vec::new(),
            pages: Vec::new(),
            pending_pages: 0,
            notes: Vec::new(),
            last: Last::Nothing,
            limit: limits.text_bytes,
            full: false,
            smuggled: 0,
            title: None,
            date: None,
        }
    }

    /// Whether the limit was reached: readers may stop.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// A paragraph: white space of any kind becomes one space.
    pub(crate) fn paragraph(&mut self, words: &str) {
        let words = self.collapsed(words);
        self.put(&words, Last::Block);
    }

    /// The rest of a paragraph that a page break cut in two.
    pub(crate) fn resume(&mut self, words: &str) {
        let words = self.collapsed(words);
        if self.last != Last::Block || words.is_empty() || self.full {
            return self.put(&words, Last::Block);
        }
        let hyphen = self
            .text
            .strip_suffix('-')
            .is_some_and(|before| before.ends_with(char::is_alphabetic));
        if hyphen && words.starts_with(char::is_lowercase) {
            self.text.pop();
            return self.write("", &words, Last::Block);
        }
        let joined = self.text.chars().next_back().is_some_and(is_cjk) && words.chars().next().is_some_and(is_cjk);
        self.write(if joined { "" } else { " " }, &words, Last::Block);
    }

    /// A heading: one line, remembered with its range.
    pub(crate) fn heading(&mut self, level: u8, words: &str) {
        let words = self.collapsed(words);
        let before = self.text.len();
        self.put(&words, Last::Block);
        if self.text.len() > before {
            let (start, end) = (self.text.len() - words.len().min(self.text.len()), self.text.len());
            if self.text.get(start..end) == Some(words.as_str()) {
                self.headings.push(Heading {
                    level: level.clamp(1, 9),
                    start,
                    end,
                });
            }
        }
    }

    /// One row of a table; rows that follow each other stand on lines of their own.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        let cells: Vec<String> = cells.iter().map(|cell| self.collapsed(cell.as_ref())).collect();
        if cells.iter().all(String::is_empty) {
            return;
        }
        let row = cells.join(" | ");
        self.put(row.trim_end(), Last::Row);
    }

    /// One item of a list, indented by its depth; items that follow each other stand on lines of their own.
    pub(crate) fn item(&mut self, depth: usize, mark: &str, words: &str) {
        let words = self.collapsed(words);
        if words.is_empty() {
            return;
        }
        let indent = "  ".repeat(depth.min(16));
        self.put(&format!("{indent}{mark} {words}"), Last::Row);
    }

    /// The next row or item belongs to another table or list than the one before.
    pub(crate) fn end_rows(&mut self) {
        if self.last == Last::Row {
            self.last = Last::Block;
        }
    }

    /// Lines that stay as they are: code, verse, plain text. Runs of blank lines become one.
    pub(crate) fn lines(&mut self, lines: &str) {
        let lines = self.kept(lines);
        self.put(lines.trim_matches('\n'), Last::Block);
    }

    /// What follows stands on the next page.
    pub(crate) fn page(&mut self) {
        self.pending_pages += 1;
    }

    pub(crate) fn note(&mut self, sentence: impl Into<String>) {
        let sentence: String = sentence.into().chars().filter(|c| !c.is_control()).take(400).collect();
        if self.notes.len() < 50 && !self.notes.contains(&sentence) {
            self.notes.push(sentence);
        }
    }

    pub(crate) fn set_title(&mut self, title: &str) {
        if self.title.is_none() {
            let title: String = self.collapsed(title).chars().take(300).collect();
            self.title = Some(title.trim().to_owned()).filter(|title| !title.is_empty());
        }
    }

    /// Takes a date in any usual form; one that is none is no date.
    pub(crate) fn set_date(&mut self, date: &str) {
        if self.date.is_none() {
            self.date = crate::date::day(date);
        }
    }

    /// The document. Where nothing named it, its first heading of the highest level at the top does.
    pub(crate) fn finish(mut self, kind: Kind) -> Extracted {
        self.text.truncate(self.text.trim_end().len());
        let length = self.text.len();
        self.pages.extend(std::iter::repeat_n(length, self.pending_pages));
        self.pages.iter_mut().for_each(|start| *start = (*start).min(length));
        self.headings.retain(|heading| heading.end <= length);
        if self.title.is_none()
            && let Some(heading) = self.headings.first()
            && self.headings.iter().all(|other| other.level >= heading.level)
        {
            self.title = Some(self.text[heading.start..heading.end].chars().take(300).collect());
        }
        if self.smuggled > 0 {
            self.note(format!(
                "{} invisible characters that can carry hidden text or turn its direction were left out",
                self.smuggled
            ));
        }
        if self.full {
            self.note(format!(
                "the text is longer than {} bytes; the rest was left out",
                self.limit
            ));
        }
        Extracted {
            kind,
            title: self.title,
            date: self.date,
            link: None,
            id: None,
            text: self.text,
            pages: self.pages,
            headings: self.headings,
            notes: self.notes,
        }
    }

    fn put(&mut self, words: &str, kind: Last) {
        if words.trim().is_empty() || self.full {
            return;
        }
        let gap = match (self.last, kind) {
            (Last::Nothing, _) => "",
            (Last::Row, Last::Row) => "\n",
            _ => "\n\n",
        };
        self.write(gap, words, kind);
    }

    fn write(&mut self, gap: &str, words: &str, kind: Last) {
        self.text.push_str(gap);
        let start = self.text.len();
        self.pages.extend(std::iter::repeat_n(start, self.pending_pages));
        self.pending_pages = 0;
        let room = self.limit.saturating_sub(start);
        if words.len() > room {
            self.full = true;
            self.text.push_str(&words[..words.floor_char_boundary(room)]);
        } else {
            self.text.push_str(words);
        }
        self.last = kind;
    }

    /// One line: white space runs become a space, or nothing where a line broke between two Chinese or Japanese characters.
    fn collapsed(&mut self, words: &str) -> String {
        if is_plain(words) {
            return words.to_owned();
        }
        let mut out = String::with_capacity(words.len().min(self.limit));
        let (mut space, mut newline) = (false, false);
        let mut last = None;
        for c in words.chars() {
            if c.is_whitespace() {
                space = true;
                newline |= c == '\n';
            } else if self.is_shown(c, last) {
                let broken_line = newline && last.is_some_and(is_cjk) && is_cjk(c);
                if space && !out.is_empty() && !broken_line {
                    out.push(' ');
                }
                (space, newline) = (false, false);
                out.push(c);
                last = Some(c);
            }
        }
        out
    }

    /// Lines as they are, less what may not stand in text, trailing blanks, and blank lines after a blank line.
    fn kept(&mut self, lines: &str) -> String {
        let mut out = String::with_capacity(lines.len().min(self.limit));
        let mut blank = 0;
        for line in lines.split(['\n', '\u{c}', '\u{b}', '\u{85}', '\u{2028}', '\u{2029}']) {
            let line = line.strip_suffix('\r').unwrap_or(line);
            for (n, line) in line.split('\r').enumerate() {
                let start = out.len();
                if n > 0 || !out.is_empty() {
                    out.push('\n');
                }
                let content = out.len();
                let mut last = None;
                for c in line.chars() {
                    if c == '\t' || self.is_shown(c, last) {
                        out.push(c);
                        last = Some(c);
                    }
                }
                let end = out[content..].trim_end().len();
                out.truncate(content + end);
                blank = if end == 0 { blank + 1 } else { 0 };
                if blank > 1 || (end == 0 && start == 0) {
                    out.truncate(start);
                }
            }
            if out.len() > self.limit.saturating_add(4) {
                break;
            }
        }
        out
    }

    /// Whether a character is text that a reader sees, or shapes what a reader sees.
    fn is_shown(&mut self, c: char, last: Option<char>) -> bool {
        match c {
            // Tag characters spell whole sentences that no one sees; overrides make text read as other than it is.
            '\u{E0000}'..='\u{E007F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
                self.smuggled += 1;
                false
            }
            // One variation selector after a character chooses a glyph; a run of them carries bytes.
            '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' => {
                let chooses =
                    last.is_some_and(|last| !matches!(last, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}'));
                self.smuggled += usize::from(!chooses);
                chooses
            }
            '\u{AD}'
            | '\u{200B}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206A}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{180E}' => false,
            _ => !c.is_control() && (c as u32 & 0xFFFE) != 0xFFFE,
        }
    }
}

/// Visible ASCII with single spaces between words: nothing to take out, which is so for most of what is written.
fn is_plain(words: &str) -> bool {
    let bytes = words.as_bytes();
    let space = |at: usize| bytes.get(at).is_none_or(|b| *b == b' ');
    bytes.iter().all(|b| (b' '..=b'~').contains(b))
        && !space(0)
        && !space(bytes.len() - 1)
        && !bytes.windows(2).any(|pair| pair == b"  ")
}

/// Characters of scripts that put no space between words.
pub(crate) fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{2E80}'..='\u{303F}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fill: impl FnOnce(&mut Writer)) -> Extracted {
        let mut writer = Writer::new(&Limits::default());
        fill(&mut writer);
        writer.finish(Kind::Text)
    }

    #[test]
    fn paragraphs_rows_and_items_are_set_apart() {
        let doc = written(|w| {
            w.heading(1, " A \n title ");
            w.paragraph("one\n  two");
            w.row(&["a", "b"]);
            w.row(&["c", ""]);
            w.end_rows();
            w.item(1, "-", "x");
            w.item(1, "-", "y");
        });
        assert_eq!(doc.text, "A title\n\none two\n\na | b\nc |\n\n  - x\n  - y");
        assert_eq!(&doc.text[doc.headings[0].start..doc.headings[0].end], "A title");
        assert_eq!(doc.title.as_deref(), Some("A title"));
    }

    #[test]
    fn what_nobody_sees_is_left_out_and_said() {
        let hidden: String = "ignore"
            .bytes()
            .map(|b| char::from_u32(0xE0000 + u32::from(b)).unwrap())
            .collect();
        let doc = written(|w| w.paragraph(&format!("a\u{0}b\u{200B}c{hidden}\u{202E}d ❤\u{FE0F}\u{FE00}\u{FE01}")));
        assert_eq!(doc.text, "abcd ❤\u{FE0F}");
        assert!(doc.notes[0].starts_with("9 invisible"), "{:?}", doc.notes);
    }

    #[test]
    fn a_line_break_between_chinese_characters_is_no_space() {
        assert_eq!(
            written(|w| w.paragraph("有朋自\n远方来 and\nmore")).text,
            "有朋自远方来 and more"
        );
    }

    #[test]
    fn pages_begin_where_their_text_begins() {
        let doc = written(|w| {
            for page in ["one", "", "three and", "four"] {
                w.page();
                if page == "four" {
                    w.resume(page)
                } else {
                    w.paragraph(page)
                }
            }
            w.page();
        });
        assert_eq!(doc.text, "one\n\nthree and four");
        assert_eq!(doc.pages, [0, 5, 5, 15, 19]);
        let pages: Vec<_> = [0, 4, 5, 14, 15, 18]
            .iter()
            .map(|at| doc.page_at(*at).unwrap())
            .collect();
        assert_eq!(pages, [1, 1, 3, 3, 4, 4]);
    }

    #[test]
    fn a_word_parted_by_a_page_is_whole_again() {
        let doc = written(|w| {
            w.page();
            w.paragraph("some infor-");
            w.page();
            w.resume("mation");
        });
        assert_eq!(
            (doc.text.as_str(), doc.pages.as_slice()),
            ("some information", &[0, 10][..])
        );
    }

    #[test]
    fn a_text_beyond_the_limit_ends_at_a_character_and_says_so() {
        let mut w = Writer::new(&Limits {
            text_bytes: 10,
            ..Limits::default()
        });
        w.paragraph("有朋自远方来");
        w.paragraph("more");
        let doc = w.finish(Kind::Text);
        assert_eq!(doc.text, "有朋自");
        assert!(doc.notes[0].contains("the rest was left out"));
    }

    #[test]
    fn lines_stay_lines_without_runs_of_blank_ones() {
        assert_eq!(
            written(|w| w.lines("\r\n\n  a  \r\n\n\n\n\tb\rc\u{c}d\n")).text,
            "  a\n\n\tb\nc\nd"
        );
    }
}
