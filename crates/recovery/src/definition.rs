//! A table's definition as an object: `_gigapi/definitions/<table id>/<epoch>-<revision>.json`.
//!
//! Rows name their columns by ids that the catalog gave. Were it lost before a checkpoint or a data file tells them,
//! another writer could be given the same ids, or the table's name, for something else, and rows that wait in a log
//! would change their meaning. So a definition lies on the first layer before a row relies on it. Objects are written
//! whole and never changed; a later revision of the same epoch makes an earlier one superfluous.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use gigapi_catalog::Epochs;
use gigapi_model::{CatalogId, TableDef, TableId};
use gigapi_storage::{Layer, Layers, own_path};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, own};

const VERSION: u32 = 1;
const FOLDER: &str = "definitions";

/// Which definition an object holds; ordered by age within a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionName {
    /// The table.
    pub table: TableId,
    /// The catalog's epoch.
    pub epoch: u64,
    /// The definition's revision.
    pub revision: u64,
}

impl DefinitionName {
    /// The name of a definition in an epoch.
    pub fn of(epoch: u64, table: &TableDef) -> Self {
        Self { table: table.id, epoch, revision: table.revision }
    }

    fn path(self) -> Path {
        own_path([FOLDER, &self.table.to_string(), &format!("{}-{}.json", self.epoch, self.revision)])
    }

    fn parse(path: &Path) -> Option<Self> {
        let mut segments = path.as_ref().rsplit('/');
        let (epoch, revision) = segments.next()?.strip_suffix(".json")?.split_once('-')?;
        let table = segments.next()?.parse().ok()?;
        let name = Self { table, epoch: epoch.parse().ok()?, revision: revision.parse().ok()? };
        (name.path() == *path).then_some(name)
    }
}

impl fmt::Display for DefinitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path().as_ref())
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    v: u32,
    catalog: CatalogId,
    table: TableDef,
}

#[derive(Deserialize)]
struct Tag {
    v: u32,
}

fn decode(bytes: &[u8]) -> std::result::Result<Record, String> {
    let record = own::unsealed(bytes)?;
    let Tag { v } = serde_json::from_slice(record).map_err(|error| error.to_string())?;
    if v != VERSION {
        return Err(format!("it has version {v}, this program reads {VERSION}; use a newer one"));
    }
    serde_json::from_slice(record).map_err(|error| error.to_string())
}

fn unusable(layer: &Layer, name: DefinitionName, reason: String) -> Error {
    Error::Object { layer: layer.name.to_string(), object: name.to_string(), reason }
}

/// Lays a definition of that catalog and epoch on the layer; repeat it freely.
pub async fn write_definition(layer: &Layer, epochs: &Epochs, table: &TableDef) -> Result<DefinitionName> {
    let name = DefinitionName::of(epochs.epoch, table);
    let record = Record { v: VERSION, catalog: epochs.catalog, table: table.clone() };
    let bytes = serde_json::to_vec(&record).map_err(|error| unusable(layer, name, error.to_string()))?;
    own::write(layer, &name.path(), own::sealed(bytes)).await?;
    Ok(name)
}

/// Removes a definition that a later one, which lies on the layer, made superfluous.
pub async fn remove_definition(layer: &Layer, name: DefinitionName) -> Result<()> {
    own::remove_all(layer, vec![name.path()]).await
}

/// All definitions on a layer, in no order.
pub async fn definition_names(layer: &Layer) -> Result<Vec<DefinitionName>> {
    let found = own::list(layer, &own_path([FOLDER])).await?;
    Ok(found.iter().filter_map(DefinitionName::parse).collect())
}

/// Per table the newest definition that can be read, with its epoch. A damaged one is passed over with a warning.
pub(crate) async fn newest_definitions(
    layers: &Layers,
    catalog: CatalogId,
) -> Result<HashMap<TableId, (u64, Arc<TableDef>)>> {
    let mut found = Vec::new();
    for layer in layers.iter() {
        found.extend(definition_names(layer).await?.into_iter().map(|name| (name, layer)));
    }
    found.sort_by_key(|(name, _)| std::cmp::Reverse(*name));
    let mut newest = HashMap::new();
    for (name, layer) in found {
        if newest.contains_key(&name.table) {
            continue;
        }
        let bytes = match own::read(layer, &name.path()).await {
            // Superseded between the listing and now: the later one is there.
            Err(error) if error.kind() == gigapi_model::ErrorKind::NotFound => continue,
            read => read?,
        };
        let reason = match decode(&bytes) {
            Ok(record) if record.catalog != catalog => format!("it belongs to catalog {}", record.catalog),
            Ok(record) if DefinitionName::of(name.epoch, &record.table) == name => {
                newest.insert(name.table, (name.epoch, Arc::new(record.table)));
                continue;
            }
            Ok(_) => "it holds another definition than its name says".to_owned(),
            Err(reason) => reason,
        };
        tracing::warn!(layer = %layer.name, object = %name, reason, "a definition cannot be used");
    }
    Ok(newest)
}

#[cfg(test)]
mod tests;
