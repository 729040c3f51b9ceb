//! Where weights come from: the trait that both file formats implement, so that an architecture reads tensors by one
//! set of names (GGUF's) and does not know the file.

use candor_kernels::formats::Format;

/// A tensor in a mapped file.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// How its values are stored.
    pub format: Format,
    /// Outermost dimension first: a matrix is [outputs, inputs].
    pub shape: &'a [usize],
    /// Its bytes, exactly as many as format and shape ask for.
    pub bytes: &'a [u8],
}

/// A line of `candor inspect`.
#[derive(Debug, Clone)]
pub struct TensorSummary {
    /// Its name in the file.
    pub name: String,
    /// How its values are stored.
    pub format: Format,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Size in bytes.
    pub bytes: usize,
}

/// Tensors by GGUF's names.
pub trait Source: Send + Sync {
    /// The tensor called `name`, if there is one.
    fn tensor(&self, name: &str) -> Option<Tensor<'_>>;
    /// All tensors, for people to read.
    fn tensors(&self) -> Vec<TensorSummary>;
    /// For messages: the file or folder.
    fn name(&self) -> String;
}

impl Source for crate::gguf::Gguf {
    fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        Self::tensor(self, name)
    }

    fn tensors(&self) -> Vec<TensorSummary> {
        Self::tensors(self)
    }

    fn name(&self) -> String {
        self.path().display().to_string()
    }
}
