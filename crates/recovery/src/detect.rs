//! Whether the catalog at hand is the one that the layers remember.
//!
//! The decision is a pure function of what was seen, so that every case is a test. An empty catalog over layers
//! that carry a marker of another one, or over a checkpoint, was lost; a version below a checkpoint's was rolled
//! back. Both mean that nobody commits and nobody deletes until the catalog is rebuilt.

use std::collections::{HashMap, HashSet};

use gigapi_catalog::{Catalog, TableState};
use gigapi_model::{CatalogId, LayerName, TableId};
use gigapi_storage::Layers;

use crate::checkpoint::{self, CheckpointName};
use crate::{Error, Result, tombstones};

/// What the catalog says.
#[derive(Debug, Clone)]
pub struct CatalogView {
    /// Its identity.
    pub id: CatalogId,
    /// Its epoch.
    pub epoch: u64,
    /// How many live tables it has.
    pub tables: usize,
    /// Of each table that has a checkpoint: its version if it is live, none if it was dropped; absent if the
    /// catalog has never heard of it.
    pub checkpointed: HashMap<TableId, Option<u64>>,
}

/// What the layers say.
#[derive(Debug, Clone, Default)]
pub struct LayersView {
    /// Each layer with the catalog in its marker, if it has one.
    pub owners: Vec<(LayerName, Option<CatalogId>)>,
    /// The newest checkpoint of each table by its name, readable or not.
    pub checkpoints: Vec<CheckpointName>,
    /// Tables that were dropped.
    pub dropped: HashSet<TableId>,
}

/// How the catalog stands to the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing was ever stored on these layers: claim them.
    Fresh,
    /// The catalog is the layers' own and is behind nothing.
    Healthy,
    /// The catalog was lost: [`crate::rebuild`] restores it.
    Recovering {
        /// The identity that it had.
        catalog: CatalogId,
    },
    /// The catalog is older than a checkpoint: replace it by a newer copy, or move its file away so that it is
    /// rebuilt.
    RolledBack {
        /// The checkpoint that knows more.
        checkpoint: CheckpointName,
        /// The catalog's version of that table; 0 if it has never heard of it.
        version: u64,
    },
}

/// The decision.
///
/// Refuses layers of different catalogs, and a layer of another catalog than the one that has tables here.
pub fn detect(catalog: &CatalogView, layers: &LayersView) -> Result<Condition> {
    let mut owners = layers.owners.iter().filter_map(|(layer, owner)| Some((layer, (*owner)?)));
    let Some((_, owner)) = owners.next() else {
        return match layers.checkpoints.first() {
            Some(checkpoint) => Err(Error::NoMarkerButCheckpoints { checkpoint: *checkpoint }),
            None if catalog.tables == 0 => Ok(Condition::Fresh),
            None => Ok(Condition::Healthy),
        };
    };
    for (layer, found) in owners {
        if found != owner {
            return Err(Error::MixedLayers { layer: layer.to_string(), found, other: owner });
        }
    }
    let forgotten = layers.checkpoints.iter().filter(|name| !layers.dropped.contains(&name.table));
    let forgotten = forgotten.filter(|name| !catalog.checkpointed.contains_key(&name.table)).count();
    if catalog.tables == 0 && (owner != catalog.id || forgotten > 0) {
        return Ok(Condition::Recovering { catalog: owner });
    }
    match layers.owners.iter().find(|(_, found)| found.is_some_and(|found| found != catalog.id)) {
        Some((layer, _)) => Err(Error::ForeignLayer { layer: layer.to_string(), found: owner, own: catalog.id }),
        None => Ok(behind(catalog, layers)),
    }
}

/// Whether a checkpoint knows more than the catalog.
fn behind(catalog: &CatalogView, layers: &LayersView) -> Condition {
    for &checkpoint in &layers.checkpoints {
        if layers.dropped.contains(&checkpoint.table) {
            continue;
        }
        let version = match catalog.checkpointed.get(&checkpoint.table) {
            Some(None) => continue,
            Some(Some(version)) => *version,
            None => 0,
        };
        if (catalog.epoch, version) < (checkpoint.epoch, checkpoint.version) {
            return Condition::RolledBack { checkpoint, version };
        }
    }
    Condition::Healthy
}

/// Looks at both sides.
pub async fn inspect(catalog: &dyn Catalog, layers: &Layers) -> Result<(CatalogView, LayersView)> {
    let mut newest: HashMap<TableId, CheckpointName> = HashMap::new();
    let mut owners = Vec::new();
    for layer in layers.iter() {
        owners.push((layer.name.clone(), layer.owner().await?));
        for name in checkpoint::names(layer).await? {
            newest.entry(name.table).and_modify(|known| *known = name.max(*known)).or_insert(name);
        }
    }
    let mut checkpointed = HashMap::new();
    for table in newest.keys() {
        match catalog.table_state(*table).await? {
            TableState::Live(_) => checkpointed.insert(*table, Some(catalog.version(*table).await?)),
            TableState::Dropped => checkpointed.insert(*table, None),
            TableState::Unknown => None,
        };
    }
    let epochs = catalog.epochs().await?;
    let tables = catalog.live_tables().await?.len();
    let catalog = CatalogView { id: epochs.catalog, epoch: epochs.epoch, tables, checkpointed };
    let layers = LayersView { owners, checkpoints: newest.into_values().collect(), dropped: tombstones(layers).await? };
    Ok((catalog, layers))
}

/// Looks and decides; what a process does at start.
pub async fn condition(catalog: &dyn Catalog, layers: &Layers) -> Result<Condition> {
    let (catalog, layers) = inspect(catalog, layers).await?;
    detect(&catalog, &layers)
}

#[cfg(test)]
mod tests;
