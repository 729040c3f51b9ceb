//! Any grammar, schema, expression or choice: a constraint or a refusal, within its deadline, and masks that work.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use candor_engine::constraint::{Compiler, to_lark};
use candor_engine::{Constraint, Lexicon};
use libfuzzer_sys::fuzz_target;

/// Bytes and one end.
struct Bytes;

static BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut i = 0;
    while i < 256 {
        bytes[i] = i as u8;
        i += 1;
    }
    bytes
};

impl Lexicon for Bytes {
    fn encode(&self, text: &str, _: bool) -> Vec<u32> {
        text.bytes().map(u32::from).collect()
    }
    fn framed(&self, ids: Vec<u32>) -> Vec<u32> {
        ids
    }
    fn ends(&self) -> &[u32] {
        &[256]
    }
    fn bytes(&self, id: u32) -> &[u8] {
        BYTES.get(id as usize..=id as usize).unwrap_or(b"<end>")
    }
    fn is_special(&self, id: u32) -> bool {
        id == 256
    }
    fn vocab(&self) -> usize {
        257
    }
}

static COMPILER: LazyLock<Arc<Compiler>> = LazyLock::new(|| Arc::new(Compiler::new(Arc::new(Bytes), 257)));

fuzz_target!(|input: (u8, String)| {
    let (kind, text) = input;
    let constraint = match kind % 5 {
        0 => Constraint::Regex(text),
        1 => Constraint::Lark(text),
        2 => Constraint::Substring(text),
        3 => Constraint::Choice(text.split('\n').map(String::from).collect()),
        _ => match serde_json::from_str(&text) {
            Ok(schema) => Constraint::JsonSchema(schema),
            Err(_) => return,
        },
    };
    let Ok(Some((lark, param))) = to_lark(&constraint) else { return };
    let begin = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    if let Ok(mut matcher) = runtime.block_on(COMPILER.compile(lark, param)) {
        for _ in 0..8 {
            let Ok(mask) = matcher.compute_mask_or_eos() else { break };
            let Some(id) = mask.first_bit_set() else { break };
            if matcher.consume_token(id as u32).is_err() {
                break;
            }
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "took {:?}", begin.elapsed());
});
