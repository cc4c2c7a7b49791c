//! Documents of tables that are gone: they name files that wait to be deleted, so they go before these do.
//!
//! Which folders a table had is told by its graves. Another table may have the name by now, and files in the same
//! folder: then the document is that table's, and is published anew.

use std::collections::{BTreeSet, HashMap};

use gigapi_catalog::{Grave, TableState};
use gigapi_model::{Bucket, DatabaseName, TableDef, TableId, TableName};
use gigapi_storage::{FilePath, bucket_folder};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Publisher, Shared};

type Folder = (DatabaseName, TableName, Bucket);

impl Publisher {
    /// These tables were dropped. What cannot be removed is found at the next start.
    pub(crate) async fn dropped(&self, tables: &[std::sync::Arc<TableDef>]) {
        let Some(shared) = &self.0 else { return };
        let gone: HashMap<TableId, bool> = tables.iter().map(|table| (table.id, true)).collect();
        if let Err(reason) = shared.clear(gone, false).await {
            tracing::warn!(reason, "metadata.json of dropped tables stays for now");
        }
    }
}

impl Shared {
    /// Removes the documents of all dropped tables that still have graves.
    pub(super) async fn clear_dropped(&self) -> Result<(), String> {
        self.clear(HashMap::new(), true).await
    }

    /// Removes the documents of tables that are known to be gone; of others, if `ask`, the catalog is asked.
    async fn clear(&self, mut gone: HashMap<TableId, bool>, ask: bool) -> Result<(), String> {
        let mut folders = BTreeSet::new();
        for grave in self.catalog.graveyard().await.map_err(|error| error.to_string())? {
            if grave.layer != self.layer.name {
                continue;
            }
            let is_gone = match gone.get(&grave.table) {
                Some(is_gone) => *is_gone,
                None if !ask => false,
                None => {
                    let state = self.catalog.table_state(grave.table).await.map_err(|error| error.to_string())?;
                    *gone.entry(grave.table).or_insert(state == TableState::Dropped)
                }
            };
            folders.extend(is_gone.then(|| folder(&grave)).flatten());
        }
        for folder in folders {
            self.clear_folder(folder).await?;
        }
        Ok(())
    }

    async fn clear_folder(&self, (database, name, bucket): Folder) -> Result<(), String> {
        let _only = self.publishing.lock().await;
        let document = bucket_folder(&database, &name, bucket).join("metadata.json");
        match self.layer.store.delete(&document).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
        if let Some(next) = self.catalog.table(&database, &name).await.map_err(|error| error.to_string())? {
            self.pending.lock().insert((next.id, bucket), next);
        }
        Ok(())
    }
}

fn folder(grave: &Grave) -> Option<Folder> {
    let path = FilePath::parse(&Path::parse(&grave.path).ok()?)?;
    Some((path.database, path.table, path.bucket))
}
