//! The prefix tree: full pages of earlier requests, found again by the tokens that lead to them.
//!
//! A node is one page; the path from the root to it spells its tokens, so equal paths have equal keys and values (same
//! bits), and a page may be shared instead of computed. The tree itself is one holder of each of its pages. A page that
//! a request also holds is never evicted; of the others the least recently used leaf goes first.
//!
//! A node's page of near layers (those with a sliding window) may be evicted alone, least recently used first: text goes
//! on after a prefix only if its last window is still there.

use std::collections::{BTreeSet, HashMap};

use candor_model::{PAGE_TOKENS, PageId};

use crate::near::{NearTable, pages_seen};
use crate::pages::{PagePool, Pools};

/// A node of the tree; `ROOT` is the empty prefix.
pub(crate) type NodeId = usize;
/// The empty prefix.
pub(crate) const ROOT: NodeId = 0;

type Key = [u32; PAGE_TOKENS];

#[derive(Debug, Default)]
struct Node {
    parent: NodeId,
    key: Key,
    page: PageId,
    /// Its page of near layers, and when that was last used.
    near: Option<PageId>,
    near_used: u64,
    used: u64,
    children: HashMap<Key, NodeId>,
}

/// A known prefix, whose pages have one more holder now.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) node: NodeId,
    pub(crate) pages: Vec<PageId>,
    /// What the next token sees of near layers.
    pub(crate) near: NearTable,
}

/// Full pages by the tokens that lead to them.
#[derive(Debug)]
pub(crate) struct PrefixTree {
    nodes: Vec<Node>,
    vacant: Vec<NodeId>,
    /// Nodes without children, least recently used first.
    leaves: BTreeSet<(u64, NodeId)>,
    /// Nodes with a page of near layers, least recently used first.
    near: BTreeSet<(u64, NodeId)>,
    clock: u64,
    enabled: bool,
}

