//! Huge pages: with fewer of them to look up, large memory reads a fifth faster (46 MB and 96 MB, two threads, a Xeon
//! behind a hypervisor).

/// Asks the system to keep this memory in huge pages where it has none yet; call it before the memory is first written. An
/// advice: where the system does not take it, nothing changes.
pub fn prefer_huge_pages<T>(memory: &[T]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let start = memory.as_ptr().addr().next_multiple_of(PAGE);
        let end = (memory.as_ptr().addr() + size_of_val(memory)) / PAGE * PAGE;
        if start < end {
            let first = memory.as_ptr().cast::<u8>().with_addr(start).cast_mut();
            // SAFETY: whole pages of memory that exists; the advice changes no byte of it.
            unsafe { libc::madvise(first.cast(), end - start, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}
