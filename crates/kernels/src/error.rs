//! What can be wrong with the numbers given to a kernel.

/// Errors of preparing data for kernels. Wrong shapes in the hot path are bugs and panic instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// The bytes are not as many as the shape needs.
    #[error(
        "{format} data for {rows} x {cols} weights needs {needs} bytes and {found} are there; the file is damaged or incomplete, fetch it again"
    )]
    Size {
        /// Name of the weight format.
        format: &'static str,
        /// Output rows.
        rows: usize,
        /// Input columns.
        cols: usize,
        /// Bytes that the shape needs.
        needs: usize,
        /// Bytes given.
        found: usize,
    },
    /// The row length does not fit the format.
    #[error(
        "{format} weights come in blocks of {block} and a row of {cols} is not a multiple of it; the file is damaged or was converted wrongly"
    )]
    Shape {
        /// Name of the weight format.
        format: &'static str,
        /// Weights per block.
        block: usize,
        /// Input columns.
        cols: usize,
    },
    /// There is not enough memory.
    #[error("{bytes} bytes of memory for weights cannot be had; free memory or take a smaller model")]
    Memory {
        /// Bytes asked for.
        bytes: usize,
    },
}
