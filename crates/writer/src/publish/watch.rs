//! Changes that this process did not make, or not here: files that merges replaced, that moved, ended or were deleted.
//!
//! Looking compares the catalog with what it was at the last look. A table that has not changed costs one question.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gigapi_catalog::{Files, Grave};
use gigapi_model::{Bucket, DataFile, TableId, TimeRange};
use gigapi_storage::FilePath;
use gigapi_storage::metadata_json::Dropped;
use object_store::path::Path;

use super::Shared;

/// What the last look saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Per table its version and files.
    tables: HashMap<TableId, (u64, Files)>,
    /// Removed files that wait to be deleted.
    graves: HashSet<(TableId, String)>,
}

impl Shared {
    /// Notes the folders in which something has changed since the last look; the first notes nothing.
    pub(super) async fn look(&self, seen: &mut Seen) -> Result<(), String> {
        let failed = |error: gigapi_catalog::Error| error.to_string();
        let tables = self.catalog.live_tables().await.map_err(failed)?;
        let mut now = Seen::default();
        let mut changed: Vec<(TableId, Bucket)> = Vec::new();
        for table in &tables {
            let before = seen.tables.get(&table.id).cloned();
            let version = match self.catalog.version(table.id).await {
                // Dropped since the list was made.
                Err(gigapi_catalog::Error::Dropped { .. }) => continue,
                version => version.map_err(failed)?,
            };
            let (known, files) = match before {
                Some((known, files)) if known == version => (known, files),
                other => {
                    let snapshot = match self.catalog.snapshot(table.id, TimeRange::ALL).await {
                        Err(gigapi_catalog::Error::Dropped { .. }) => continue,
                        snapshot => snapshot.map_err(failed)?,
                    };
                    if let Some((_, before)) = other {
                        let here = |file: &DataFile| file.layer == self.layer.name;
                        changed.extend(differing(&before, &snapshot.files, here).map(|bucket| (table.id, bucket)));
                    }
                    (snapshot.version, snapshot.files)
                }
            };
            now.tables.insert(table.id, (known, files));
        }
        for grave in self.catalog.graveyard().await.map_err(failed)? {
            if grave.layer == self.layer.name {
                now.graves.insert((grave.table, grave.path));
            }
        }
        for (table, path) in seen.graves.symmetric_difference(&now.graves) {
            let path = Path::parse(path).ok().as_ref().and_then(FilePath::parse);
            changed.extend(path.map(|path| (*table, path.bucket)));
        }
        *seen = now;
        let live: HashMap<TableId, _> = tables.into_iter().map(|table| (table.id, table)).collect();
        let mut pending = self.pending.lock();
        for (table, bucket) in changed {
            if let Some(definition) = live.get(&table) {
                pending.insert((table, bucket), Arc::clone(definition));
            }
        }
        Ok(())
    }

    /// Removed files that still lie on the layer, by table.
    pub(super) async fn all_dropped_files(&self) -> Result<HashMap<TableId, Vec<Dropped>>, String> {
        let mut all: HashMap<TableId, Vec<Dropped>> = HashMap::new();
        for Grave { table, layer, path, delete_after, .. } in
            self.catalog.graveyard().await.map_err(|error| error.to_string())?
        {
            let path = Path::parse(&path).ok().as_ref().and_then(FilePath::parse);
            if let Some(path) = path.filter(|_| layer == self.layer.name) {
                all.entry(table).or_default().push(Dropped { path, layer, delete_after });
            }
        }
        Ok(all)
    }
}

/// Buckets of files that are in one of the lists alone.
fn differing(before: &Files, after: &Files, here: impl Fn(&DataFile) -> bool) -> impl Iterator<Item = Bucket> {
    let of = |files: &Files| -> HashSet<_> {
        let files = files.iter().filter(|file| here(file));
        files.map(|file| (file.id, file.bucket)).collect()
    };
    let (before, after) = (of(before), of(after));
    let changed: HashSet<Bucket> = before.symmetric_difference(&after).map(|(_, bucket)| *bucket).collect();
    changed.into_iter()
}
