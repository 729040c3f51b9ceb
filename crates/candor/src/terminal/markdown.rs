//! Markdown as lines of a terminal: wrapped to its width, by display columns, with or without colours. It draws what the
//! Markdown says and fetches nothing; control characters never pass.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Style, printable};

/// What the parser understands besides CommonMark.
const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS);

/// What is nested deeper is shown as text: a model that repeats `>` a thousand times costs no more than its letters.
const DEEPEST: usize = 16;
/// With fewer columns left than this, nothing is indented any further.
const NARROWEST: usize = 22;

/// Renders `text` as lines of at most `width` columns.
pub(crate) fn render(text: &str, width: usize, style: Style) -> Vec<String> {
    let text = printable(text).replace('\t', "    ");
    let mut page = Page {
        width: width.max(20),
        style,
        lines: Vec::new(),
        first: Vec::new(),
        rest: Vec::new(),
    };
    let mut events = Parser::new_ext(&text, OPTIONS);
    page.blocks(&mut events, None, true);
    page.lines
}

/// Where the last top-level block of `text` begins: what stands before it will not change any more.
pub(crate) fn last_block(text: &str) -> usize {
    let mut depth = 0;
    let mut start = 0;
    for (event, range) in Parser::new_ext(text, OPTIONS).into_offset_iter() {
        match event {
            Event::Start(_) => {
                if depth == 0 {
                    start = range.start;
                }
                depth += 1;
            }
            Event::End(_) => depth -= 1,
            _ if depth == 0 => start = range.start,
            _ => {}
        }
    }
    start
}

/// A run of text in one style.
#[derive(Debug, Clone, Default, PartialEq)]
struct Span {
    text: String,
    look: Look,
}

/// How a run of text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Look {
    bold: bool,
    italic: bool,
    strike: bool,
    code: bool,
    link: bool,
    dim: bool,
}

impl Look {
    fn paint(self, text: &str, style: Style) -> String {
        let mut codes = Vec::new();
        for (on, code) in [
            (self.bold, "1"),
            (self.dim, "2"),
            (self.italic, "3"),
            (self.link, "4"),
            (self.strike, "9"),
            (self.code, "36"),
        ] {
            if on {
                codes.push(code);
            }
        }
        if codes.is_empty() {
            text.to_owned()
        } else {
            style.paint(&codes.join(";"), text)
        }
    }
}

/// Lines so far, and what stands before each further one (list markers, quote bars).
struct Page {
    width: usize,
    style: Style,
    lines: Vec<String>,
    /// Prefixes of the next line: used once.
    first: Vec<String>,
    /// Prefixes of the lines after it.
    rest: Vec<String>,
}

impl Page {
    /// Block elements up to `end`; `loose` puts an empty line between them.
    fn blocks(&mut self, events: &mut Parser<'_>, end: Option<TagEnd>, loose: bool) {
        let mut any = false;
        let mut inline: Vec<Span> = Vec::new();
        while let Some(event) = events.next() {
            match event {
                Event::End(tag) if Some(tag) == end => break,
                Event::Start(tag) if is_block(&tag) => {
                    if !inline.is_empty() {
                        self.paragraph(&std::mem::take(&mut inline));
                        any = true;
                    }
                    if any && loose {
                        self.line("");
                    }
                    any = true;
                    self.block(tag, events);
                }
                Event::Rule => {
                    if any && loose {
                        self.line("");
                    }
                    any = true;
                    let rule = self.style.dim(&"─".repeat(self.room().min(40)));
                    self.line(&rule);
                }
                // Text of a tight list item.
                Event::Start(tag) => {
                    let open = Open::new(&tag, Look::default(), 0);
                    let inner = self::inline(events, open.look);
                    let target = open.target(&inner);
                    inline.extend(inner.into_iter().chain(target));
                }
                other => inline.extend(leaf(&other, Look::default())),
            }
        }
        if !inline.is_empty() {
            self.paragraph(&inline);
        }
    }

