//! What an operator sees of a writer. Names say what is counted and in which unit.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::cpu::CpuSeconds;

/// Where a flush failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Before anything was written.
    Prepare,
    /// Writing objects.
    Upload,
    /// Committing.
    Commit,
}

impl EncodeLabelValue for Stage {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        let word = match self {
            Self::Prepare => "prepare",
            Self::Upload => "upload",
            Self::Commit => "commit",
        };
        EncodeLabelValue::encode(&word, encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StageLabel {
    pub(crate) stage: Stage,
}

/// Why a request or a row was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// The client's input.
    Invalid,
    /// A limit on load.
    Busy,
    /// Log or catalog could not be had.
    Unavailable,
}

impl EncodeLabelValue for Cause {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        let word = match self {
            Self::Invalid => "invalid",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
        };
        EncodeLabelValue::encode(&word, encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CauseLabel {
    pub(crate) cause: Cause,
}

/// The writer's metrics; clones share their values.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) rows_accepted: Counter,
    pub(crate) rows_rejected: Counter,
    pub(crate) bytes_accepted: Counter,
    pub(crate) bytes_rejected: Counter,
    pub(crate) requests_rejected: Family<CauseLabel, Counter>,
    pub(crate) write_seconds: Histogram,
    pub(crate) cpu_seconds: CpuSeconds,
    pub(crate) wal_sync_seconds: Histogram,
    pub(crate) wal_bytes: Gauge,
    pub(crate) wal_segments: Gauge,
    pub(crate) wal_syncs: Gauge,
    pub(crate) layer_syncs: Gauge,
    pub(crate) wal_failing: Gauge,
    pub(crate) wal_damaged: Gauge,
    pub(crate) buffer_bytes: Gauge,
    pub(crate) buffer_rows: Gauge,
    pub(crate) buffer_oldest_seconds: Gauge<f64, std::sync::atomic::AtomicU64>,
    pub(crate) flush_seconds: Histogram,
    pub(crate) encode_seconds: Histogram,
    pub(crate) upload_seconds: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) flush_failures: Family<StageLabel, Counter>,
    pub(crate) unnoted: Counter,
    pub(crate) rows_committed: Counter,
    pub(crate) rows_overwritten: Counter,
    pub(crate) rows_dropped: Counter,
    pub(crate) files_committed: Counter,
    pub(crate) bytes_committed: Counter,
    pub(crate) catalog_version: Gauge,
}

fn seconds() -> Histogram {
    // From 0.1 ms to 52 s.
    Histogram::new(exponential_buckets(0.0001, 2.0, 20))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            rows_accepted: Counter::default(),
            rows_rejected: Counter::default(),
            bytes_accepted: Counter::default(),
            bytes_rejected: Counter::default(),
            requests_rejected: Family::default(),
            write_seconds: seconds(),
            cpu_seconds: CpuSeconds::default(),
            wal_sync_seconds: seconds(),
            wal_bytes: Gauge::default(),
            wal_segments: Gauge::default(),
            wal_syncs: Gauge::default(),
            layer_syncs: Gauge::default(),
            wal_failing: Gauge::default(),
            wal_damaged: Gauge::default(),
            buffer_bytes: Gauge::default(),
            buffer_rows: Gauge::default(),
            buffer_oldest_seconds: Gauge::default(),
            flush_seconds: seconds(),
            encode_seconds: seconds(),
            upload_seconds: seconds(),
            commit_seconds: seconds(),
            flush_failures: Family::default(),
            unnoted: Counter::default(),
            rows_committed: Counter::default(),
            rows_overwritten: Counter::default(),
            rows_dropped: Counter::default(),
            files_committed: Counter::default(),
            bytes_committed: Counter::default(),
            catalog_version: Gauge::default(),
        }
    }

    /// Makes them known, once for a process.
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.register_requests(registry);
        self.register_wal(registry);
        self.register_flush(registry);
    }

    fn register_requests(&self, r: &mut Registry) {
        r.register("write_rows_accepted", "Rows that were acknowledged", self.rows_accepted.clone());
        r.register("write_rows_rejected", "Rows that were refused as bad input", self.rows_rejected.clone());
        r.register(
            "write_bytes_accepted",
            "Bytes of line protocol of acknowledged requests",
            self.bytes_accepted.clone(),
        );
        r.register(
            "write_bytes_rejected",
            "Bytes of line protocol of requests that were read and stored nothing",
            self.bytes_rejected.clone(),
        );
        r.register(
            "write_requests_rejected",
            "Write requests that stored nothing, by cause",
            self.requests_rejected.clone(),
        );
        r.register("write_seconds", "Time from a request's last byte to its answer", self.write_seconds.clone());
        r.register("writer_cpu_seconds", "Processor time spent on rows, by work", self.cpu_seconds.family.clone());
    }

    fn register_wal(&self, r: &mut Registry) {
        r.register("wal_sync_seconds", "Time of one disk sync of the write-ahead log", self.wal_sync_seconds.clone());
        r.register("wal_bytes", "Bytes of write-ahead log on disk", self.wal_bytes.clone());
        r.register("wal_segments", "Segments of the write-ahead log", self.wal_segments.clone());
        r.register("wal_disk_syncs", "Disk syncs of the write-ahead log since the start", self.wal_syncs.clone());
        r.register("layer_disk_syncs", "Disk syncs of local layers since the start", self.layer_syncs.clone());
        r.register("wal_failing", "1 while the write-ahead log cannot be written", self.wal_failing.clone());
        r.register("wal_damaged_segments", "Damaged segments that were found at start", self.wal_damaged.clone());
        r.register("buffer_bytes", "Memory of rows that are not in committed files", self.buffer_bytes.clone());
        r.register("buffer_rows", "Rows that are not in committed files", self.buffer_rows.clone());
        r.register(
            "buffer_oldest_seconds",
            "How long the oldest row has waited for its flush",
            self.buffer_oldest_seconds.clone(),
        );
    }

    fn register_flush(&self, r: &mut Registry) {
        r.register("flush_seconds", "Time of one flush of all due tables", self.flush_seconds.clone());
        r.register("flush_encode_seconds", "Time to sort and encode a flush", self.encode_seconds.clone());
        r.register("flush_upload_seconds", "Time to make a flush's files durable", self.upload_seconds.clone());
        r.register("flush_commit_seconds", "Time to commit a flush to the catalog", self.commit_seconds.clone());
        r.register("flush_failures", "Flushes of a table that failed and are tried again", self.flush_failures.clone());
        r.register(
            "flush_unnoted",
            "Flushes of a table that the log could not note before their commit",
            self.unnoted.clone(),
        );
        r.register("flush_rows", "Rows in committed files", self.rows_committed.clone());
        r.register(
            "flush_rows_overwritten",
            "Rows that a later write replaced before their flush",
            self.rows_overwritten.clone(),
        );
        r.register("flush_rows_dropped", "Rows that went because their table was dropped", self.rows_dropped.clone());
        r.register("flush_files", "Committed files", self.files_committed.clone());
        r.register("flush_bytes", "Bytes of committed files", self.bytes_committed.clone());
        r.register(
            "catalog_table_version_max",
            "Highest table version that a commit made",
            self.catalog_version.clone(),
        );
    }
}
