//! The rows of a data file, by column and by range, for whoever rewrites them.
//!
//! Queries read through their engine; a merge wants a column of some rows at a time in bounded memory, matched by
//! field id and typed as the table is now. A small file is decoded whole at once, because opening a column costs more
//! than its values. Pages are read where they lie: nothing here holds more than it was asked for. Bytes are taken as
//! verified; what cannot be decoded nevertheless is an error that names the file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use gigapi_model::{Column, ColumnRole, ColumnType, FieldId, TableDef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::SchemaDescriptor;

use super::{FileFacts, StoredFacts};
use crate::{Error, Result};

/// Files that take no more than this when decoded are decoded whole.
const WHOLE_BYTES_MAX: u64 = 2 << 20;

/// The bytes of a data file.
#[derive(Debug, Clone)]
pub enum Source {
    /// In memory.
    Memory(Bytes),
    /// On this machine's disk, with its size.
    File(Arc<File>, u64),
}

/// Reads a file from a place of its own: several columns are read at once.
#[derive(Debug)]
pub struct ReadAt {
    source: Source,
    at: u64,
}

impl Read for ReadAt {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &self.source {
            Source::Memory(bytes) => {
                let rest = usize::try_from(self.at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                let count = rest.len().min(out.len());
                out[..count].copy_from_slice(&rest[..count]);
                count
            }
            Source::File(file, _) => file.read_at(out, self.at)?,
        };
        self.at += count as u64;
        Ok(count)
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, bytes) => *bytes,
        }
    }
}

impl ChunkReader for Source {
    type T = BufReader<ReadAt>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::with_capacity(512, ReadAt { source: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let end = start.saturating_add(length);
                if end > bytes.len() {
                    return Err(ParquetError::EOF(format!("bytes {start}..{end} of {}", bytes.len())));
                }
                Ok(bytes.slice(start..end))
            }
            Self::File(file, _) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, start)?;
                Ok(bytes.into())
            }
        }
    }
}

/// An open data file.
#[derive(Debug)]
pub struct StoredRows {
    name: String,
    source: Source,
    metadata: ArrowReaderMetadata,
    /// Per leaf of the file, the table's column that it holds.
    columns: Vec<Column>,
    /// The file's first row of each row group, and the number of all rows at the end.
    group_starts: Vec<u64>,
    whole: Option<RecordBatch>,
}

