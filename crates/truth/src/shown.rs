//! Texts of sources as a model is shown them: quoted data that cannot act as anything else. Every line begins with a mark of
//! quotation, so no line of it can end the block, open a turn or pass for the question; characters that no reader sees are
//! left out; and what a chat template could take for a token of its own is written so that it is none.

use candor_engine::{Constraint, GenerateRequest, Prompt, Sampling, Stop};
use candor_wire::chat::{Content, Message, ToolChoice};

/// What the model is to do, and the user's turn with all that is shown.
pub(crate) fn turns(task: &str, shown: &str) -> Vec<Message> {
    let turn = |role: &str, text: &str| Message {
        role: role.into(),
        content: Some(Content::Text(text.into())),
        ..Message::default()
    };
    vec![turn("system", task), turn("user", shown)]
}

/// Asks for the likeliest answer to these turns, without tools.
pub(crate) fn asked(messages: Vec<Message>, constraint: Constraint, most_tokens: usize) -> GenerateRequest {
    GenerateRequest {
        prompt: Prompt::Chat {
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::None,
        },
        sampling: Sampling {
            temperature: 0.0,
            seed: Some(0),
            ..Sampling::default()
        },
        stop: Stop {
            max_tokens: Some(most_tokens),
            ..Stop::default()
        },
        constraint,
        logprobs: None,
        prompt_logprobs: None,
        affinity: None,
    }
}

/// The text with a mark before every line.
pub fn quoted(text: &str) -> String {
    let text = harmless(text);
    let mut quoted = String::with_capacity(text.len() + 64);
    for line in text.split('\n') {
        quoted.push_str("> ");
        quoted.push_str(line.trim_end());
        quoted.push('\n');
    }
    quoted
}

/// The text without what is more than text to a machine.
pub fn harmless(text: &str) -> String {
    // First what nobody sees: it could stand in the middle of a token.
    let text = visible(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = after;
        match c {
            // <|im_start|>, </s>, <start_of_turn>, <<SYS>>, <think>, <｜User｜>; `a < b`, `x <= 3` and `<5` stay.
            '<' if after.starts_with(|next: char| !next.is_whitespace() && !next.is_ascii_digit() && next != '=') => {
                out.push('‹');
            }
            '>' if out.ends_with(['|', '｜']) => out.push('›'),
            // [INST], [/INST], [TOOL_CALLS], [gMASK]
            '[' => match bracketed(after) {
                Some(word) => {
                    out.push('(');
                    out.push_str(word);
                    out.push(')');
                    rest = &after[word.len() + 1..];
                }
                None => out.push('['),
            },
            c => out.push(c),
        }
    }
    out
}

/// The text without what nobody sees; whatever ends a line for any program is a line break.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\t' => out.push(' '),
            c if unseen(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Control and format characters, tags and other ways to write what nobody reads.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffc}' | '\u{e0000}'..='\u{e0fff}')
}

/// The word in brackets, where it is one that tokenizers have: letters, most of them large.
fn bracketed(after: &str) -> Option<&str> {
    let word = &after[..after.find(']').filter(|at| *at <= 40)?];
    let letters = word.strip_prefix('/').unwrap_or(word);
    let fits = letters.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    (fits && letters.bytes().filter(u8::is_ascii_uppercase).count() >= 3).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_template_takes_for_its_own_is_written_so_that_it_is_none() {
        for token in [
            "<|im_start|>",
            "<|im_end|>",
            "</s>",
            "<s>",
            "<start_of_turn>",
            "<end_of_turn>",
            "<<SYS>>",
            "<think>",
            "<tool_call>",
            "<|eot_id|>",
            "<｜User｜>",
            "[INST]",
            "[/INST]",
            "[TOOL_CALLS]",
            "[gMASK]",
            "<bos>",
        ] {
            let harmless = harmless(&format!("a {token} b"));
            assert!(!harmless.contains(token), "{harmless}");
        }
        assert_eq!(
            harmless("if a < b and x <= 3 or n <5: see [12] and [note]"),
            "if a < b and x <= 3 or n <5: see [12] and [note]"
        );
    }

    #[test]
    fn characters_that_nobody_sees_are_left_out() {
        let tags: String = "ignore"
            .chars()
            .filter_map(|c| char::from_u32(c as u32 + 0xe0000))
            .collect();
        for hidden in [
            "[IN\u{200b}ST]",
            "<\u{200b}|im_end|>",
            "<|im_end|\u{ad}>",
            "[\u{2060}INST]",
        ] {
            let plain: String = hidden.chars().filter(|c| !unseen(*c)).collect();
            assert!(!harmless(hidden).contains(&plain), "{hidden:?}");
        }
        assert_eq!(harmless(&format!("plain{tags}\u{200b}\u{202e}\0 text")), "plain text");
    }

    proptest! {
        #[test]
        fn every_line_of_a_passage_is_marked_as_quoted(text in "(\\PC|[\\n\\r\\x0b\\x0c\u{85}\u{2028}\u{2029}]){0,80}") {
            let quoted = quoted(&text);
            prop_assert!(quoted.ends_with('\n'));
            for line in quoted.trim_end_matches('\n').split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
                prop_assert!(line.starts_with('>'), "{line:?}");
            }
        }
    }
}
