//! PDFs: the file as any bytes after its header, and a whole file whose page runs any content. The library below may panic on its
//! own account; that is contained and told as an error (hence the hook, which keeps the fuzzer from stopping at it), so here only
//! what comes out is held to its promises.
#![no_main]

use candor_extract::{Limits, extract_here};
use libfuzzer_sys::fuzz_target;

static QUIET: std::sync::Once = std::sync::Once::new();

fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let limits = Limits { text_bytes: 1 << 16, member_bytes: 1 << 20, ..Limits::default() };
    for file in [[b"%PDF-1.4\n", bytes].concat(), page(bytes)] {
        if let Ok(doc) = extract_here(&file, None, &limits) {
            assert!(!doc.text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            assert!(doc.headings.iter().all(|heading| doc.text.get(heading.start..heading.end).is_some()));
            assert!(doc.pages.is_sorted() && doc.pages.iter().all(|start| doc.text.is_char_boundary(*start)));
        }
    }
});

/// A file of one page; its table of objects is missing on purpose, so that it is searched for.
fn page(content: &[u8]) -> Vec<u8> {
    let head = "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n\
        3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> /XObject << /X 6 0 R >> >> >>\nendobj\n\
        5 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>\nendobj\n\
        6 0 obj\n<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 5 >>\nstream\n/X Do\nendstream\nendobj\n";
    let stream = format!("4 0 obj\n<< /Length {} >>\nstream\nBT /F 12 Tf 72 700 Td ", content.len() + 22);
    let end = b"\nendstream\nendobj\ntrailer\n<< /Size 7 /Root 1 0 R >>\nstartxref\n0\n%%EOF\n";
    [head.as_bytes(), stream.as_bytes(), content, end].concat()
}
