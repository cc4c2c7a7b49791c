//! Marks of live files that turned out damaged: `_gigapi/quarantine/<file id>.json` on the first layer.
//!
//! A merge that reads a damaged file fails, and would fail again for ever; so whoever finds one marks it, the planner of
//! merges leaves it out, and the rest of its table goes on. The file stays live: its rows are part of the table, and
//! queries over it fail rather than answer without them. A mark changes nothing but that, and is removed only when
//! the file is no longer live or reads as it should.

use std::collections::HashSet;

use futures::StreamExt;
use gigapi_model::{DataFile, DatabaseName, ErrorKind, FileId, LayerName, TableDef, TableId, TableName, Timestamp};
use gigapi_storage::{FilePath, Layer, Layers, own_path};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, own};

const FOLDER: &str = "quarantine";
const VERSION: u32 = 1;

/// Marks that are read at once.
const READS_AT_ONCE: usize = 8;

/// A live file that is damaged or missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The file.
    pub file: FileId,
    /// Its table.
    pub table: TableId,
    /// Its table's database.
    pub database: DatabaseName,
    /// Its table's name.
    pub name: TableName,
    /// The layer on which it was found damaged.
    pub layer: LayerName,
    /// Its path there.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
    /// Which part of the system noticed.
    pub by: String,
    /// When it was noticed, by the catalog's clock.
    pub since: Timestamp,
}

impl Quarantined {
    /// The mark of a live file.
    pub fn new(table: &TableDef, file: &DataFile, reason: String, by: &str, since: Timestamp) -> Self {
        Self {
            file: file.id,
            table: table.id,
            database: table.database.clone(),
            name: table.name.clone(),
            layer: file.layer.clone(),
            path: FilePath::of(table, file).object_path().to_string(),
            reason,
            by: by.to_owned(),
            since,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Record<T> {
    v: u32,
    #[serde(flatten)]
    mark: T,
}

#[derive(Deserialize)]
struct Tag {
    v: u32,
}

fn path(file: FileId) -> Path {
    own_path([FOLDER, &format!("{file}.json")])
}

fn unusable(layer: &Layer, file: FileId, reason: String) -> Error {
    Error::Object { layer: layer.name.to_string(), object: path(file).to_string(), reason }
}

/// Marks the file; the first mark of a file stays. Tells whether this is it, and then logs it.
pub async fn quarantine(layers: &Layers, mark: &Quarantined) -> Result<bool> {
    let layer = layers.first();
    let record = Record { v: VERSION, mark };
    let bytes = serde_json::to_vec(&record).map_err(|error| unusable(layer, mark.file, error.to_string()))?;
    let is_new = own::create(layer, &path(mark.file), bytes).await?;
    if is_new {
        tracing::error!(
            layer = %mark.layer,
            path = mark.path,
            database = %mark.database,
            table = %mark.name,
            reason = mark.reason,
            by = mark.by,
            "a live file is damaged and left out of merges; restore it from a copy, `gigapi catalog verify --checksums` tells whether it reads again"
        );
    }
    Ok(is_new)
}

/// The marked files: what a planner of merges leaves out. One listing, no reads.
pub async fn quarantined_files(layers: &Layers) -> Result<HashSet<FileId>> {
    let found = own::list(layers.first(), &own_path([FOLDER])).await?;
    Ok(found.iter().filter_map(|path| path.filename()?.strip_suffix(".json")?.parse().ok()).collect())
}

/// What a mark says, or why it cannot be read; the file is known from the mark's name.
pub type Mark = (FileId, std::result::Result<Quarantined, String>);

/// All marks, by file.
pub async fn quarantined(layers: &Layers) -> Result<Vec<Mark>> {
    let layer = layers.first();
    let reads = quarantined_files(layers).await?.into_iter().map(|file| async move {
        match own::read(layer, &path(file)).await {
            // Removed since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(bytes) => Ok(Some((file, decode(file, &bytes)))),
        }
    });
    let reads: Vec<_> = reads.collect();
    let read: Vec<Result<Option<Mark>>> = futures::stream::iter(reads).buffer_unordered(READS_AT_ONCE).collect().await;
    let mut marks = read.into_iter().filter_map(Result::transpose).collect::<Result<Vec<_>>>()?;
    marks.sort_by_key(|(file, _)| *file);
    Ok(marks)
}

fn decode(file: FileId, bytes: &[u8]) -> std::result::Result<Quarantined, String> {
    let Tag { v } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if v != VERSION {
        return Err(format!("it has version {v}, this program reads {VERSION}; use a newer one"));
    }
    let record: Record<Quarantined> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if record.mark.file == file {
        Ok(record.mark)
    } else {
        Err("it is about another file than its name says".to_owned())
    }
}

/// Removes marks; one that is gone is no error.
pub async fn release(layers: &Layers, files: &[FileId]) -> Result<()> {
    own::remove_all(layers.first(), files.iter().map(|file| path(*file)).collect()).await
}

#[cfg(test)]
mod tests;
