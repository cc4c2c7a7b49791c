//! `metadata.json` of every bucket folder that changed, for readers in other languages.
//!
//! Publishing follows commits and is never waited for by one. Changes of one folder that come close
//! together are one publication; a failure is logged and the next change tries again. Only embedded
//! catalogs publish, on local layers: nothing of ours reads the file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gigapi_catalog::Catalog;
use gigapi_model::{Bucket, TableDef, TableId};
use gigapi_storage::{Layer, metadata_json, original_data};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify};

/// Folders that changed within this time are published once.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(5);

type Pending = HashMap<(TableId, Bucket), Arc<TableDef>>;

#[derive(Debug)]
struct Shared {
    catalog: Arc<dyn Catalog>,
    layer: Arc<Layer>,
    pending: Mutex<Pending>,
    changed: Notify,
    /// Held while folders are written, so that an older state never follows a newer one.
    publishing: AsyncMutex<()>,
}

/// Publishes; clones share their work.
#[derive(Debug, Clone)]
pub(crate) struct Publisher(Option<Arc<Shared>>);

impl Publisher {
    /// Publishes on that layer if it is a local one. A folder with data of the original GigAPI has documents of
    /// its own, which are left alone: there nothing is published.
    pub(crate) fn new(catalog: Arc<dyn Catalog>, layer: Arc<Layer>) -> Self {
        let is_ours = layer.local.as_ref().is_some_and(|local| original_data(local.root()).is_none());
        Self(is_ours.then(|| {
            let shared = Shared {
                catalog,
                layer,
                pending: Mutex::default(),
                changed: Notify::new(),
                publishing: AsyncMutex::new(()),
            };
            Arc::new(shared)
        }))
    }

    /// Folders of the table changed.
    pub(crate) fn changed(&self, table: &Arc<TableDef>, buckets: impl Iterator<Item = Bucket>) {
        if let Some(shared) = &self.0 {
            shared.pending.lock().extend(buckets.map(|bucket| ((table.id, bucket), Arc::clone(table))));
            shared.changed.notify_one();
        }
    }

    /// Publishes until `stop` resolves.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let Some(shared) = self.0 else { return };
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = shared.changed.notified() => {}
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(PUBLISH_INTERVAL) => {}
            }
            shared.publish_pending().await;
        }
    }

    /// Publishes what is left.
    pub(crate) async fn finish(&self) {
        if let Some(shared) = &self.0 {
            shared.publish_pending().await;
        }
    }
}

impl Shared {
    async fn publish_pending(&self) {
        let _only = self.publishing.lock().await;
        let pending = std::mem::take(&mut *self.pending.lock());
        let Some(local) = &self.layer.local else { return };
        let mut documents = Vec::with_capacity(pending.len());
        for ((id, bucket), table) in pending {
            match self.document(id, bucket, &table).await {
                Ok(document) => documents.push((metadata_json::path(&table, bucket), document)),
                Err(reason) => {
                    tracing::warn!(database = %table.database, table = %table.name, %bucket, reason, "metadata.json is not published");
                }
            }
        }
        if documents.is_empty() {
            return;
        }
        // Written together, so that a thousand folders share their disk syncs.
        if let Err(error) = local.put_files(documents).await {
            tracing::warn!(%error, "metadata.json is not published");
        }
    }

    async fn document(&self, id: TableId, bucket: Bucket, table: &TableDef) -> Result<Bytes, String> {
        let snapshot = self.catalog.snapshot(id, bucket.range()).await.map_err(|error| error.to_string())?;
        let here = |file: &&Arc<gigapi_model::DataFile>| file.bucket == bucket && file.layer == self.layer.name;
        let files: Vec<_> = snapshot.files.iter().filter(here).map(|file| file.as_ref().clone()).collect();
        metadata_json::render(table, bucket, &files, &[]).map_err(|error| error.to_string())
    }
}
