//! A page's tree as blocks of text, in document order, by a loop that keeps its own stack.

use super::content::Plan;
use super::tree::{Id, Tree};
use crate::text::Writer;

/// Elements that begin and end a block.
const BLOCKS: [&str; 39] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "nav",
    "ol",
    "optgroup",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "th",
    "tr",
    "ul",
    "hgroup",
    "search",
];
/// What makes a cell a part of the page's layout rather than an entry of a table.
const OF_LAYOUT: [&str; 9] = ["table", "h1", "h2", "h3", "h4", "section", "article", "form", "pre"];

/// What an element's end does.
enum Exit {
    Inline,
    Block,
    Heading(u8),
    List,
    Item,
    Pre,
    Row,
    Cell,
    Table,
}

struct Walk<'a> {
    tree: &'a Tree,
    out: &'a mut Writer,
    /// The words of the block that is being read.
    line: String,
    /// For each open list: the next number, or none for bullets.
    lists: Vec<Option<usize>>,
    /// The mark of an item that has not been written yet.
    mark: Option<String>,
    /// For each open table: whether it holds data, and the cells of the row that is being read.
    tables: Vec<(bool, Vec<String>)>,
    pre: usize,
}

/// Writes what the plan says is to be read.
pub(crate) fn write(tree: &Tree, plan: &Plan, out: &mut Writer) {
    let mut walk = Walk {
        tree,
        out,
        line: String::new(),
        lists: Vec::new(),
        mark: None,
        tables: Vec::new(),
        pre: 0,
    };
    let mut open: Vec<(Id, Exit)> = Vec::new();
    let mut at = Some(plan.root);
    while let Some(id) = at {
        let skip = plan.skip.contains(&id) || walk.out.is_full();
        let mut deeper = false;
        if !skip {
            if let Some(text) = tree.text(id) {
                walk.line.push_str(text);
            } else {
                let exit = walk.enter(id);
                deeper = tree.children(id).next().is_some() && !is_note_mark(tree, id);
                if deeper {
                    open.push((id, exit));
                } else {
                    walk.exit(exit);
                }
            }
        }
        let next = tree.following(plan.root, id, deeper);
        // Whatever does not hold the next node ends here.
        let parent = next.and_then(|next| tree.parent(next));
        while let Some((_, exit)) = open.pop_if(|(id, _)| Some(*id) != parent) {
            walk.exit(exit);
        }
        at = next;
    }
    walk.flush();
    walk.out.end_rows();
}

