//! What the core's front end remembers of something it has looked up: in a
//! cache, in the branch predictor, and in instructions already prefetched. Each
//! has to be made to forget by an operation of its own, in the right order.
//!
//! Used twice: for code (instruction cache, erratum 411920 included) and for
//! translations (TLB). The branch predictor stands for both: it is looked up by
//! virtual address and takes a stale branch as one.

use std::collections::BTreeMap;

/// Times the erratum's workaround invalidates.
const ISSUES: u8 = 4;

/// Remembered values by key.
pub(super) struct Stale<V> {
    cache: BTreeMap<u32, V>,
    branches: BTreeMap<u32, V>,
    prefetched: BTreeMap<u32, V>,
    /// What the cache has read in again since it was invalidated, while the
    /// invalidation is not complete.
    refilled: Option<BTreeMap<u32, V>>,
    /// The same for the branch predictor.
    relearned: Option<BTreeMap<u32, V>>,
    issues: u8,
}

impl<V> Default for Stale<V> {
    fn default() -> Self {
        Self {
            cache: BTreeMap::new(),
            branches: BTreeMap::new(),
            prefetched: BTreeMap::new(),
            refilled: None,
            relearned: None,
            issues: 0,
        }
    }
}

impl<V: Copy> Stale<V> {
    /// What an execution finds for `key`: the oldest that is remembered.
    pub(super) fn execute(&mut self, key: u32, load: impl FnOnce() -> V) -> V {
        let cached = self.look(key, load);
        let learned = *self.branches.entry(key).or_insert(cached);
        *self.prefetched.entry(key).or_insert(learned)
    }

    /// What a data access finds: the cache alone matters.
    pub(super) fn look(&mut self, key: u32, load: impl FnOnce() -> V) -> V {
        *self.cache.entry(key).or_insert_with(load)
    }

    /// The cache is told to forget. It may do so at once, and read the same in
    /// again from what memory holds now; or as late as at the next DSB.
    pub(super) fn invalidate(&mut self, load: impl Fn(u32) -> V) {
        self.refilled = Some(self.cache.keys().map(|&key| (key, load(key))).collect());
    }

    /// One of the four issues that make an invalidation: before the pause after
    /// the last, nothing is sure to be forgotten.
    pub(super) fn invalidate_unsurely(&mut self) {
        self.issues += 1;
    }

    /// The pause after that.
    pub(super) fn pause(&mut self, load: impl Fn(u32) -> V) {
        if self.issues >= ISSUES {
            self.invalidate(load);
        }
    }

    /// The branch predictor is told to forget; it learns again from what the
    /// cache holds.
    pub(super) fn branch_flush(&mut self) {
        let cache = self.refilled.as_ref().unwrap_or(&self.cache);
        let learn = |key: &u32| cache.get(key).map(|&value| (*key, value));
        self.relearned = Some(self.branches.keys().filter_map(learn).collect());
    }

    /// A DSB: what was told is done.
    pub(super) fn complete(&mut self) {
        self.issues = 0;
        // What was looked up since then for the first time stays.
        self.cache.extend(self.refilled.take().into_iter().flatten());
        self.branches.extend(self.relearned.take().into_iter().flatten());
    }

    /// Prefetched instructions are dropped, and the same prefetched again.
    pub(super) fn prefetch_flush(&mut self, load: impl Fn(u32) -> V) {
        let keys: Vec<u32> = self.prefetched.keys().copied().collect();
        self.prefetched.clear();
        for key in keys {
            self.execute(key, || load(key));
        }
    }
}