    fn block(&mut self, tag: Tag<'_>, events: &mut Parser<'_>) {
        if self.rest.len() >= DEEPEST || (!self.rest.is_empty() && self.room() < NARROWEST) {
            let spans = inline(events, Look::default());
            return self.paragraph(&spans);
        }
        match tag {
            Tag::Paragraph => {
                let spans = inline(events, Look::default());
                self.paragraph(&spans);
            }
            Tag::Heading { level, .. } => {
                let look = Look {
                    bold: true,
                    link: level == HeadingLevel::H1,
                    ..Look::default()
                };
                let spans = inline(events, look);
                self.paragraph(&spans);
            }
            Tag::BlockQuote(kind) => {
                let bar = self.style.dim("│ ");
                self.nested(bar.clone(), bar, |page| {
                    page.blocks(events, Some(TagEnd::BlockQuote(kind)), true)
                });
            }
            Tag::CodeBlock(kind) => self.code(&kind, events),
            Tag::List(start) => self.list(start, events),
            Tag::Table(_) => self.table(events),
            Tag::HtmlBlock => {
                let spans = inline(
                    events,
                    Look {
                        dim: true,
                        ..Look::default()
                    },
                );
                self.paragraph(&spans);
            }
            other => self.blocks(events, Some(other.to_end()), true),
        }
    }

    fn list(&mut self, start: Option<u64>, events: &mut Parser<'_>) {
        let mut number = start;
        let end = TagEnd::List(start.is_some());
        while let Some(event) = events.next() {
            match event {
                Event::Start(Tag::Item) => {
                    let marker = match &mut number {
                        Some(n) => {
                            let marker = format!("{n}. ");
                            *n += 1;
                            marker
                        }
                        None => "• ".to_owned(),
                    };
                    let indent = " ".repeat(marker.width());
                    self.nested(marker, indent, |page| {
                        let before = page.lines.len();
                        page.blocks(events, Some(TagEnd::Item), false);
                        if page.lines.len() == before {
                            page.line(""); // an item that is still empty shows its marker
                        }
                    });
                }
                Event::End(tag) if tag == end => break,
                _ => {}
            }
        }
    }

    fn code(&mut self, kind: &CodeBlockKind<'_>, events: &mut Parser<'_>) {
        let mut code = String::new();
        for event in events.by_ref() {
            match event {
                Event::Text(text) => code.push_str(&text),
                Event::End(TagEnd::CodeBlock) => break,
                _ => {}
            }
        }
        if let CodeBlockKind::Fenced(language) = kind
            && !language.is_empty()
        {
            let name = self.style.dim(language);
            self.line(&name);
        }
        let bar = self.style.dim("│ ");
        let look = Look {
            code: true,
            ..Look::default()
        };
        self.nested(bar.clone(), bar, |page| {
            for line in code.lines() {
                // Code keeps its spaces: a long line is cut into pieces of the width, never reflowed.
                for piece in pieces(line, page.room()) {
                    let painted = look.paint(&piece, page.style);
                    page.line(&painted);
                }
            }
        });
    }

    fn table(&mut self, events: &mut Parser<'_>) {
        let mut rows: Vec<Vec<Vec<Span>>> = Vec::new();
        while let Some(event) = events.next() {
            match event {
                Event::Start(Tag::TableHead) => rows.push(cells(events, TagEnd::TableHead, true)),
                Event::Start(Tag::TableRow) => rows.push(cells(events, TagEnd::TableRow, false)),
                Event::End(TagEnd::Table) => break,
                _ => {}
            }
        }
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|c| {
                rows.iter()
                    .filter_map(|row| row.get(c))
                    .map(|cell| width_of(cell))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        if widths.iter().sum::<usize>() + 3 * columns > self.room() {
            return self.table_as_list(&rows);
        }
        for (index, row) in rows.iter().enumerate() {
            let line: Vec<String> = widths
                .iter()
                .enumerate()
                .map(|(c, width)| {
                    let cell = row.get(c).map_or(&[][..], Vec::as_slice);
                    self.painted(cell) + &" ".repeat(width - width_of(cell))
                })
                .collect();
            self.line(line.join(&self.style.dim(" │ ")).trim_end());
            if index == 0 {
                let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
                let rule = self.style.dim(&rule.join("─┼─"));
                self.line(&rule);
            }
        }
    }

    /// A table that is wider than the terminal: a line per cell, so that nothing is cut.
    fn table_as_list(&mut self, rows: &[Vec<Vec<Span>>]) {
        let Some((head, body)) = rows.split_first() else { return };
        for (index, row) in body.iter().enumerate() {
            if index > 0 {
                self.line("");
            }
            for (c, cell) in row.iter().enumerate() {
                let mut spans = head.get(c).cloned().unwrap_or_default();
                spans.push(Span {
                    text: ": ".into(),
                    look: Look::default(),
                });
                spans.extend(cell.iter().cloned());
                self.paragraph(&spans);
            }
        }
    }

    /// Runs `draw` with one more prefix: `first` on its first line, `rest` on the others.
    fn nested(&mut self, first: String, rest: String, draw: impl FnOnce(&mut Self)) {
        self.first.push(first);
        self.rest.push(rest);
        draw(self);
        self.first.pop();
        self.rest.pop();
    }

    /// Columns left for text.
    fn room(&self) -> usize {
        let taken: usize = self.rest.iter().map(|prefix| visible_width(prefix)).sum();
        self.width.saturating_sub(taken).max(10)
    }

    fn line(&mut self, text: &str) {
        let line = format!("{}{text}", self.first.concat());
        self.lines.push(line.trim_end().to_owned());
        self.first.clone_from(&self.rest);
    }

    fn painted(&self, spans: &[Span]) -> String {
        spans
            .iter()
            .map(|span| span.look.paint(&span.text, self.style))
            .collect()
    }

    /// Wraps spans at spaces, and anywhere between wide characters.
    fn paragraph(&mut self, spans: &[Span]) {
        let room = self.room();
        let mut line: Vec<Span> = Vec::new();
        let mut used = 0;
        for word in words(spans) {
            let width = width_of(&word);
            let hard_break = word.iter().any(|span| span.text == "\n");
            let is_space = word.iter().all(|span| span.text == " ");
            if hard_break || (used + width > room && used > 0) {
                let full = self.painted(&std::mem::take(&mut line));
                self.line(&full);
                used = 0;
            }
            if hard_break || (is_space && used == 0) {
                continue;
            }
            if width > room {
                for span in &word {
                    for piece in pieces(&span.text, room) {
                        let piece_width = piece.width();
                        if used + piece_width > room {
                            let full = self.painted(&std::mem::take(&mut line));
                            self.line(&full);
                            used = 0;
                        }
                        used += piece_width;
                        line.push(Span {
                            text: piece,
                            look: span.look,
                        });
                    }
                }
                continue;
            }
            used += width;
            line.extend(word);
        }
        if !line.is_empty() {
            let full = self.painted(&line);
            self.line(&full);
        }
    }
}

fn is_block(tag: &Tag<'_>) -> bool {
    !matches!(
        tag,
        Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. }
    )
}

