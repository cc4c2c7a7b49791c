//! The CPU's share of a flush: a frozen interval becomes finished files and the commit that adds them.

use std::sync::Arc;

use bytes::Bytes;
use gigapi_model::{
    Actor, Change, Commit, CommitId, Ids, LayerName, Level, NewFile, TableDef, TableKey, Timestamp, WriterId,
};
use gigapi_rows::{Gather, GatherOptions, Part};
use gigapi_storage::{FileEncoders, FileFacts, FilePath, Origin};
use object_store::path::Path;

use crate::buffer::Frozen;
use crate::cpu::{CpuSeconds, Work};

/// A flush makes at most this many files of a table, as long as years are coarse enough for that.
const FILES_MAX: usize = 16;

/// An interval whose files are encoded.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) frozen: Arc<Frozen>,
    pub(crate) table: Arc<TableDef>,
    /// Finished objects; emptied by the upload.
    pub(crate) objects: Vec<(Path, Bytes)>,
    pub(crate) commit: Commit,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// What every encoded file has in common.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    pub(crate) encoders: Arc<FileEncoders>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) layer: LayerName,
    pub(crate) catalog: gigapi_catalog::Epochs,
    pub(crate) writer: WriterId,
    pub(crate) writer_epoch: u64,
    /// The catalog's present, which the files' ids carry.
    pub(crate) now: Timestamp,
    pub(crate) cpu: CpuSeconds,
}

/// Why an interval cannot be encoded: stored rows and their definition do not fit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncodeError {
    #[error("rows of table {table} cannot be put into columns: {source}")]
    Gather { table: String, source: arrow::error::ArrowError },
    #[error("rows of table {table} cannot be encoded: {source}")]
    Encode { table: String, source: Box<gigapi_storage::Error> },
}

impl Encoder {
    pub(crate) fn encode(&self, frozen: Arc<Frozen>, table: Arc<TableDef>) -> Result<Prepared, EncodeError> {
        let name = || format!("{}.{}", table.database, table.name);
        let parts: Vec<Arc<Part>> = frozen.entries.iter().map(|entry| Arc::clone(&entry.part)).collect();
        let gather = || Gather::new(&parts, &table, GatherOptions::default()).by_bucket(FILES_MAX);
        let buckets = self.cpu.of(Work::Sort, gather);
        let count = u32::try_from(buckets.len()).unwrap_or(u32::MAX);
        let mut objects = Vec::with_capacity(buckets.len());
        let mut added = Vec::with_capacity(buckets.len());
        let (mut rows, mut bytes) = (0, 0);
        for (part, (bucket, gather)) in (0..count).zip(buckets) {
            let batch = self.cpu.of(Work::Sort, || gather.disk_batch());
            let batch = batch.map_err(|source| EncodeError::Gather { table: name(), source })?;
            let facts = FileFacts {
                catalog: self.catalog.catalog,
                catalog_epoch: self.catalog.epoch,
                bucket,
                created_at: self.now,
                origin: Origin::Flush {
                    writer: self.writer,
                    writer_epoch: self.writer_epoch,
                    lo: frozen.lo,
                    hi: frozen.hi,
                    part,
                    parts: count,
                },
            };
            let encoder = self.encoders.get(&table, batch.schema_ref());
            let encode = || encoder.and_then(|encoder| encoder.encode(&[batch], &facts));
            let encoded = self.cpu.of(Work::Encode, encode);
            let encoded = encoded.map_err(|source| EncodeError::Encode { table: name(), source: Box::new(source) })?;
            let file = encoded.data_file(self.ids.file_id(self.now), Level::FLUSHED, &self.layer, &facts);
            rows += file.rows;
            bytes += file.bytes;
            objects.push((FilePath::of(&table, &file).object_path(), encoded.bytes));
            added.push(NewFile { file, statistics: encoded.statistics.to_bytes() });
        }
        let commit = self.commit(&frozen, &table, added);
        Ok(Prepared { frozen, table, objects, commit, rows, bytes })
    }

    fn commit(&self, frozen: &Frozen, table: &TableDef, added: Vec<NewFile>) -> Commit {
        let mut idempotency: Vec<_> =
            frozen.entries.iter().filter_map(|entry| entry.idempotency.as_deref().cloned()).collect();
        idempotency.dedup();
        let actor = Actor::Writer { writer: self.writer, epoch: self.writer_epoch, lo: frozen.lo, hi: frozen.hi };
        Commit {
            table: table.id,
            catalog_epoch: self.catalog.epoch,
            id: CommitId::from_uuid(self.ids.random()),
            actor,
            change: Change { added, removed: Vec::new() },
            idempotency,
        }
    }
}

/// Rows that the last write replaced inside one flush; none in an append table.
pub(crate) fn overwritten(prepared: &Prepared) -> u64 {
    if prepared.table.key == TableKey::None {
        return 0;
    }
    let arrived: usize = prepared.frozen.entries.iter().map(|entry| entry.part.rows()).sum();
    (arrived as u64).saturating_sub(prepared.rows)
}
