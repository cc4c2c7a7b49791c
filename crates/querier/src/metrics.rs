//! What the querier counts, in Prometheus' terms.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use datafusion::execution::memory_pool::MemoryPool;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::scan::ReadCounters;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// Handles of everything that is counted; clones count into the same.
#[derive(Debug, Clone)]
pub(crate) struct QuerierMetrics {
    queries: Family<OutcomeLabel, Counter>,
    seconds: Histogram,
    rows: Counter,
    bytes_read: Counter,
    files_opened: Counter,
    files_pruned: Counter,
    replans: Counter,
    missing_files: Counter,
    writers_away: Counter,
    pub(crate) active: Gauge,
    pub(crate) waiting: Gauge,
    memory: Gauge,
}

impl QuerierMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            queries: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 2.0, 18)),
            rows: Counter::default(),
            bytes_read: Counter::default(),
            files_opened: Counter::default(),
            files_pruned: Counter::default(),
            replans: Counter::default(),
            missing_files: Counter::default(),
            writers_away: Counter::default(),
            active: Gauge::default(),
            waiting: Gauge::default(),
            memory: Gauge::default(),
        };
        let m = metrics.clone();
        registry.register("queries", "Queries by how they ended", m.queries);
        registry.register("query_duration_seconds", "From the start of a query to its last row", m.seconds);
        registry.register("query_rows", "Rows handed out", m.rows);
        registry.register("query_bytes_read", "Bytes of data files read for queries", m.bytes_read);
        registry.register("query_files_opened", "Data files opened for queries", m.files_opened);
        registry.register("query_files_pruned", "Data files ruled out while planning", m.files_pruned);
        registry.register(
            "query_replans",
            "Queries planned anew because a file was replaced or rows were flushed",
            m.replans,
        );
        registry.register("query_missing_files", "Live data files without an object", m.missing_files);
        let help = "Writers that queries could not ask for rows which are in no file";
        registry.register("query_writers_away", help, m.writers_away);
        registry.register("queries_active", "Queries that run", m.active);
        registry.register("queries_waiting", "Queries that wait for their turn", m.waiting);
        registry.register("query_memory_bytes", "Memory that queries hold", m.memory);
        metrics
    }

    pub(crate) fn ended(&self, outcome: &'static str, took: Duration, rows: u64, read: &ReadCounters) {
        self.queries.get_or_create(&OutcomeLabel { outcome }).inc();
        self.seconds.observe(took.as_secs_f64());
        self.rows.inc_by(rows);
        self.bytes_read.inc_by(read.bytes_read.load(Ordering::Relaxed));
        self.files_opened.inc_by(read.files_opened.load(Ordering::Relaxed));
        self.files_pruned.inc_by(read.files_pruned.load(Ordering::Relaxed));
    }

    pub(crate) fn replanned(&self) {
        self.replans.inc();
    }

    pub(crate) fn file_missing(&self) {
        self.missing_files.inc();
    }

    pub(crate) fn writers_away(&self, writers: usize) {
        self.writers_away.inc_by(writers as u64);
    }

    pub(crate) fn memory_held(&self, pool: &Arc<dyn MemoryPool>) {
        self.memory.set(i64::try_from(pool.reserved()).unwrap_or(i64::MAX));
    }
}