fn cells(events: &mut Parser<'_>, end: TagEnd, head: bool) -> Vec<Vec<Span>> {
    let mut row = Vec::new();
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::TableCell) => row.push(inline(
                events,
                Look {
                    bold: head,
                    ..Look::default()
                },
            )),
            Event::End(tag) if tag == end => break,
            _ => {}
        }
    }
    row
}

/// Everything up to the end of what was just begun, as spans. Nesting is kept on a stack of its own, so that hostile
/// depth cannot overflow the program's.
fn inline(events: &mut Parser<'_>, look: Look) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in events.by_ref() {
        let look = open.last().map_or(look, |open| open.look);
        match event {
            Event::Start(tag) => open.push(Open::new(&tag, look, spans.len())),
            Event::End(_) => match open.pop() {
                Some(open) => spans.extend(open.target(&spans)),
                None => break,
            },
            other => spans.extend(leaf(&other, look)),
        }
    }
    spans
}

/// Inline content that has begun and not ended.
struct Open {
    look: Look,
    /// Where a link or an image leads, and the first span of its text.
    leads: Option<(String, bool, usize)>,
}

impl Open {
    fn new(tag: &Tag<'_>, look: Look, at: usize) -> Self {
        let (look, leads) = match tag {
            Tag::Strong => (Look { bold: true, ..look }, None),
            Tag::Emphasis => (Look { italic: true, ..look }, None),
            Tag::Strikethrough => (Look { strike: true, ..look }, None),
            Tag::Link { dest_url, .. } => (Look { link: true, ..look }, Some((dest_url.to_string(), false, at))),
            Tag::Image { dest_url, .. } => (look, Some((dest_url.to_string(), true, at))),
            _ => (look, None),
        };
        Self { look, leads }
    }

    /// Where a link leads is always shown: its text alone may lie.
    fn target(self, spans: &[Span]) -> Option<Span> {
        let (leads, image, at) = self.leads?;
        let shown: String = spans.get(at..)?.iter().map(|span| span.text.as_str()).collect();
        let text = match (image, shown == leads) {
            (true, _) => format!(" [image: {leads}]"),
            (false, false) => format!(" ({leads})"),
            (false, true) => return None,
        };
        let look = Look {
            dim: true,
            link: false,
            ..self.look
        };
        Some(Span { text, look })
    }
}

