//! A catalog file from anyone: read or refused with a sentence; what is read keeps its names harmless.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(catalog) = candor_catalog::Catalog::parse("fuzz", text) {
        for entry in catalog.entries() {
            for name in entry.files.iter().map(|file| &file.name).chain([&entry.name]) {
                assert!(!name.contains(['/', '\\', '\0']) && !name.starts_with('.') && !name.is_empty());
            }
        }
        let _ = catalog.recommend(16 << 30, true);
    }
    let _ = candor_catalog::Entry::from_url(text);
    let _ = candor_catalog::Entry::from_hub(text);
});
