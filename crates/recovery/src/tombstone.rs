//! The object that says that a table was dropped: `_gigapi/tombstones/<table id>.json`.
//!
//! It is written before the drop is committed, because a rebuild finds the dropped table's files as it finds all
//! others, and once more when it is, because what a live table under it means differs: a drop that was begun is
//! finished by whoever finds it, one that was done and is forgotten shows a catalog that was rolled back. It lies on
//! the first layer, is honoured by a rebuild on any and in either state, and stays.

use std::collections::HashSet;

use gigapi_catalog::Catalog;
use gigapi_model::{DatabaseName, ErrorKind, TableDef, TableId, TableName, Timestamp};
use gigapi_storage::{Layer, Layers, own_path};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, own};

const FOLDER: &str = "tombstones";

#[derive(Serialize, Deserialize)]
struct Record {
    v: u32,
    table: TableId,
    /// For whoever reads it by eye, as the name and the time.
    database: DatabaseName,
    name: TableName,
    dropped_at: Timestamp,
    /// Whether the catalog is known to have dropped the table.
    #[serde(default = "is_done_unless_said")]
    done: bool,
}

fn is_done_unless_said() -> bool {
    true
}

fn path(table: TableId) -> Path {
    own_path([FOLDER, &format!("{table}.json")])
}

async fn write(layer: &Layer, record: &Record) -> Result<()> {
    let path = path(record.table);
    let bytes = serde_json::to_vec(record).map_err(|error| Error::Object {
        layer: layer.name.to_string(),
        object: path.to_string(),
        reason: error.to_string(),
    })?;
    own::write(layer, &path, bytes).await
}

fn record(table: &TableDef, at: Timestamp, done: bool) -> Record {
    Record { v: 1, table: table.id, database: table.database.clone(), name: table.name.clone(), dropped_at: at, done }
}

/// Records that the table is about to be dropped; repeat it freely. Once it is written the drop has to follow,
/// by this process or the next one, or a rebuild leaves the table out.
pub async fn tombstone(layers: &Layers, table: &TableDef, at: Timestamp) -> Result<()> {
    write(layers.first(), &record(table, at, false)).await
}

/// Records that the catalog has dropped the table.
pub async fn tombstone_done(layers: &Layers, table: &TableDef, at: Timestamp) -> Result<()> {
    write(layers.first(), &record(table, at, true)).await
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

/// Whether every tombstone of the table says no more than that its drop was begun.
pub(crate) async fn is_begun(layers: &Layers, table: TableId) -> Result<bool> {
    let mut found = false;
    for layer in layers.iter() {
        let bytes = match own::read(layer, &path(table)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            read => read?,
        };
        // One that cannot be read may be of a drop that was done.
        if serde_json::from_slice(&bytes).map_or(true, |record: Record| record.done) {
            return Ok(false);
        }
        found = true;
    }
    Ok(found)
}

/// Finishes the drops that somebody began and did not come to commit; answers how many.
pub async fn finish_drops(catalog: &dyn Catalog, layers: &Layers) -> Result<usize> {
    let dropped = tombstones(layers).await?;
    if dropped.is_empty() {
        return Ok(0);
    }
    let mut finished = 0;
    for table in catalog.live_tables().await? {
        if !dropped.contains(&table.id) || !is_begun(layers, table.id).await? {
            continue;
        }
        catalog.drop_table(table.id).await?;
        tombstone_done(layers, &table, catalog.now().await?).await?;
        tracing::info!(database = %table.database, table = %table.name, "a drop that was begun before is finished");
        finished += 1;
    }
    Ok(finished)
}

#[cfg(test)]
mod tests;
