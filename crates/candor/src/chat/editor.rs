//! Where lines come from: a line editor with history where stdin is a terminal, plain lines where it is not.

use std::borrow::Cow;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use anyhow::Context as _;
use reedline::{
    ColumnarMenu, DefaultCompleter, DefaultHinter, EditCommand, Emacs, FileBackedHistory, KeyCode, KeyModifiers,
    MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal,
    default_emacs_keybindings,
};

use super::slash::NAMES;
use crate::terminal::{can_draw, color_wanted, print};

/// Lines kept in the history.
const HISTORY: usize = 2000;

/// What was typed.
#[derive(Debug)]
pub(crate) enum Input {
    Line(String),
    /// Ctrl-C on an empty or half-written line: the line is dropped.
    Dropped,
    End,
}

/// Reads lines.
pub(crate) enum Editor {
    Terminal(Box<Reedline>),
    /// `prompt`: a person types, at a terminal whose cursor cannot be moved.
    Plain {
        prompt: bool,
    },
}

impl Editor {
    /// `history`: the file in which lines are kept, if they are.
    pub(crate) fn new(history: Option<PathBuf>) -> anyhow::Result<Self> {
        if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            return Ok(Self::Plain { prompt: false });
        }
        if !can_draw() {
            return Ok(Self::Plain { prompt: true });
        }
        let mut keys = default_emacs_keybindings();
        let complete = vec![ReedlineEvent::Menu("commands".into()), ReedlineEvent::MenuNext];
        keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(complete));
        keys.add_binding(
            KeyModifiers::ALT,
            KeyCode::Enter,
            ReedlineEvent::Edit(vec![EditCommand::InsertNewline]),
        );
        let mut completer = DefaultCompleter::with_inclusions(&['/']).set_min_word_len(1);
        completer.insert(NAMES.iter().map(|name| (*name).to_owned()).collect());
        let mut editor = Reedline::create()
            .with_ansi_colors(color_wanted())
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_completer(Box::new(completer))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(
                ColumnarMenu::default().with_name("commands"),
            )))
            .use_bracketed_paste(true);
        if let Some(file) = history {
            // Without its history a conversation is still one.
            match FileBackedHistory::with_file(HISTORY, file.clone()) {
                Ok(history) => editor = editor.with_history(Box::new(history)),
                Err(error) => eprintln!(
                    "what you type is not kept, because {} cannot be written: {error}",
                    file.display()
                ),
            }
        }
        if color_wanted() {
            editor = editor.with_hinter(Box::new(DefaultHinter::default()));
        }
        Ok(Self::Terminal(Box::new(editor)))
    }

    /// Whether a person types.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_) | Self::Plain { prompt: true })
    }

    /// The next line.
    pub(crate) fn read(&mut self) -> anyhow::Result<Input> {
        match self {
            Self::Terminal(editor) => Ok(match editor.read_line(&Arrow)? {
                Signal::Success(line) => Input::Line(line),
                Signal::CtrlD => Input::End,
                _ => Input::Dropped,
            }),
            Self::Plain { prompt } => {
                if *prompt {
                    print("> ")?;
                }
                let mut line = Vec::new();
                let read = std::io::stdin().lock().read_until(b'\n', &mut line);
                if read.context("cannot read what is piped in")? == 0 {
                    return Ok(Input::End);
                }
                let line = String::from_utf8(line);
                Ok(Input::Line(line.context(
                    "a line that is piped in is not UTF-8; convert it first, for example with iconv",
                )?))
            }
        }
    }
}

/// The prompt.
struct Arrow;

impl Prompt for Arrow {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "  ".into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        format!("(found with `{}`) ", search.term).into()
    }
}
