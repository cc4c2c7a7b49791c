//! A table's catalog state as one object: `_gigapi/checkpoints/<table id>/<epoch>-<version>.json`.
//!
//! One line of JSON, tagged by a version, and a line with the checksum of the first: a damaged checkpoint is
//! noticed and passed over in favour of the one before. Checkpoints lie on the first layer and are found on any.
//! A checkpoint is written whole under a name of its own, never overwritten with another state.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use gigapi_catalog::TableExport;
use gigapi_model::{CatalogId, DataFile, NewFile, TableDef, TableId, WriterId};
use gigapi_storage::{Layer, Layers, own_path};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, own};

/// How many checkpoints of a table are kept.
pub const CHECKPOINTS_KEPT: usize = 3;

const VERSION: u32 = 1;
const FOLDER: &str = "checkpoints";

/// Which state a checkpoint holds; ordered by age within a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckpointName {
    /// The table.
    pub table: TableId,
    /// The catalog's epoch.
    pub epoch: u64,
    /// The table's version.
    pub version: u64,
}

impl CheckpointName {
    /// The name of the checkpoint that holds this state.
    pub fn of(export: &TableExport) -> Self {
        Self { table: export.table.id, epoch: export.epoch, version: export.version }
    }

    fn path(self) -> Path {
        own_path([FOLDER, &self.table.to_string(), &format!("{}-{}.json", self.epoch, self.version)])
    }

    fn parse(path: &Path) -> Option<Self> {
        let mut segments = path.as_ref().rsplit('/');
        let (epoch, version) = segments.next()?.strip_suffix(".json")?.split_once('-')?;
        let table = segments.next()?.parse().ok()?;
        let name = Self { table, epoch: epoch.parse().ok()?, version: version.parse().ok()? };
        (name.path() == *path).then_some(name)
    }
}

impl fmt::Display for CheckpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path().as_ref())
    }
}

#[derive(Serialize)]
struct Out<'a> {
    v: u32,
    catalog: CatalogId,
    epoch: u64,
    version: u64,
    table: &'a TableDef,
    watermarks: BTreeMap<WriterId, u64>,
    files: Vec<(&'a DataFile, String)>,
}

#[derive(Deserialize)]
struct In {
    catalog: CatalogId,
    epoch: u64,
    version: u64,
    table: TableDef,
    watermarks: HashMap<WriterId, u64>,
    files: Vec<(DataFile, String)>,
}

#[derive(Deserialize)]
struct Tag {
    v: u32,
}

pub(crate) fn encode(catalog: CatalogId, export: &TableExport) -> std::result::Result<Vec<u8>, String> {
    let record = Out {
        v: VERSION,
        catalog,
        epoch: export.epoch,
        version: export.version,
        table: &export.table,
        watermarks: export.watermarks.iter().map(|(writer, seq)| (*writer, *seq)).collect(),
        files: export.files.iter().map(|new| (&new.file, STANDARD_NO_PAD.encode(&new.statistics))).collect(),
    };
    serde_json::to_vec(&record).map(own::sealed).map_err(|error| error.to_string())
}

pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<(CatalogId, TableExport), String> {
    let record = own::unsealed(bytes)?;
    let Tag { v } = serde_json::from_slice(record).map_err(|error| error.to_string())?;
    if v != VERSION {
        return Err(format!("it has version {v}, this program reads {VERSION}; use a newer one"));
    }
    let record: In = serde_json::from_slice(record).map_err(|error| error.to_string())?;
    let files = record.files.into_iter().map(|(file, statistics)| {
        let statistics = STANDARD_NO_PAD.decode(statistics).map_err(|error| error.to_string())?;
        Ok(NewFile { file, statistics })
    });
    let export = TableExport {
        epoch: record.epoch,
        table: Arc::new(record.table),
        version: record.version,
        files: files.collect::<std::result::Result<_, String>>()?,
        watermarks: record.watermarks,
    };
    Ok((record.catalog, export))
}

