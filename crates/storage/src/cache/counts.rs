//! What the cache saved and what it cost.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one cache since it was opened; blocks unless they say otherwise.
#[derive(Debug, Default)]
pub struct CacheCounts {
    pub(super) memory_hits: AtomicU64,
    pub(super) disk_hits: AtomicU64,
    pub(super) joined: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) fetches: AtomicU64,
    pub(super) fetched_bytes: AtomicU64,
    pub(super) served_bytes: AtomicU64,
    pub(super) disk_errors: AtomicU64,
    pub(super) rejected: AtomicU64,
}

impl CacheCounts {
    pub(super) fn add(&self, counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    /// Found in memory.
    pub fn memory_hits(&self) -> u64 {
        self.memory_hits.load(Ordering::Relaxed)
    }

    /// Found on disk.
    pub fn disk_hits(&self) -> u64 {
        self.disk_hits.load(Ordering::Relaxed)
    }

    /// Waited for together with another reader.
    pub fn joined(&self) -> u64 {
        self.joined.load(Ordering::Relaxed)
    }

    /// Fetched, or tried to.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Requests made for missing blocks, each for one or more of them.
    pub fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::Relaxed)
    }

    /// Bytes of blocks that were fetched.
    pub fn fetched_bytes(&self) -> u64 {
        self.fetched_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that readers asked for.
    pub fn served_bytes(&self) -> u64 {
        self.served_bytes.load(Ordering::Relaxed)
    }

    /// Reads of the cache's disk that failed.
    pub fn disk_errors(&self) -> u64 {
        self.disk_errors.load(Ordering::Relaxed)
    }

    /// Not kept on disk because its volume is nearly full.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }
}
