//! Two texts into the encoders' tokens: every token stands for bytes of its text, in order, and time stays in proportion.
#![no_main]

use std::ops::Range;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use candor_kernels::team::Team;
use candor_model::PairEncoder;
use libfuzzer_sys::fuzz_target;

static READER: LazyLock<PairEncoder> = LazyLock::new(|| {
    let weights = include_bytes!("../../crates/truth/weights/reader.safetensors");
    let vocabulary = include_str!("../../crates/truth/weights/vocab.txt");
    PairEncoder::open(weights, None, vocabulary, &Team::new(1)).expect("the weights that come with the program")
});

fn check(text: &str, places: &[Range<usize>]) {
    let mut last = 0;
    for place in places {
        assert!(place.start < place.end && text.get(place.clone()).is_some(), "{place:?} of {text:?}");
        assert!(place.start >= last, "{place:?} begins before {last} in {text:?}");
        last = place.start;
    }
}

fuzz_target!(|input: (String, String)| {
    let (first, second) = input;
    let begin = Instant::now();
    let pair = READER.pair(&first, &second);
    assert!(begin.elapsed() < Duration::from_secs(5), "took {:?}", begin.elapsed());
    assert_eq!(pair.ids.len(), pair.kinds.len());
    assert_eq!(pair.ids.len(), pair.first.len() + pair.second.len() + 3);
    assert!(pair.ids.len() <= 512 && pair.kinds.iter().all(|kind| *kind < 4));
    check(&first, &pair.first);
    check(&second, &pair.second);
    assert_eq!(READER.first_stems(&pair).len(), pair.first.len());
});
