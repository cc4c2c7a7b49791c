//! Whether the catalog at hand is the one that the layers remember.
//!
//! The decision is a pure function of what was seen, so that every case is a test. An empty catalog over layers
//! that carry a marker of another one, or over a checkpoint, was lost; one that is below a checkpoint's version or a
//! definition's revision, that goes on with a table of which a tombstone says that it was dropped, or that serves under
//! an earlier epoch than a rebuild has taken, was rolled back. All mean that nobody commits and nobody deletes until it is rebuilt.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use gigapi_catalog::{Catalog, Epochs, Standing, TableState};
use gigapi_model::{CatalogId, LayerName, TableId};
use gigapi_storage::Layers;

use crate::checkpoint::{self, CheckpointName};
use crate::{DefinitionName, Error, Result, definition_names, epoch, tombstone, tombstones};

/// What the catalog says.
#[derive(Debug, Clone)]
pub struct CatalogView {
    /// Its identity; none if it was never founded, or emptied.
    pub id: Option<CatalogId>,
    /// Its epoch.
    pub epoch: u64,
    /// Of each table that lives or that a definition on the layers tells of: its revision if it is live, none if it was
    /// dropped; absent if the catalog has never heard of it.
    pub revisions: HashMap<TableId, Option<u64>>,
    /// Of each table that has a checkpoint: its version if it is live, none if it was dropped; absent if the
    /// catalog has never heard of it.
    pub checkpointed: HashMap<TableId, Option<u64>>,
}

impl CatalogView {
    /// A catalog that says nothing.
    fn nothing() -> Self {
        Self { id: None, epoch: 0, revisions: HashMap::new(), checkpointed: HashMap::new() }
    }

    fn has_tables(&self) -> bool {
        self.revisions.values().any(Option::is_some)
    }
}

/// What the layers say.
#[derive(Debug, Clone, Default)]
pub struct LayersView {
    /// Each layer with the catalog in its marker, if it has one.
    pub owners: Vec<(LayerName, Option<CatalogId>)>,
    /// The newest checkpoint of each table by its name, readable or not.
    pub checkpoints: Vec<CheckpointName>,
    /// The newest definition of each table by its name, readable or not.
    pub definitions: Vec<DefinitionName>,
    /// Tables that were dropped, or are about to be.
    pub dropped: HashSet<TableId>,
    /// Those of them that the catalog goes on with, and whose drop is only known to have been begun.
    pub begun: HashSet<TableId>,
    /// The highest epoch that a rebuild has taken; 0 if none has.
    pub taken: u64,
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
    /// The catalog is older than the layers: [`crate::rebuild`] brings it up to what they know.
    RolledBack(Evidence),
    /// Somebody rebuilds the catalog.
    Rebuilding {
        /// How long ago whoever does was heard of.
        silent: Duration,
    },
}

/// What on the layers knows more than the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// A checkpoint of a later version.
    Checkpoint {
        /// The checkpoint.
        checkpoint: CheckpointName,
        /// The catalog's version of that table; 0 if it has never heard of it.
        version: u64,
    },
    /// A later definition.
    Definition {
        /// The definition.
        definition: DefinitionName,
        /// The revision that the catalog has; 0 if it has never heard of the table.
        revision: u64,
    },
    /// A tombstone of a table that the catalog goes on with.
    Tombstone {
        /// The table.
        table: TableId,
    },
    /// A rebuild that has taken a later epoch.
    Epoch {
        /// That epoch.
        taken: u64,
        /// The catalog's.
        epoch: u64,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint { checkpoint, version } => write!(
                f,
                "it is at version {version} of table {}, a checkpoint is at version {}",
                checkpoint.table, checkpoint.version
            ),
            Self::Definition { definition, revision } => write!(
                f,
                "it is at revision {revision} of table {}, a definition is at revision {}",
                definition.table, definition.revision
            ),
            Self::Tombstone { table } => write!(f, "it goes on with table {table}, which was dropped"),
            Self::Epoch { taken, epoch } => write!(f, "it is at epoch {epoch}, a rebuild has taken epoch {taken}"),
        }
    }
}