impl StoredRows {
    /// Opens a file of that table, which may have been written under an earlier definition.
    pub fn open(name: &str, source: Source, table: &TableDef) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { what: name.to_owned(), reason };
        let unreadable = |error: ParquetError| corrupt(format!("its footer cannot be read: {error}"));
        let options = ArrowReaderOptions::new()
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_skip_arrow_metadata(true);
        let found = ArrowReaderMetadata::load(&source, options.clone()).map_err(unreadable)?;
        let columns = columns_of(found.parquet_schema(), table).map_err(corrupt)?;
        let schema = wanted_schema(found.schema(), &columns);
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options.with_schema(schema));
        let metadata = metadata.map_err(unreadable)?;
        let group_starts = group_starts(metadata.metadata());
        let mut this = Self { name: name.to_owned(), source, metadata, columns, group_starts, whole: None };
        if this.metadata.metadata().num_row_groups() == 1 && this.decoded_bytes() <= WHOLE_BYTES_MAX {
            let leaves: Vec<usize> = (0..this.columns.len()).collect();
            this.whole = Some(this.read(&leaves, 0, None)?);
        }
        Ok(this)
    }

    /// What the file is called in errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its footer says.
    pub fn facts(&self) -> Result<StoredFacts> {
        FileFacts::read(&self.name, self.metadata.metadata().file_metadata())
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.group_starts.last().copied().unwrap_or(0)
    }

    /// The table's columns that the file holds, by field id.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Bytes of all values when decoded, about.
    pub fn decoded_bytes(&self) -> u64 {
        let groups = self.metadata.metadata().row_groups().iter();
        let stored: u64 = groups.map(|group| group.total_byte_size().unsigned_abs()).sum();
        // Dictionaries and runs of keys take eight bytes a value when they are decoded.
        stored.max(self.rows() * self.columns.len() as u64 * 8)
    }

    /// Bytes of a value of the column that has the longest, on average in some row group.
    pub fn widest_value_bytes(&self) -> u64 {
        let groups = self.metadata.metadata().row_groups().iter();
        let widths = groups.flat_map(|group| {
            let rows = group.num_rows().unsigned_abs().max(1);
            group.columns().iter().map(move |chunk| chunk.uncompressed_size().unsigned_abs() / rows)
        });
        widths.max().unwrap_or(0)
    }

    /// Bytes that reading the keys of a row group holds at most: dictionaries of tags.
    pub fn key_bytes(&self) -> u64 {
        let of_group = |group: &parquet::file::metadata::RowGroupMetaData| -> u64 {
            let chunks = group.columns().iter().zip(&self.columns);
            let tags = chunks.filter(|(_, column)| column.role == ColumnRole::Tag);
            tags.map(|(chunk, _)| chunk.uncompressed_size().unsigned_abs()).sum()
        };
        self.metadata.metadata().row_groups().iter().map(of_group).max().unwrap_or(0)
    }

    /// All rows in order, with just these columns, as far as the file holds them.
    pub fn batches(self: &Arc<Self>, columns: &[FieldId], rows_max: usize) -> RowBatches {
        // The reader hands out columns in the file's order, whatever order they are asked in.
        let mut leaves: Vec<usize> = columns.iter().filter_map(|field| self.leaf(*field)).collect();
        leaves.sort_unstable();
        RowBatches { file: Arc::clone(self), leaves, rows_max: rows_max.max(1), group: 0, at: 0, reader: None }
    }

    /// The values of a column in these rows; `None` if the file lacks it.
    pub fn column(&self, field: FieldId, rows: Range<u64>) -> Result<Option<ArrayRef>> {
        let Some(leaf) = self.leaf(field) else { return Ok(None) };
        if let Some(whole) = &self.whole {
            let (start, len) = (rows.start as usize, (rows.end - rows.start) as usize);
            return Ok(Some(whole.column(leaf).slice(start, len)));
        }
        let mut pieces: Vec<ArrayRef> = Vec::new();
        for group in 0..self.group_starts.len() - 1 {
            let (first, end) = (self.group_starts[group], self.group_starts[group + 1]);
            let inside = rows.start.max(first)..rows.end.min(end);
            if inside.start < inside.end {
                let part = (inside.start - first) as usize..(inside.end - first) as usize;
                let batch = self.read(&[leaf], group, Some(part))?;
                pieces.push(Arc::clone(batch.column(0)));
            }
        }
        match &pieces[..] {
            [only] => Ok(Some(Arc::clone(only))),
            _ => {
                let pieces: Vec<_> = pieces.iter().map(AsRef::as_ref).collect();
                Ok(Some(concat(&pieces).map_err(|error| self.corrupt(error.to_string()))?))
            }
        }
    }

    fn leaf(&self, field: FieldId) -> Option<usize> {
        self.columns.iter().position(|column| column.field_id == field)
    }

    fn corrupt(&self, reason: String) -> Error {
        Error::Corrupt { what: self.name.clone(), reason }
    }

    fn reader(&self, leaves: &[usize], group: usize, batch_rows: usize) -> ParquetRecordBatchReaderBuilder<Source> {
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), leaves.iter().copied());
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.source.clone(), self.metadata.clone())
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(batch_rows)
    }

    /// Leaves of a row group, in the file's order, as one batch; all of its rows or some.
    fn read(&self, leaves: &[usize], group: usize, rows: Option<Range<usize>>) -> Result<RecordBatch> {
        let all = (self.group_starts[group + 1] - self.group_starts[group]) as usize;
        let rows = rows.unwrap_or(0..all);
        let mut builder = self.reader(leaves, group, rows.len());
        if rows != (0..all) {
            let select = [RowSelector::skip(rows.start), RowSelector::select(rows.len())];
            builder = builder.with_row_selection(RowSelection::from(select.to_vec()));
        }
        let unreadable = |error: String| self.corrupt(format!("row group {group} cannot be decoded: {error}"));
        let mut reader = builder.build().map_err(|error| unreadable(error.to_string()))?;
        let batch = reader.next().transpose().map_err(|error| unreadable(error.to_string()))?;
        match batch {
            Some(batch) if batch.num_rows() == rows.len() => self.widened(&batch, leaves),
            other => {
                let found = other.map_or(0, |batch| batch.num_rows());
                Err(unreadable(format!("it has {found} rows of the {} that were asked for", rows.len())))
            }
        }
    }

    /// Values that were stored in a narrower type take the table's.
    fn widened(&self, batch: &RecordBatch, leaves: &[usize]) -> Result<RecordBatch> {
        let mut fields = Vec::with_capacity(leaves.len());
        let mut arrays = Vec::with_capacity(leaves.len());
        for (&leaf, array) in leaves.iter().zip(batch.columns()) {
            let column = &self.columns[leaf];
            let wanted = decoded_type(column);
            let array = match (array.data_type(), &wanted) {
                (found, wanted) if found == wanted => Arc::clone(array),
                (DataType::Int32, DataType::Int64) | (DataType::Float32, DataType::Float64) => {
                    cast(array, &wanted).map_err(|error| self.corrupt(error.to_string()))?
                }
                (found, _) => {
                    let (name, wanted) = (&column.name, column.column_type);
                    return Err(self.corrupt(format!("column {name} holds {found}, which is no {wanted}")));
                }
            };
            fields.push(Field::new(column.name.as_str(), wanted, true));
            arrays.push(array);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|error| self.corrupt(error.to_string()))
    }
}

