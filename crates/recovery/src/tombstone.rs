//! The object that says that a table was dropped: `_gigapi/tombstones/<table id>.json`.
//!
//! It is written before the drop is committed, because a rebuild finds the dropped table's files as it finds all
//! others. It lies on the first layer, is honoured on any, and stays.

use std::collections::HashSet;

use gigapi_model::{DatabaseName, TableDef, TableId, TableName, Timestamp};
use gigapi_storage::{Layers, own_path};
use serde::Serialize;

use crate::{Error, Result, own};

const FOLDER: &str = "tombstones";

/// For whoever reads it by eye; a rebuild goes by the object's name alone.
#[derive(Serialize)]
struct Record<'a> {
    v: u32,
    table: TableId,
    database: &'a DatabaseName,
    name: &'a TableName,
    dropped_at: Timestamp,
}

/// Records that the table is about to be dropped; repeat it freely. Once it is written the drop has to follow,
/// by this process or the next one, or a rebuild leaves the table out.
pub async fn tombstone(layers: &Layers, table: &TableDef, at: Timestamp) -> Result<()> {
    let layer = layers.first();
    let path = own_path([FOLDER, &format!("{}.json", table.id)]);
    let record = Record { v: 1, table: table.id, database: &table.database, name: &table.name, dropped_at: at };
    let bytes = serde_json::to_vec(&record).map_err(|error| Error::Object {
        layer: layer.name.to_string(),
        object: path.to_string(),
        reason: error.to_string(),
    })?;
    own::write(layer, &path, bytes).await
}

/// All tables that carry a tombstone on any layer.
pub async fn tombstones(layers: &Layers) -> Result<HashSet<TableId>> {
    let mut tables = HashSet::new();
    for layer in layers.iter() {
        let found = own::list(layer, &own_path([FOLDER])).await?;
        tables.extend(found.iter().filter_map(|path| path.filename()?.strip_suffix(".json")?.parse::<TableId>().ok()));
    }
    Ok(tables)
}
