//! GGUF files, versions 2 and 3: metadata and tensors of one memory-mapped file. Everything is checked once, here, at
//! open: counts against the file's size before anything is allocated, every tensor's range with overflow-safe
//! arithmetic. What a model means by its metadata is not decided here.
//!
//! Layout: magic, version, tensor count, metadata count, metadata, tensor infos, padding, tensor data.

mod cursor;
mod value;
mod write;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use candor_kernels::formats::Format;

use crate::Error;
use crate::mmap::Mapped;
use crate::weights::{Tensor, TensorSummary};
use cursor::{Cursor, Fault};
pub use value::{Array, Kind, Strings, Value};
pub use write::{Metadata, NewTensor, Writer};

const MAX_TENSORS: u64 = 1 << 20;
const MAX_METADATA: u64 = 1 << 16;
const MAX_KEY: u64 = 1 << 16;
const MAX_TENSOR_NAME: u64 = 1 << 10;
const MAX_DIMENSIONS: u32 = 4;
/// What `general.alignment` is where nobody says.
const DEFAULT_ALIGNMENT: u64 = 32;

/// Where a tensor lies and what it is.
#[derive(Debug, Clone)]
struct TensorInfo {
    format: Format,
    /// Outermost dimension first, so a matrix is [outputs, inputs].
    shape: Vec<usize>,
    start: usize,
    end: usize,
}

/// An open GGUF file.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    map: Mapped,
    version: u32,
    metadata: HashMap<String, Value>,
    /// Keys in the order of the file.
    keys: Vec<String>,
    /// Where each of their entries lies, key and value.
    entries: Vec<Range<usize>>,
    tensors: HashMap<String, TensorInfo>,
    /// Names in the order of the file.
    names: Vec<String>,
}

impl Gguf {
    /// Maps the file at `path` and checks all of its header.
    ///
    /// # Errors
    /// If it is not a whole GGUF file, or holds a tensor type that is not supported.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let map = Mapped::open(path)?;
        let header = Header::read(&map).map_err(|fault| Error::file(path, fault))?;
        let Header {
            version,
            metadata,
            keys,
            entries,
            tensors,
            names,
        } = header;
        Ok(Self {
            path: path.to_owned(),
            map,
            version,
            metadata,
            keys,
            entries,
            tensors,
            names,
        })
    }

    /// Checks bytes as if they were a file; for fuzzing.
    ///
    /// # Errors
    /// As `open`.
    pub fn check(bytes: &[u8]) -> Result<(), Error> {
        Header::read(bytes)
            .map(|_| ())
            .map_err(|fault| Error::file(Path::new("(bytes)"), fault))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file in bytes.
    pub fn bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// The file's GGUF version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// All metadata in the order of the file.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.keys
            .iter()
            .filter_map(|key| Some((key.as_str(), self.metadata.get(key)?)))
    }

    /// All metadata as it stands in the file: each key with the bytes of its entry (key, type, value).
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let bytes = self.entries.iter().filter_map(|range| self.map.get(range.clone()));
        self.keys.iter().map(String::as_str).zip(bytes)
    }

    /// To what tensors are aligned, in bytes.
    pub fn alignment(&self) -> u64 {
        self.u64("general.alignment").unwrap_or(DEFAULT_ALIGNMENT)
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The value of `key`, where it is text.
    pub fn str(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of `key`, where it is an unsigned number.
    pub fn u64(&self, key: &str) -> Option<u64> {
        self.metadata.get(key)?.as_u64()
    }

    /// The value of `key`, where it is a number.
    pub fn f64(&self, key: &str) -> Option<f64> {
        self.metadata.get(key)?.as_f64()
    }

    /// The value of `key`, where it is true or false.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.metadata.get(key)? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The strings of the array `key`.
    pub fn strings(&self, key: &str) -> Option<Strings<'_>> {
        match self.metadata.get(key)? {
            Value::Array(array) if array.kind == Kind::String => Some(Strings {
                bytes: &self.map[array.start..array.end],
            }),
            _ => None,
        }
    }

    /// The numbers of the array `key`, as floats.
    pub fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let Value::Array(array) = self.metadata.get(key)? else {
            return None;
        };
        let bytes = &self.map[array.start..array.end];
        Some(match array.kind {
            Kind::U8 | Kind::Bool => bytes.iter().map(|&v| f64::from(v)).collect(),
            Kind::I8 => bytes.iter().map(|&v| f64::from(v as i8)).collect(),
            Kind::U16 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&v| f64::from(u16::from_le_bytes(v)))
                .collect(),
            Kind::I16 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&v| f64::from(i16::from_le_bytes(v)))
                .collect(),
            Kind::U32 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&v| f64::from(u32::from_le_bytes(v)))
                .collect(),
            Kind::I32 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&v| f64::from(i32::from_le_bytes(v)))
                .collect(),
            Kind::F32 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&v| f64::from(f32::from_le_bytes(v)))
                .collect(),
            Kind::U64 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&v| u64::from_le_bytes(v) as f64)
                .collect(),
            Kind::I64 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&v| i64::from_le_bytes(v) as f64)
                .collect(),
            Kind::F64 => bytes.as_chunks().0.iter().map(|&v| f64::from_le_bytes(v)).collect(),
            Kind::String | Kind::Array => return None,
        })
    }

    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        let info = self.tensors.get(name)?;
        Some(Tensor {
            format: info.format,
            shape: &info.shape,
            bytes: &self.map[info.start..info.end],
        })
    }

    /// All tensors in the order of the file.
    pub fn tensors(&self) -> Vec<TensorSummary> {
        let summary = |name: &String| {
            let info = self.tensors.get(name)?;
            Some(TensorSummary {
                name: name.clone(),
                format: info.format,
                shape: info.shape.clone(),
                bytes: info.end - info.start,
            })
        };
        self.names.iter().filter_map(summary).collect()
    }
}

