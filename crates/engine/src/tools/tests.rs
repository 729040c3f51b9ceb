#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn run_in(pieces: &[&str]) -> Vec<Piece> {
    let mut parser = ToolParser::new(["weather", "time"]);
    let mut out: Vec<Piece> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
    out.extend(parser.finish());
    // Neighbouring text is one text.
    let mut joined: Vec<Piece> = Vec::new();
    for piece in out {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(text)) => last.push_str(&text),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

/// Whole, and letter by letter: the same.
fn run(text: &str) -> Vec<Piece> {
    let whole = run_in(&[text]);
    let letters: Vec<String> = text.chars().map(String::from).collect();
    assert_eq!(
        run_in(&letters.iter().map(String::as_str).collect::<Vec<_>>()),
        whole,
        "{text}"
    );
    whole
}

fn call(name: &str, arguments: &str) -> Piece {
    Piece::Call {
        name: name.into(),
        arguments: arguments.into(),
    }
}

fn text(text: &str) -> Piece {
    Piece::Text(text.into())
}

#[test]
fn hermes_and_qwen_calls_are_found() {
    let answer = "I look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bern\"}}\n</tool_call>\n<tool_call>{\"name\": \"time\", \"arguments\": {}}</tool_call>";
    assert_eq!(
        run(answer),
        [
            text("I look.\n"),
            call("weather", r#"{"city":"Bern"}"#),
            call("time", "{}")
        ]
    );
}

#[test]
fn smollm2_lists_are_found() {
    let answer = r#"<tool_call>[{"name": "weather", "arguments": {"city": "Bern"}}, {"name": "time", "arguments": {}}]</tool_call>"#;
    assert_eq!(run(answer), [call("weather", r#"{"city":"Bern"}"#), call("time", "{}")]);
}

#[test]
fn llama_calls_are_found_with_and_without_python_tag() {
    let bare = r#"{"name": "weather", "parameters": {"city": "Bern"}}"#;
    assert_eq!(run(bare), [call("weather", r#"{"city":"Bern"}"#)]);
    assert_eq!(
        run(&format!("<|python_tag|>{bare}; {bare}")),
        [
            call("weather", r#"{"city":"Bern"}"#),
            call("weather", r#"{"city":"Bern"}"#)
        ]
    );
    assert_eq!(run("<|python_tag|>print(1)"), [text("<|python_tag|>print(1)")]);
}

#[test]
fn mistral_calls_are_found_in_both_notations() {
    let list = r#"[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Bern"}}]"#;
    assert_eq!(run(list), [call("weather", r#"{"city":"Bern"}"#)]);
    assert_eq!(
        run(r#"[TOOL_CALLS]weather[ARGS]{"city": "Bern"}"#),
        [call("weather", r#"{"city":"Bern"}"#)]
    );
    assert_eq!(
        run(r#"[TOOL_CALLS]weather{"a": 1}[TOOL_CALLS]time{}"#),
        [call("weather", r#"{"a":1}"#), call("time", "{}")]
    );
}

#[test]
fn what_is_no_call_stays_text_to_the_letter() {
    for answer in [
        "plain text",
        "  leading space",
        "a < b and c <tool",
        "<tool_call>not json</tool_call> and more",
        "<tool_call>{\"name\": \"weather\", \"argum",
        "{\"name\": \"Ada\", \"age\": 36}",
        "{\"name\": \"unknown\", \"parameters\": {}}",
        "{\"answer\": 42}",
        "[1, 2, 3]",
        "[see above]",
        "{",
        "<tool_call>",
        "<tool_call>[]</tool_call>",
        "[TOOL_CALLS] hello there",
    ] {
        assert_eq!(run(answer), [text(answer)]);
    }
}

#[test]
fn a_closing_tag_inside_a_string_does_not_end_the_call() {
    let answer = r#"<tool_call>{"name": "weather", "arguments": {"city": "a</tool_call>b"}}</tool_call>"#;
    assert_eq!(run(answer), [call("weather", r#"{"city":"a</tool_call>b"}"#)]);
}

#[test]
fn a_call_cut_off_before_its_closing_tag_still_counts() {
    let answer = r#"<tool_call>{"name": "weather", "arguments": "{\"city\": \"Bern\"}"}"#;
    assert_eq!(run(answer), [call("weather", r#"{"city": "Bern"}"#)]);
}

#[test]
fn other_json_streams_without_delay() {
    let mut parser = ToolParser::new(["weather"]);
    assert_eq!(parser.push("{\"answer"), [text("{\"answer")]);
}

#[test]
fn text_without_calls_is_held_back_no_longer_than_a_marker() {
    let mut parser = ToolParser::new(["weather"]);
    assert_eq!(parser.push("Hello <tool"), [text("Hello ")]);
    assert_eq!(parser.push("s>"), [text("<tools>")]);
}

#[test]
fn deep_json_is_text_and_no_overflow() {
    let answer = format!("<tool_call>{}", "[".repeat(100_000));
    assert_eq!(run_in(&[&answer]), [text(&answer)]);
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_pieces_and_loses_no_text(parts in proptest::collection::vec(prop::sample::select(vec![
        "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>", "[ARGS]", "{", "}", "[", "]", "\"name\": ", "\"weather\"", "\"arguments\": ", ",", " ", "\n", "x", "é", ";",
        "{\"name\": \"time\", \"arguments\": {}}",
    ]), 0..12), cut in 1usize..7) {
        let answer = parts.concat();
        let whole = run_in(&[&answer]);
        let letters: Vec<char> = answer.chars().collect();
        let cuts: Vec<String> = letters.chunks(cut).map(|letters| letters.iter().collect()).collect();
        prop_assert_eq!(&run_in(&cuts.iter().map(String::as_str).collect::<Vec<_>>()), &whole);
        if !whole.iter().any(|piece| matches!(piece, Piece::Call { .. })) {
            let joined: String = whole.iter().map(|piece| match piece { Piece::Text(text) => text.as_str(), Piece::Call { .. } => "" }).collect();
            prop_assert_eq!(joined, answer);
        }
    }
}
