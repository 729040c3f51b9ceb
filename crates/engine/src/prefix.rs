//! The prefix tree: full pages of earlier requests, found again by the tokens that lead to them.
//!
//! A node is one page; the path from the root to it spells its tokens, so equal paths have equal keys and values (same
//! bits), and a page may be shared instead of computed. The tree itself is one holder of each of its pages. A page that
//! a request also holds is never evicted; of the others the least recently used leaf goes first.

use std::collections::{BTreeSet, HashMap};

use candor_model::{PAGE_TOKENS, PageId};

use crate::pages::PagePool;

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
    used: u64,
    children: HashMap<Key, NodeId>,
}

/// Full pages by the tokens that lead to them.
#[derive(Debug)]
pub(crate) struct PrefixTree {
    nodes: Vec<Node>,
    vacant: Vec<NodeId>,
    /// Nodes without children, least recently used first.
    leaves: BTreeSet<(u64, NodeId)>,
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
            clock: 0,
            enabled,
        }
    }

    /// Number of pages in the tree.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len() - 1 - self.vacant.len()
    }

    /// Pages that nobody but the tree holds. A request holds its whole path, so all of these can go.
    pub(crate) fn evictable(&self, pool: &PagePool) -> usize {
        let mut count = 0;
        let mut stack: Vec<NodeId> = self.nodes[ROOT].children.values().copied().collect();
        while let Some(id) = stack.pop() {
            count += usize::from(pool.holders(self.nodes[id].page) == 1);
            stack.extend(self.nodes[id].children.values());
        }
        count
    }

    /// The longest known prefix of `tokens` in whole pages; each page has one more holder now.
    pub(crate) fn find(&mut self, tokens: &[u32], pool: &mut PagePool) -> (NodeId, Vec<PageId>) {
        let mut at = ROOT;
        let mut pages = Vec::new();
        for key in tokens.as_chunks::<PAGE_TOKENS>().0 {
            let Some(&next) = self.nodes[at].children.get(key) else {
                break;
            };
            at = next;
            self.touch(at);
            pool.share(self.nodes[at].page);
            pages.push(self.nodes[at].page);
        }
        (at, pages)
    }

    /// Adds a computed page below `parent` and returns its node with the page to use from now on: where the tree knows
    /// these tokens already, the caller's page is released and the tree's shared instead.
    pub(crate) fn insert(&mut self, parent: NodeId, key: &Key, page: PageId, pool: &mut PagePool) -> (NodeId, PageId) {
        if !self.enabled {
            return (ROOT, page);
        }
        if let Some(&known) = self.nodes[parent].children.get(key) {
            self.touch(known);
            let shared = self.nodes[known].page;
            if shared != page {
                pool.share(shared);
                pool.release(page);
            }
            return (known, shared);
        }
        pool.share(page);
        self.clock += 1;
        let node = Node {
            parent,
            key: *key,
            page,
            used: self.clock,
            children: HashMap::new(),
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
        self.nodes[parent].children.insert(*key, id);
        (id, page)
    }

    /// Gives back the least recently used page that nobody else holds; false where there is none.
    pub(crate) fn evict(&mut self, pool: &mut PagePool) -> bool {
        let Some(&(used, id)) = self
            .leaves
            .iter()
            .find(|(_, id)| pool.holders(self.nodes[*id].page) == 1)
        else {
            return false;
        };
        self.leaves.remove(&(used, id));
        let Node { parent, key, page, .. } = std::mem::take(&mut self.nodes[id]);
        pool.release(page);
        self.vacant.push(id);
        let above = &mut self.nodes[parent];
        above.children.remove(&key);
        if above.children.is_empty() && parent != ROOT {
            self.leaves.insert((above.used, parent));
        }
        true
    }

    /// Gives back every page, for when contents can no longer be trusted.
    pub(crate) fn clear(&mut self, pool: &mut PagePool) {
        let mut stack: Vec<NodeId> = self.nodes[ROOT].children.values().copied().collect();
        while let Some(id) = stack.pop() {
            pool.release(self.nodes[id].page);
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
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;

    fn tokens(pages: &[u32]) -> Vec<u32> {
        pages.iter().flat_map(|page| [*page; PAGE_TOKENS]).collect()
    }

    /// Adds `text` as a request would, keeping the pages.
    fn compute(tree: &mut PrefixTree, pool: &mut PagePool, text: &[u32]) -> Option<Vec<PageId>> {
        let (mut node, mut pages) = tree.find(text, pool);
        for key in &text.as_chunks::<PAGE_TOKENS>().0[pages.len()..] {
            let page = loop {
                match pool.take() {
                    Some(page) => break page,
                    None if tree.evict(pool) => {}
                    None => {
                        pages.into_iter().for_each(|page| pool.release(page));
                        return None;
                    }
                }
            };
            let (next, page) = tree.insert(node, key, page, pool);
            node = next;
            pages.push(page);
        }
        Some(pages)
    }

    #[test]
    fn a_second_request_shares_the_pages_of_the_first() {
        let (mut tree, mut pool) = (PrefixTree::new(true), PagePool::new(8));
        let first = compute(&mut tree, &mut pool, &tokens(&[1, 2, 3])).unwrap();
        let (_, second) = tree.find(&tokens(&[1, 2, 4]), &mut pool);
        assert_eq!(second, first[..2]);
        assert_eq!(pool.holders(first[0]), 3);
    }

    #[test]
    fn a_page_that_is_in_use_is_never_evicted_and_the_oldest_other_goes_first() {
        let (mut tree, mut pool) = (PrefixTree::new(true), PagePool::new(3));
        let held = compute(&mut tree, &mut pool, &tokens(&[1])).unwrap();
        for text in [2, 3] {
            let pages = compute(&mut tree, &mut pool, &tokens(&[text])).unwrap();
            pages.into_iter().for_each(|page| pool.release(page));
        }
        assert!(tree.evict(&mut pool));
        assert_eq!(tree.find(&tokens(&[2]), &mut pool).1.len(), 0);
        assert!(tree.evict(&mut pool));
        assert!(!tree.evict(&mut pool));
        assert_eq!(tree.find(&tokens(&[1]), &mut pool).1, held);
    }

    proptest! {
        #[test]
        fn random_requests_leak_no_page_and_free_none_that_is_held(ops in proptest::collection::vec((any::<bool>(), proptest::collection::vec(0u32..3, 1..5)), 0..120)) {
            let (mut tree, mut pool) = (PrefixTree::new(true), PagePool::new(10));
            let mut running: Vec<Vec<PageId>> = Vec::new();
            for (start, text) in ops {
                if start || running.is_empty() {
                    running.extend(compute(&mut tree, &mut pool, &tokens(&text)));
                } else {
                    for page in running.swap_remove(text[0] as usize % running.len()) { pool.release(page); }
                }
                for page in running.iter().flatten() { prop_assert!(pool.holders(*page) >= 2); }
                let mut held: Vec<PageId> = running.iter().flatten().copied().collect();
                held.sort_unstable();
                held.dedup();
                prop_assert_eq!(held.len() + tree.evictable(&pool) + pool.free(), pool.total());
                prop_assert_eq!(tree.len() + pool.free(), pool.total());
            }
            for page in running.into_iter().flatten() { pool.release(page); }
            while tree.evict(&mut pool) {}
            prop_assert_eq!(pool.free(), pool.total());
            prop_assert_eq!(tree.len(), 0);
        }
    }
}
