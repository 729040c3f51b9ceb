//! What other programs' caches say: a digest or a commit comes out as hex, or nothing does.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(digest) = candor_catalog::ollama_digest(bytes) {
        assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()));
    }
    if let Some(commit) = candor_catalog::commit_name(bytes) {
        assert!(commit.len() <= 64 && commit.bytes().all(|b| b.is_ascii_hexdigit()));
    }
});
