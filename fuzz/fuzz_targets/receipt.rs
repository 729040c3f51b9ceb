//! Receipts from files: what does not parse is refused, what parses is checked, and nothing that was changed is sound.
#![no_main]

use std::sync::LazyLock;

use candor_store::{Receipt, Store};
use candor_truth::receipt::{Body, Line, MadeBy, Place, Signer, Soundness, issue, parse, verify_alone};
use libfuzzer_sys::fuzz_target;

/// A receipt as it is issued.
static ISSUED: LazyLock<(Receipt, Vec<u8>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let receipt = runtime.block_on(async {
        let store = Store::open(folder.path().join("candor.db")).await.expect("a store");
        let signer = Signer::open(&folder.path().join("key")).expect("a key");
        let place = Place { source: "cape.txt".into(), file_id: None, text_sha256: "ab".repeat(32), start: 0, end: 4, quote_sha256: "cd".repeat(32) };
        let line = Line { text: "Ada.".into(), mark: "quoted".into(), evidence: vec![place] };
        let body = Body {
            question: "Who?".into(), before: Vec::new(), collections: Vec::new(), outcome: "answered".into(), short: None,
            confidence: 0.5, dial: Some(0.1), sentences: vec![line], made_by: MadeBy::default(),
        };
        issue(&store, &signer, &body).await.expect("a receipt")
    });
    let json = serde_json::to_vec(&receipt).expect("JSON");
    (receipt, json)
});

fn check(bytes: &[u8]) {
    let Ok(receipt) = parse(bytes) else { return };
    let sound = verify_alone(&receipt).iter().all(|finding| finding.verdict != Soundness::Broken);
    // No one has the key: only what was issued is sound, whole or with its body forgotten.
    let forgotten = Receipt { body: None, ..ISSUED.0.clone() };
    assert!(!sound || receipt == ISSUED.0 || receipt == forgotten, "{receipt:?}");
    if let Some(body) = &receipt.body {
        let _ = serde_json::from_str::<Body>(body);
    }
}

fuzz_target!(|input: (Vec<u8>, Vec<(u16, u8)>)| {
    let (bytes, changes) = input;
    check(&bytes);
    let mut changed = ISSUED.1.clone();
    for (at, byte) in changes {
        let length = changed.len();
        changed[usize::from(at) % length] = byte;
    }
    check(&changed);
});
