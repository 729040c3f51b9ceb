//! Texts as claims, and a claim beside evidence: ranges lie in their texts, signals are numbers, time stays in proportion.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use candor_truth::check::pairings;
use candor_truth::{Checker, Encoders};
use libfuzzer_sys::fuzz_target;

static ENCODERS: LazyLock<Arc<Encoders>> = LazyLock::new(|| Encoders::new(1));
/// Bytes of a text that the encoder reads: it takes its time.
const SHORT: usize = 160;

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHORT)]
}

fuzz_target!(|input: (String, String)| {
    let (text, evidence) = input;
    let begin = Instant::now();
    let claims = Checker::claims(&text);
    assert!(begin.elapsed() < Duration::from_secs(5), "took {:?}", begin.elapsed());
    let mut last = 0;
    for range in &claims {
        assert!(range.start >= last && range.start < range.end && text.get(range.clone()).is_some(), "{range:?}");
        last = range.end;
    }
    let Some(claim) = claims.first().map(|range| cut(&text[range.clone()])) else { return };
    let pairs = pairings(&ENCODERS, &[(claim, cut(&evidence))]).expect("the weights that come with the program");
    assert!(pairs[0].features.iter().all(|value| value.is_finite()), "{:?}", pairs[0].features);
    assert!(pairs[0].unsupported.iter().all(|range| claim.get(range.clone()).is_some()), "{:?}", pairs[0].unsupported);
});
