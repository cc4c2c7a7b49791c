//! How a table's rows reach the engine: data files, unflushed rows, and the merge of what overlaps.
//!
//! A scan is made of ordinary file scans wherever it can be, so that the engine's pruning and its answers from
//! statistics apply. Nothing here parses SQL, and nothing here lists a store.

mod files;
mod last_write;
mod overlap;
mod provider;
mod reader;
mod statistics;
mod time_bounds;
mod unflushed_scan;

use std::fmt;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryPool;
use gigapi_catalog::Reader;
use gigapi_model::{DataFile, TableDef};
use object_store::ObjectStore;

pub(crate) use provider::Table;
pub(crate) use reader::{CountedReaders, MetadataCache, ReadCounters};
pub(crate) use statistics::StatisticsCache;

/// Names the layers to the engine. The scheme is ours alone, so that no statement can name another store.
pub(crate) const LAYERS_URL: &str = "gigapi://layers";

/// The metric of a leaf that hands on other rows than it reads: how many it has read.
pub(crate) const ROWS_SCANNED: &str = "rows_scanned";

/// A data file as a scan of the engine carries it with it, for rules that know what lies in it.
#[derive(Debug, Clone)]
pub(crate) struct StoredFile {
    pub(crate) file: Arc<DataFile>,
    pub(crate) table: Arc<TableDef>,
    pub(crate) context: Arc<ScanContext>,
}

/// What the scans of one query share.
pub(crate) struct ScanContext {
    pub(crate) catalog: Arc<dyn Reader>,
    /// Its paths are `<layer>/<object path>`.
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) metadata: Arc<MetadataCache>,
    pub(crate) statistics: Arc<StatisticsCache>,
    pub(crate) counters: Arc<ReadCounters>,
    /// The query's own share.
    pub(crate) memory: Arc<dyn MemoryPool>,
}

impl fmt::Debug for ScanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanContext").field("counters", &self.counters).finish_non_exhaustive()
    }
}