impl Walk<'_> {
    fn enter(&mut self, id: Id) -> Exit {
        let tree = self.tree;
        let name = tree.name(id);
        if self.in_data_table() && !matches!(name, "tr" | "td" | "th" | "table" | "caption") {
            if name == "li" && !self.line.trim().is_empty() {
                self.line.push_str("; ");
            } else if BLOCKS.contains(&name) || name == "br" || heading(name).is_some() {
                self.line.push(' ');
            }
            return Exit::Inline;
        }
        if tree
            .attribute(id, "style")
            .is_some_and(|style| style.len() < 200 && style.replace(' ', "").contains("display:inline"))
        {
            return Exit::Inline;
        }
        match name {
            "br" => self.line.push(if self.pre > 0 { '\n' } else { '\u{2028}' }),
            "img"
                if tree
                    .attribute(id, "class")
                    .is_some_and(|class| class.contains("math-fallback")) =>
            {
                self.line.push_str(tree.attribute(id, "alt").unwrap_or_default());
            }
            "ul" | "menu" | "ol" | "dl" => {
                self.flush();
                if self.lists.is_empty() {
                    self.out.end_rows();
                }
                let start = tree
                    .attribute(id, "start")
                    .and_then(|start| start.parse().ok())
                    .unwrap_or(1);
                self.lists.push((name == "ol").then_some(start));
                return Exit::List;
            }
            "li" => {
                self.flush();
                self.mark = Some(match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number = number.saturating_add(1);
                        format!("{}.", *number - 1)
                    }
                    _ => "-".into(),
                });
                return Exit::Item;
            }
            "pre" | "listing" | "xmp" | "plaintext" => {
                self.flush();
                self.pre += 1;
                return Exit::Pre;
            }
            "table" => {
                self.flush();
                self.out.end_rows();
                self.tables.push((holds_data(tree, id), Vec::new()));
                return Exit::Table;
            }
            "tr" if self.in_data_table() => {
                self.line.clear();
                return Exit::Row;
            }
            "td" | "th" if self.in_data_table() => return Exit::Cell,
            _ => {
                if let Some(level) = heading(name) {
                    self.flush();
                    return Exit::Heading(level);
                }
                if BLOCKS.contains(&name) {
                    self.flush();
                    return Exit::Block;
                }
            }
        }
        Exit::Inline
    }

    fn exit(&mut self, exit: Exit) {
        match exit {
            Exit::Inline => {}
            Exit::Block => self.flush(),
            Exit::Heading(level) => {
                let words = std::mem::take(&mut self.line).replace('\u{2028}', " ");
                self.mark = None;
                self.out.heading(level, &words);
            }
            Exit::List => {
                self.flush();
                self.lists.pop();
                if self.lists.is_empty() {
                    self.out.end_rows();
                }
            }
            Exit::Item => {
                self.flush();
                self.mark = None;
            }
            Exit::Pre => {
                let lines = std::mem::take(&mut self.line);
                self.out.lines(&lines.replace('\u{2028}', "\n"));
                self.pre = self.pre.saturating_sub(1);
            }
            Exit::Cell => {
                let cell = std::mem::take(&mut self.line);
                if let Some((_, cells)) = self.tables.last_mut() {
                    cells.push(cell);
                }
            }
            Exit::Row => {
                if let Some((_, cells)) = self.tables.last_mut() {
                    let cells = std::mem::take(cells);
                    self.out.row(&cells);
                }
                self.line.clear();
            }
            Exit::Table => {
                self.flush();
                self.tables.pop();
                self.out.end_rows();
            }
        }
    }

    fn in_data_table(&self) -> bool {
        self.tables.last().is_some_and(|(data, _)| *data)
    }

    /// Ends the block that is being read. Line breaks within it stay line breaks.
    fn flush(&mut self) {
        if self.pre > 0 || self.line.trim().is_empty() {
            if self.pre == 0 {
                self.line.clear();
            }
            return;
        }
        let line = std::mem::take(&mut self.line);
        if let Some(depth) = self.lists.len().checked_sub(1) {
            let mark = self.mark.take().unwrap_or_else(|| " ".into());
            return self.out.item(depth, &mark, &line);
        }
        if line.contains('\u{2028}') {
            let lines: Vec<String> = line
                .split('\u{2028}')
                .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            self.out.lines(&lines.join("\n"));
        } else {
            self.out.paragraph(&line);
        }
    }
}

fn heading(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [b'h', level @ b'1'..=b'6'] => Some(level - b'0'),
        _ => None,
    }
}

/// A mark such as `[12]` that leads to a note: it would stand in the middle of a quote. So do `[edit]` links.
fn is_note_mark(tree: &Tree, id: Id) -> bool {
    let class = tree.attribute(id, "class").unwrap_or_default();
    if class.contains("editsection") || class.contains("headerlink") {
        return true;
    }
    tree.name(id) == "sup" && {
        let text: String = tree.descendants(id).take(12).filter_map(|id| tree.text(id)).collect();
        text.trim()
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .is_some_and(|mark| mark.len() <= 12)
    }
}

/// Data has several cells in a row and nothing in them that makes up a page.
fn holds_data(tree: &Tree, table: Id) -> bool {
    if matches!(tree.attribute(table, "role"), Some("presentation" | "none")) {
        return false;
    }
    let (mut paragraphs, mut cells, mut heads, mut lists) = (0_usize, 0_usize, 0_usize, 0_usize);
    for id in tree.descendants(table).skip(1).take(20_000) {
        match tree.name(id) {
            name if OF_LAYOUT.contains(&name) => return false,
            "p" => paragraphs += 1,
            "td" => cells += 1,
            "th" => heads += 1,
            "ul" | "ol" => lists += 1,
            _ => {}
        }
    }
    // A table with heads is meant as one; without, cells of several paragraphs or lists are a page's parts.
    heads > 1 || (paragraphs <= cells.max(1) && lists == 0)
}