impl PrefixTree {
    /// An empty tree; one that is not `enabled` stays empty.
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            nodes: vec![Node::default()],
            vacant: Vec::new(),
            leaves: BTreeSet::new(),
            near: BTreeSet::new(),
            clock: 0,
            enabled,
        }
    }

    /// Number of pages in the tree.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len() - 1 - self.vacant.len()
    }

    /// Number of near pages in the tree.
    #[cfg(test)]
    pub(crate) fn near_len(&self) -> usize {
        self.near.len()
    }

    /// Pages that nobody but the tree holds. A request holds its whole path, so all of these can go.
    pub(crate) fn evictable(&self, pools: &Pools) -> usize {
        let mut count = 0;
        let mut stack: Vec<NodeId> = self.nodes[ROOT].children.values().copied().collect();
        while let Some(id) = stack.pop() {
            count += usize::from(pools.far.holders(self.nodes[id].page) == 1);
            stack.extend(self.nodes[id].children.values());
        }
        count
    }

    /// Near pages that nobody but the tree holds.
    pub(crate) fn evictable_near(&self, pools: &Pools) -> usize {
        let mine = |id: NodeId| self.nodes[id].near.is_some_and(|page| pools.near.holders(page) == 1);
        self.near.iter().filter(|(_, id)| mine(*id)).count()
    }

    /// The longest known prefix of `tokens` in whole pages after which a request can go on.
    pub(crate) fn find(&mut self, tokens: &[u32], pools: &mut Pools) -> Found {
        let seen = pools.window.map_or(0, pages_seen);
        let mut path = Vec::new();
        // Near pages without a gap at the end of the path, and how long it was when they were enough.
        let (mut at, mut run, mut whole) = (ROOT, 0, 0);
        for key in tokens.as_chunks::<PAGE_TOKENS>().0 {
            let Some(&next) = self.nodes[at].children.get(key) else {
                break;
            };
            at = next;
            path.push(at);
            run = if self.nodes[at].near.is_some() { run + 1 } else { 0 };
            if run >= seen.min(path.len()) {
                whole = path.len();
            }
        }
        path.truncate(whole);
        let behind = whole.saturating_sub(seen);
        let mut near = Vec::new();
        for (depth, &id) in path.iter().enumerate() {
            self.touch(id);
            pools.far.share(self.nodes[id].page);
            if depth >= behind
                && let Some(page) = self.nodes[id].near
            {
                pools.near.share(page);
                near.push(page);
                self.touch_near(id);
            }
        }
        Found {
            node: path.last().copied().unwrap_or(ROOT),
            pages: path.iter().map(|id| self.nodes[*id].page).collect(),
            near: pools
                .window
                .map_or_else(NearTable::default, |_| NearTable::after(behind, near)),
        }
    }

    /// Adds a computed page below `parent` and returns its node. Where the tree knows these tokens already, the caller's
    /// pages are released and the tree's shared instead: `page` and `near` are those to use from now on.
    pub(crate) fn insert(
        &mut self,
        parent: NodeId,
        key: &Key,
        page: &mut PageId,
        near: Option<&mut PageId>,
        pools: &mut Pools,
    ) -> NodeId {
        if !self.enabled {
            return ROOT;
        }
        let id = if let Some(&known) = self.nodes[parent].children.get(key) {
            self.touch(known);
            share_instead(self.nodes[known].page, page, &mut pools.far);
            known
        } else {
            pools.far.share(*page);
            self.add(parent, *key, *page)
        };
        if let Some(near) = near {
            if let Some(shared) = self.nodes[id].near {
                share_instead(shared, near, &mut pools.near);
            } else {
                pools.near.share(*near);
                self.nodes[id].near = Some(*near);
            }
            self.touch_near(id);
        }
        id
    }

    fn add(&mut self, parent: NodeId, key: Key, page: PageId) -> NodeId {
        self.clock += 1;
        let node = Node {
            parent,
            key,
            page,
            used: self.clock,
            ..Node::default()
        };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.nodes[id] = node;
                id
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.leaves.insert((self.clock, id));
        self.leaves.remove(&(self.nodes[parent].used, parent));
        self.nodes[parent].children.insert(key, id);
        id
    }

    /// Gives back the least recently used page that nobody else holds; false where there is none.
    pub(crate) fn evict(&mut self, pools: &mut Pools) -> bool {
        let free = |(_, id): &&(u64, NodeId)| pools.far.holders(self.nodes[*id].page) == 1;
        let Some(&(used, id)) = self.leaves.iter().find(free) else {
            return false;
        };
        self.leaves.remove(&(used, id));
        self.forget_near(id, pools);
        let Node { parent, key, page, .. } = std::mem::take(&mut self.nodes[id]);
        pools.far.release(page);
        self.vacant.push(id);
        let above = &mut self.nodes[parent];
        above.children.remove(&key);
        if above.children.is_empty() && parent != ROOT {
            self.leaves.insert((above.used, parent));
        }
        true
    }

    /// Gives back the least recently used page of near layers that nobody else holds; false where there is none.
    pub(crate) fn evict_near(&mut self, pools: &mut Pools) -> bool {
        let mine = |id: NodeId| self.nodes[id].near.is_some_and(|page| pools.near.holders(page) == 1);
        let Some(&(_, id)) = self.near.iter().find(|(_, id)| mine(*id)) else {
            return false;
        };
        self.forget_near(id, pools);
        true
    }

    fn forget_near(&mut self, id: NodeId, pools: &mut Pools) {
        if let Some(page) = self.nodes[id].near.take() {
            self.near.remove(&(self.nodes[id].near_used, id));
            pools.near.release(page);
        }
    }

    /// Gives back every page, for when contents can no longer be trusted.
    pub(crate) fn clear(&mut self, pools: &mut Pools) {
        let mut stack: Vec<NodeId> = self.nodes[ROOT].children.values().copied().collect();
        while let Some(id) = stack.pop() {
            pools.far.release(self.nodes[id].page);
            self.forget_near(id, pools);
            stack.extend(self.nodes[id].children.values());
        }
        *self = Self::new(self.enabled);
    }

    fn touch(&mut self, id: NodeId) {
        self.clock += 1;
        let used = std::mem::replace(&mut self.nodes[id].used, self.clock);
        if self.leaves.remove(&(used, id)) {
            self.leaves.insert((self.clock, id));
        }
    }

    fn touch_near(&mut self, id: NodeId) {
        self.clock += 1;
        let used = std::mem::replace(&mut self.nodes[id].near_used, self.clock);
        self.near.remove(&(used, id));
        self.near.insert((self.clock, id));
    }
}

