//! `metadata.json` of every bucket folder that changed, for readers in other languages.
//!
//! Publishing follows commits and is never waited for by one. Changes of one folder that come close
//! together are one publication; a failure is logged and the next change tries again. What a process that died
//! had committed and not published is found at the next start. What others change, as merges do, is seen by looking at
//! the catalog (`watch`). Only embedded catalogs publish, on local layers: nothing of ours reads the file. Documents of
//! dropped tables are removed (`dropped`).

mod dropped;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gigapi_catalog::Catalog;
use gigapi_model::{Bucket, DataFile, TableDef, TableId, TimeRange};
use gigapi_storage::metadata_json::Dropped;
use gigapi_storage::{Layer, metadata_json};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

/// Folders that changed within this time are published once.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(5);

/// Documents that are held in memory and written together.
const DOCUMENTS_PER_BATCH: usize = 1_000;

type Pending = HashMap<(TableId, Bucket), Arc<TableDef>>;

#[derive(Debug)]
struct Shared {
    catalog: Arc<dyn Catalog>,
    layer: Arc<Layer>,
    pending: Mutex<Pending>,
    /// What the last look at the catalog saw.
    seen: AsyncMutex<watch::Seen>,
    /// Held while folders are written, so that an older state never follows a newer one.
    publishing: AsyncMutex<()>,
}

/// Publishes; clones share their work.
#[derive(Debug, Clone)]
pub(crate) struct Publisher(Option<Arc<Shared>>);

impl Publisher {
    /// Publishes on that layer if it is a local one. A folder with data of the original GigAPI has documents of
    /// its own, which are left alone: there nothing is published.
    pub(crate) async fn open(catalog: Arc<dyn Catalog>, layer: Arc<Layer>) -> gigapi_storage::Result<Self> {
        let is_ours = layer.local.is_some() && layer.original().await?.is_none();
        Ok(Self(is_ours.then(|| {
            let (pending, seen, publishing) = Default::default();
            let shared = Shared { catalog, layer, pending, seen, publishing };
            Arc::new(shared)
        })))
    }

    /// Publishes nothing: where several processes write, none of them knows a folder's last state.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Folders of the table changed.
    pub(crate) fn changed(&self, table: &Arc<TableDef>, buckets: impl Iterator<Item = Bucket>) {
        if let Some(shared) = &self.0 {
            shared.pending.lock().extend(buckets.map(|bucket| ((table.id, bucket), Arc::clone(table))));
        }
    }

    /// Publishes until `stop` resolves.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let Some(shared) = self.0 else { return };
        tokio::pin!(stop);
        tokio::select! {
            () = &mut stop => return,
            caught_up = shared.catch_up() => {
                if let Err(reason) = caught_up {
                    tracing::warn!(reason, "whether each metadata.json is the newest is not known");
                }
            }
        }
        loop {
            shared.look_again().await;
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(PUBLISH_INTERVAL) => {}
            }
            shared.publish_pending().await;
        }
    }

    /// Publishes what is left, also of what others have changed by now.
    pub(crate) async fn finish(&self) {
        if let Some(shared) = &self.0 {
            shared.look_again().await;
            shared.publish_pending().await;
        }
    }
}

impl Shared {
    /// Notes the folders whose document is not what it should be: those of live files, and those of removed ones that
    /// are not deleted yet. A document goes with the last file of its folder.
    async fn catch_up(&self) -> Result<(), String> {
        self.clear_dropped().await?;
        let failed = |error: gigapi_catalog::Error| error.to_string();
        let tables = self.catalog.live_tables().await.map_err(failed)?;
        let mut dropped = self.all_dropped_files().await?;
        for table in tables {
            let snapshot = match self.catalog.snapshot(table.id, TimeRange::ALL).await {
                Ok(snapshot) => snapshot,
                // Dropped since the list was made.
                Err(gigapi_catalog::Error::Dropped { .. }) => continue,
                Err(error) => return Err(failed(error)),
            };
            let mut folders: HashMap<Bucket, (Vec<DataFile>, Vec<Dropped>)> = HashMap::new();
            for file in snapshot.files.iter().filter(|file| file.layer == self.layer.name) {
                folders.entry(file.bucket).or_default().0.push(DataFile::clone(file));
            }
            for file in dropped.remove(&table.id).unwrap_or_default() {
                folders.entry(file.path.bucket).or_default().1.push(file);
            }
            for (bucket, (files, dropped)) in folders {
                let wanted =
                    metadata_json::render(&table, bucket, &files, &dropped).map_err(|error| error.to_string())?;
                if !self.is_published(&metadata_json::path(&table, bucket), &wanted).await? {
                    self.pending.lock().insert((table.id, bucket), Arc::clone(&table));
                }
            }
        }
        Ok(())
    }

    async fn is_published(&self, path: &Path, wanted: &Bytes) -> Result<bool, String> {
        let published = async { self.layer.store.get(path).await?.bytes().await };
        match published.await {
            Ok(bytes) => Ok(bytes == *wanted),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn look_again(&self) {
        if let Err(reason) = self.look(&mut *self.seen.lock().await).await {
            tracing::warn!(reason, "whether each metadata.json is the newest is not known");
        }
    }

    async fn publish_pending(&self) {
        let _only = self.publishing.lock().await;
        let pending = std::mem::take(&mut *self.pending.lock());
        if pending.is_empty() {
            return;
        }
        let dropped = match self.all_dropped_files().await {
            Ok(dropped) => dropped,
            Err(reason) => {
                tracing::warn!(reason, "metadata.json is not published");
                self.pending.lock().extend(pending);
                return;
            }
        };
        let mut documents = Vec::with_capacity(pending.len().min(DOCUMENTS_PER_BATCH));
        for ((id, bucket), table) in pending {
            match self.document(id, bucket, &table, dropped.get(&id)).await {
                Ok(Some(document)) => documents.push((metadata_json::path(&table, bucket), document)),
                // Dropped since it changed, and its documents with it.
                Ok(None) => {}
                Err(reason) => {
                    tracing::warn!(database = %table.database, table = %table.name, %bucket, reason, "metadata.json is not published");
                }
            }
            if documents.len() == DOCUMENTS_PER_BATCH {
                self.put(std::mem::take(&mut documents)).await;
            }
        }
        self.put(documents).await;
    }

    /// Writes documents together, so that a thousand folders share their disk syncs.
    async fn put(&self, documents: Vec<(Path, Bytes)>) {
        let Some(local) = &self.layer.local else { return };
        if documents.is_empty() {
            return;
        }
        if let Err(error) = local.put_files(documents).await {
            tracing::warn!(%error, "metadata.json is not published");
        }
    }

    /// The document of a folder; none if the table is gone.
    async fn document(
        &self,
        id: TableId,
        bucket: Bucket,
        table: &TableDef,
        dropped: Option<&Vec<Dropped>>,
    ) -> Result<Option<Bytes>, String> {
        let snapshot = match self.catalog.snapshot(id, bucket.range()).await {
            Ok(snapshot) => snapshot,
            Err(gigapi_catalog::Error::Dropped { .. }) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let here = |file: &&Arc<DataFile>| file.bucket == bucket && file.layer == self.layer.name;
        let files: Vec<_> = snapshot.files.iter().filter(here).map(|file| file.as_ref().clone()).collect();
        let dropped = dropped.into_iter().flatten().filter(|file| file.path.bucket == bucket).cloned();
        let dropped: Vec<Dropped> = dropped.collect();
        metadata_json::render(table, bucket, &files, &dropped).map(Some).map_err(|error| error.to_string())
    }
}
