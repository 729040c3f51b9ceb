//! Who holds which page of key/value memory: a free list and a count of holders per page. It knows no contents.

use candor_model::{Counts, PageId};

/// Counts the holders of every page. A page without holders is free.
#[derive(Debug)]
pub(crate) struct PagePool {
    holders: Vec<u32>,
    free: Vec<PageId>,
}

impl PagePool {
    /// `pages` free pages.
    pub(crate) fn new(pages: usize) -> Self {
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        Self {
            holders: vec![0; pages as usize],
            free: (0..pages).rev().collect(),
        }
    }

    /// How many pages there are.
    pub(crate) fn total(&self) -> usize {
        self.holders.len()
    }

    /// How many have no holder.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// How many hold this page.
    pub(crate) fn holders(&self, page: PageId) -> u32 {
        self.holders[page as usize]
    }

    /// A free page, now with one holder.
    pub(crate) fn take(&mut self) -> Option<PageId> {
        let page = self.free.pop()?;
        self.holders[page as usize] = 1;
        Some(page)
    }

    /// One more holder of a page that has some.
    ///
    /// # Panics
    /// If the page is free: whoever shares it no longer holds it.
    pub(crate) fn share(&mut self, page: PageId) {
        let holders = &mut self.holders[page as usize];
        assert!(*holders > 0, "page {page} is shared while it is free");
        *holders += 1;
    }

    /// One holder less.
    ///
    /// # Panics
    /// If the page is free already.
    pub(crate) fn release(&mut self, page: PageId) {
        let holders = &mut self.holders[page as usize];
        assert!(*holders > 0, "page {page} is released twice");
        *holders -= 1;
        if *holders == 0 {
            self.free.push(page);
        }
    }
}

/// The pages of a model.
#[derive(Debug)]
pub(crate) struct Pools {
    /// Of layers that see everything. A request holds all of its own.
    pub(crate) far: PagePool,
    /// Of layers with a window; none where there are no such layers.
    pub(crate) near: PagePool,
    /// The window.
    pub(crate) window: Option<usize>,
}

impl Pools {
    /// Free pages, for a model whose near layers have this window.
    pub(crate) fn new(pages: Counts, window: Option<usize>) -> Self {
        Self {
            far: PagePool::new(pages.far),
            near: PagePool::new(window.map_or(0, |_| pages.near)),
            window,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_order_of_taking_sharing_and_releasing_leaks_or_doubles_a_page(ops in proptest::collection::vec((0u8..3, any::<prop::sample::Index>()), 0..300)) {
            let mut pool = PagePool::new(8);
            let mut held: Vec<PageId> = Vec::new(); // one entry per holder
            for (op, at) in ops {
                match op {
                    0 => match pool.take() {
                        Some(page) => { prop_assert!(!held.contains(&page)); held.push(page); }
                        None => prop_assert_eq!(pool.free(), 0),
                    },
                    1 if !held.is_empty() => { let page = held[at.index(held.len())]; pool.share(page); held.push(page); }
                    2 if !held.is_empty() => { let page = held.swap_remove(at.index(held.len())); pool.release(page); }
                    _ => {}
                }
                let mut distinct = held.clone();
                distinct.sort_unstable();
                distinct.dedup();
                prop_assert_eq!(pool.free() + distinct.len(), pool.total());
                for page in distinct {
                    prop_assert_eq!(pool.holders(page) as usize, held.iter().filter(|held| **held == page).count());
                }
            }
            for page in held { pool.release(page); }
            prop_assert_eq!(pool.free(), 8);
        }
    }
}
