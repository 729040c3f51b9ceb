//! A bounded reader over the bytes of a GGUF header: every read is checked against the end of the file, every length
//! before anything is allocated for it.

use super::value::{Array, Kind, Value};

/// Arrays of arrays deeper than this are refused.
const MAX_NESTING: u32 = 4;

/// Reads little-endian values from the front of a slice.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Why a header cannot be read; the file's name is added by the caller.
pub(super) type Fault = String;

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn remaining(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// The next `len` bytes.
    fn take(&mut self, len: u64, what: &str) -> Result<&'a [u8], Fault> {
        if len > self.remaining() {
            return Err(format!(
                "the header ends in the middle of {what} (at byte {}, which asks for {len} more bytes where {} are left); \
                 the download is incomplete or the file is damaged, get it again",
                self.at,
                self.remaining()
            ));
        }
        let start = self.at;
        self.at += len as usize;
        Ok(&self.bytes[start..self.at])
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Fault> {
        let bytes = self.take(N as u64, what)?;
        let mut out = [0; N];
        out.copy_from_slice(bytes);
        Ok(out)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A string's bytes: a length and as many bytes.
    pub(super) fn string(&mut self, max: u64, what: &str) -> Result<&'a [u8], Fault> {
        let len = self.u64(what)?;
        if len > max {
            return Err(format!(
                "{what} says it is {len} bytes long, at most {max} are allowed; the file is damaged, get it again"
            ));
        }
        self.take(len, what)
    }

    /// One metadata value of type `kind`.
    pub(super) fn value(&mut self, kind: u32, what: &str) -> Result<Value, Fault> {
        let kind = Kind::from_code(kind).ok_or_else(|| {
            format!(
                "{what} has the unknown value type {kind}; the file is damaged or newer than this version, get it again"
            )
        })?;
        Ok(match kind {
            Kind::U8 => Value::Unsigned(u64::from(self.array::<1>(what)?[0])),
            Kind::I8 => Value::Signed(i64::from(i8::from_le_bytes(self.array(what)?))),
            Kind::U16 => Value::Unsigned(u64::from(u16::from_le_bytes(self.array(what)?))),
            Kind::I16 => Value::Signed(i64::from(i16::from_le_bytes(self.array(what)?))),
            Kind::U32 => Value::Unsigned(u64::from(self.u32(what)?)),
            Kind::I32 => Value::Signed(i64::from(i32::from_le_bytes(self.array(what)?))),
            Kind::U64 => Value::Unsigned(self.u64(what)?),
            Kind::I64 => Value::Signed(i64::from_le_bytes(self.array(what)?)),
            Kind::F32 => Value::Float(f64::from(f32::from_le_bytes(self.array(what)?))),
            Kind::F64 => Value::Float(f64::from_le_bytes(self.array(what)?)),
            Kind::Bool => Value::Bool(self.array::<1>(what)?[0] != 0),
            Kind::String => Value::String(String::from_utf8_lossy(self.string(u64::MAX, what)?).into_owned()),
            Kind::Array => Value::Array(self.elements(what, 0)?),
        })
    }

    /// Walks an array and remembers where it lies; its elements are read when someone asks.
    fn elements(&mut self, what: &str, depth: u32) -> Result<Array, Fault> {
        if depth >= MAX_NESTING {
            return Err(format!(
                "{what} nests arrays deeper than {MAX_NESTING}; the file is damaged, get it again"
            ));
        }
        let code = self.u32(what)?;
        let kind = Kind::from_code(code).ok_or_else(|| {
            format!("{what} is an array of the unknown value type {code}; the file is damaged, get it again")
        })?;
        let len = self.u64(what)?;
        let start = self.at;
        match kind.fixed_size() {
            Some(size) => {
                let bytes = len.checked_mul(size).ok_or_else(|| {
                    format!("{what} says it has {len} elements, more than any file holds; it is damaged, get it again")
                })?;
                self.take(bytes, what)?;
            }
            None => {
                // The shortest string is 8 bytes (its length), the shortest array 12: a lie ends here, not in a loop.
                if len > self.remaining() / 8 {
                    return Err(format!(
                        "{what} says it has {len} elements and the file cannot hold so many; it is damaged, get it again"
                    ));
                }
                for _ in 0..len {
                    if kind == Kind::String {
                        self.string(u64::MAX, what)?;
                    } else {
                        self.elements(what, depth + 1)?;
                    }
                }
            }
        }
        Ok(Array {
            kind,
            len: len as usize,
            start,
            end: self.at,
        })
    }
}
