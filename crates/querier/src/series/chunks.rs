//! Column chunks of a data file: where they are, and their bytes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory as _;
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::basic::Encoding;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use gigapi_model::{FieldId, TableDef};
use gigapi_storage::{Chunk, ChunkBytes, tallied};
use object_store::ObjectStore;

use crate::scan::{CountedReaders, ScanContext};

/// An open data file.
pub(super) struct OpenFile<'a> {
    context: &'a ScanContext,
    file: &'a PartitionedFile,
    pub(super) metadata: Arc<ParquetMetaData>,
    /// By the table's column, the file's leaf.
    leaves: Vec<Option<usize>>,
}

/// What this project's files are encoded in.
const DECODED: [Encoding; 6] = [
    Encoding::RLE,
    Encoding::PLAIN,
    Encoding::PLAIN_DICTIONARY,
    Encoding::RLE_DICTIONARY,
    Encoding::DELTA_BINARY_PACKED,
    Encoding::BYTE_STREAM_SPLIT,
];

/// Tails of files whose length the catalog does not know.
const TAIL_BYTES_DEFAULT: u64 = 64 * 1024;

impl<'a> OpenFile<'a> {
    pub(super) async fn open(context: &'a ScanContext, file: &'a PartitionedFile, table: &TableDef) -> Result<Self> {
        let tail_bytes = file.metadata_size_hint.map_or(TAIL_BYTES_DEFAULT, |bytes| bytes as u64);
        let meta = &file.object_meta;
        let fetched = context.metadata.fetch(context.store.as_ref(), meta, tail_bytes, &context.counters).await;
        let metadata = fetched.map_err(|error: ParquetError| DataFusionError::ParquetError(Box::new(error)))?;
        let schema = metadata.file_metadata().schema_descr();
        let id = |leaf: usize| {
            let info = schema.column(leaf).self_type().get_basic_info().clone();
            info.has_id().then(|| FieldId::try_from(info.id()).ok()).flatten()
        };
        let ids: Vec<Option<FieldId>> = (0..schema.num_columns()).map(id).collect();
        let leaf = |column: &gigapi_model::Column| ids.iter().position(|id| *id == Some(column.field_id));
        let leaves = table.columns.iter().map(leaf).collect();
        Ok(Self { context, file, metadata, leaves })
    }

    /// The chunk of a table's column; `None` if the file lacks the column.
    pub(super) fn chunk(&self, group: usize, column: usize) -> Option<Chunk<'_>> {
        let leaf = self.leaves[column]?;
        let row_group = self.metadata.row_group(group);
        let locations = self.metadata.offset_index().and_then(|groups| groups.get(group)?.get(leaf));
        let locations = locations.map(|index| index.page_locations().as_slice()).filter(|pages| !pages.is_empty());
        let rows = usize::try_from(row_group.num_rows()).unwrap_or(0);
        Some(Chunk { metadata: row_group.column(leaf), locations, rows })
    }

    /// The file's leaf of a table's column.
    pub(super) fn leaf(&self, column: usize) -> Option<usize> {
        self.leaves[column]
    }

    /// By leaf, the table's column.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        let mut columns: Vec<(usize, usize)> =
            self.leaves.iter().enumerate().filter_map(|(column, leaf)| Some(((*leaf)?, column))).collect();
        columns.sort_unstable();
        columns.into_iter().map(|(_, column)| column)
    }

    /// A reader for what is not read page by page.
    pub(super) fn reader(&self) -> Result<Box<dyn AsyncFileReader + Send>> {
        let readers = CountedReaders {
            store: Arc::clone(&self.context.store),
            metadata: Arc::clone(&self.context.metadata),
            counters: Arc::clone(&self.context.counters),
        };
        let metrics = ExecutionPlanMetricsSet::new();
        readers.create_reader(0, self.file.clone(), self.file.metadata_size_hint, &metrics)
    }

    /// Whether all values of a table's column can be decoded page by page; a column that the file lacks has none.
    pub(super) fn is_decodable(&self, column: usize) -> bool {
        let is_known = |chunk: &Chunk<'_>| {
            let descriptor = chunk.metadata.column_descr();
            let is_flat = descriptor.max_def_level() <= 1 && descriptor.max_rep_level() == 0;
            is_flat && chunk.metadata.encodings().all(|encoding| DECODED.contains(&encoding))
        };
        (0..self.metadata.num_row_groups()).all(|group| self.chunk(group, column).as_ref().is_none_or(is_known))
    }

    pub(super) fn location(&self) -> &object_store::path::Path {
        &self.file.object_meta.location
    }

    /// The bytes of these chunks' pages that hold wanted rows, in one request.
    pub(super) async fn fetch(&self, chunks: &[Chunk<'_>], wanted: &[Range<usize>]) -> Result<Vec<Arc<ChunkBytes>>> {
        let of_each: Vec<Vec<Range<u64>>> = chunks.iter().map(|chunk| chunk.byte_ranges(wanted)).collect();
        let all: Vec<Range<u64>> = of_each.iter().flatten().cloned().collect();
        if all.is_empty() {
            return Ok(chunks.iter().map(|_| Arc::default()).collect());
        }
        let bytes: u64 = all.iter().map(|range| range.end - range.start).sum();
        self.context.counters.bytes_read.fetch_add(bytes, Ordering::Relaxed);
        let location = &self.file.object_meta.location;
        let read = self.context.store.get_ranges(location, &all);
        let fetched = tallied(&self.context.counters.bytes_cached, read).await;
        let mut fetched = fetched.map_err(|error| DataFusionError::ObjectStore(Box::new(error)))?.into_iter();
        Ok(of_each
            .iter()
            .map(|ranges| Arc::new(ChunkBytes::new(ranges, fetched.by_ref().take(ranges.len()))))
            .collect())
    }
}
