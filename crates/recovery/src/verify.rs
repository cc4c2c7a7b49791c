//! Compares the catalog with the layers and explains every difference; changes nothing.
//!
//! What the catalog needs and the layers lack is damage. What lies on the layers and the catalog does not need is as a
//! rule explained by how this system works: files that wait to be deleted, uploads that were never committed, objects
//! of others. Each is told with what becomes of it, so that nobody has to guess.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use gigapi_catalog::{Catalog, Epochs, Grave, TableState};
use gigapi_model::{DataFile, FileId, LayerName, TableDef, TableId, TimeRange, Timestamp, WriterId};
use gigapi_storage::{FilePath, Layer, Layers, OWN_FOLDER, Origin, StoredFacts, checksum, own_path, read_facts};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use crate::checkpoint::{self, CheckpointName};
use crate::{Condition, Error, Evidence, Result, condition, quarantined, scrub, tombstone, tombstones};

/// A file that is younger than this may still be on its way to its commit.
const UPLOAD_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// How thorough a comparison is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifyOptions {
    /// Whether every live file is read and its checksum compared; otherwise its size is.
    pub checksums: bool,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It belongs to the way this system works.
    Explained,
    /// Something is missing or damaged.
    Damage,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which object or record, with its layer.
    pub what: String,
    /// Why it is so, and what becomes of it or what to do.
    pub why: String,
}

/// What a comparison came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Live tables.
    pub tables: usize,
    /// Live files.
    pub files: usize,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// All differences, the worst first, by object.
    pub findings: Vec<Finding>,
}

impl Verified {
    /// Whether anything is missing or damaged.
    pub fn has_damage(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Damage)
    }

    fn note(&mut self, severity: Severity, what: String, why: impl Into<String>) {
        self.findings.push(Finding { severity, what, why: why.into() });
    }
}

/// A live file with its table.
type Live = HashMap<FileId, (Arc<TableDef>, Arc<DataFile>)>;

/// What the catalog knows.
struct Books {
    epochs: Epochs,
    now: Timestamp,
    tables: HashMap<TableId, u64>,
    /// How far each writer has come in each table.
    watermarks: HashMap<TableId, Arc<HashMap<WriterId, u64>>>,
    live: Live,
    graves: HashMap<(FileId, LayerName), Grave>,
}

/// Compares a catalog that serves with its layers.
pub async fn verify(catalog: &dyn Catalog, layers: &Layers, options: VerifyOptions) -> Result<Verified> {
    let mut verified = Verified::default();
    // The graveyard first: what is buried meanwhile is still found as live.
    let mut books = Books {
        epochs: catalog.epochs().await?,
        now: catalog.now().await?,
        tables: HashMap::new(),
        watermarks: HashMap::new(),
        live: Live::new(),
        graves: HashMap::new(),
    };
    for grave in catalog.graveyard().await? {
        books.graves.insert((grave.file, grave.layer.clone()), grave);
    }
    for table in catalog.live_tables().await? {
        let snapshot = catalog.snapshot(table.id, TimeRange::ALL).await?;
        books.tables.insert(table.id, snapshot.version);
        books.watermarks.insert(table.id, Arc::clone(&snapshot.watermarks));
        for file in &snapshot.files {
            verified.files += 1;
            verified.rows += file.rows;
            verified.bytes += file.bytes;
            books.live.insert(file.id, (Arc::clone(&snapshot.table), Arc::clone(file)));
        }
    }
    verified.tables = books.tables.len();
    check_markers(&books, layers, &mut verified).await?;
    check_checkpoints(catalog, &books, layers, &mut verified).await?;
    check_memory(catalog, layers, &mut verified).await?;
    let mut seen = HashSet::new();
    for layer in layers.iter() {
        check_layer(catalog, &books, layer, options, &mut seen, &mut verified).await?;
    }
    for (id, (table, file)) in &books.live {
        if seen.contains(id) {
            continue;
        }
        let path = FilePath::of(table, file).object_path();
        let why = match layers.get(&file.layer) {
            Some(_) => "a live file has no object: its rows are missing from every answer; restore it from a copy",
            None => "a live file lies on a layer that is not configured here; configure it",
        };
        verified.note(Severity::Damage, named(&file.layer, &path), why);
    }
    check_marks(&books, layers, options, &mut verified).await?;
    verified
        .findings
        .sort_by(|a, b| (std::cmp::Reverse(a.severity), &a.what).cmp(&(std::cmp::Reverse(b.severity), &b.what)));
    Ok(verified)
}

fn named(layer: &LayerName, path: &Path) -> String {
    format!("{layer}: {path}")
}

