//! Reads data files for the engine: one read for all metadata of a file, kept in memory afterwards.
//!
//! The engine asks for a footer first and for page indexes later, which costs two round trips. The catalog knows
//! how long a file's tail is, so this reader fetches footer and indexes at once and keeps them, keyed by the
//! object's path: data files never change, so nothing is ever invalidated. It also counts what is read.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{CachedParquetMetaData, ParquetFileReaderFactory};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::FutureExt;
use futures::future::BoxFuture;
use gigapi_storage::tallied;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::sync::OnceCell;

/// What one query reads.
#[derive(Debug, Default)]
pub(crate) struct ReadCounters {
    /// Data files that had any byte or metadata asked for.
    pub(crate) files_opened: AtomicU64,
    /// Bytes asked of the store.
    pub(crate) bytes_read: AtomicU64,
    /// Bytes of these that the read cache had.
    pub(crate) bytes_cached: Arc<AtomicU64>,
    /// Files whose metadata had to be read.
    pub(crate) tails_read: AtomicU64,
    /// Files that planning ruled out by time or statistics.
    pub(crate) files_pruned: AtomicU64,
    /// Files that planning kept.
    pub(crate) files_planned: AtomicU64,
}

type Flight = Arc<OnceCell<Arc<ParquetMetaData>>>;

/// By the object's path: who takes part, and the flight.
type Flights = parking_lot::Mutex<HashMap<Path, (usize, Flight)>>;

/// Metadata of data files, shared by all queries.
pub(crate) struct MetadataCache {
    cache: Arc<FileMetadataCache>,
    /// Reads under way, so that streams which share a file read its tail once.
    flights: Flights,
}

impl fmt::Debug for MetadataCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataCache").finish_non_exhaustive()
    }
}

impl MetadataCache {
    pub(crate) fn new(cache: Arc<FileMetadataCache>) -> Self {
        Self { cache, flights: parking_lot::Mutex::default() }
    }

    fn cached(&self, path: &Path) -> Option<Arc<ParquetMetaData>> {
        let entry = self.cache.get(path)?;
        let metadata = entry.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>()?;
        Some(Arc::clone(metadata.parquet_metadata()))
    }

    /// The footer and page indexes of an object; read at most once.
    pub(crate) async fn fetch(
        &self,
        store: &dyn ObjectStore,
        meta: &ObjectMeta,
        tail_bytes: u64,
        counters: &ReadCounters,
    ) -> ParquetResult<Arc<ParquetMetaData>> {
        if let Some(metadata) = self.cached(&meta.location) {
            return Ok(metadata);
        }
        let flying = Flying::join(&self.flights, &meta.location);
        let metadata = flying.flight.get_or_try_init(|| async {
            if let Some(metadata) = self.cached(&meta.location) {
                return Ok(metadata);
            }
            counters.tails_read.fetch_add(1, Ordering::Relaxed);
            let metadata = Arc::new(read_tail(store, meta, tail_bytes, counters).await?);
            let kept = Arc::new(CachedParquetMetaData::new(Arc::clone(&metadata)));
            self.cache.put(&meta.location, CachedFileMetadataEntry::new(meta.clone(), kept));
            Ok(metadata)
        });
        metadata.await.cloned()
    }
}

/// One that reads a file's metadata, or waits for it. The last to leave takes the flight away, however it leaves.
struct Flying<'a> {
    flights: &'a Flights,
    path: &'a Path,
    flight: Flight,
}

impl<'a> Flying<'a> {
    fn join(flights: &'a Flights, path: &'a Path) -> Self {
        let mut under_way = flights.lock();
        let (count, flight) = under_way.entry(path.clone()).or_default();
        *count += 1;
        Self { flights, path, flight: Arc::clone(flight) }
    }
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        let mut under_way = self.flights.lock();
        if let Some((count, _)) = under_way.get_mut(self.path) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(self.path);
            }
        }
    }
}

/// Reads footer and page indexes, in one request where the hint is right.
async fn read_tail(
    store: &dyn ObjectStore,
    meta: &ObjectMeta,
    tail_bytes: u64,
    counters: &ReadCounters,
) -> ParquetResult<ParquetMetaData> {
    let mut wanted = tail_bytes.clamp(8, meta.size.max(8));
    loop {
        let start = meta.size.saturating_sub(wanted);
        counters.bytes_read.fetch_add(meta.size - start, Ordering::Relaxed);
        let tail = tallied(&counters.bytes_cached, store.get_range(&meta.location, start..meta.size));
        let tail = tail.await.map_err(from_store)?;
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        match reader.try_parse_sized(&tail, meta.size) {
            Ok(()) => return reader.finish(),
            Err(ParquetError::NeedMoreData(needed)) if needed as u64 > wanted && needed as u64 <= meta.size => {
                wanted = needed as u64;
            }
            Err(error) => return Err(error),
        }
    }
}

fn from_store(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// Makes readers for one query.
#[derive(Debug)]
pub(crate) struct CountedReaders {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) metadata: Arc<MetadataCache>,
    pub(crate) counters: Arc<ReadCounters>,
}

impl ParquetFileReaderFactory for CountedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        let hint = file.metadata_size_hint.or(metadata_size_hint).unwrap_or(TAIL_BYTES_DEFAULT);
        Ok(Box::new(CountedReader {
            store: Arc::clone(&self.store),
            metadata: Arc::clone(&self.metadata),
            counters: Arc::clone(&self.counters),
            file: file.object_meta,
            tail_bytes: hint as u64,
            counted: false,
            shown: MetricBuilder::new(metrics).counter("bytes_scanned", partition),
        }))
    }
}

/// Where the catalog does not know the length of a file's tail.
const TAIL_BYTES_DEFAULT: usize = 64 * 1024;

struct CountedReader {
    store: Arc<dyn ObjectStore>,
    metadata: Arc<MetadataCache>,
    counters: Arc<ReadCounters>,
    file: ObjectMeta,
    tail_bytes: u64,
    counted: bool,
    /// For `EXPLAIN ANALYZE`.
    shown: Count,
}

impl CountedReader {
    fn count(&mut self, bytes: u64) {
        if !self.counted {
            self.counted = true;
            self.counters.files_opened.fetch_add(1, Ordering::Relaxed);
        }
        self.counters.bytes_read.fetch_add(bytes, Ordering::Relaxed);
        self.shown.add(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
}

impl AsyncFileReader for CountedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.count(range.end - range.start);
        let read = self.store.get_range(&self.file.location, range);
        async { tallied(&self.counters.bytes_cached, read).await.map_err(from_store) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.count(ranges.iter().map(|range| range.end - range.start).sum());
        async move {
            let read = self.store.get_ranges(&self.file.location, &ranges);
            tallied(&self.counters.bytes_cached, read).await.map_err(from_store)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        self.count(0);
        async move { self.metadata.fetch(self.store.as_ref(), &self.file, self.tail_bytes, &self.counters).await }
            .boxed()
    }
}

#[cfg(test)]
mod tests;
