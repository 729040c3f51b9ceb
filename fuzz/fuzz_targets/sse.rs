//! Any bytes as a stream of events, in any pieces: the same events as in one piece, or the same refusal.
#![no_main]

use candor_engine::upstream::sse::SseParser;
use libfuzzer_sys::fuzz_target;

fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
    let (mut parser, mut out) = (SseParser::new(), Vec::new());
    for piece in pieces {
        if parser.push(piece, &mut out).is_err() {
            return (out, false);
        }
    }
    (out, true)
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (step, bytes) = input;
    let step = usize::from(step % 32) + 1;
    assert_eq!(events(bytes.chunks(step)), events(std::iter::once(bytes.as_slice())));
});
