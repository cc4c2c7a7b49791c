//! What an encoder hands over when an object is done, and the catalog's record of it.

use bytes::Bytes;
use gigapi_model::{DataFile, FileId, LayerName, Level, TimeRange};

use crate::parquet::{FileFacts, FileStatistics};

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

/// A finished object whose first bytes were taken before.
#[derive(Debug, Clone)]
pub struct FinishedFile {
    /// The bytes after those that were taken.
    pub rest: Bytes,
    /// Number of rows.
    pub rows: u64,
    /// Exact range of the rows' times.
    pub time: TimeRange,
    /// Bytes at the end that hold page indexes and footer.
    pub tail_bytes: u32,
    /// Statistics for the catalog.
    pub statistics: FileStatistics,
}

impl EncodedFile {
    /// The catalog's record of the object, for where it lies at the path that follows from `id` and `level`.
    ///
    /// `facts` are those that it was encoded with.
    pub fn data_file(&self, id: FileId, level: Level, layer: &LayerName, facts: &FileFacts) -> DataFile {
        DataFile {
            id,
            level,
            layer: layer.clone(),
            bucket: facts.bucket,
            rows: self.rows,
            bytes: self.bytes.len() as u64,
            time: self.time,
            sequence: facts.origin.sequence(),
            checksum: self.checksum,
            tail_bytes: self.tail_bytes,
        }
    }
}
