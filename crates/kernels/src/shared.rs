//! A slice that the tasks of one job write to, each at places of its own.

use std::marker::PhantomData;

/// Hands out parts of a slice to several threads.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: it only hands out `&mut [T]`, which may go to another thread where T is Send.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above; that parts do not overlap is the duty of `slice`'s callers.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Shared {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            owner: PhantomData,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where an element lies; beyond the slice, any address.
    pub(crate) fn at(&self, index: usize) -> *const T {
        self.start.wrapping_add(index)
    }

    /// The part of `len` elements from `from`.
    ///
    /// # Panics
    /// If it does not lie in the slice.
    ///
    /// # Safety
    /// No two parts that are alive at the same time may overlap.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, from: usize, len: usize) -> &mut [T] {
        assert!(
            from <= self.len && len <= self.len - from,
            "part {from}..+{len} of {}",
            self.len
        );
        // SAFETY: in bounds, as just checked; not aliased, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}
