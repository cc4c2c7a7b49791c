//! What the querier needs to know to run, in its own terms.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use gigapi_service::settings::Consistency;

/// Limits of queries. All are per process unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryOptions {
    /// Bytes of memory for sorting, grouping and joining, shared by all queries.
    pub memory_bytes_max: usize,
    /// The part of it that one query may take.
    pub memory_bytes_max_each: usize,
    /// Bytes on disk for what does not fit, shared by all queries.
    pub spill_bytes_max: u64,
    /// Where that is: a folder that no other process uses, and that goes with this one. `None` turns spilling off.
    pub spill_folder: Option<PathBuf>,
    /// Bytes of memory for footers and page indexes of data files.
    pub metadata_bytes_max: usize,
    /// How many parts of one query are worked on at once.
    pub threads: NonZeroUsize,
    /// How long one query may take; `None` is unlimited.
    pub timeout: Option<Duration>,
    /// How many queries run at once.
    pub concurrency_max: NonZeroUsize,
    /// How long a query waits for its turn before it is refused.
    pub queue_wait: Duration,
    /// How many rows one answer may have; `None` is unlimited.
    pub rows_max: Option<u64>,
    /// How old a view of a table may be; zero sees every commit that was acknowledged before the query.
    pub snapshot_age_max: Duration,
    /// Which rows a query sees that does not say.
    pub consistency: Consistency,
    /// Bytes of one statement's text.
    pub sql_bytes_max: usize,
}

const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

impl Default for QueryOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            memory_bytes_max: 2 * GIB,
            memory_bytes_max_each: GIB,
            spill_bytes_max: 20 * GIB as u64,
            spill_folder: None,
            metadata_bytes_max: 256 * MIB,
            threads,
            timeout: Some(Duration::from_secs(300)),
            concurrency_max: threads.saturating_mul(const { NonZeroUsize::new(8).expect("8 is not 0") }),
            queue_wait: Duration::from_secs(5),
            rows_max: None,
            snapshot_age_max: Duration::ZERO,
            consistency: Consistency::Committed,
            sql_bytes_max: MIB,
        }
    }
}

impl QueryOptions {
    /// From what the operator set; what is not set is chosen from the machine.
    pub fn new(settings: &gigapi_service::settings::QuerySettings, spill_folder: Option<PathBuf>) -> Self {
        let default = Self::default();
        let threads = settings.threads.and_then(NonZeroUsize::new).unwrap_or(default.threads);
        let memory_bytes_max = settings.memory_bytes_max.unwrap_or(default.memory_bytes_max);
        Self {
            memory_bytes_max,
            // Two of the widest queries fit side by side.
            memory_bytes_max_each: settings.memory_bytes_max_each.unwrap_or(memory_bytes_max / 2),
            rows_max: settings.rows_max,
            queue_wait: settings.queue_wait,
            spill_folder,
            threads,
            timeout: settings.timeout,
            concurrency_max: settings.concurrency_max.and_then(NonZeroUsize::new).unwrap_or(default.concurrency_max),
            snapshot_age_max: settings.snapshot_age_max,
            consistency: settings.consistency,
            sql_bytes_max: settings.sql_bytes_max,
            ..default
        }
    }
}
