//! Whether the catalog at hand is the one that the layers remember.
//!
//! The decision is a pure function of what was seen, so that every case is a test. An empty catalog over layers
//! that carry a marker of another one, or over a checkpoint, was lost; a version below a checkpoint's was rolled
//! back. Both mean that nobody commits and nobody deletes until the catalog is rebuilt.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use gigapi_catalog::{Catalog, Epochs, Standing, TableState};
use gigapi_model::{CatalogId, LayerName, TableId};
use gigapi_storage::Layers;

use crate::checkpoint::{self, CheckpointName};
use crate::{Error, Result, tombstones};

/// What the catalog says.
#[derive(Debug, Clone)]
pub struct CatalogView {
    /// Its identity; none if it was never founded, or emptied.
    pub id: Option<CatalogId>,
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
    /// The catalog is older than a checkpoint: [`crate::rebuild`] brings it up to what the layers know.
    RolledBack {
        /// The checkpoint that knows more.
        checkpoint: CheckpointName,
        /// The catalog's version of that table; 0 if it has never heard of it.
        version: u64,
    },
    /// Somebody rebuilds the catalog.
    Rebuilding {
        /// How long ago whoever does was heard of.
        silent: Duration,
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
    let Some(own) = catalog.id else { return Ok(Condition::Recovering { catalog: owner }) };
    if catalog.tables == 0 && (owner != own || forgotten > 0) {
        return Ok(Condition::Recovering { catalog: owner });
    }
    match layers.owners.iter().find(|(_, found)| found.is_some_and(|found| found != own)) {
        Some((layer, _)) => Err(Error::ForeignLayer { layer: layer.to_string(), found: owner, own }),
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

/// Looks at the layers.
async fn look_at_layers(layers: &Layers) -> Result<LayersView> {
    let mut newest: HashMap<TableId, CheckpointName> = HashMap::new();
    let mut owners = Vec::new();
    for layer in layers.iter() {
        owners.push((layer.name.clone(), layer.owner().await?));
        for name in checkpoint::names(layer).await? {
            newest.entry(name.table).and_modify(|known| *known = name.max(*known)).or_insert(name);
        }
    }
    Ok(LayersView { owners, checkpoints: newest.into_values().collect(), dropped: tombstones(layers).await? })
}

/// Looks at a catalog that serves.
async fn look_at_catalog(catalog: &dyn Catalog, epochs: Epochs, layers: &LayersView) -> Result<CatalogView> {
    let mut checkpointed = HashMap::new();
    for CheckpointName { table, .. } in &layers.checkpoints {
        match catalog.table_state(*table).await? {
            TableState::Live(_) => checkpointed.insert(*table, Some(catalog.version(*table).await?)),
            TableState::Dropped => checkpointed.insert(*table, None),
            TableState::Unknown => None,
        };
    }
    let tables = catalog.live_tables().await?.len();
    Ok(CatalogView { id: Some(epochs.catalog), epoch: epochs.epoch, tables, checkpointed })
}

/// Looks and decides; what a process does at start, and when it hears of a loss.
pub async fn condition(catalog: &dyn Catalog, layers: &Layers) -> Result<Condition> {
    let nothing = CatalogView { id: None, epoch: 0, tables: 0, checkpointed: HashMap::new() };
    if let Standing::Rebuilding { silent, .. } = catalog.standing().await? {
        return Ok(Condition::Rebuilding { silent });
    }
    let seen = look_at_layers(layers).await?;
    // Asked after the layers were looked at: a catalog is founded before a layer is marked, so that one which another
    // process founds in this moment is not taken for a lost one.
    match catalog.standing().await? {
        Standing::Serving(epochs) => detect(&look_at_catalog(catalog, epochs, &seen).await?, &seen),
        Standing::Foreign { found } => match seen.owners.iter().find_map(|(layer, own)| Some((layer, (*own)?))) {
            Some((layer, own)) => Err(Error::ForeignLayer { layer: layer.to_string(), found: own, own: found }),
            None => Err(Error::NoMarker),
        },
        Standing::Unfounded => detect(&nothing, &seen),
        Standing::Lost { .. } => match detect(&nothing, &seen)? {
            // What a process knew and nothing on the layers remembers cannot be brought back from them.
            Condition::Fresh => Err(Error::NoMarker),
            lost => Ok(lost),
        },
        Standing::Rebuilding { silent, .. } => Ok(Condition::Rebuilding { silent }),
    }
}

#[cfg(test)]
mod tests;
