//! Which buried files may be deleted without a rebuild ever missing them.
//!
//! A merge's inputs tell a rebuild which flushes the merge holds, until a checkpoint names the merge itself. So a
//! grave waits for a checkpoint of the version that buried it, beside the grace that the catalog keeps; the files of
//! a dropped table wait for its tombstone. Deciding is all that happens here.

use std::collections::{HashMap, HashSet};

use gigapi_catalog::{Catalog, Grave};
use gigapi_model::TableId;
use gigapi_storage::Layers;

use crate::checkpoint::names;
use crate::{Result, tombstones};

/// Whether the object may go, given the version of each table's newest checkpoint under the catalog's epoch, and
/// all tombstones.
pub fn is_deletable(grave: &Grave, checkpoints: &HashMap<TableId, u64>, dropped: &HashSet<TableId>) -> bool {
    let covered = checkpoints.get(&grave.table).is_some_and(|version| *version >= grave.version);
    covered || dropped.contains(&grave.table)
}

/// What lies on the layers and lets graves go.
#[derive(Debug)]
pub(crate) struct Covered {
    /// The version of each table's newest checkpoint under the catalog's epoch.
    pub(crate) checkpoints: HashMap<TableId, u64>,
    /// Tables with a tombstone.
    pub(crate) dropped: HashSet<TableId>,
}

/// Looks at the layers for what lets graves go.
pub(crate) async fn covered(layers: &Layers, epoch: u64) -> Result<Covered> {
    let mut checkpoints: HashMap<TableId, u64> = HashMap::new();
    for layer in layers.iter() {
        for name in names(layer).await?.into_iter().filter(|name| name.epoch == epoch) {
            let version = checkpoints.entry(name.table).or_default();
            *version = name.version.max(*version);
        }
    }
    Ok(Covered { checkpoints, dropped: tombstones(layers).await? })
}

/// Graves whose objects may be deleted now, oldest first. Tell the catalog afterwards that they are gone.
pub async fn deletable_graves(catalog: &dyn Catalog, layers: &Layers) -> Result<Vec<Grave>> {
    let graves = catalog.graves().await?;
    if graves.is_empty() {
        return Ok(graves);
    }
    let Covered { checkpoints, dropped } = covered(layers, catalog.epochs().await?.epoch).await?;
    Ok(graves.into_iter().filter(|grave| is_deletable(grave, &checkpoints, &dropped)).collect())
}

#[cfg(test)]
mod tests;
