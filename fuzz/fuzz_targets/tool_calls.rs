//! Any text, in any pieces: no panic, no lost text, and the same calls as in one piece.
#![no_main]

use candor_engine::tools::{Piece, ToolParser};
use libfuzzer_sys::fuzz_target;

fn pieces<'a>(parts: impl Iterator<Item = &'a str>) -> (String, Vec<(String, String)>) {
    let mut parser = ToolParser::new(["weather", "time"]);
    let mut all: Vec<Piece> = parts.flat_map(|part| parser.push(part)).collect();
    all.extend(parser.finish());
    let (mut text, mut calls) = (String::new(), Vec::new());
    for piece in all {
        match piece {
            Piece::Text(part) => text += &part,
            Piece::Call { name, arguments } => calls.push((name, arguments)),
        }
    }
    (text, calls)
}

fuzz_target!(|input: (u8, String)| {
    let (step, answer) = input;
    let letters: Vec<char> = answer.chars().collect();
    let cut: Vec<String> = letters.chunks(usize::from(step % 16) + 1).map(|part| part.iter().collect()).collect();
    let whole = pieces(std::iter::once(answer.as_str()));
    assert_eq!(pieces(cut.iter().map(String::as_str)), whole);
    if whole.1.is_empty() {
        assert_eq!(whole.0, answer);
    }
});
