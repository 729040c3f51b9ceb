//! Writes a GGUF file (version 3): metadata that was read is written to the byte, tensors come one after another and are
//! never all in memory. The file grows under another name beside its own and takes its name when it is whole and on the
//! disk, so that whatever interrupts this, no file with that name is half a model.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use candor_kernels::formats::Format;

use super::value::Kind;
use super::{Gguf, byte_size};
use crate::Error;

/// The version that is written.
const VERSION: u32 = 3;

/// Metadata entries in order, each as its bytes in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    entries: Vec<(String, Vec<u8>)>,
    alignment: u64,
}

impl Metadata {
    /// All entries of `gguf`, to the byte.
    pub fn of(gguf: &Gguf) -> Self {
        Self {
            entries: gguf
                .entries()
                .map(|(key, bytes)| (key.to_owned(), bytes.to_owned()))
                .collect(),
            alignment: gguf.alignment(),
        }
    }

    /// Sets `key` to an unsigned 32-bit number, where it stands or at the end.
    pub fn set_u32(&mut self, key: &str, value: u32) {
        let mut bytes = string(key);
        bytes.extend(Kind::U32.code().to_le_bytes());
        bytes.extend(value.to_le_bytes());
        match self.entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = bytes,
            None => self.entries.push((key.to_owned(), bytes)),
        }
    }
}

/// A length and the bytes, as GGUF writes text.
fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

/// A tensor of the new file.
#[derive(Debug, Clone)]
pub struct NewTensor {
    /// Its name.
    pub name: String,
    /// Outermost dimension first, as everywhere in Candor.
    pub shape: Vec<usize>,
    /// How its values are stored.
    pub format: Format,
}

/// A file that grows; dropped before `finish`, it leaves nothing.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    partial: PathBuf,
    /// `None` once the file has its name.
    file: Option<BufWriter<File>>,
    alignment: u64,
    /// Bytes of each tensor.
    sizes: Vec<u64>,
    /// Which tensor comes next, and how many of its bytes are there.
    at: (usize, u64),
    written: u64,
}

impl Writer {
    /// Begins the file that will be at `path`, for these tensors in this order.
    ///
    /// # Errors
    /// If the file cannot be made, or a tensor's rows are no whole blocks of its format.
    pub fn create(path: &Path, metadata: &Metadata, tensors: &[NewTensor]) -> Result<Self, Error> {
        let (header, sizes) = header(path, metadata, tensors)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        // Runs beside each other each have a file of their own; the last to finish gives it its name.
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(|cause| cannot(path, &cause))?;
        let mut writer = Self {
            path: path.to_owned(),
            partial,
            file: Some(BufWriter::with_capacity(1 << 20, file)),
            alignment: metadata.alignment,
            sizes,
            at: (0, 0),
            written: 0,
        };
        writer.put(&header)?;
        writer.pad()?;
        Ok(writer)
    }

    /// The next bytes of the tensors' data. A tensor may come in pieces, a piece may not reach into the next tensor.
    ///
    /// # Errors
    /// If they cannot be written, or are more than the tensor has.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (index, there) = self.at;
        let size = self.sizes.get(index).copied().unwrap_or(0);
        let there = there + bytes.len() as u64;
        if there > size {
            return Err(Error::file(
                &self.path,
                format!("was given {there} bytes for tensor {index}, which has {size}"),
            ));
        }
        self.put(bytes)?;
        self.at = (index, there);
        if there == size {
            self.at = (index + 1, 0);
            self.pad()?;
        }
        Ok(())
    }

    /// Brings the file to the disk and gives it its name; returns its size in bytes.
    ///
    /// # Errors
    /// If that fails, or tensors are missing.
    pub fn finish(mut self) -> Result<u64, Error> {
        if self.at != (self.sizes.len(), 0) {
            return Err(Error::file(
                &self.path,
                format!("was given {} tensors of {}", self.at.0, self.sizes.len()),
            ));
        }
        let done = (|| {
            let Some(mut file) = self.file.take() else {
                return Ok(());
            };
            file.flush()?;
            file.get_ref().sync_all()?;
            drop(file);
            std::fs::rename(&self.partial, &self.path)?;
            // A name is on the disk when its folder is. Not every system lets a folder be opened for that.
            if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty())
                && let Ok(folder) = File::open(folder)
            {
                let _ = folder.sync_all();
            }
            Ok(())
        })();
        if let Err(cause) = done {
            let _ = std::fs::remove_file(&self.partial);
            return Err(cannot(&self.path, &cause));
        }
        Ok(self.written)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes).map_err(|cause| cannot(&self.path, &cause))?;
            self.written += bytes.len() as u64;
        }
        Ok(())
    }

    fn pad(&mut self) -> Result<(), Error> {
        let zeros = self.written.next_multiple_of(self.alignment) - self.written;
        self.put(&vec![0; zeros as usize])
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// The file up to its data, and the size of each tensor.
fn header(path: &Path, metadata: &Metadata, tensors: &[NewTensor]) -> Result<(Vec<u8>, Vec<u64>), Error> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.entries.len() as u64).to_le_bytes());
    for (_, entry) in &metadata.entries {
        bytes.extend(entry);
    }
    let (mut offset, mut sizes) = (0u64, Vec::new());
    for tensor in tensors {
        let size = byte_size(tensor.format, &tensor.shape).ok_or_else(|| {
            Error::file(
                path,
                format!(
                    "cannot hold tensor `{}` as {}: its shape {:?} is no whole number of blocks",
                    tensor.name,
                    tensor.format.name(),
                    tensor.shape
                ),
            )
        })?;
        bytes.extend(string(&tensor.name));
        bytes.extend((tensor.shape.len() as u32).to_le_bytes());
        for len in tensor.shape.iter().rev() {
            bytes.extend((*len as u64).to_le_bytes());
        }
        bytes.extend(tensor.format.to_ggml().to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        offset = (offset + size as u64).next_multiple_of(metadata.alignment);
        sizes.push(size as u64);
    }
    Ok((bytes, sizes))
}

