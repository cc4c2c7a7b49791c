//! How many of a reader's bytes the cache had.
//!
//! A store's methods have no place for whose read it is, so that travels beside them, with the task that reads. What is
//! counted changes nothing about a read.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

tokio::task_local! {
    static TALLY: Arc<AtomicU64>;
}

/// Does `reading`, and adds to `tally` the bytes of it that nothing had to be asked for.
pub async fn tallied<T>(tally: &Arc<AtomicU64>, reading: impl Future<Output = T>) -> T {
    TALLY.scope(Arc::clone(tally), reading).await
}

/// Where the blocks of one read came from.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins(Arc<Mutex<HashMap<u32, bool>>>);

impl Origins {
    /// Notes where a block came from; where it came from first counts, because it may be in the cache from then on.
    pub(super) fn note(&self, index: u32, was_cached: bool) {
        self.0.lock().entry(index).or_insert(was_cached);
    }

    /// Counts a stretch of a block that is handed out.
    pub(super) fn count(&self, index: u32, stretch: &Range<u64>) {
        if stretch.start < stretch.end && self.0.lock().get(&index) == Some(&true) {
            // Of reads that nobody counts nothing is kept.
            let _ = TALLY.try_with(|tally| tally.fetch_add(stretch.end - stretch.start, Ordering::Relaxed));
        }
    }
}
