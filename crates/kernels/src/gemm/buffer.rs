//! Memory for packed weights: zeroed, aligned to cache lines, and an error instead of an abort where there is none.
//!
//! Fresh pages of the system are zero already, so nothing is written before the packing threads do it.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use crate::KernelError;

/// Bytes that begin on a cache line.
pub(crate) struct Buffer {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns plain bytes.
unsafe impl Send for Buffer {}
// SAFETY: shared references only read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` zero bytes.
    pub(crate) fn zeroed(len: usize) -> Result<Self, KernelError> {
        let layout = Layout::from_size_align(len, 64).map_err(|_| KernelError::Memory { bytes: len })?;
        if len == 0 {
            return Ok(Buffer {
                start: NonNull::<u64>::dangling().cast(),
                layout,
            });
        }
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(KernelError::Memory { bytes: len })?;
        Ok(Buffer { start, layout })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `size` bytes were allocated and zeroed (or there are none), and live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: allocated with this layout, and freed once.
            unsafe { dealloc(self.start.as_ptr(), self.layout) };
        }
    }
}
