//! The encoders on our engine beside the same weights in PyTorch: `runs/truth/export.py` wrote the fixtures.

use candor_kernels::team::Team;
use candor_model::PairEncoder;
use serde_json::Value;

const READER: &[u8] = include_bytes!("../../weights/reader.safetensors");
const CHECKER: &[u8] = include_bytes!("../../weights/checker.safetensors");
const VOCABULARY: &str = include_str!("../../weights/vocab.txt");

/// Of logits of some units. The reference computes the same int8 rows in f32; here weights have 12 bits and activations 16.
const TOLERANCE: f64 = 2e-2;

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        one => vec![one.as_f64().unwrap()],
    }
}

fn compare(encoder: &PairEncoder, fixture: &str, pair_heads: &[&str], of_first: &[&str], of_second: &[&str]) {
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    let team = Team::new(2);
    let cases = fixture["pairs"].as_array().unwrap();
    let pairs: Vec<_> = cases
        .iter()
        .map(|c| encoder.pair(c["first"].as_str().unwrap(), c["second"].as_str().unwrap()))
        .collect();
    let mut worst = 0.0f64;
    for ((case, pair), states) in cases.iter().zip(&pairs).zip(encoder.states(&team, &pairs)) {
        let ids: Vec<f64> = pair.ids.iter().map(|id| f64::from(*id)).collect();
        assert_eq!(ids, numbers(&case["ids"]), "{case}");
        let mut near = |name: &str, got: Vec<f32>| {
            let wanted = numbers(&case[name]);
            assert_eq!(got.len(), wanted.len(), "{name}");
            for (got, wanted) in got.iter().zip(wanted) {
                worst = worst.max((f64::from(*got) - wanted).abs());
            }
        };
        for name in pair_heads {
            near(name, encoder.head(name).unwrap().apply(&states.pair(pair)));
        }
        let tokens = |range: std::ops::Range<usize>, name: &str, k: usize| -> Vec<f32> {
            range
                .map(|at| encoder.head(name).unwrap().apply(states.token(at))[k])
                .collect()
        };
        for name in of_first {
            near(name, tokens(1..1 + pair.first.len(), name, 0));
        }
        let second = pair.begins()..pair.begins() + pair.second.len();
        for name in of_second {
            let (head, k) = match *name {
                "start" => ("span", 0),
                "end" => ("span", 1),
                other => (other, 0),
            };
            near(name, tokens(second.clone(), head, k));
        }
    }
    println!("largest difference {worst:.2e}");
    assert!(worst <= TOLERANCE, "{worst} is more than {TOLERANCE}");
}

#[test]
fn the_reader_gives_pytorchs_values() {
    let encoder = PairEncoder::open(READER, None, VOCABULARY, &Team::new(2)).unwrap();
    compare(
        &encoder,
        include_str!("../fixtures/reader.json"),
        &["rank", "answerable"],
        &[],
        &["start", "end"],
    );
}

#[test]
fn the_checker_gives_pytorchs_values() {
    let encoder = PairEncoder::open(CHECKER, Some(READER), VOCABULARY, &Team::new(2)).unwrap();
    compare(
        &encoder,
        include_str!("../fixtures/checker.json"),
        &["verdict"],
        &["unsupported"],
        &[],
    );
}

#[test]
fn damaged_weights_are_an_error_and_no_panic() {
    for cut in [0, 7, 8, 100, READER.len() / 2, READER.len() - 1] {
        assert!(PairEncoder::open(&READER[..cut], None, VOCABULARY, &Team::new(1)).is_err());
    }
    assert!(PairEncoder::open(CHECKER, None, VOCABULARY, &Team::new(1)).is_err());
}
