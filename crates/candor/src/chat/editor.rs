//! Where lines come from: a line editor with history where stdin is a terminal, plain lines where it is not.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::path::PathBuf;

use reedline::{
    ColumnarMenu, DefaultCompleter, DefaultHinter, EditCommand, Emacs, FileBackedHistory, KeyCode, KeyModifiers,
    MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal,
    default_emacs_keybindings,
};

use super::slash::NAMES;
use crate::terminal::color_wanted;

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
    Plain,
}

impl Editor {
    /// `history`: the file in which lines are kept, if they are.
    pub(crate) fn new(history: Option<PathBuf>) -> anyhow::Result<Self> {
        if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            return Ok(Self::Plain);
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
            editor = editor.with_history(Box::new(FileBackedHistory::with_file(HISTORY, file)?));
        }
        if color_wanted() {
            editor = editor.with_hinter(Box::new(DefaultHinter::default()));
        }
        Ok(Self::Terminal(Box::new(editor)))
    }

    /// Whether a person types.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// The next line.
    pub(crate) fn read(&mut self) -> anyhow::Result<Input> {
        match self {
            Self::Terminal(editor) => Ok(match editor.read_line(&Arrow)? {
                Signal::Success(line) => Input::Line(line),
                Signal::CtrlD => Input::End,
                _ => Input::Dropped,
            }),
            Self::Plain => {
                let mut line = String::new();
                Ok(if std::io::stdin().read_line(&mut line)? == 0 {
                    Input::End
                } else {
                    Input::Line(line)
                })
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
