//! The parts of `candor chat`: what a line means, the conversation so far, the line editor.

mod conversation;
mod editor;
mod slash;

pub(crate) use conversation::Conversation;
pub(crate) use editor::{Editor, Input};
pub(crate) use slash::{HELP, Slash, parse};
