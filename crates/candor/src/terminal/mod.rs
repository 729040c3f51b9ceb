//! What is known of the terminal, and the few ways in which Candor writes to it.

mod importing;
mod live;
mod markdown;
mod progress;

use std::io::{IsTerminal, Write};

pub(crate) use importing::ImportDisplay;
pub(crate) use live::Live;
pub(crate) use progress::PullDisplay;

/// Whether colours are wanted at all: `NO_COLOR` (any value) and `TERM=dumb` say no.
pub(crate) fn color_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether the cursor of stdout can be moved.
pub(crate) fn can_draw() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Columns and rows of the terminal; 80 by 24 where nobody says.
pub(crate) fn size() -> (usize, usize) {
    terminal_size::terminal_size().map_or((80, 24), |(width, height)| {
        (usize::from(width.0), usize::from(height.0))
    })
}

/// Writes to stdout and flushes. A reader that has gone away is an error here (and none in `main`), not a panic.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| std::io::Error::new(error.kind(), format!("cannot write the output: {error}")))
}

/// Text without control characters other than line breaks and tabs: what a model or a file says never moves the cursor,
/// sets a title or writes to the clipboard.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || *c == '\n' || *c == '\t')
        .filter(|c| !is_direction(*c))
        .collect()
}

/// Marks that reorder the text around them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    color: bool,
}

impl Style {
    /// For what goes to stdout.
    pub(crate) fn for_stdout() -> Self {
        Self {
            color: std::io::stdout().is_terminal() && color_wanted(),
        }
    }

    /// For what goes to stderr.
    pub(crate) fn for_stderr() -> Self {
        Self {
            color: std::io::stderr().is_terminal() && color_wanted(),
        }
    }

    /// With or without colours, whatever the terminal is.
    #[cfg(test)]
    pub(crate) fn forced(color: bool) -> Self {
        Self { color }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_of_a_model_do_not_reach_the_terminal() {
        assert_eq!(
            printable("a\x1b]52;c;aGk=\x07b\u{9b}31mc\u{202e}d\n\te"),
            "a]52;c;aGk=b31mcd\n\te"
        );
    }
}
