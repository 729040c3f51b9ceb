//! What the system is told about memory: where huge pages help, and what is no longer needed.
//!
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

/// Gives memory that was freed back to the system. The C library keeps it otherwise, for each thread that ever freed some:
/// a few large requests would be resident for good. Takes a millisecond or so; elsewhere than with glibc nothing happens.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no address of ours, and locks what it changes.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_os = "linux"))]
pub(crate) fn resident_pages() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or_default()
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::resident_pages;

    #[test]
    fn what_was_freed_below_something_that_is_kept_goes_back() {
        const PAGES: usize = 16 * 1024; // 64 MiB in pieces that the C library keeps together
        let pieces: Vec<Vec<u8>> = (0..PAGES / 16).map(|_| vec![1; 16 * 4096 - 64]).collect();
        let kept = vec![1u8; 4096];
        let before = resident_pages();
        drop(pieces);
        super::give_back();
        let after = resident_pages();
        assert!(after + PAGES * 3 / 4 < before, "{before} pages, then {after}");
        assert_eq!(kept.len(), 4096);
    }
}