fn unusable(layer: &Layer, name: CheckpointName, reason: String) -> Error {
    Error::Object { layer: layer.name.to_string(), object: name.to_string(), reason }
}

/// Writes the states and removes all but the newest [`CHECKPOINTS_KEPT`] of each table on the layer.
///
/// On a folder of this machine the states of a call share their disk syncs. After an error some may be written.
pub async fn write_checkpoints(
    layer: &Layer,
    catalog: CatalogId,
    exports: Vec<TableExport>,
) -> Result<Vec<CheckpointName>> {
    let mut names = Vec::with_capacity(exports.len());
    let mut objects = Vec::with_capacity(exports.len());
    for export in exports {
        let name = CheckpointName::of(&export);
        // Half a megabyte a thousand files: too long for a thread that serves others.
        let encoded = tokio::task::spawn_blocking(move || encode(catalog, &export)).await;
        let bytes =
            encoded.map_err(|error| error.to_string()).flatten().map_err(|reason| unusable(layer, name, reason))?;
        names.push(name);
        objects.push((name.path(), bytes.into()));
    }
    own::write_all(layer, objects).await?;
    let mut surplus = Vec::new();
    for name in &names {
        let mut of_table = names_of(layer, name.table).await?;
        of_table.sort_unstable();
        of_table.truncate(of_table.len().saturating_sub(CHECKPOINTS_KEPT));
        surplus.extend(of_table.into_iter().map(CheckpointName::path));
    }
    own::remove_all(layer, surplus).await?;
    Ok(names)
}

/// Reads a checkpoint of that catalog.
pub async fn read_checkpoint(layer: &Layer, catalog: CatalogId, name: CheckpointName) -> Result<TableExport> {
    let bytes = own::read(layer, &name.path()).await?;
    let decoded = tokio::task::spawn_blocking(move || decode(&bytes)).await;
    let (owner, export) =
        decoded.map_err(|error| error.to_string()).flatten().map_err(|reason| unusable(layer, name, reason))?;
    if owner != catalog {
        return Err(unusable(layer, name, format!("it belongs to catalog {owner}")));
    }
    if CheckpointName::of(&export) != name {
        return Err(unusable(layer, name, "it holds another state than its name says".to_owned()));
    }
    Ok(export)
}

/// All checkpoints on a layer, in no order.
pub(crate) async fn names(layer: &Layer) -> Result<Vec<CheckpointName>> {
    names_in(layer, &own_path([FOLDER])).await
}

/// The checkpoints of one table on a layer, in no order.
pub(crate) async fn names_of(layer: &Layer, table: TableId) -> Result<Vec<CheckpointName>> {
    names_in(layer, &own_path([FOLDER, &table.to_string()])).await
}

async fn names_in(layer: &Layer, folder: &Path) -> Result<Vec<CheckpointName>> {
    Ok(own::list(layer, folder).await?.iter().filter_map(CheckpointName::parse).collect())
}

/// Per table the newest checkpoint that can be read, on whichever layer.
///
/// One that is damaged is passed over with a warning; a store that cannot be reached is an error, because an
/// older state must not be taken for the newest.
pub async fn newest_checkpoints(layers: &Layers, catalog: CatalogId) -> Result<HashMap<TableId, TableExport>> {
    let mut found = Vec::new();
    for layer in layers.iter() {
        found.extend(names(layer).await?.into_iter().map(|name| (name, layer)));
    }
    found.sort_by_key(|(name, _)| std::cmp::Reverse(*name));
    let mut newest = HashMap::new();
    for (name, layer) in found {
        if newest.contains_key(&name.table) {
            continue;
        }
        match read_checkpoint(layer, catalog, name).await {
            Ok(export) => {
                newest.insert(name.table, export);
            }
            Err(Error::Object { layer, object, reason }) => {
                tracing::warn!(layer, object, reason, "a checkpoint cannot be used, the one before is taken");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests;
