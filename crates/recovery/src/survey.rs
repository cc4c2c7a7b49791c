//! Looking at the layers: checkpoints, definitions, tombstones, and the footers of all data files that no checkpoint names.
//!
//! Files of a checkpoint are compared by size alone; all others are read whole, because their checksum and
//! statistics can be had in no other way. Objects that are not ours, or of another catalog, are counted and left
//! alone. This side only reads.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt};
use gigapi_model::{CatalogId, FileId, TableId};
use gigapi_storage::{FilePath, Layer, Layers, read_facts};
use object_store::path::Path;

use crate::checkpoint::{CheckpointName, names, newest_checkpoints};
use crate::definition::newest_definitions;
use crate::{Error, Found, Result, Survey, epoch, tombstones};

/// Whole files are read, at most 4 GB each and far smaller as a rule, so only a few at a time.
const READS_AT_ONCE: usize = 4;

/// A survey with what the plan does not need.
#[derive(Debug)]
pub(crate) struct Sighting {
    pub(crate) survey: Survey,
    /// The highest epoch that a data file, a definition or a checkpoint remembers; 0 if there is none.
    pub(crate) remembered: u64,
    /// The highest epoch that a rebuild has taken.
    pub(crate) taken: u64,
    /// Parquet objects that are not this catalog's.
    pub(crate) foreign: usize,
}

/// Looks at all layers.
pub(crate) async fn look(layers: &Layers, catalog: CatalogId) -> Result<Sighting> {
    // Listed before they are read: another rebuild may write more of them meanwhile.
    let listed = listed(layers).await?;
    let checkpoints = newest_checkpoints(layers, catalog).await?;
    let dropped = tombstones(layers).await?;
    let mut sizes: HashMap<FileId, u64> = HashMap::new();
    for export in checkpoints.values() {
        sizes.extend(export.files.iter().map(|new| (new.file.id, new.file.bytes)));
    }
    let definitions = newest_definitions(layers, catalog).await?;
    let remembered = definitions.values().map(|(epoch, _)| *epoch).max().unwrap_or(0);
    let mut survey = Survey { checkpoints, dropped, definitions, ..Survey::default() };
    let mut unknown: HashMap<FileId, (&Layer, Path)> = HashMap::new();
    for layer in layers.iter() {
        let failed = |error| layer.error("listing", &Path::default(), error);
        let mut objects = layer.store.list(None);
        while let Some(object) = objects.try_next().await.map_err(failed)? {
            let Some(path) = FilePath::parse(&object.location) else { continue };
            // A file on two layers was being relocated; the later layer is where it goes.
            match sizes.get(&path.id) {
                Some(bytes) if *bytes == object.size => drop(survey.present.insert(path.id, layer.name.clone())),
                Some(bytes) => {
                    tracing::warn!(layer = %layer.name, path = %object.location, size = object.size, expected = bytes,
                        "a data file does not have the size that its checkpoint says");
                }
                None => drop(unknown.insert(path.id, (layer, object.location))),
            }
        }
    }
    let mut sighting = Sighting { survey, remembered, taken: epoch::highest(layers).await?, foreign: 0 };
    sighting.read_all(unknown.into_values().collect(), catalog).await?;
    sighting.check_names(&listed)?;
    Ok(sighting)
}

/// The names of all checkpoints.
async fn listed(layers: &Layers) -> Result<Vec<CheckpointName>> {
    let mut listed = Vec::new();
    for layer in layers.iter() {
        listed.extend(names(layer).await?);
    }
    Ok(listed)
}

/// What reading one object came to.
enum Read {
    Ours(Box<Found>),
    Foreign,
    Damaged(String),
}

async fn read(layer: &Layer, path: Path, catalog: CatalogId) -> Result<Read> {
    match read_facts(layer.store.as_ref(), &layer.name, &path).await {
        Ok((stored, ..)) if stored.facts.catalog != catalog => Ok(Read::Foreign),
        Ok((stored, file, statistics)) => {
            let place = FilePath::of(&stored.table, &file);
            if place.object_path() != path {
                return Ok(Read::Foreign);
            }
            let statistics = statistics.to_bytes();
            Ok(Read::Ours(Box::new(Found { file, statistics, facts: stored.facts, table: stored.table })))
        }
        Err(gigapi_storage::Error::NotOurs { .. }) => Ok(Read::Foreign),
        Err(error @ gigapi_storage::Error::Corrupt { .. }) => {
            Ok(Read::Damaged(format!("{path} on layer {}: {error}", layer.name)))
        }
        Err(error) => Err(error.into()),
    }
}

impl Sighting {
    async fn read_all(&mut self, objects: Vec<(&Layer, Path)>, catalog: CatalogId) -> Result<()> {
        let reads: Vec<_> = objects.into_iter().map(|(layer, path)| read(layer, path, catalog)).collect();
        let mut reads = futures::stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        let mut damaged = Vec::new();
        while let Some(read) = reads.try_next().await? {
            match read {
                Read::Ours(found) => {
                    self.remembered = self.remembered.max(found.facts.catalog_epoch);
                    self.survey.found.push(*found);
                }
                Read::Foreign => self.foreign += 1,
                Read::Damaged(what) => damaged.push(what),
            }
        }
        // Reads end in no order; the plan and its errors are the same each time.
        self.survey.found.sort_by_key(|found| found.file.id);
        damaged.sort_unstable();
        match damaged.first() {
            Some(first) => Err(Error::DamagedFiles { count: damaged.len(), first: first.clone() }),
            None => Ok(()),
        }
    }

    /// Counts the epochs of all checkpoints, and refuses a table of which nothing can be read.
    fn check_names(&mut self, listed: &[CheckpointName]) -> Result<()> {
        let known: HashSet<TableId> = self.survey.found.iter().map(|found| found.table.id).collect();
        for name in listed {
            self.remembered = self.remembered.max(name.epoch);
            if !self.knows(&known, *name) {
                return Err(Error::TableLost { table: name.table, checkpoint: *name });
            }
        }
        Ok(())
    }

    fn knows(&self, found: &HashSet<TableId>, name: CheckpointName) -> bool {
        let survey = &self.survey;
        let table = &name.table;
        survey.checkpoints.contains_key(table) || survey.dropped.contains(table) || found.contains(table)
    }
}
