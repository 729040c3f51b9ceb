//! How fast documents become text: `cargo run --release -p candor-extract --example speed FILE…` prints, for each file, its kind,
//! the least of five times in this process, MB/s of the file and of the text, and the time through a child if `CANDOR_CHILD`
//! names a program that has one.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use candor_extract::{Extractor, Limits, extract_here};

fn main() {
    let child = std::env::var_os("CANDOR_CHILD").map(|program| Extractor::new(program, Limits::default()));
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).unwrap();
        let least = |read: &dyn Fn() -> bool| {
            let time = |_| {
                let start = Instant::now();
                read();
                start.elapsed()
            };
            (0..5).map(time).min().unwrap_or(Duration::ZERO)
        };
        let result = extract_here(&bytes, Some(&path), &Limits::default());
        let here = least(&|| extract_here(&bytes, Some(&path), &Limits::default()).is_ok());
        let there = child
            .as_ref()
            .map(|child| least(&|| child.extract(&bytes, Some(&path)).is_ok()));
        let rate = |length: usize| length as f64 / 1e6 / here.as_secs_f64();
        let name = path.rsplit('/').next().unwrap_or(&path);
        match result {
            Ok(doc) => println!(
                "{name:28} {:10} {:8.2} ms {:7.1} MB/s of file {:7.1} MB/s of text, child {:.1} ms",
                format!("{:?}", doc.kind),
                here.as_secs_f64() * 1e3,
                rate(bytes.len()),
                rate(doc.text.len()),
                there.unwrap_or_default().as_secs_f64() * 1e3
            ),
            Err(error) => println!("{name:28} {:8.2} ms {error}", here.as_secs_f64() * 1e3),
        }
    }
}
