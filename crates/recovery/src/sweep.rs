//! Removes orphans: data files on the layers that no table names and that nobody can need any more.
//!
//! They come from processes that died between an upload and its commit, from losers of a race, and from rebuilds that
//! chose other files. What is one is decided by a pure plan; this half walks the layers one table's folder at a time,
//! reads the footers of what may go, and removes it in small batches, each after a fresh look. It must never remove what
//! is not proven to be this catalog's own and needless: what is unclear is counted and stays.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use gigapi_catalog::{Catalog, Epochs, TableState};
use gigapi_model::{FileId, TableId, TimeRange, Timestamp};
use gigapi_storage::{Layers, OWN_FOLDER};
use object_store::path::Path;

use crate::removal::{self, BATCH_OBJECTS_MAX, NotRemoved};
use crate::{Condition, Result, condition, quarantined_files, release, tombstones};

mod folder;
mod look;
mod plan;

use plan::is_old;
pub use plan::{Braked, Footer, Kept, OrphanFacts, OrphanPlan, OrphanPolicy, Stray, TableFacts, plan_orphans};

/// What may be removed, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SweepOptions {
    /// How old an object is at least, by its id and by its last writing.
    pub age_min: Duration,
    /// How old the catalog's epoch is at least: after a rebuild whatever it left out is looked at by people first.
    pub epoch_age_min: Duration,
    /// The share of a table's live bytes that goes in one run at most.
    pub share_max: f64,
    /// Whether more may go.
    pub confirm: bool,
    /// Objects that one run removes at most.
    pub objects_max: usize,
}

impl Default for SweepOptions {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self { age_min: day, epoch_age_min: day, share_max: 0.05, confirm: false, objects_max: 10_000 }
    }
}

impl SweepOptions {
    fn policy(&self) -> OrphanPolicy {
        OrphanPolicy { age_min: self.age_min, share_max: self.share_max, confirm: self.confirm }
    }
}

/// Objects that went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gone {
    /// How many.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Swept {
    /// Orphans of live tables.
    pub removed: Gone,
    /// What was left of dropped tables.
    pub removed_of_dropped: Gone,
    /// Bucket folders that went with their last file, and empty ones above them.
    pub folders: usize,
    /// Marks of damaged files that went because the file is no longer live.
    pub marks: usize,
    /// Objects that no table names and that stay, by reason.
    pub kept: BTreeMap<Kept, usize>,
    /// Some of those that stay because they are not provably ours, or cannot be read, with why.
    pub left_alone: Vec<String>,
    /// Tables of which too much would have gone, by `database.table`.
    pub braked: BTreeMap<String, Braked>,
    /// Objects that could not be removed.
    pub failed: Vec<NotRemoved>,
    /// Folders that could not be looked at.
    pub unseen: Vec<NotRemoved>,
    /// Why the run did nothing, or ended before its work was done. Nothing is removed after that.
    pub interrupted: Option<String>,
    /// Whether it ended because it removed as much as one run may.
    pub is_full: bool,
}

impl Swept {
    /// What to do about tables of which too much would go, if there are any.
    pub fn advice(&self) -> Option<String> {
        let (table, braked) = self.braked.first_key_value()?;
        Some(format!(
            "{} tables have more orphans than may go by themselves, first {table}: {} objects of {} bytes beside {} live bytes; look at them with `gigapi catalog verify`, then sweep with confirmation",
            self.braked.len(),
            braked.objects,
            braked.bytes,
            braked.live_bytes
        ))
    }
}

/// Objects that are named in an answer at most.
const LEFT_ALONE_MAX: usize = 20;

/// One run.
struct Run<'a> {
    catalog: &'a dyn Catalog,
    layers: &'a Layers,
    options: &'a SweepOptions,
    /// When the run began.
    epochs: Epochs,
    now: Timestamp,
    dropped: HashSet<TableId>,
}

