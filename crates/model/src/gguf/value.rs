//! Metadata values of a GGUF file. Arrays stay in the mapped file and are read element by element.

/// Types of metadata values, by their codes in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 8-bit unsigned.
    U8,
    /// 8-bit signed.
    I8,
    /// 16-bit unsigned.
    U16,
    /// 16-bit signed.
    I16,
    /// 32-bit unsigned.
    U32,
    /// 32-bit signed.
    I32,
    /// 32-bit float.
    F32,
    /// One byte.
    Bool,
    /// Length and bytes.
    String,
    /// Type, length and elements.
    Array,
    /// 64-bit unsigned.
    U64,
    /// 64-bit signed.
    I64,
    /// 64-bit float.
    F64,
}

impl Kind {
    /// The type with this code.
    pub(super) fn from_code(code: u32) -> Option<Self> {
        use Kind::*;
        [U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64]
            .get(code as usize)
            .copied()
    }

    /// The code of this type, the inverse of `from_code`.
    pub(super) fn code(self) -> u32 {
        self as u32
    }

    /// Bytes per value; `None` where that depends on the value.
    pub(super) fn fixed_size(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::String | Self::Array => None,
        }
    }
}

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Any float.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text (what is not UTF-8 in it is replaced).
    String(String),
    /// Where an array lies.
    Array(Array),
}

/// An array in the mapped file.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Type of its elements.
    pub kind: Kind,
    /// How many there are.
    pub len: usize,
    /// First byte of the first element.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
}

impl Value {
    /// As an unsigned number, where it is one.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(v) => Some(v),
            Self::Signed(v) => u64::try_from(v).ok(),
            _ => None,
        }
    }

    /// As a float, where it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Float(v) => Some(v),
            Self::Unsigned(v) => Some(v as f64),
            Self::Signed(v) => Some(v as f64),
            _ => None,
        }
    }
}

/// Strings of an array, in order.
pub struct Strings<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.bytes.split_first_chunk::<8>()?;
        let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
        let (string, rest) = rest.split_at_checked(len)?;
        self.bytes = rest;
        Some(string)
    }
}