/// What the header says, checked.
struct Header {
    version: u32,
    metadata: HashMap<String, Value>,
    keys: Vec<String>,
    entries: Vec<Range<usize>>,
    tensors: HashMap<String, TensorInfo>,
    names: Vec<String>,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        if !bytes.starts_with(b"GGUF") {
            return Err(
                "is not a GGUF file (it does not begin with `GGUF`); name a .gguf file, or a folder with \
                        config.json and .safetensors files"
                    .into(),
            );
        }
        let mut cursor = Cursor::new(bytes, 4);
        let version = cursor.u32("the version")?;
        if version.swap_bytes() == 2 || version.swap_bytes() == 3 {
            return Err("is a big-endian GGUF file, which is not supported; get the little-endian one".into());
        }
        if !(2..=3).contains(&version) {
            return Err(format!(
                "is GGUF version {version}; versions 2 and 3 can be read, convert it with a current converter"
            ));
        }
        let tensor_count = cursor.u64("the tensor count")?;
        let metadata_count = cursor.u64("the metadata count")?;
        // A tensor info takes at least 24 bytes, a metadata entry at least 13.
        if tensor_count > MAX_TENSORS.min(cursor.remaining() / 24)
            || metadata_count > MAX_METADATA.min(cursor.remaining() / 13)
        {
            return Err(format!(
                "says it has {tensor_count} tensors and {metadata_count} metadata entries, more than its size allows; \
                 the download is incomplete or the file is damaged, get it again"
            ));
        }
        let mut header = Self {
            version,
            metadata: HashMap::new(),
            keys: Vec::new(),
            entries: Vec::new(),
            tensors: HashMap::new(),
            names: Vec::new(),
        };
        for _ in 0..metadata_count {
            header.metadata_entry(&mut cursor)?;
        }
        let mut offsets = Vec::new();
        for _ in 0..tensor_count {
            offsets.push(header.tensor_info(&mut cursor)?);
        }
        header.place(bytes.len() as u64, cursor.position() as u64, &offsets)?;
        Ok(header)
    }

    fn metadata_entry(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let start = cursor.position();
        let key = cursor.string(MAX_KEY, "a metadata key")?;
        let key = std::str::from_utf8(key)
            .map_err(|_| "has a metadata key that is not UTF-8; the file is damaged, get it again".to_owned())?;
        let what = format!("metadata `{}`", shorten(key));
        let kind = cursor.u32(&what)?;
        let value = cursor.value(kind, &what)?;
        if self.metadata.insert(key.to_owned(), value).is_some() {
            return Err(format!(
                "{what} stands in the file twice; the file is damaged, get it again"
            ));
        }
        self.keys.push(key.to_owned());
        self.entries.push(start..cursor.position());
        Ok(())
    }

    /// Reads one tensor's name, shape, type and offset; returns the offset.
    fn tensor_info(&mut self, cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
        let name = cursor.string(MAX_TENSOR_NAME, "a tensor name")?;
        let name = std::str::from_utf8(name)
            .map_err(|_| "has a tensor name that is not UTF-8; the file is damaged, get it again".to_owned())?;
        let what = format!("tensor `{}`", shorten(name));
        let dimensions = cursor.u32(&what)?;
        if dimensions == 0 || dimensions > MAX_DIMENSIONS {
            return Err(format!(
                "{what} has {dimensions} dimensions, 1 to {MAX_DIMENSIONS} are possible; the file is damaged, get it again"
            ));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let len = cursor.u64(&what)?;
            let len = usize::try_from(len).ok().filter(|&len| len != 0);
            shape.push(len.ok_or_else(|| {
                format!("{what} has a dimension that is zero or too large; the file is damaged, get it again")
            })?);
        }
        shape.reverse();
        let code = cursor.u32(&what)?;
        let format = Format::from_ggml(code).ok_or_else(|| {
            format!(
                "{what} has the type {} which is not supported; get the model in one of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K",
                ggml_type_name(code)
            )
        })?;
        let offset = cursor.u64(&what)?;
        let info = TensorInfo {
            format,
            shape,
            start: 0,
            end: 0,
        };
        if self.tensors.insert(name.to_owned(), info).is_some() {
            return Err(format!(
                "{what} stands in the file twice; the file is damaged, get it again"
            ));
        }
        self.names.push(name.to_owned());
        Ok(offset)
    }

    /// Checks every tensor's range against the file.
    fn place(&mut self, file_len: u64, header_end: u64, offsets: &[u64]) -> Result<(), Fault> {
        let alignment = match self.metadata.get("general.alignment") {
            None => DEFAULT_ALIGNMENT,
            Some(value) => value
                .as_u64()
                .filter(|a| a.is_power_of_two() && (8..=1 << 20).contains(a))
                .ok_or("metadata `general.alignment` is not a power of two from 8 to 1048576; the file is damaged, get it again")?,
        };
        let data = header_end.next_multiple_of(alignment); // header_end is within the file: far from overflow
        for (name, &offset) in self.names.iter().zip(offsets) {
            let what = format!("tensor `{}`", shorten(name));
            let Some(info) = self.tensors.get_mut(name) else {
                continue;
            };
            if offset % alignment != 0 {
                return Err(format!(
                    "{what} begins at {offset}, which is not a multiple of {alignment}; the file is damaged, get it again"
                ));
            }
            let size = byte_size(info.format, &info.shape).ok_or_else(|| {
                format!(
                    "{what} has the shape {:?}, which does not fit its type {}; the file is damaged, get it again",
                    info.shape,
                    info.format.name()
                )
            })?;
            let start = data.checked_add(offset);
            let range = start.and_then(|start| Some((start, start.checked_add(size as u64)?)));
            let Some((start, end)) = range.filter(|&(_, end)| end <= file_len) else {
                return Err(format!(
                    "ends after {file_len} bytes in the middle of {what}; the download is incomplete, get it again \
                     (`candor pull` resumes it)"
                ));
            };
            (info.start, info.end) = (start as usize, end as usize);
        }
        Ok(())
    }
}

/// Bytes of a tensor; `None` if its rows are no whole blocks or the product overflows.
fn byte_size(format: Format, shape: &[usize]) -> Option<usize> {
    let (cols, outer) = shape.split_last()?;
    let row = format.row_bytes(*cols)?;
    outer
        .iter()
        .try_fold(row, |size, &len| size.checked_mul(len))
        .filter(|&size| isize::try_from(size).is_ok())
}

/// Names from a file go into messages; a long one is cut.
fn shorten(name: &str) -> String {
    let mut short: String = name
        .chars()
        .take(64)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if short.len() < name.len() && name.chars().nth(64).is_some() {
        short.push('…');
    }
    short
}

/// Names of types that exist elsewhere and are not supported here, for the message.
fn ggml_type_name(code: u32) -> String {
    let name = match code {
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        40 => "NVFP4",
        _ => return format!("{code}"),
    };
    name.to_owned()
}