/// A piece of text that holds nothing else.
fn leaf(event: &Event<'_>, look: Look) -> Option<Span> {
    let (text, look) = match event {
        Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => (text.trim_end_matches('\n'), look),
        Event::Code(text) => (&**text, Look { code: true, ..look }),
        Event::SoftBreak => (" ", look),
        Event::HardBreak => ("\n", look),
        Event::TaskListMarker(done) => (if *done { "[x] " } else { "[ ] " }, look),
        _ => return None,
    };
    let text = text.to_owned();
    Some(Span { text, look })
}

/// Cuts spans into what a line may not be broken in: words (of one or more spans), single spaces, single wide characters.
fn words(spans: &[Span]) -> Vec<Vec<Span>> {
    let mut words: Vec<Vec<Span>> = Vec::new();
    let mut open = false;
    for span in spans {
        for c in span.text.chars() {
            let alone = c == ' ' || c == '\n' || c.width().unwrap_or(0) > 1;
            if alone || !open {
                words.push(Vec::new());
            }
            open = !alone;
            if let Some(word) = words.last_mut() {
                match word.last_mut() {
                    Some(last) if last.look == span.look => last.text.push(c),
                    _ => word.push(Span {
                        text: c.to_string(),
                        look: span.look,
                    }),
                }
            }
        }
    }
    words
}

/// Cuts text into pieces of at most `room` columns; an empty text is one empty piece.
fn pieces(text: &str, room: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut used = 0;
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if used + width > room {
            all.push(String::new());
            used = 0;
        }
        used += width;
        if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all
}

fn width_of(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.text.width()).sum()
}

/// Columns of a text that may hold our own colour codes.
pub(crate) fn visible_width(text: &str) -> usize {
    let mut width = 0;
    let mut code = false;
    for c in text.chars() {
        match c {
            '\x1b' => code = true,
            'm' if code => code = false,
            _ if code => {}
            _ => width += c.width().unwrap_or(0),
        }
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, width: usize) -> String {
        render(text, width, Style::forced(false)).join("\n")
    }

    #[test]
    fn headings_lists_code_and_tables_become_lines() {
        let text = "# Title\nSome *plain* **text**.\n\n- one\n- two\n  1. inner\n\n```rust\nfn main() {}\n```\n\n| a | bb |\n|---|---|\n| 1 | 2 |\n";
        assert_eq!(
            plain(text, 40),
            "Title\n\nSome plain text.\n\n• one\n• two\n  1. inner\n\nrust\n│ fn main() {}\n\na │ bb\n──┼───\n1 │ 2"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let text = "> a quote with a-very-long-word-that-does-not-fit-into-the-width-at-all and more\n\n- 中文字符在终端里占两列，所以换行要按列数来算，而不是按字符数。\n\n```\n0123456789012345678901234567890123456789\n```\n\n| one column | another column | third |\n|---|---|---|\n| x | y | z |\n";
        for line in render(text, 24, Style::forced(true)) {
            assert!(visible_width(&line) <= 24, "{line:?}");
        }
    }

    #[test]
    fn where_a_link_leads_is_shown() {
        assert_eq!(plain("[bank](https://evil.example)", 60), "bank (https://evil.example)");
    }

    #[test]
    fn hostile_nesting_is_drawn_quickly_and_does_not_overflow_the_stack() {
        let start = std::time::Instant::now();
        for text in [
            ">".repeat(20_000),
            "> ".repeat(20_000) + "end",
            (0..5_000).map(|n| format!("{}- x\n", "  ".repeat(n % 400))).collect(),
            "*a **b ".repeat(5_000) + &"** *".repeat(5_000),
            "![".repeat(10_000) + &"](x)".repeat(10_000),
            "1. ".repeat(10_000),
            "`".repeat(20_000),
        ] {
            for line in render(&text, 40, Style::forced(true)) {
                assert!(visible_width(&line) <= 40, "{line:?}");
            }
            let _ = last_block(&text);
        }
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    #[test]
    fn control_characters_do_not_pass() {
        assert_eq!(plain("a\x1b[2Jb `c\x07`", 60), "a[2Jb c");
    }

    #[test]
    fn the_last_block_begins_after_everything_that_is_final() {
        let text = "para\n\n- a\n- b\n\nlast";
        assert_eq!(&text[last_block(text)..], "last");
        assert_eq!(last_block("only"), 0);
        assert_eq!(last_block("```\ncode\n\nmore"), 0);
    }

    #[test]
    fn colours_are_only_codes_around_the_same_text() {
        let text = "a **b** `c`";
        let colored = render(text, 60, Style::forced(true)).join("");
        assert!(colored.contains("\x1b[1mb\x1b[0m"), "{colored:?}");
        assert_eq!(visible_width(&colored), plain(text, 60).len());
    }
}
