//! Moves files to a later layer: copied under the same id, compared, committed; the source is then buried.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use gigapi_model::{Change, DataFile, LayerName, NewFile, TableDef};
use gigapi_service::crash_point;
use gigapi_storage::{FilePath, Layer, Source};
use object_store::path::Path;
use parquet::file::reader::{ChunkReader, Length};

use super::{Done, Worker};
use crate::lease::Lease;
use crate::policy::Move;
use crate::{Error, Result};

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 4 << 20;

/// Memory of a copy: what is read, and what an upload holds.
const COPY_BYTES_MAX: u64 = 64 << 20;

impl Worker {
    pub(super) async fn relocate(&self, table: &Arc<TableDef>, moves: Vec<Move>) -> Result<Done> {
        let ids: Vec<_> = moves.iter().map(|moved| moved.file.id).collect();
        let largest = moves.iter().map(|moved| moved.file.bytes).max().unwrap_or(0);
        let _memory = self.memory.take(largest.min(COPY_BYTES_MAX)).await;
        let epochs = self.catalog.epochs().await?;
        let lease = Lease::take(&self.catalog, table.id, ids.clone(), self.lease).await?;
        crash_point("relocate:after-claim");
        let outcome = async {
            let mut statistics = self.catalog.statistics(table.id, &ids).await?;
            let mut added = Vec::with_capacity(moves.len());
            for Move { file, to } in &moves {
                self.copy(table, file, to, &lease).await?;
                let statistics = statistics.remove(&file.id).map(|bytes| bytes.to_vec()).unwrap_or_default();
                let file = DataFile { layer: to.clone(), ..DataFile::clone(file) };
                added.push(NewFile { file, statistics });
            }
            crash_point("relocate:before-commit");
            self.commit(table.id, epochs, &lease, Change { added, removed: ids }).await
        };
        let outcome = outcome.await;
        crash_point("relocate:after-commit");
        lease.give_back().await;
        outcome?;
        let bytes = moves.iter().map(|moved| moved.file.bytes).sum();
        let rows = moves.iter().map(|moved| moved.file.rows).sum();
        let files = moves.len() as u64;
        Ok(Done { files_in: files, files_out: files, rows, bytes_in: bytes, bytes_out: bytes, overwritten: 0 })
    }

    async fn copy(&self, table: &TableDef, file: &Arc<DataFile>, to: &LayerName, lease: &Lease) -> Result<()> {
        let sources = lease.while_held(self.fetch(table, std::slice::from_ref(file))).await?;
        let source = sources.into_iter().next().ok_or(Error::Cancelled)?;
        let path = FilePath::of(table, file).object_path();
        let uploaded = self.upload(self.layer(to)?, &path, source, lease.lost()).await?;
        if (uploaded.bytes, uploaded.checksum) != (file.bytes, file.checksum) {
            return Err(Error::Check { reason: format!("the copy of {path} on layer {to} has another checksum") });
        }
        crash_point("relocate:after-copy");
        Ok(())
    }

    /// Ends without an object once the claim is lost.
    async fn upload(
        &self,
        layer: &Arc<Layer>,
        path: &Path,
        source: Source,
        lost: Arc<AtomicBool>,
    ) -> Result<gigapi_storage::Uploaded> {
        let size = source.len();
        let pieces = futures::stream::iter((0..size).step_by(PIECE_BYTES)).then(move |start| {
            let (source, lost) = (source.clone(), Arc::clone(&lost));
            async move {
                let length = usize::try_from(size - start).unwrap_or(usize::MAX).min(PIECE_BYTES);
                self.throttle.pass(length as u64).await;
                if lost.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                let read = tokio::task::spawn_blocking(move || source.get_bytes(start, length)).await;
                let read = read.map_err(|_| Error::Interrupted { operation: "reading a file" })?;
                read.map_err(|error| Error::from(gigapi_storage::Error::from(error)))
            }
        });
        layer.upload_stream(path, pieces).await
    }
}
