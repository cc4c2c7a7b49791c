//! What is set for a database, as an object: `_gigapi/databases/<encoded name>.json`.
//!
//! A catalog knows a database only by its tables, so what is set before the first table, and outlives the last, lies on
//! the first layer, where a loss of the catalog does not reach it. An object that cannot be used counts as nothing
//! set, with a warning: rows are kept too long rather than too short. Objects are written whole; of two on different
//! layers the one with the higher revision counts, so that another order of layers brings nothing old back.

use std::collections::BTreeMap;
use std::time::Duration;

use gigapi_model::{DatabaseName, ErrorKind};
use gigapi_storage::{Layer, Layers, own_path};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, own};

const VERSION: u32 = 1;
const FOLDER: &str = "databases";

/// What is set for a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DatabaseSettings {
    /// Rows whose own time is older than this are removed; never, if absent.
    pub ttl: Option<Duration>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    v: u32,
    database: DatabaseName,
    /// Goes up by one with each writing.
    revision: u64,
    ttl: Option<Duration>,
}

#[derive(Deserialize)]
struct Tag {
    v: u32,
}

fn path(database: &DatabaseName) -> Path {
    let text = format!("{}/{}.json", own_path([FOLDER]), database.path_segment());
    Path::parse(text).expect("a name's path segment is one of an object's path")
}

fn parse(path: &Path) -> Option<DatabaseName> {
    DatabaseName::from_path_segment(path.filename()?.strip_suffix(".json")?)
}

fn decode(bytes: &[u8], database: &DatabaseName) -> std::result::Result<Record, String> {
    let record = own::unsealed(bytes)?;
    let Tag { v } = serde_json::from_slice(record).map_err(|error| error.to_string())?;
    if v != VERSION {
        return Err(format!("it has version {v}, this program reads {VERSION}; use a newer one"));
    }
    let record: Record = serde_json::from_slice(record).map_err(|error| error.to_string())?;
    if record.database == *database {
        Ok(record)
    } else {
        Err("it holds another database than its name says".to_owned())
    }
}

/// The object on one layer, if it is there and can be used.
async fn read(layer: &Layer, database: &DatabaseName) -> Result<Option<Record>> {
    let path = path(database);
    let bytes = match own::read(layer, &path).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    match decode(&bytes, database) {
        Ok(record) => Ok(Some(record)),
        Err(reason) => {
            tracing::warn!(layer = %layer.name, object = %path, reason, "what is set for a database cannot be used");
            Ok(None)
        }
    }
}

/// The newest record on any layer.
async fn newest(layers: &Layers, database: &DatabaseName) -> Result<Option<Record>> {
    let mut newest: Option<Record> = None;
    for layer in layers.iter() {
        if let Some(found) = read(layer, database).await?
            && newest.as_ref().is_none_or(|known| known.revision < found.revision)
        {
            newest = Some(found);
        }
    }
    Ok(newest)
}

/// Sets this for the database, in place of what was set before. Of two calls at the same time one counts.
pub async fn write_database_settings(
    layers: &Layers,
    database: &DatabaseName,
    settings: DatabaseSettings,
) -> Result<()> {
    let revision = newest(layers, database).await?.map_or(0, |record| record.revision) + 1;
    let (layer, path) = (layers.first(), path(database));
    let record = Record { v: VERSION, database: database.clone(), revision, ttl: settings.ttl };
    let bytes = serde_json::to_vec(&record).map_err(|error| Error::Object {
        layer: layer.name.to_string(),
        object: path.to_string(),
        reason: error.to_string(),
    })?;
    own::write(layer, &path, own::sealed(bytes)).await
}

/// What is set for the database; none if nothing is.
pub async fn read_database_settings(layers: &Layers, database: &DatabaseName) -> Result<Option<DatabaseSettings>> {
    Ok(newest(layers, database).await?.map(|record| DatabaseSettings { ttl: record.ttl }))
}

/// What is set for all databases that have anything set, by name: one listing of each layer and one look at each object.
pub async fn database_settings(layers: &Layers) -> Result<BTreeMap<DatabaseName, DatabaseSettings>> {
    let mut newest: BTreeMap<DatabaseName, Record> = BTreeMap::new();
    for layer in layers.iter() {
        for database in own::list(layer, &own_path([FOLDER])).await?.iter().filter_map(parse) {
            // Removed since it was listed, or of no use.
            let Some(found) = read(layer, &database).await? else { continue };
            if newest.get(&database).is_none_or(|known| known.revision < found.revision) {
                newest.insert(database, found);
            }
        }
    }
    Ok(newest.into_iter().map(|(name, record)| (name, DatabaseSettings { ttl: record.ttl })).collect())
}

/// Forgets what is set for the database; repeat it freely.
pub async fn remove_database_settings(layers: &Layers, database: &DatabaseName) -> Result<()> {
    // The first layer's is the newest and goes last, so that one that is cut short brings nothing older back.
    let layers: Vec<_> = layers.iter().collect();
    for layer in layers.into_iter().rev() {
        own::remove_all(layer, vec![path(database)]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
