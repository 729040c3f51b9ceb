//! Zip packages (office documents, books), bounded: how many members, how far each unpacks and all of them together, and how much
//! a small member may claim to become. Names of members are looked up and never become paths.

use std::io::{Cursor, Read};

use crate::error::ExtractError;
use crate::limits::Limits;

/// Deflate cannot pack tighter than about 1030 to 1, text of documents stays far below this.
const LARGEST_RATIO: u64 = 400;
/// Members below this size may be as repetitive as they like.
const RATIO_FROM: u64 = 8 << 20;

/// An open package.
pub(crate) struct Package<'a> {
    archive: zip::ZipArchive<Cursor<&'a [u8]>>,
    what: &'static str,
    limits: &'a Limits,
    unpacked: u64,
}

impl<'a> Package<'a> {
    pub(crate) fn open(bytes: &'a [u8], what: &'static str, limits: &'a Limits) -> Result<Self, ExtractError> {
        // The record at the end says how many members there are; it is looked at before the library makes room for them.
        let tail = &bytes[bytes.len().saturating_sub(22 + 65_535)..];
        let end = tail
            .windows(4)
            .rposition(|window| window == b"PK\x05\x06")
            .filter(|at| tail.len() - at >= 22);
        let Some(end) = end else {
            return Err(ExtractError::broken(
                what,
                "it is a zip package that breaks off before its directory",
            ));
        };
        let members = usize::from(u16::from_le_bytes([tail[end + 10], tail[end + 11]]));
        if members > limits.members {
            return Err(too_many(members, limits));
        }
        let archive = zip::ZipArchive::new(Cursor::new(bytes))
            .map_err(|e| ExtractError::broken(what, format!("its zip package cannot be read ({e})")))?;
        if archive.len() > limits.members {
            return Err(too_many(archive.len(), limits));
        }
        Ok(Self {
            archive,
            what,
            limits,
            unpacked: 0,
        })
    }

    pub(crate) fn named(mut self, what: &'static str) -> Self {
        self.what = what;
        self
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.archive.file_names()
    }

    /// A member's bytes; `None` where there is none of that name.
    pub(crate) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExtractError> {
        let what = self.what;
        let unpackable =
            |why: String| ExtractError::broken(what, format!("its part `{}` cannot be unpacked ({why})", short(name)));
        let file = match self.archive.by_name(name) {
            Ok(file) => file,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(zip::result::ZipError::UnsupportedArchive(zip::result::ZipError::PASSWORD_REQUIRED)) => {
                return Err(ExtractError::Encrypted { what: what.into() });
            }
            Err(e) => return Err(unpackable(e.to_string())),
        };
        let room = self
            .limits
            .member_bytes
            .min(self.limits.unpacked_bytes.saturating_sub(self.unpacked));
        let (packed, claimed) = (file.compressed_size(), file.size());
        let too_large = |size: String| {
            ExtractError::too_large(
                format!("the part `{}` of this {what}", short(name)),
                format!("it unpacks to {size}; at most {room} bytes are unpacked here"),
            )
        };
        if claimed > room {
            return Err(too_large(format!("{claimed} bytes")));
        }
        // What the directory claims decides nothing but this first capacity; the bytes themselves are counted.
        let mut bytes = Vec::with_capacity(claimed.min(1 << 20) as usize);
        let mut input = file.take(room + 1);
        let mut block = vec![0; 1 << 16];
        loop {
            let n = input.read(&mut block).map_err(|e| unpackable(e.to_string()))?;
            if n == 0 {
                break;
            }
            bytes.extend_from_slice(&block[..n]);
            let length = bytes.len() as u64;
            if length > room {
                return Err(too_large(format!("more than {room} bytes")));
            }
            if length > RATIO_FROM && length / packed.max(1) > LARGEST_RATIO {
                return Err(too_large(format!(
                    "more than {LARGEST_RATIO} times its packed size, as only an attack does"
                )));
            }
        }
        self.unpacked += bytes.len() as u64;
        Ok(Some(bytes))
    }

    /// A member that the format must have.
    pub(crate) fn must_read(&mut self, name: &str) -> Result<Vec<u8>, ExtractError> {
        let what = self.what;
        self.read(name)?
            .ok_or_else(|| ExtractError::broken(what, format!("it has no part `{}`", short(name))))
    }

    /// A member of XML as text.
    pub(crate) fn xml(&mut self, name: &str) -> Result<Option<String>, ExtractError> {
        Ok(self.read(name)?.map(|bytes| crate::decode::xml(&bytes)))
    }
}

fn too_many(members: usize, limits: &Limits) -> ExtractError {
    ExtractError::too_large(
        "this package",
        format!("it has {members} parts, at most {} are looked at", limits.members),
    )
}

fn short(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// The path that `target` means when it stands in the part `from`: relative to its folder, `..` resolved, never above the root.
pub(crate) fn resolve(from: &str, target: &str) -> String {
    let target = target.split(['#', '?']).next().unwrap_or_default();
    let mut parts: Vec<&str> = if target.starts_with('/') {
        Vec::new()
    } else {
        from.split('/').collect()
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_relative_to_the_part_that_names_them() {
        assert_eq!(
            resolve("ppt/slides/slide1.xml", "../notesSlides/n1.xml"),
            "ppt/notesSlides/n1.xml"
        );
        assert_eq!(resolve("OEBPS/content.opf", "text/a.xhtml#x"), "OEBPS/text/a.xhtml");
        assert_eq!(resolve("a/b", "/xl/sheet.xml"), "xl/sheet.xml");
        assert_eq!(resolve("a", "../../../etc/passwd"), "etc/passwd");
    }
}
