//! Sorted rows to one Parquet object.
//!
//! An encoder is made once per definition and set of columns and shared by all files of that shape: a thousand
//! tables that flush one row a second would otherwise spend their time on schemas. It trusts the order of the rows
//! (the caller sorted them) but not their types and times: what does not fit the definition or the bucket is
//! refused before a byte is written. CPU-bound: call it on a blocking thread.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use bytes::Bytes;
use gigapi_model::{Column, TableDef, TimeRange, Timestamp};
use parking_lot::Mutex;
use parquet::file::metadata::{
    FileMetaData, KeyValue, ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use std::io::Write;

use super::chunk::{Output, PAGE_ROWS_MAX, Sink};
use super::column::Workspace;
use super::schema::{Plan, PlannedColumn};
use super::statistics::{Scalar, Summary};
use crate::parquet::{EncodedFile, FileFacts, FileStatistics, FinishedFile};
use crate::{Error, Result, checksum};

/// A row group holds at most this many rows.
pub const ROW_GROUP_ROWS_MAX: usize = 1 << 20;

/// Workspaces kept for the next file, and the largest that is kept.
const WORKSPACES_MAX: usize = 8;
const WORKSPACE_BYTES_MAX: usize = 32 << 20;

const CREATED_BY: &str = concat!("gigapi version ", env!("CARGO_PKG_VERSION"));
const MAGIC: &[u8; 4] = b"PAR1";

static WORKSPACES: Mutex<Vec<Workspace>> = Mutex::new(Vec::new());

/// Encodes files of one definition and one set of columns.
#[derive(Debug)]
pub struct FileEncoder {
    table: Arc<TableDef>,
    plan: Plan,
    /// The definition as the footer carries it.
    definition: String,
}

impl FileEncoder {
    /// An encoder for batches of that schema, whose columns are named as in the table.
    ///
    /// `time` is `Int64` or `Timestamp(ns)` without nulls; tags and strings are `Dictionary(Int32, Utf8)`, `Utf8` or
    /// `Utf8View`; fields are `Float64`, `Int64`, `UInt64` or `Boolean`. Columns of the table may be missing.
    pub fn new(table: Arc<TableDef>, schema: &Schema) -> Result<Self> {
        let plan = Plan::new(&table, schema)?;
        let definition = serde_json::to_string(table.as_ref())
            .map_err(|error| Error::Input { table: table.name.to_string(), reason: error.to_string() })?;
        Ok(Self { table, plan, definition })
    }

    /// One file of these batches, which follow each other in table order; at least one row.
    pub fn encode(self: &Arc<Self>, batches: &[RecordBatch], facts: &FileFacts) -> Result<EncodedFile> {
        let mut writer = self.start();
        for batch in batches {
            writer.push(batch)?;
        }
        writer.finish(facts)
    }

    /// The columns of its files, by field id; time is the first.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.plan.columns.iter().map(|planned| &planned.column)
    }

    /// Starts a file whose rows come one batch after the other.
    pub fn start(self: &Arc<Self>) -> FileWriter {
        let output = Output::default();
        FileWriter {
            encoder: Arc::clone(self),
            sink: Sink::new(output.clone()),
            output,
            groups: Vec::new(),
            waiting: Vec::new(),
            waiting_rows: 0,
        }
    }

    fn refused(&self, reason: String) -> Error {
        Error::Input { table: self.table.name.to_string(), reason }
    }

    fn check_array(&self, planned: &PlannedColumn, array: &ArrayRef, rows: usize) -> Result<()> {
        if array.len() == rows && *array.data_type() == planned.data_type {
            return Ok(());
        }
        let name = &planned.column.name;
        let found = (array.len(), array.data_type());
        Err(self.refused(format!(
            "column {name} has {} values of {}, not {rows} of {}",
            found.0, found.1, planned.data_type
        )))
    }

    fn check(&self, batch: &RecordBatch) -> Result<()> {
        for planned in &self.plan.columns {
            let name = planned.column.name.as_str();
            let found = batch.schema_ref().fields().get(planned.index);
            if found.is_none_or(|field| field.name() != name || *field.data_type() != planned.data_type) {
                let reason = format!("column {name} is not a {} at {}", planned.data_type, planned.index);
                return Err(self.refused(reason));
            }
        }
        Ok(())
    }
}

/// A written row group.
#[derive(Debug)]
struct Group {
    metadata: RowGroupMetaData,
    column_indexes: Vec<ColumnIndexMetaData>,
    offset_indexes: Vec<OffsetIndexMetaData>,
    summaries: Vec<Summary>,
    checksums: Vec<u64>,
}

/// A file in the making. Full row groups are encoded as they come.
pub struct FileWriter {
    encoder: Arc<FileEncoder>,
    output: Output,
    sink: Sink,
    groups: Vec<Group>,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
}

impl fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWriter")
            .field("table", &self.encoder.table.name)
            .field("groups", &self.groups.len())
            .field("waiting_rows", &self.waiting_rows)
            .finish_non_exhaustive()
    }
}