/// Puts a page that has the same contents into the place of one's own.
fn share_instead(shared: PageId, own: &mut PageId, pool: &mut PagePool) {
    if shared != *own {
        pool.share(shared);
        pool.release(std::mem::replace(own, shared));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use candor_model::Counts;
    use proptest::prelude::*;

    use super::*;

    fn tokens(pages: &[u32]) -> Vec<u32> {
        pages.iter().flat_map(|page| [*page; PAGE_TOKENS]).collect()
    }

    fn pools(pages: usize, window: Option<usize>) -> Pools {
        Pools::new(Counts::both(pages), window)
    }

    /// What a request holds.
    struct Held {
        pages: Vec<PageId>,
        near: NearTable,
    }

    impl Held {
        fn release(mut self, pools: &mut Pools) {
            self.pages.drain(..).for_each(|page| pools.far.release(page));
            self.near.clear(&mut pools.near);
        }
    }

    /// Adds `text` as a request would, keeping the pages.
    fn compute(tree: &mut PrefixTree, pools: &mut Pools, text: &[u32]) -> Option<Held> {
        let Found { mut node, pages, near } = tree.find(text, pools);
        let mut held = Held { pages, near };
        for (at, key) in text
            .as_chunks::<PAGE_TOKENS>()
            .0
            .iter()
            .enumerate()
            .skip(held.pages.len())
        {
            let page = loop {
                match pools.far.take() {
                    Some(page) => break page,
                    None if tree.evict(pools) => {}
                    None => {
                        held.release(pools);
                        return None;
                    }
                }
            };
            held.pages.push(page);
            if let Some(window) = pools.window {
                let near = loop {
                    match pools.near.take() {
                        Some(page) => break page,
                        None => assert!(tree.evict_near(pools), "who finds a far page finds a near one"),
                    }
                };
                held.near.push(near);
                node = tree.insert(node, key, &mut held.pages[at], held.near.get_mut(at), pools);
                held.near.leave_behind((at + 1) * PAGE_TOKENS, window, &mut pools.near);
            } else {
                node = tree.insert(node, key, &mut held.pages[at], None, pools);
            }
        }
        Some(held)
    }

    #[test]
    fn a_second_request_shares_the_pages_of_the_first() {
        let (mut tree, mut pools) = (PrefixTree::new(true), pools(8, None));
        let first = compute(&mut tree, &mut pools, &tokens(&[1, 2, 3])).unwrap();
        let second = tree.find(&tokens(&[1, 2, 4]), &mut pools);
        assert_eq!(second.pages, first.pages[..2]);
        assert_eq!(pools.far.holders(first.pages[0]), 3);
    }

    #[test]
    fn a_page_that_is_in_use_is_never_evicted_and_the_oldest_other_goes_first() {
        let (mut tree, mut pools) = (PrefixTree::new(true), pools(3, None));
        let held = compute(&mut tree, &mut pools, &tokens(&[1])).unwrap();
        for text in [2, 3] {
            compute(&mut tree, &mut pools, &tokens(&[text]))
                .unwrap()
                .release(&mut pools);
        }
        assert!(tree.evict(&mut pools));
        assert_eq!(tree.find(&tokens(&[2]), &mut pools).pages.len(), 0);
        assert!(tree.evict(&mut pools));
        assert!(!tree.evict(&mut pools));
        assert_eq!(tree.find(&tokens(&[1]), &mut pools).pages, held.pages);
    }

    #[test]
    fn a_prefix_is_offered_only_as_far_as_its_last_window_is_there() {
        // A window of 20 sees two pages before a boundary.
        let (mut tree, mut pools) = (PrefixTree::new(true), pools(8, Some(20)));
        let text = tokens(&[1, 2, 3, 4, 5]);
        compute(&mut tree, &mut pools, &text).unwrap().release(&mut pools);
        let found = tree.find(&text, &mut pools);
        assert_eq!((found.pages.len(), found.near.held().len()), (5, 2));
        Held {
            pages: found.pages,
            near: found.near,
        }
        .release(&mut pools);
        // The first three are used less lately than the last two.
        for (evicted, reach) in [(1, 5), (2, 5), (3, 5), (4, 0)] {
            assert!(tree.evict_near(&mut pools));
            let found = tree.find(&text, &mut pools);
            assert_eq!(found.pages.len(), reach, "after {evicted}");
            Held {
                pages: found.pages,
                near: found.near,
            }
            .release(&mut pools);
        }
        // Computed again, what is missing comes back.
        compute(&mut tree, &mut pools, &text).unwrap().release(&mut pools);
        assert_eq!(tree.find(&text, &mut pools).pages.len(), 5);
    }

    proptest! {
        #[test]
        fn random_requests_leak_no_page_and_free_none_that_is_held(
            window in proptest::option::of(1usize..50),
            ops in proptest::collection::vec((0u8..5, proptest::collection::vec(0u32..3, 1..5)), 0..120),
        ) {
            let (mut tree, mut pools) = (PrefixTree::new(true), pools(10, window));
            let mut running: Vec<Held> = Vec::new();
            for (op, text) in ops {
                if op < 2 || running.is_empty() {
                    running.extend(compute(&mut tree, &mut pools, &tokens(&text)));
                } else if op == 2 {
                    tree.evict_near(&mut pools);
                } else {
                    running.swap_remove(text[0] as usize % running.len()).release(&mut pools);
                }
                let distinct = |mut pages: Vec<PageId>| {
                    pages.sort_unstable();
                    pages.dedup();
                    pages
                };
                let held = distinct(running.iter().flat_map(|held| &held.pages).copied().collect());
                for page in &held { prop_assert!(pools.far.holders(*page) >= 2); }
                prop_assert_eq!(held.len() + tree.evictable(&pools) + pools.far.free(), pools.far.total());
                prop_assert_eq!(tree.len() + pools.far.free(), pools.far.total());
                let near = distinct(running.iter().flat_map(|held| held.near.held()).copied().collect());
                for page in &near { prop_assert!(pools.near.holders(*page) >= 1); }
                prop_assert_eq!(near.len() + tree.evictable_near(&pools) + pools.near.free(), pools.near.total());
            }
            for held in running { held.release(&mut pools); }
            while tree.evict(&mut pools) {}
            prop_assert_eq!(pools.far.free(), pools.far.total());
            prop_assert_eq!(pools.near.free(), pools.near.total());
            prop_assert_eq!(tree.len(), 0);
        }
    }
}
