//! Markdown that is still being written. Each piece of text is drawn at once: the last block is rendered anew, and only
//! the lines that changed are painted over. Blocks before it are final and never touched again.

use std::fmt::Write as _;

use super::markdown::{last_block, render};
use super::{Style, can_draw, print, printable, size};

/// Terminals with fewer columns get the text as it is.
const NARROWEST: usize = 24;

/// A stream of Markdown on stdout; plain text where stdout is no terminal.
#[derive(Debug)]
pub(crate) struct Live {
    /// `None`: text passes through as it is.
    screen: Option<Screen>,
    /// Plain text for a terminal is rid of control characters; for a pipe it is left alone.
    to_terminal: bool,
    ends_with_newline: bool,
}

/// What is on the screen of the part that can still change.
#[derive(Debug)]
struct Screen {
    width: usize,
    height: usize,
    style: Style,
    /// Source of the last block.
    tail: String,
    /// Its lines as drawn; the cursor stands at the end of the last one.
    drawn: Vec<String>,
}

impl Live {
    /// Draws Markdown where stdout is a terminal and `markdown` is wanted.
    pub(crate) fn new(markdown: bool) -> Self {
        let (width, height) = size();
        let draws = markdown && can_draw() && width >= NARROWEST;
        let screen = draws.then(|| Screen::new(width, height, Style::for_stdout()));
        Self {
            screen,
            to_terminal: std::io::IsTerminal::is_terminal(&std::io::stdout()),
            ends_with_newline: true,
        }
    }

    /// Adds text.
    pub(crate) fn push(&mut self, text: &str) -> std::io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if let Some(screen) = &mut self.screen {
            let (width, height) = size();
            let moved = screen.resized(width, height);
            return print(&(moved.to_owned() + &screen.push(text)));
        }
        self.ends_with_newline = text.ends_with('\n');
        if self.to_terminal {
            print(&printable(text))
        } else {
            print(text)
        }
    }

    /// Ends the last line.
    pub(crate) fn finish(&mut self) -> std::io::Result<()> {
        let open = match &mut self.screen {
            Some(screen) => {
                std::mem::take(&mut screen.drawn).len() > usize::from(std::mem::take(&mut screen.tail).is_empty())
            }
            None => !std::mem::replace(&mut self.ends_with_newline, true),
        };
        if open { print("\n") } else { Ok(()) }
    }
}

impl Screen {
    fn new(width: usize, height: usize, style: Style) -> Self {
        // One column stays free: a terminal that has filled its last column is of two minds about where the cursor is.
        Self {
            width: width.saturating_sub(1),
            height,
            style,
            tail: String::new(),
            drawn: Vec::new(),
        }
    }

    /// Where lines are after the window has changed its size, only the terminal knows: what is on it stays, and the last
    /// block is drawn anew below it. Returns what to write first.
    fn resized(&mut self, width: usize, height: usize) -> &'static str {
        let width = width.max(NARROWEST).saturating_sub(1);
        if (width, height) == (self.width, self.height) {
            return "";
        }
        (self.width, self.height) = (width, height);
        let drawn = std::mem::take(&mut self.drawn);
        if drawn.iter().all(String::is_empty) { "" } else { "\n" }
    }

    /// Takes text; returns what to write to the terminal.
    fn push(&mut self, text: &str) -> String {
        self.tail.push_str(text);
        let lines = render(&self.tail, self.width, self.style);
        let output = self.paint(&lines);
        let start = last_block(&self.tail);
        // Without an empty line between them, what looks like a new block may yet become part of the one before.
        if start > 0 && self.tail.get(..start).is_some_and(|before| before.ends_with("\n\n")) {
            self.tail.drain(..start);
            let kept = render(&self.tail, self.width, self.style).len();
            self.drawn.drain(..self.drawn.len().saturating_sub(kept));
        }
        output
    }

    fn paint(&mut self, lines: &[String]) -> String {
        let mut output = String::new();
        let same = self.drawn.iter().zip(lines).take_while(|(old, new)| old == new).count();
        if same == self.drawn.len() && same == lines.len() {
            return output;
        }
        // Lines that have left the screen cannot be reached any more.
        let reachable = self.drawn.len().saturating_sub(self.height.saturating_sub(1).max(1));
        let from = same
            .min(self.drawn.len().saturating_sub(1))
            .min(lines.len().saturating_sub(1))
            .max(reachable);
        if !self.drawn.is_empty() {
            let up = self.drawn.len() - 1 - from.min(self.drawn.len() - 1);
            if up > 0 {
                let _ = write!(output, "\x1b[{up}A");
            }
            output += "\r\x1b[J";
        }
        output += &lines.get(from..).unwrap_or_default().join("\n");
        self.drawn = lines.to_vec();
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal that understands what `Screen` writes.
    fn show(output: &str) -> String {
        let mut lines = vec![String::new()];
        let mut row = 0;
        let mut rest = output;
        while let Some(c) = rest.chars().next() {
            if let Some(code) = rest.strip_prefix("\x1b[") {
                let end = code.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
                match &code[end..=end] {
                    "A" => row -= code[..end].parse::<usize>().unwrap_or(1),
                    "J" => {
                        lines.truncate(row + 1);
                        lines[row].clear();
                    }
                    _ => {}
                }
                rest = &code[end + 1..];
                continue;
            }
            match c {
                '\n' => {
                    row += 1;
                    if row == lines.len() {
                        lines.push(String::new());
                    }
                }
                '\r' => {}
                _ => lines[row].push(c),
            }
            rest = &rest[c.len_utf8()..];
        }
        lines.join("\n")
    }

    #[test]
    fn what_is_streamed_letter_by_letter_looks_like_what_is_rendered_at_once() {
        let text = "# T\n\nSome **bold** text that wraps over more than one line of it.\n\n- a\n- b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```c\nint x;\n```\n\nend";
        let mut screen = Screen::new(31, 100, Style::forced(false));
        let output: String = text.chars().map(|c| screen.push(&c.to_string())).collect();
        assert_eq!(show(&output), render(text, 30, Style::forced(false)).join("\n"));
    }

    #[test]
    fn after_the_window_has_changed_its_size_only_the_last_block_is_drawn_again() {
        let mut screen = Screen::new(41, 100, Style::forced(false));
        let mut output = screen.push("first\n\nsome words of a paragraph that is ");
        output += screen.resized(31, 50);
        output += &screen.push("still being written");
        output += screen.resized(31, 50);
        output += &screen.push(" and longer than the window is now");
        let expected = render(
            "some words of a paragraph that is still being written and longer than the window is now",
            30,
            Style::forced(false),
        );
        let shown = show(&output);
        assert!(shown.starts_with("first\n\nsome words"), "{shown}");
        assert!(shown.ends_with(&expected.join("\n")), "{shown}");
        assert_eq!(shown.matches("first").count(), 1, "{shown}");
    }
}