/// Batches of a file's rows, in order; none goes over the end of a row group, so that dictionaries stay whole.
#[derive(Debug)]
pub struct RowBatches {
    file: Arc<StoredRows>,
    /// Ascending.
    leaves: Vec<usize>,
    rows_max: usize,
    /// The row group that comes next.
    group: usize,
    /// Rows handed out of a file that is held whole.
    at: usize,
    reader: Option<ParquetRecordBatchReader>,
}

impl RowBatches {
    /// The next rows; none after the last. Columns are in the file's order and bear the table's names.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let file = Arc::clone(&self.file);
        if let Some(whole) = &file.whole {
            let rows = self.rows_max.min(whole.num_rows() - self.at);
            let unreadable = |error: arrow::error::ArrowError| file.corrupt(error.to_string());
            let batch = whole.project(&self.leaves).map_err(unreadable)?.slice(self.at, rows);
            self.at += rows;
            return Ok((rows > 0).then_some(batch));
        }
        loop {
            if let Some(reader) = &mut self.reader {
                let unreadable = |error: arrow::error::ArrowError| file.corrupt(format!("its rows: {error}"));
                if let Some(batch) = reader.next().transpose().map_err(unreadable)? {
                    return file.widened(&batch, &self.leaves).map(Some);
                }
                self.reader = None;
            }
            if self.group + 1 >= file.group_starts.len() {
                return Ok(None);
            }
            let builder = file.reader(&self.leaves, self.group, self.rows_max);
            let unreadable = |error: ParquetError| file.corrupt(format!("its rows: {error}"));
            self.reader = Some(builder.build().map_err(unreadable)?);
            self.group += 1;
        }
    }
}

/// Which column of the table each leaf holds, by field id.
fn columns_of(schema: &SchemaDescriptor, table: &TableDef) -> std::result::Result<Vec<Column>, String> {
    let column = |leaf: &parquet::schema::types::ColumnDescPtr| {
        let info = leaf.self_type().get_basic_info();
        let id = info.has_id().then(|| FieldId::try_from(info.id()).ok()).flatten();
        let known = id.and_then(|id| table.column_by_id(id));
        known.cloned().ok_or_else(|| format!("its column {} is not one of table {}", leaf.path(), table.name))
    };
    let columns = schema.columns().iter().map(column).collect::<std::result::Result<Vec<_>, _>>()?;
    match columns.first() {
        Some(first) if first.role == ColumnRole::Time => Ok(columns),
        _ => Err("its first column is not time".to_owned()),
    }
}

/// As the file's values are decoded: strings with their dictionaries where rows repeat them.
fn decoded_type(column: &Column) -> DataType {
    match (column.role, column.column_type) {
        (ColumnRole::Tag, _) => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        (_, ColumnType::String) => DataType::Utf8View,
        (_, ColumnType::Float) => DataType::Float64,
        (_, ColumnType::Integer | ColumnType::Time) => DataType::Int64,
        (_, ColumnType::Unsigned) => DataType::UInt64,
        (_, ColumnType::Boolean) => DataType::Boolean,
    }
}

/// The stored schema with strings decoded as wanted.
fn wanted_schema(stored: &Schema, columns: &[Column]) -> Arc<Schema> {
    let fields = stored.fields().iter().zip(columns).map(|(field, column)| match field.data_type() {
        DataType::Utf8 if column.column_type == ColumnType::String => {
            Arc::new(field.as_ref().clone().with_data_type(decoded_type(column)))
        }
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn group_starts(metadata: &ParquetMetaData) -> Vec<u64> {
    let groups = metadata.row_groups().iter().map(|group| group.num_rows().unsigned_abs());
    let ends = groups.scan(0, |end, rows| {
        *end += rows;
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

#[cfg(test)]
mod tests;
