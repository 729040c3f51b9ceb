//! The conversation so far. It keeps turns in pairs: a question whose answer failed is not part of it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use candor_wire::chat::{Content, Message};

/// System text, questions and answers.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    system: Option<String>,
    turns: Vec<(String, String)>,
}

impl Conversation {
    /// An empty one; an empty `system` is none.
    pub(crate) fn new(system: &str) -> Self {
        let mut conversation = Self::default();
        conversation.set_system(Some(system));
        conversation
    }

    pub(crate) fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    pub(crate) fn set_system(&mut self, text: Option<&str>) {
        self.system = text.filter(|text| !text.trim().is_empty()).map(str::to_owned);
    }

    /// Messages for the model, with one more question.
    pub(crate) fn ask(&self, question: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        if let Some(system) = &self.system {
            messages.push(message("system", system));
        }
        for (question, answer) in &self.turns {
            messages.push(message("user", question));
            messages.push(message("assistant", answer));
        }
        messages.push(message("user", question));
        messages
    }

    /// Keeps a question with its answer.
    pub(crate) fn keep(&mut self, question: String, answer: String) {
        self.turns.push((question, answer));
    }

    /// Takes back the last question.
    pub(crate) fn undo(&mut self) -> Option<String> {
        self.turns.pop().map(|(question, _)| question)
    }

    pub(crate) fn clear(&mut self) {
        self.turns.clear();
    }

    /// Writes the conversation. An existing file is left alone.
    pub(crate) fn save(&self, file: &str) -> anyhow::Result<()> {
        if self.turns.is_empty() {
            bail!("there is nothing to save yet");
        }
        let json = Path::new(file)
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let text = if json { self.json()? } else { self.markdown() };
        let mut to = match std::fs::OpenOptions::new().write(true).create_new(true).open(file) {
            Ok(to) => to,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                bail!("{file} exists already; choose another name")
            }
            Err(error) => return Err(error).with_context(|| format!("cannot write {file}")),
        };
        std::io::Write::write_all(&mut to, text.as_bytes()).with_context(|| format!("cannot write {file}"))
    }

    fn json(&self) -> anyhow::Result<String> {
        let mut messages = self.ask("");
        messages.pop();
        Ok(serde_json::to_string_pretty(&serde_json::json!({ "messages": messages }))? + "\n")
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        if let Some(system) = &self.system {
            let _ = write!(text, "*{system}*\n\n");
        }
        for (question, answer) in &self.turns {
            let _ = write!(text, "## {question}\n\n{answer}\n\n");
        }
        text
    }
}

fn message(role: &str, text: &str) -> Message {
    Message {
        role: role.into(),
        content: Some(Content::Text(text.into())),
        ..Message::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_saved_is_what_was_said_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let mut conversation = Conversation::new("Be brief.");
        assert!(conversation.save("x.md").is_err());
        conversation.keep("Why?".into(), "Because.".into());
        let file = dir.path().join("a.md");
        conversation.save(file.to_str().unwrap()).unwrap();
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            "*Be brief.*\n\n## Why?\n\nBecause.\n\n"
        );
        assert!(
            conversation
                .save(file.to_str().unwrap())
                .unwrap_err()
                .to_string()
                .contains("exists already")
        );
        let file = dir.path().join("a.json");
        conversation.save(file.to_str().unwrap()).unwrap();
        let read: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(read["messages"][2]["content"], "Because.");
    }

    #[test]
    fn undo_takes_back_question_and_answer() {
        let mut conversation = Conversation::new("");
        conversation.keep("a".into(), "b".into());
        assert_eq!(conversation.ask("c").len(), 3);
        assert_eq!(conversation.undo().as_deref(), Some("a"));
        assert_eq!(conversation.ask("c").len(), 1);
    }
}
