//! What a request holds of the pages of near layers (those with a sliding window): what its next token sees, and no more.

use candor_model::{PAGE_TOKENS, PageId};

use crate::pages::PagePool;

/// How many pages before a page's beginning its first token sees through a window.
pub(crate) fn pages_seen(window: usize) -> usize {
    window.saturating_sub(1).div_ceil(PAGE_TOKENS)
}

/// The most near pages that a request holds during a step of `tokens` tokens: the window of the first one and all of them,
/// wherever page boundaries lie.
pub(crate) fn most_held(window: usize, tokens: usize) -> usize {
    (window - 1 + tokens).div_ceil(PAGE_TOKENS) + 1
}

/// A page table whose beginning was given back.
#[derive(Debug, Default)]
pub(crate) struct NearTable {
    /// By position, as the pages of other layers; numbers of those that are gone mean nothing.
    pages: Vec<PageId>,
    gone: usize,
}

impl NearTable {
    /// `pages` after `gone` others.
    pub(crate) fn after(gone: usize, pages: Vec<PageId>) -> Self {
        let mut table = vec![PageId::MAX; gone];
        table.extend(pages);
        Self { pages: table, gone }
    }

    /// The table, with those that are gone.
    pub(crate) fn pages(&self) -> &[PageId] {
        &self.pages
    }

    /// The pages that are held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> &[PageId] {
        &self.pages[self.gone..]
    }

    /// The page of positions `at * PAGE_TOKENS ..`; `None` if it is gone or there is none.
    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut PageId> {
        self.pages.get_mut(at).filter(|_| at >= self.gone)
    }

    /// One page more.
    pub(crate) fn push(&mut self, page: PageId) {
        self.pages.push(page);
    }

    /// Gives back what lies behind the window of the token at `position` and of all later ones.
    pub(crate) fn leave_behind(&mut self, position: usize, window: usize, pool: &mut PagePool) {
        let seen = (position + 1).saturating_sub(window) / PAGE_TOKENS;
        let until = seen.min(self.pages.len()).max(self.gone);
        for page in &mut self.pages[self.gone..until] {
            pool.release(std::mem::replace(page, PageId::MAX));
        }
        self.gone = until;
    }

    /// Gives back the pages beyond the first `len`.
    pub(crate) fn truncate(&mut self, len: usize, pool: &mut PagePool) {
        let len = len.clamp(self.gone, self.pages.len());
        self.pages.drain(len..).for_each(|page| pool.release(page));
    }

    /// Gives everything back.
    pub(crate) fn clear(&mut self, pool: &mut PagePool) {
        self.truncate(0, pool);
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_request_that_goes_on_keeps_what_its_next_token_sees_and_never_more_than_is_reckoned_with(
            window in 1usize..100,
            most in 1usize..70,
            steps in proptest::collection::vec(1usize..70, 1..40),
        ) {
            let mut pool = PagePool::new(most_held(window, most));
            let (mut table, mut computed) = (NearTable::default(), 0);
            for step in steps {
                computed += step.min(most);
                while table.pages().len() * PAGE_TOKENS < computed {
                    table.push(pool.take().ok_or_else(|| TestCaseError::fail("more is held than was reckoned with"))?);
                }
                table.leave_behind(computed, window, &mut pool);
                let first = (computed + 1).saturating_sub(window);
                for position in first..computed {
                    prop_assert!(table.get_mut(position / PAGE_TOKENS).is_some());
                }
                prop_assert!(table.held().len() <= pages_seen(window) + 1);
            }
            table.clear(&mut pool);
            prop_assert_eq!(pool.free(), pool.total());
        }
    }
}