async fn check_markers(books: &Books, layers: &Layers, verified: &mut Verified) -> Result<()> {
    for layer in layers.iter() {
        let why = match layer.owner().await? {
            Some(owner) if owner == books.epochs.catalog => continue,
            Some(owner) => format!("the layer belongs to catalog {owner}, this one is {}", books.epochs.catalog),
            None => "the layer carries no marker; the next start of a writer sets it".to_owned(),
        };
        verified.note(Severity::Damage, format!("{}: {OWN_FOLDER}/catalog.json", layer.name), why);
    }
    Ok(())
}

/// No checkpoint knows more than the catalog.
async fn check_checkpoints(
    catalog: &dyn Catalog,
    books: &Books,
    layers: &Layers,
    verified: &mut Verified,
) -> Result<()> {
    let dropped = tombstones(layers).await?;
    for table in dropped.iter().filter(|table| books.tables.contains_key(table)) {
        if tombstone::is_begun(layers, *table).await? {
            let why = "its drop was begun and not finished; the next start of a writer does, or drop it again";
            verified.note(Severity::Explained, format!("table {table}"), why);
        }
    }
    for layer in layers.iter() {
        for name in checkpoint::names(layer).await? {
            if dropped.contains(&name.table) {
                continue;
            }
            let why = match (books.tables.get(&name.table), is_ahead(books, name)) {
                (Some(version), true) => format!(
                    "the checkpoint is of epoch {} and version {}, the catalog is at epoch {} and version {version} of that table: it was rolled back; rebuild it with `gigapi catalog rebuild --from-layers`",
                    name.epoch, name.version, books.epochs.epoch
                ),
                (Some(_), false) => continue,
                (None, _) => match catalog.table_state(name.table).await? {
                    TableState::Unknown => "the catalog does not know the table: it was rolled back; rebuild it with `gigapi catalog rebuild --from-layers`".to_owned(),
                    TableState::Dropped => {
                        "the table was dropped and has no tombstone: a rebuild would bring it back; drop it again".to_owned()
                    }
                    // Made since the list was read.
                    TableState::Live(_) => continue,
                },
            };
            verified.note(Severity::Damage, format!("{}: {name}", layer.name), why);
        }
    }
    Ok(())
}

