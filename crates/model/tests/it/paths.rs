//! The same bits on every instruction set: this test runs itself once more for each path that the processor has, and all of
//! them, and every other machine, must come to the hashes below.
//!
//! A hash changes with any change of the arithmetic, however small. Then all paths still have to agree, and the new one is
//! taken over on purpose.

use std::process::Command;

use candor_kernels::cpu;
use candor_kernels::team::Team;
use candor_model::{KvFormat, LoadOptions, Precision};

use crate::greedy::{logprobs, open};

/// Set where the test runs itself: what it asks for is then what the process has.
const INSIDE: &str = "CANDOR_TEST_PATH";
/// What follows the name of a path that is too slow for long texts.
const SHORT: &str = "scalar";

/// FNV-1a of the bits (Fowler, Noll, Vo).
fn hash(values: &[f32]) -> u64 {
    values
        .iter()
        .flat_map(|v| v.to_bits().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

fn found(long: bool) -> Vec<(&'static str, u64)> {
    let team = Team::new(2);
    let mut found = Vec::new();
    // Few enough tokens for the kernels of decoding, and enough for those of prompts.
    use Precision::{Fast, Quantized};
    for (name, text, tokens, kv, precision) in [
        ("smollm2", "smollm2, 3 tokens", 3, KvFormat::F16, Quantized),
        ("smollm2", "smollm2, 3 tokens, q8", 3, KvFormat::Q8, Quantized),
        ("smollm2", "smollm2, 3 tokens, fast", 3, KvFormat::F16, Fast),
        ("gemma3", "gemma3, 2 tokens", 2, KvFormat::F16, Quantized),
        ("smollm2", "smollm2, 150 tokens", 150, KvFormat::F16, Quantized),
        ("smollm2", "smollm2, 150 tokens, q8", 150, KvFormat::Q8, Quantized),
        ("smollm2", "smollm2, 150 tokens, fast", 150, KvFormat::F16, Fast),
        ("gemma3", "gemma3, 40 tokens", 40, KvFormat::F16, Quantized),
        ("gemma3", "gemma3, 40 tokens, fast", 40, KvFormat::F16, Fast),
    ] {
        if !long && tokens > 3 {
            continue;
        }
        let options = LoadOptions {
            kv,
            precision,
            ..LoadOptions::default()
        };
        let Some(model) = open(name, &options) else {
            continue;
        };
        let ids: Vec<u32> = (0..tokens as u32).map(|i| 100 + i * 97 % 5000).collect();
        let rows = logprobs(&**model.decoder().unwrap(), &team, &ids, &[tokens - 1]);
        found.push((text, hash(&rows[0])));
    }
    let options = LoadOptions {
        precision: Precision::Compact,
        ..LoadOptions::default()
    };
    if let Some(model) = open("minilm", &options) {
        let length = if long { 100 } else { 6 };
        let ids: Vec<Vec<u32>> = [length, 5].map(|n| (0..n).map(|i| 2000 + i * 31).collect()).to_vec();
        let vectors = model.encoder().unwrap().embed(&team, &ids).concat();
        found.push((
            if long { "minilm, 100 tokens" } else { "minilm, 6 tokens" },
            hash(&vectors),
        ));
    }
    found
}

const HASHES: [(&str, u64); 11] = [
    ("smollm2, 3 tokens", 0x1850_1dec_4758_fb8e),
    ("smollm2, 3 tokens, q8", 0x6ec0_886a_dfad_9ff3),
    ("smollm2, 3 tokens, fast", 0x657f_462e_ebd9_336c),
    ("gemma3, 2 tokens", 0x9cbf_1510_3dbe_b011),
    ("smollm2, 150 tokens", 0x16e4_5b09_ed77_7247),
    ("smollm2, 150 tokens, q8", 0x5348_7900_3018_4720),
    ("gemma3, 40 tokens", 0xe8a6_edcf_a285_2f66),
    ("smollm2, 150 tokens, fast", 0x5472_7901_1325_6297),
    ("gemma3, 40 tokens, fast", 0xa6fc_1ba2_adcc_3f28),
    ("minilm, 6 tokens", 0x567d_1eec_453e_9811),
    ("minilm, 100 tokens", 0x6f9b_e451_e675_7c1e),
];

#[test]
fn every_path_comes_to_the_committed_hashes() {
    if let Ok(path) = std::env::var(INSIDE) {
        assert_eq!(cpu::isa().name(), path);
        let found = found(path != SHORT);
        let wrong: Vec<_> = found.iter().filter(|hash| !HASHES.contains(hash)).collect();
        assert!(wrong.is_empty(), "{path}: {wrong:x?}");
        return;
    }
    for isa in cpu::available() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "paths::every_path_comes_to_the_committed_hashes",
                "--nocapture",
            ])
            .env("CANDOR_ISA", isa.name())
            .env(INSIDE, isa.name())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{}: {said}", isa.name());
    }
}