/// Removes orphans of all tables. An error means that nothing was removed; later ones are in the answer.
pub async fn sweep(catalog: &dyn Catalog, layers: &Layers, options: &SweepOptions) -> Result<Swept> {
    let mut swept = Swept::default();
    let (epochs, now) = (catalog.epochs().await?, catalog.now().await?);
    match condition(catalog, layers).await? {
        Condition::Healthy => {}
        other => {
            swept.interrupted = Some(format!("the catalog and the layers do not agree: {other:?}"));
            return Ok(swept);
        }
    }
    if now.since(epochs.since) <= options.epoch_age_min {
        swept.interrupted =
            Some(format!("the catalog's epoch {} began at {} and is too young", epochs.epoch, epochs.since));
        return Ok(swept);
    }
    swept.interrupted = removal::interruption(catalog, layers, &epochs).await?;
    let dropped = tombstones(layers).await?;
    let run = Run { catalog, layers, options, epochs, now, dropped };
    for folder in run.folders().await? {
        if swept.interrupted.is_some() || swept.is_full {
            break;
        }
        if let Err(error) = run.sweep_folder(&folder, &mut swept).await {
            swept.unseen.push(NotRemoved { what: folder.to_string(), why: error.to_string() });
        }
    }
    if swept.interrupted.is_none() {
        swept.marks = run.remove_marks().await?;
    }
    Ok(swept)
}

impl Run<'_> {
    /// The folders of all tables that are or were on any layer.
    async fn folders(&self) -> Result<BTreeSet<Path>> {
        let mut folders = BTreeSet::new();
        for layer in self.layers.iter() {
            let failed = |path: &Path, error| layer.error("listing", path, error);
            let top = layer.store.list_with_delimiter(None).await;
            let databases = top.map_err(|error| failed(&Path::default(), error))?.common_prefixes;
            for database in databases.iter().filter(|database| !is_passed_over(database)) {
                let tables = layer.store.list_with_delimiter(Some(database)).await;
                folders.extend(tables.map_err(|error| failed(database, error))?.common_prefixes);
            }
        }
        Ok(folders)
    }

    /// Removes what may go from one table's folder.
    async fn sweep_folder(&self, folder: &Path, swept: &mut Swept) -> Result<()> {
        let Some(found) = self.look_at(folder).await? else { return Ok(()) };
        let plan = plan_orphans(&self.options.policy(), &found.facts, &found.strays);
        found.tell(&plan, swept);
        let mut by_layer: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for index in plan.remove {
            by_layer.entry(&found.strays[index].layer).or_default().push(index);
        }
        for (name, orphans) in by_layer {
            let Some(layer) = self.layers.get(name) else { continue };
            for batch in orphans.chunks(BATCH_OBJECTS_MAX) {
                let room = self.options.objects_max - swept.removed.objects - swept.removed_of_dropped.objects;
                let (now, later) = batch.split_at(batch.len().min(room));
                if !now.is_empty() {
                    self.remove(layer, &found, now, swept).await?;
                }
                swept.is_full = !later.is_empty();
                if swept.is_full || swept.interrupted.is_some() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Removes marks of files that are no longer live.
    async fn remove_marks(&self) -> Result<usize> {
        let marked = quarantined_files(self.layers).await?;
        if marked.is_empty() {
            return Ok(0);
        }
        let mut stale: HashSet<FileId> = marked;
        for table in self.catalog.live_tables().await? {
            match self.catalog.snapshot(table.id, TimeRange::ALL).await {
                Ok(snapshot) => snapshot.files.iter().for_each(|file| {
                    stale.remove(&file.id);
                }),
                Err(gigapi_catalog::Error::Dropped { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if stale.is_empty() || removal::interruption(self.catalog, self.layers, &self.epochs).await?.is_some() {
            return Ok(0);
        }
        let stale: Vec<FileId> = stale.into_iter().collect();
        release(self.layers, &stale).await?;
        Ok(stale.len())
    }

    /// What became of a table as the catalog and the layers say alike.
    async fn is_dropped(&self, table: TableId) -> Result<bool> {
        let state = self.catalog.table_state(table).await?;
        Ok(state == TableState::Dropped && self.dropped.contains(&table))
    }
}

/// Folders at a layer's root that hold no tables.
fn is_passed_over(folder: &Path) -> bool {
    [OWN_FOLDER, "lost+found"].contains(&folder.as_ref())
}

#[cfg(test)]
mod tests;