fn cannot(path: &Path, cause: &std::io::Error) -> Error {
    let what = match cause.kind() {
        std::io::ErrorKind::NotFound => "its folder is not there; make it first".to_owned(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "the disk is full; free some space, or name a file on another disk".to_owned()
        }
        _ => cause.to_string(),
    };
    Error::file(path, format!("cannot be written: {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fixture() -> Gguf {
        Gguf::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/llama.gguf")).unwrap()
    }

    fn tensors(gguf: &Gguf) -> Vec<NewTensor> {
        let summaries = gguf.tensors().into_iter();
        let new = summaries.map(|tensor| NewTensor {
            name: tensor.name,
            shape: tensor.shape,
            format: tensor.format,
        });
        new.collect()
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("candor-write-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_that_is_copied_tensor_by_tensor_has_the_same_metadata_and_tensors() {
        let (gguf, folder) = (fixture(), folder("copy"));
        let path = folder.join("copy.gguf");
        let mut writer = Writer::create(&path, &Metadata::of(&gguf), &tensors(&gguf)).unwrap();
        for tensor in gguf.tensors() {
            let bytes = gguf.tensor(&tensor.name).unwrap().bytes;
            let (front, rest) = bytes.split_at(bytes.len() / 3);
            writer.write(front).unwrap();
            writer.write(rest).unwrap();
        }
        assert!(!path.exists(), "it has its name before it is whole");
        let size = writer.finish().unwrap();
        let copy = Gguf::open(&path).unwrap();
        assert_eq!(size, copy.bytes());
        assert!(gguf.entries().eq(copy.entries()));
        for tensor in gguf.tensors() {
            let (a, b) = (gguf.tensor(&tensor.name).unwrap(), copy.tensor(&tensor.name).unwrap());
            assert!(a.bytes == b.bytes && a.shape == b.shape && a.format == b.format);
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "something is left over");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_writer_that_is_dropped_leaves_nothing() {
        let (gguf, folder) = (fixture(), folder("drop"));
        let path = folder.join("half.gguf");
        std::fs::write(&path, "what was there").unwrap();
        let mut writer = Writer::create(&path, &Metadata::of(&gguf), &tensors(&gguf)).unwrap();
        writer.write(&[0; 8]).unwrap();
        drop(writer);
        let short = Writer::create(&path, &Metadata::of(&gguf), &tensors(&gguf)).unwrap();
        assert!(short.finish().unwrap_err().to_string().contains("0 tensors of"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "what was there");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_number_is_set_where_it_stands_or_at_the_end() {
        let gguf = fixture();
        let mut metadata = Metadata::of(&gguf);
        let before: Vec<String> = metadata.entries.iter().map(|(key, _)| key.clone()).collect();
        metadata.set_u32("general.file_type", 15);
        metadata.set_u32("a.new.key", 7);
        let after: Vec<&str> = metadata.entries.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(after[..before.len()], before[..]);
        assert_eq!(after.last(), Some(&"a.new.key"));
        let folder = folder("numbers");
        let path = folder.join("numbers.gguf");
        let writer = Writer::create(&path, &metadata, &[]).unwrap();
        writer.finish().unwrap();
        let read = Gguf::open(&path).unwrap();
        assert_eq!(
            (read.u64("general.file_type"), read.u64("a.new.key")),
            (Some(15), Some(7))
        );
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_written_is_a_sentence() {
        let gguf = fixture();
        let path = Path::new("/no/such/folder/x.gguf");
        let error = Writer::create(path, &Metadata::of(&gguf), &[]).unwrap_err();
        assert!(error.to_string().contains("its folder is not there"), "{error}");
        let odd = NewTensor {
            name: "odd".into(),
            shape: vec![2, 33],
            format: Format::Q4_0,
        };
        let error = Writer::create(path, &Metadata::of(&gguf), &[odd]).unwrap_err();
        assert!(error.to_string().contains("`odd` as Q4_0"), "{error}");
    }
}