impl FileWriter {
    /// Adds rows, which come after those before in table order.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.encoder.check(batch)?;
        let mut start = 0;
        while start < batch.num_rows() {
            let taken = (batch.num_rows() - start).min(ROW_GROUP_ROWS_MAX - self.waiting_rows);
            self.waiting.push(batch.slice(start, taken));
            self.waiting_rows += taken;
            start += taken;
            if self.waiting_rows == ROW_GROUP_ROWS_MAX {
                self.flush_group()?;
            }
        }
        Ok(())
    }

    /// Adds a whole row group, column by column: `column` is asked once for each of the encoder's columns, in their
    /// order, and one array is held at a time. The rows come after those before in table order.
    pub fn push_group<E: From<Error>>(
        &mut self,
        rows: usize,
        column: impl FnMut(&Column) -> std::result::Result<ArrayRef, E>,
    ) -> std::result::Result<(), E> {
        self.flush_group()?;
        if rows == 0 || rows > ROW_GROUP_ROWS_MAX {
            return Err(self.encoder.refused(format!("a row group of {rows} rows")).into());
        }
        self.begin(0)?;
        self.with_workspace(rows, column)
    }

    /// The bytes of row groups that are complete, once: the caller stores them, in order.
    pub fn take_bytes(&mut self) -> Result<Bytes> {
        self.sink.flush().map_err(parquet::errors::ParquetError::from)?;
        Ok(self.output.take().into())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        let written: i64 = self.groups.iter().map(|group| group.metadata.num_rows()).sum();
        written as u64 + self.waiting_rows as u64
    }

    /// Bytes held: encoded row groups and rows that wait for theirs.
    pub fn memory_bytes(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(RecordBatch::get_array_memory_size).sum();
        self.output.len() + waiting
    }

    /// Ends the file, of which nothing was taken. Refuses a file without rows, and rows outside the bucket that
    /// `facts` name.
    pub fn finish(self, facts: &FileFacts) -> Result<EncodedFile> {
        let FinishedFile { rest, rows, time, tail_bytes, statistics } = self.finish_taken(facts)?;
        Ok(EncodedFile { rows, time, checksum: checksum(&rest), tail_bytes, statistics, bytes: rest })
    }

    /// As [`Self::finish`]; hands out the bytes that were not taken.
    pub fn finish_taken(mut self, facts: &FileFacts) -> Result<FinishedFile> {
        self.flush_group()?;
        let rows: u64 = self.rows();
        let (statistics, time) = self.statistics()?;
        let bucket = facts.bucket.range();
        if !(bucket.contains(time.min) && bucket.contains(time.max)) {
            let reason = format!("rows from {} to {} do not lie in {}", time.min, time.max, facts.bucket);
            return Err(self.encoder.refused(reason));
        }
        let checksums: Vec<Vec<u64>> = self.groups.iter().map(|group| group.checksums.clone()).collect();
        let entries = facts.entries(&self.encoder.definition, rows, time, &checksums, &statistics.to_bytes())?;
        self.sink.flush().map_err(parquet::errors::ParquetError::from)?;
        let (output, data_bytes) = (self.output.clone(), self.output.len());
        self.write_footer(rows, entries.into())?;
        let rest = Bytes::from(output.take());
        let tail_bytes = u32::try_from(rest.len() - data_bytes).map_err(|_| Error::Input {
            table: "footer".to_owned(),
            reason: "page indexes and footer exceed 4 GiB; write smaller files".to_owned(),
        })?;
        Ok(FinishedFile { rest, rows, time, tail_bytes, statistics })
    }

    fn write_footer(self, rows: u64, entries: Vec<KeyValue>) -> Result<()> {
        let schema = Arc::clone(&self.encoder.plan.schema);
        let created_by = Some(CREATED_BY.to_owned());
        let file = FileMetaData::new(1, rows as i64, created_by, Some(entries), schema, None);
        // Where every column is one page, page indexes would repeat the statistics of the chunks.
        let indexed = self.groups.iter().any(|group| group.metadata.num_rows() > PAGE_ROWS_MAX as i64);
        let mut metadata = ParquetMetaDataBuilder::new(file);
        let mut column_indexes = Vec::with_capacity(self.groups.len());
        let mut offset_indexes = Vec::with_capacity(self.groups.len());
        for group in self.groups {
            metadata = metadata.add_row_group(group.metadata);
            column_indexes.push(group.column_indexes);
            offset_indexes.push(group.offset_indexes);
        }
        if indexed {
            metadata = metadata.set_column_index(Some(column_indexes)).set_offset_index(Some(offset_indexes));
        }
        ParquetMetaDataWriter::new_with_tracked(self.sink, &metadata.build()).finish()?;
        Ok(())
    }

    /// Statistics of all groups, and the range of times.
    fn statistics(&self) -> Result<(FileStatistics, TimeRange)> {
        let mut groups = self.groups.iter();
        let mut all = groups.next().map(|group| group.summaries.clone()).unwrap_or_default();
        for group in groups {
            for (summary, more) in all.iter_mut().zip(&group.summaries) {
                summary.add(more);
            }
        }
        // The first planned column is time.
        let Some(Some((Scalar::Integer(min), Scalar::Integer(max)))) = all.first().map(|time| time.bounds.clone())
        else {
            return Err(self.encoder.refused("a file without rows; write none".to_owned()));
        };
        let time = TimeRange::new(Timestamp::from_nanos(min), Timestamp::from_nanos(max));
        let ids = self.encoder.plan.columns.iter().map(|planned| planned.column.field_id);
        let columns = all.into_iter().zip(ids).map(|(summary, id)| summary.finish(id)).collect();
        Ok((FileStatistics { columns }, time))
    }

    fn flush_group(&mut self) -> Result<()> {
        if self.waiting_rows == 0 {
            return Ok(());
        }
        // About what metrics take when encoded: more would stay allocated for as long as the object lives.
        self.begin(self.waiting_rows * self.encoder.plan.columns.len() / 4 + 8192)?;
        let batches = std::mem::take(&mut self.waiting);
        let rows = std::mem::take(&mut self.waiting_rows);
        let encoder = Arc::clone(&self.encoder);
        let mut planned = encoder.plan.columns.iter();
        self.with_workspace(rows, |_| whole_column(&batches, planned.next().map_or(0, |planned| planned.index)))
    }

    /// Writes what comes before the first row group.
    fn begin(&mut self, bytes_expected: usize) -> Result<()> {
        if self.sink.bytes_written() == 0 {
            self.output.reserve(bytes_expected);
            self.sink.write_all(MAGIC).map_err(parquet::errors::ParquetError::from)?;
        }
        Ok(())
    }

    fn with_workspace<E: From<Error>>(
        &mut self,
        rows: usize,
        column: impl FnMut(&Column) -> std::result::Result<ArrayRef, E>,
    ) -> std::result::Result<(), E> {
        let mut workspace = WORKSPACES.lock().pop().map_or_else(Workspace::new, Ok)?;
        let group = self.write_group(rows, &mut workspace, column)?;
        self.groups.push(group);
        if workspace.idle_bytes() <= WORKSPACE_BYTES_MAX {
            let mut kept = WORKSPACES.lock();
            if kept.len() < WORKSPACES_MAX {
                kept.push(workspace);
            }
        }
        Ok(())
    }

    fn write_group<E: From<Error>>(
        &mut self,
        rows: usize,
        workspace: &mut Workspace,
        mut column: impl FnMut(&Column) -> std::result::Result<ArrayRef, E>,
    ) -> std::result::Result<Group, E> {
        let plan = &self.encoder.plan;
        let count = plan.columns.len();
        let mut group = RowGroupMetaData::builder(Arc::clone(&plan.schema));
        let mut column_indexes = Vec::with_capacity(count);
        let mut offset_indexes = Vec::with_capacity(count);
        let mut summaries = Vec::with_capacity(count);
        let mut checksums = Vec::with_capacity(count);
        let start = self.sink.bytes_written();
        let mut uncompressed = 0;
        for planned in &plan.columns {
            let array = column(&planned.column)?;
            self.encoder.check_array(planned, &array, rows)?;
            let distinct = workspace.encode(planned, &array)?;
            drop(array);
            let written =
                workspace.chunk.write(&planned.descriptor, distinct, &mut workspace.compressor, &mut self.sink)?;
            uncompressed += written.metadata.uncompressed_size();
            group = group.add_column_metadata(written.metadata);
            column_indexes.push(written.column_index);
            offset_indexes.push(written.offset_index);
            summaries.push(written.summary);
            checksums.push(written.checksum);
        }
        let metadata = group
            .set_num_rows(rows as i64)
            .set_total_byte_size(uncompressed)
            .set_sorting_columns(Some(plan.sorting.clone()))
            .set_file_offset(start as i64)
            .set_ordinal(i16::try_from(self.groups.len()).unwrap_or(i16::MAX))
            .build()
            .map_err(Error::from)?;
        Ok(Group { metadata, column_indexes, offset_indexes, summaries, checksums })
    }
}

/// A column of all batches in one piece; free if there is one batch.
fn whole_column(batches: &[RecordBatch], index: usize) -> Result<ArrayRef> {
    if let [batch] = batches {
        return Ok(Arc::clone(batch.column(index)));
    }
    let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(index).as_ref()).collect();
    Ok(arrow::compute::concat(&parts).map_err(parquet::errors::ParquetError::from)?)
}

/// One file, without keeping an encoder.
pub fn encode_file(table: &Arc<TableDef>, batches: &[RecordBatch], facts: &FileFacts) -> Result<EncodedFile> {
    let schema = batches.first().map(RecordBatch::schema).ok_or_else(|| Error::Input {
        table: table.name.to_string(),
        reason: "a file without rows; write none".to_owned(),
    })?;
    Arc::new(FileEncoder::new(Arc::clone(table), &schema)?).encode(batches, facts)
}

#[cfg(test)]
mod tests;
