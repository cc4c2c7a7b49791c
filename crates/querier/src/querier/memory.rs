//! One query's share of the memory that all queries have.
//!
//! A query that wants more than its share spills, or fails with an error that names its own limit; the others go on. What is
//! left to all together is the shared pool's business, which this one asks each time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// See the module.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    shared: Arc<dyn MemoryPool>,
    bytes_max: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    /// Whether it was this query's own limit that refused it last.
    refused: AtomicBool,
}

impl QueryMemory {
    pub(crate) fn new(shared: Arc<dyn MemoryPool>, bytes_max: usize) -> Self {
        Self {
            shared,
            bytes_max,
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
        }
    }

    /// The most that was held at once.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// The limit, if it was what refused the query more memory last.
    pub(crate) fn refused_at(&self) -> Option<usize> {
        self.refused.load(Ordering::Relaxed).then_some(self.bytes_max)
    }

    fn grown(&self, used: usize) {
        self.peak.fetch_max(used, Ordering::Relaxed);
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one query's {} bytes of {}", self.bytes_max, self.shared)
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &'static str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.shared.grow(reservation, additional);
        self.grown(self.used.fetch_add(additional, Ordering::Relaxed) + additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.shared.shrink(reservation, shrink);
        self.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let fits = |used: usize| used.checked_add(additional).filter(|sum| *sum <= self.bytes_max);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            self.refused.store(true, Ordering::Relaxed);
            let text = format!("{additional} bytes more for {} than one query may have", reservation.consumer().name());
            return Err(DataFusionError::ResourcesExhausted(text));
        }
        if let Err(error) = self.shared.try_grow(reservation, additional) {
            self.used.fetch_sub(additional, Ordering::Relaxed);
            self.refused.store(false, Ordering::Relaxed);
            return Err(error);
        }
        self.grown(self.used.load(Ordering::Relaxed));
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

#[cfg(test)]
mod tests;
