//! skeleton
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::Bytes;
use gigapi_model::{TableDef, TimeRange};

use crate::Result;
use crate::parquet::{FileFacts, FileStatistics};

/// A row group holds at most this many rows.
pub const ROW_GROUP_ROWS_MAX: usize = 1 << 20;

/// One finished object.
#[derive(Debug, Clone)]
pub struct EncodedFile {
    /// The object.
    pub bytes: Bytes,
    /// Number of rows.
    pub rows: u64,
    /// Exact range of the rows' times.
    pub time: TimeRange,
    /// XXH3-64 of the object.
    pub checksum: u64,
    /// Bytes at the end that hold page indexes and footer.
    pub tail_bytes: u32,
    /// Statistics for the catalog.
    pub statistics: FileStatistics,
}

/// Encodes files of one definition and one set of columns.
#[derive(Debug)]
pub struct FileEncoder {
    table: Arc<TableDef>,
}

impl FileEncoder {
    /// An encoder for batches of that schema.
    pub fn new(table: Arc<TableDef>, schema: &Schema) -> Result<Self> {
        let _ = schema;
        Ok(Self { table })
    }
    /// One file of these batches, which follow each other in table order.
    pub fn encode(&self, batches: &[RecordBatch], facts: &FileFacts) -> Result<EncodedFile> {
        let _ = (batches, facts, &self.table);
        todo!()
    }
    /// Starts a file whose rows come one batch after the other.
    pub fn start(self: &Arc<Self>) -> FileWriter {
        FileWriter { encoder: self.clone() }
    }
}

/// A file in the making.
#[derive(Debug)]
pub struct FileWriter {
    encoder: Arc<FileEncoder>,
}

impl FileWriter {
    /// Adds rows.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let _ = (batch, &self.encoder);
        todo!()
    }
    /// Bytes held: encoded row groups and rows waiting for theirs.
    pub fn memory_bytes(&self) -> usize {
        todo!()
    }
    /// Ends the file.
    pub fn finish(self, facts: &FileFacts) -> Result<EncodedFile> {
        let _ = facts;
        todo!()
    }
}

/// Encoders by table revision and columns.
#[derive(Debug, Default)]
pub struct FileEncoders {}

impl FileEncoders {
    /// The encoder for batches of that schema, made at first use.
    pub fn get(&self, table: &Arc<TableDef>, schema: &Schema) -> Result<Arc<FileEncoder>> {
        FileEncoder::new(table.clone(), schema).map(Arc::new)
    }
}

/// One file, without keeping an encoder.
pub fn encode_file(table: &Arc<TableDef>, batches: &[RecordBatch], facts: &FileFacts) -> Result<EncodedFile> {
    let _ = (table, batches, facts);
    todo!()
}
