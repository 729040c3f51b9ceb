//! Memory for packed weights: zeroed, aligned to cache lines, and an error instead of an abort where there is none.
//!
//! Buffers are cut from large chunks, so that a model's many small layers lie in huge pages side by side. A chunk is freed
//! with the last of its buffers, the one in use excepted. Fresh pages of the system are zero already, so nothing is written
//! before the packing threads do it, and the system still chooses how large the pages are.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use crate::KernelError;
use crate::memory::prefer_huge_pages;

/// Bytes of a chunk; a larger buffer gets one of its own.
const CHUNK: usize = 8 << 20;
const LINE: usize = 64;
/// Where chunks begin, if they may: memory beside a huge page that is not whole is in small ones.
const HUGE_PAGE: usize = 2 << 20;

/// The chunk that buffers are cut from now, and how much of it is taken.
static OPEN: Mutex<Option<(Arc<Chunk>, usize)>> = Mutex::new(None);

/// Memory that buffers share.
struct Chunk {
    start: NonNull<u8>,
    /// What was asked for: `start` lies somewhere in it.
    whole: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns plain bytes, of which each buffer has its own part.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    fn new(len: usize) -> Result<Self, KernelError> {
        let none = KernelError::Memory { bytes: len };
        // Asked for without the alignment: Rust writes the zeros of what is aligned to more than 16 bytes itself.
        let more = len.checked_add(HUGE_PAGE).ok_or(none.clone())?;
        let layout = Layout::from_size_align(more, 16).map_err(|_| none.clone())?;
        // SAFETY: the size is not zero.
        let whole = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(none)?;
        let before = whole.addr().get().next_multiple_of(HUGE_PAGE) - whole.addr().get();
        // SAFETY: `before` is less than `HUGE_PAGE`, which was asked for beside `len`.
        let start = unsafe { whole.add(before) };
        // SAFETY: `len` bytes of what was just allocated and zeroed; nobody writes while this lives.
        prefer_huge_pages(unsafe { std::slice::from_raw_parts(start.as_ptr(), len) });
        Ok(Chunk { start, whole, layout })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.whole.as_ptr(), self.layout) };
    }
}

/// Bytes that begin on a cache line.
pub(crate) struct Buffer {
    /// Nothing where there are no bytes.
    chunk: Option<Arc<Chunk>>,
    at: usize,
    len: usize,
}

impl Buffer {
    /// `len` zero bytes.
    pub(crate) fn zeroed(len: usize) -> Result<Self, KernelError> {
        if len == 0 {
            return Ok(Buffer {
                chunk: None,
                at: 0,
                len,
            });
        }
        if len >= CHUNK / 2 {
            let chunk = Some(Arc::new(Chunk::new(len)?));
            return Ok(Buffer { chunk, at: 0, len });
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (chunk, at) = match open.take().filter(|(_, taken)| taken + len <= CHUNK) {
            Some(open) => open,
            None => (Arc::new(Chunk::new(CHUNK)?), 0),
        };
        *open = Some((Arc::clone(&chunk), (at + len).next_multiple_of(LINE)));
        Ok(Buffer {
            chunk: Some(chunk),
            at,
            len,
        })
    }

    fn start(&self) -> *mut u8 {
        match &self.chunk {
            // SAFETY: `at` lies in the chunk.
            Some(chunk) => unsafe { chunk.start.as_ptr().add(self.at) },
            None => NonNull::<u64>::dangling().as_ptr().cast(),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes of the chunk from `at` on are this buffer's alone (or there are none), zeroed at least, and
        // live as long as the chunk, which lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn buffers_are_zero_aligned_and_apart_and_outlive_each_other() {
        let sizes = [1, 64, 65, 0, 3 << 20, 5 << 20, 2 << 20, 9 << 20, 3];
        let mut buffers: Vec<Buffer> = sizes.iter().map(|len| Buffer::zeroed(*len).unwrap()).collect();
        for (n, buffer) in buffers.iter_mut().enumerate() {
            assert!(buffer.bytes().iter().all(|b| *b == 0));
            assert!(buffer.len == 0 || buffer.start().addr().is_multiple_of(LINE));
            buffer.bytes_mut().fill(n as u8 + 1);
        }
        // Every second one goes; the others keep what they have.
        let mut n = 0;
        buffers.retain(|_| {
            n += 1;
            n % 2 == 0
        });
        for (buffer, n) in buffers.iter().zip([2, 4, 6, 8]) {
            assert!(buffer.bytes().iter().all(|b| *b == n));
        }
        assert!(matches!(
            Buffer::zeroed(usize::MAX / 2),
            Err(KernelError::Memory { .. })
        ));
    }

    /// Memory that was written before the system heard that it may be in huge pages never will be, or much later.
    #[test]
    #[cfg(target_os = "linux")]
    fn nothing_is_written_to_memory_before_its_owner_does() {
        let before = crate::memory::resident_pages();
        let mut buffer = Buffer::zeroed(256 << 20).unwrap();
        let asked_for = crate::memory::resident_pages();
        assert!(
            asked_for < before + (64 << 20) / 4096,
            "{before} pages, then {asked_for}"
        );
        assert!(
            buffer
                .chunk
                .as_ref()
                .unwrap()
                .start
                .addr()
                .get()
                .is_multiple_of(HUGE_PAGE)
        );
        buffer.bytes_mut().fill(1);
        assert!(crate::memory::resident_pages() > asked_for);
    }
}
