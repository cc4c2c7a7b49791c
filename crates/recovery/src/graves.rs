//! Which buried files may be deleted without a rebuild ever missing them.
//!
//! A merge's inputs tell a rebuild which flushes the merge holds, until a checkpoint names the merge itself. So a
//! grave waits for a checkpoint of the version that buried it, beside the grace that the catalog keeps; the files of
//! a dropped table wait for its tombstone. Deciding is all that happens here.

use std::collections::HashSet;

use gigapi_catalog::{Catalog, Grave};
use gigapi_model::TableId;
use gigapi_storage::Layers;

use crate::checkpoint::{CheckpointName, names};
use crate::{Result, tombstones};

/// Whether the object may go, given all checkpoints of the catalog's epoch and all tombstones.
pub fn is_deletable(grave: &Grave, checkpoints: &[CheckpointName], dropped: &HashSet<TableId>) -> bool {
    let covers = |name: &CheckpointName| name.table == grave.table && name.version >= grave.version;
    dropped.contains(&grave.table) || checkpoints.iter().any(covers)
}

/// Graves whose objects may be deleted now, oldest first. Tell the catalog afterwards that they are gone.
pub async fn deletable_graves(catalog: &dyn Catalog, layers: &Layers) -> Result<Vec<Grave>> {
    let graves = catalog.graves().await?;
    if graves.is_empty() {
        return Ok(graves);
    }
    let epoch = catalog.epochs().await?.epoch;
    let mut checkpoints = Vec::new();
    for layer in layers.iter() {
        checkpoints.extend(names(layer).await?.into_iter().filter(|name| name.epoch == epoch));
    }
    // Only the newest of a table counts, and few tables have graves.
    let buried: HashSet<TableId> = graves.iter().map(|grave| grave.table).collect();
    checkpoints.retain(|name| buried.contains(&name.table));
    let dropped = tombstones(layers).await?;
    Ok(graves.into_iter().filter(|grave| is_deletable(grave, &checkpoints, &dropped)).collect())
}

#[cfg(test)]
mod tests;