/// No definition and no tombstone knows more than the catalog.
async fn check_memory(catalog: &dyn Catalog, layers: &Layers, verified: &mut Verified) -> Result<()> {
    let evidence = match condition(catalog, layers).await {
        Ok(Condition::RolledBack(evidence)) => evidence,
        // Wrong markers are told by themselves.
        Ok(_) | Err(Error::NoMarker | Error::NoMarkerButCheckpoints { .. }) => return Ok(()),
        Err(Error::MixedLayers { .. } | Error::ForeignLayer { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let what = match evidence {
        // It is among the checkpoints already.
        Evidence::Checkpoint { .. } => return Ok(()),
        Evidence::Definition { definition, .. } => definition.to_string(),
        Evidence::Tombstone { table } => format!("the tombstone of table {table}"),
        Evidence::Epoch { taken, .. } => format!("the marker of epoch {taken}"),
    };
    let why =
        format!("the catalog was rolled back: {evidence}; rebuild it with `gigapi catalog rebuild --from-layers`");
    verified.note(Severity::Damage, what, why);
    Ok(())
}

/// Files that were marked as damaged are, or the mark is stale.
async fn check_marks(books: &Books, layers: &Layers, options: VerifyOptions, verified: &mut Verified) -> Result<()> {
    for (id, mark) in quarantined(layers).await? {
        let object = named(&layers.first().name, &own_path(["quarantine", &format!("{id}.json")]));
        let Some((table, file)) = books.live.get(&id) else {
            let why = "the mark is stale: the file it is about is no longer live; the sweep removes it";
            verified.note(Severity::Explained, object, why);
            continue;
        };
        let path = FilePath::of(table, file).object_path();
        let is_sound = match layers.get(&file.layer) {
            Some(layer) if options.checksums => scrub::difference(layer, &path, file).await?.is_none(),
            _ => false,
        };
        if is_sound {
            let why =
                format!("the mark is stale: {path} reads as it should; remove the mark, and merges take the file up");
            verified.note(Severity::Explained, object, why);
            continue;
        }
        let found = match mark {
            Ok(mark) => format!("{}, found by {} at {}", mark.reason, mark.by, mark.since),
            Err(reason) => format!("its mark cannot be read: {reason}"),
        };
        let why = format!(
            "marked as damaged and left out of merges: {found}; restore it from a copy, then `gigapi catalog verify --checksums` says whether the mark can go"
        );
        verified.note(Severity::Damage, named(&file.layer, &path), why);
    }
    Ok(())
}

fn is_ahead(books: &Books, name: CheckpointName) -> bool {
    let version = books.tables.get(&name.table).copied().unwrap_or(0);
    (name.epoch, name.version) > (books.epochs.epoch, version)
}

async fn check_layer(
    catalog: &dyn Catalog,
    books: &Books,
    layer: &Layer,
    options: VerifyOptions,
    seen: &mut HashSet<FileId>,
    verified: &mut Verified,
) -> Result<()> {
    let failed = |error| layer.error("listing", &Path::default(), error);
    let mut objects = layer.store.list(None);
    while let Some(object) = objects.try_next().await.map_err(failed)? {
        if object.location.as_ref().split('/').next() == Some(OWN_FOLDER) {
            continue;
        }
        let what = named(&layer.name, &object.location);
        let Some(path) = FilePath::parse(&object.location) else {
            let known = object.location.filename() == Some("metadata.json");
            if !known {
                verified.note(
                    Severity::Explained,
                    what,
                    "it is no data file of this system by its name; it is left alone",
                );
            }
            continue;
        };
        match books.live.get(&path.id) {
            Some((_, file)) if file.layer == layer.name => {
                seen.insert(path.id);
                if let Some(why) = damage(layer, &object, file, options).await? {
                    verified.note(Severity::Damage, what, why);
                }
            }
            Some((_, file)) => {
                let why = format!("a copy of a file that lives on layer {}; it goes after its grace", file.layer);
                verified.note(Severity::Explained, what, why);
            }
            None => {
                let (severity, why) = unneeded(catalog, books, layer, &object, &path).await?;
                verified.note(severity, what, why);
            }
        }
    }
    Ok(())
}

/// What is wrong with a live file's object.
async fn damage(layer: &Layer, object: &ObjectMeta, file: &DataFile, options: VerifyOptions) -> Result<Option<String>> {
    if object.size != file.bytes {
        return Ok(Some(format!(
            "a live file has {} bytes and should have {}; restore it from a copy",
            object.size, file.bytes
        )));
    }
    if !options.checksums {
        return Ok(None);
    }
    let failed = |error| layer.error("reading", &object.location, error);
    let found = layer.store.get(&object.location).await.map_err(failed)?.bytes().await.map_err(failed)?;
    let is_same = checksum(&found) == file.checksum;
    Ok((!is_same).then(|| "a live file's checksum does not fit its bytes; restore it from a copy".to_owned()))
}

/// Why there is a data file that no table needs.
async fn unneeded(
    catalog: &dyn Catalog,
    books: &Books,
    layer: &Layer,
    object: &ObjectMeta,
    path: &FilePath,
) -> Result<(Severity, String)> {
    if let Some(grave) = books.graves.get(&(path.id, layer.name.clone())) {
        let why = match grave.delete_after > books.now {
            true => "it was replaced or dropped, and stays for queries that still read it; it goes after its grace",
            false => "it was replaced or dropped, and waits to be deleted",
        };
        return Ok((Severity::Explained, why.to_owned()));
    }
    let facts = match read_facts(layer.store.as_ref(), &layer.name, &object.location).await {
        Ok((stored, ..)) => stored,
        Err(gigapi_storage::Error::NotOurs { .. }) => {
            return Ok((Severity::Explained, "another system wrote it; it is left alone".to_owned()));
        }
        Err(gigapi_storage::Error::Corrupt { reason, .. }) => {
            let why = format!("no table needs it and it cannot be read: {reason}; it can be deleted");
            return Ok((Severity::Explained, why));
        }
        // Deleted since it was listed.
        Err(gigapi_storage::Error::Store { source: object_store::Error::NotFound { .. }, .. }) => {
            return Ok((Severity::Explained, "it was deleted while this was looked at".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    if facts.facts.catalog != books.epochs.catalog {
        return Ok((Severity::Explained, format!("it belongs to catalog {}; it is left alone", facts.facts.catalog)));
    }
    let why = match catalog.table_state(facts.table.id).await? {
        TableState::Dropped => "its table was dropped; the sweep takes it".to_owned(),
        _ if facts.facts.catalog_epoch < books.epochs.epoch => format!(
            "it was written under epoch {} and the rebuild of epoch {} did not need it; the sweep takes it",
            facts.facts.catalog_epoch, books.epochs.epoch
        ),
        _ if books.now.since(path.id.minted_at()) < UPLOAD_AGE_MAX => {
            "it is not committed yet, or its writer died before the commit and has its rows in the log".to_owned()
        }
        _ if is_above_watermark(books, &facts) => {
            "its commit never came, or the catalog has forgotten it: its writer has the rows in its log and commits them at its next start; if that log is gone, `gigapi catalog rebuild --from-layers` takes what was committed from here".to_owned()
        }
        _ => "its commit never came; other files hold its rows; the sweep takes it".to_owned(),
    };
    Ok((Severity::Explained, why))
}

/// Whether the catalog has none of a flush's rows.
fn is_above_watermark(books: &Books, stored: &StoredFacts) -> bool {
    let Origin::Flush { writer, hi, .. } = &stored.facts.origin else { return false };
    let watermarks = books.watermarks.get(&stored.table.id);
    watermarks.and_then(|watermarks| watermarks.get(writer)).is_none_or(|watermark| watermark < hi)
}

#[cfg(test)]
mod tests;