/// The decision.
///
/// Refuses layers of different catalogs, and a layer of another catalog than the one that has tables here.
pub fn detect(catalog: &CatalogView, layers: &LayersView) -> Result<Condition> {
    let mut owners = layers.owners.iter().filter_map(|(layer, owner)| Some((layer, (*owner)?)));
    let Some((_, owner)) = owners.next() else {
        return match layers.checkpoints.first() {
            Some(checkpoint) => Err(Error::NoMarkerButCheckpoints { checkpoint: *checkpoint }),
            None if !catalog.has_tables() => Ok(Condition::Fresh),
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
    if !catalog.has_tables() && (owner != own || forgotten > 0) {
        return Ok(Condition::Recovering { catalog: owner });
    }
    match layers.owners.iter().find(|(_, found)| found.is_some_and(|found| found != own)) {
        Some((layer, _)) => Err(Error::ForeignLayer { layer: layer.to_string(), found: owner, own }),
        None => Ok(behind(catalog, layers)),
    }
}

/// Whether the layers know more than the catalog.
fn behind(catalog: &CatalogView, layers: &LayersView) -> Condition {
    let evidence = behind_checkpoint(catalog, layers).or_else(|| behind_definition(catalog, layers));
    let is_live = |table: &&TableId| catalog.revisions.get(table).is_some_and(Option::is_some);
    let returned =
        || layers.dropped.difference(&layers.begun).find(is_live).map(|table| Evidence::Tombstone { table: *table });
    let (taken, epoch) = (layers.taken, catalog.epoch);
    let overtaken = || (epoch < taken).then_some(Evidence::Epoch { taken, epoch });
    evidence.or_else(returned).or_else(overtaken).map_or(Condition::Healthy, Condition::RolledBack)
}

fn behind_checkpoint(catalog: &CatalogView, layers: &LayersView) -> Option<Evidence> {
    layers.checkpoints.iter().filter(|name| !layers.dropped.contains(&name.table)).find_map(|&checkpoint| {
        let version = match catalog.checkpointed.get(&checkpoint.table) {
            Some(None) => return None,
            Some(Some(version)) => *version,
            None => 0,
        };
        let is_behind = (catalog.epoch, version) < (checkpoint.epoch, checkpoint.version);
        is_behind.then_some(Evidence::Checkpoint { checkpoint, version })
    })
}

fn behind_definition(catalog: &CatalogView, layers: &LayersView) -> Option<Evidence> {
    layers.definitions.iter().filter(|name| !layers.dropped.contains(&name.table)).find_map(|&definition| {
        let revision = match catalog.revisions.get(&definition.table) {
            Some(None) => return None,
            Some(Some(revision)) => *revision,
            None => 0,
        };
        let is_behind = (catalog.epoch, revision) < (definition.epoch, definition.revision);
        is_behind.then_some(Evidence::Definition { definition, revision })
    })
}

/// Looks at the layers.
async fn look_at_layers(layers: &Layers) -> Result<LayersView> {
    let mut checkpoints: HashMap<TableId, CheckpointName> = HashMap::new();
    let mut definitions: HashMap<TableId, DefinitionName> = HashMap::new();
    let mut owners = Vec::new();
    for layer in layers.iter() {
        owners.push((layer.name.clone(), layer.owner().await?));
        for name in checkpoint::names(layer).await? {
            checkpoints.entry(name.table).and_modify(|known| *known = name.max(*known)).or_insert(name);
        }
        for name in definition_names(layer).await? {
            definitions.entry(name.table).and_modify(|known| *known = name.max(*known)).or_insert(name);
        }
    }
    Ok(LayersView {
        owners,
        checkpoints: checkpoints.into_values().collect(),
        definitions: definitions.into_values().collect(),
        dropped: tombstones(layers).await?,
        begun: HashSet::new(),
        taken: epoch::highest(layers).await?,
    })
}

/// Looks at a catalog that serves.
async fn look_at_catalog(catalog: &dyn Catalog, epochs: Epochs, layers: &LayersView) -> Result<CatalogView> {
    let live = catalog.live_tables().await?;
    let mut revisions: HashMap<TableId, Option<u64>> =
        live.iter().map(|table| (table.id, Some(table.revision))).collect();
    let mut checkpointed = HashMap::new();
    for CheckpointName { table, .. } in &layers.checkpoints {
        match catalog.table_state(*table).await? {
            TableState::Live(_) => checkpointed.insert(*table, Some(catalog.version(*table).await?)),
            TableState::Dropped => checkpointed.insert(*table, None),
            TableState::Unknown => None,
        };
    }
    for DefinitionName { table, .. } in &layers.definitions {
        if !revisions.contains_key(table) && catalog.table_state(*table).await? == TableState::Dropped {
            revisions.insert(*table, None);
        }
    }
    Ok(CatalogView { id: Some(epochs.catalog), epoch: epochs.epoch, revisions, checkpointed })
}

/// The drops that somebody is about to commit, or was when it died.
async fn begun(catalog: &CatalogView, layers: &Layers, dropped: &HashSet<TableId>) -> Result<HashSet<TableId>> {
    let mut begun = HashSet::new();
    for table in dropped.iter().filter(|table| catalog.revisions.get(table).is_some_and(Option::is_some)) {
        if tombstone::is_begun(layers, *table).await? {
            begun.insert(*table);
        }
    }
    Ok(begun)
}

/// Looks and decides; what a process does at start, and when it hears of a loss.
pub async fn condition(catalog: &dyn Catalog, layers: &Layers) -> Result<Condition> {
    if let Standing::Rebuilding { silent, .. } = catalog.standing().await? {
        return Ok(Condition::Rebuilding { silent });
    }
    let mut seen = look_at_layers(layers).await?;
    // Asked after the layers were looked at: a catalog is founded before a layer is marked, so that one which another
    // process founds in this moment is not taken for a lost one.
    match catalog.standing().await? {
        Standing::Serving(epochs) => {
            let known = look_at_catalog(catalog, epochs, &seen).await?;
            seen.begun = begun(&known, layers, &seen.dropped).await?;
            detect(&known, &seen)
        }
        Standing::Foreign { found } => match seen.owners.iter().find_map(|(layer, own)| Some((layer, (*own)?))) {
            Some((layer, own)) => Err(Error::ForeignLayer { layer: layer.to_string(), found: own, own: found }),
            None => Err(Error::NoMarker),
        },
        Standing::Unfounded => detect(&CatalogView::nothing(), &seen),
        Standing::Lost { .. } => match detect(&CatalogView::nothing(), &seen)? {
            // What a process knew and nothing on the layers remembers cannot be brought back from them.
            Condition::Fresh => Err(Error::NoMarker),
            lost => Ok(lost),
        },
        Standing::Rebuilding { silent, .. } => Ok(Condition::Rebuilding { silent }),
    }
}

#[cfg(test)]
mod tests;
