//! Which objects are orphans: a pure function from what is known of them to what becomes of each.
//!
//! An object goes only if everything that could still need it is ruled out, one reason after the other; the first that
//! holds keeps it. What is not known for certain counts as needed. The catalog's side is collected anew before
//! each batch of removals and judged by the same function.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{CatalogId, FileId, LayerName, TableId, Timestamp, WriterId};
use gigapi_storage::{FilePath, Origin};

/// An object under a data file's name that its table does not name.
#[derive(Debug, Clone, PartialEq)]
pub struct Stray {
    /// The layer it lies on.
    pub layer: LayerName,
    /// Its path there.
    pub path: FilePath,
    /// Its size.
    pub bytes: u64,
    /// When it was written last, by the store.
    pub modified: Timestamp,
    /// What its footer says, if it was read.
    pub footer: Footer,
}

/// What a footer says.
#[derive(Debug, Clone, PartialEq)]
pub enum Footer {
    /// It was not read: the object is not old, or is known to the catalog.
    Unread,
    /// A data file.
    Ours {
        /// Its catalog.
        catalog: CatalogId,
        /// Its table.
        table: TableId,
        /// Where its rows come from.
        origin: Origin,
    },
    /// Another system wrote it, or a file of ours was moved here by hand.
    Foreign(String),
    /// It cannot be read.
    Damaged(String),
}

/// What became of a stray's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableFacts {
    /// It is live.
    Live {
        /// Bytes of its live files.
        bytes: u64,
        /// How far each writer has come.
        watermarks: Arc<HashMap<WriterId, u64>>,
        /// Files that somebody works on.
        claimed: HashSet<FileId>,
        /// Files that a checkpoint names, with their layers.
        checkpointed: HashSet<(LayerName, FileId)>,
    },
    /// It was dropped, and its tombstone lies on a layer.
    Dropped,
    /// The catalog does not know it, or knows it otherwise than the layers do.
    Unclear,
}

/// All that is known around the strays of one folder.
#[derive(Debug, Clone, PartialEq)]
pub struct OrphanFacts {
    /// The catalog.
    pub catalog: CatalogId,
    /// The present, by its clock.
    pub now: Timestamp,
    /// Live files of the folder's table, each on its layer.
    pub live: HashSet<(LayerName, FileId)>,
    /// Buried files.
    pub buried: HashSet<(LayerName, FileId)>,
    /// The tables that footers name.
    pub tables: HashMap<TableId, TableFacts>,
}

/// The ages and shares of the plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrphanPolicy {
    /// An orphan is older than this, by its id and by its last writing.
    pub age_min: Duration,
    /// Of a table's live bytes this share goes in one run at most, without confirmation.
    pub share_max: f64,
    /// Whether more may go.
    pub confirm: bool,
}

/// Why an object stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kept {
    /// It may be on its way to a commit.
    Young,
    /// Another catalog or another system wrote it.
    Foreign,
    /// Its footer cannot be read, so nothing says whose it is.
    Damaged,
    /// Its table names it now.
    Live,
    /// It waits in the graveyard.
    Buried,
    /// Nothing says what became of its table.
    TableUnclear,
    /// Somebody works on it.
    Claimed,
    /// A flush whose rows the catalog does not have.
    AboveWatermark,
    /// A merge has read it whose output is there and not live.
    ReadByMerge,
    /// A checkpoint names it.
    Checkpointed,
    /// Too much of its table would go.
    Braked,
}

/// What a table would lose, and did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Braked {
    /// Orphans.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The table's live bytes.
    pub live_bytes: u64,
}

/// What becomes of the strays of one folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OrphanPlan {
    /// Orphans of live tables, and of dropped ones, by their place among the strays.
    pub remove: Vec<usize>,
    /// Why the others stay, in the strays' order.
    pub kept: BTreeMap<usize, Kept>,
    /// Tables of which too much would go.
    pub braked: BTreeMap<TableId, Braked>,
}

/// Whether an object is old enough to be looked at.
pub(super) fn is_old(policy: &OrphanPolicy, now: Timestamp, file: FileId, modified: Timestamp) -> bool {
    now.since(file.minted_at()) > policy.age_min && now.since(modified) > policy.age_min
}

/// What becomes of each stray.
pub fn plan_orphans(policy: &OrphanPolicy, facts: &OrphanFacts, strays: &[Stray]) -> OrphanPlan {
    let read = Inputs::of(facts, strays);
    let mut plan = OrphanPlan::default();
    let mut by_table: BTreeMap<TableId, Vec<usize>> = BTreeMap::new();
    for (index, stray) in strays.iter().enumerate() {
        match judge(policy, facts, &read, stray) {
            Err(kept) => drop(plan.kept.insert(index, kept)),
            Ok(table) => by_table.entry(table).or_default().push(index),
        }
    }
    for (table, orphans) in by_table {
        let bytes: u64 = orphans.iter().map(|index| strays[*index].bytes).sum();
        // Whoever drops a table has said that all of it goes.
        let braked = match facts.tables.get(&table) {
            Some(TableFacts::Live { bytes: live_bytes, .. }) if is_too_much(policy, bytes, *live_bytes) => {
                Some(Braked { objects: orphans.len(), bytes, live_bytes: *live_bytes })
            }
            _ => None,
        };
        match braked {
            Some(braked) => {
                plan.kept.extend(orphans.into_iter().map(|index| (index, Kept::Braked)));
                plan.braked.insert(table, braked);
            }
            None => plan.remove.extend(orphans),
        }
    }
    plan.remove.sort_unstable();
    plan
}

#[expect(clippy::cast_precision_loss, reason = "a share of petabytes is told well enough")]
fn is_too_much(policy: &OrphanPolicy, bytes: u64, live_bytes: u64) -> bool {
    !policy.confirm && bytes as f64 > live_bytes as f64 * policy.share_max
}

/// The table of an orphan, or why the object stays.
fn judge(policy: &OrphanPolicy, facts: &OrphanFacts, read: &Inputs, stray: &Stray) -> Result<TableId, Kept> {
    let place = (stray.layer.clone(), stray.path.id);
    if facts.live.contains(&place) {
        return Err(Kept::Live);
    }
    if facts.buried.contains(&place) {
        return Err(Kept::Buried);
    }
    if !is_old(policy, facts.now, stray.path.id, stray.modified) {
        return Err(Kept::Young);
    }
    let (table, origin) = match &stray.footer {
        Footer::Ours { catalog, table, origin } if *catalog == facts.catalog => (*table, origin),
        Footer::Ours { .. } | Footer::Foreign(_) => return Err(Kept::Foreign),
        Footer::Unread | Footer::Damaged(_) => return Err(Kept::Damaged),
    };
    match facts.tables.get(&table) {
        None | Some(TableFacts::Unclear) => return Err(Kept::TableUnclear),
        Some(TableFacts::Dropped) => {}
        Some(TableFacts::Live { watermarks, claimed, checkpointed, .. }) => {
            if claimed.contains(&stray.path.id) {
                return Err(Kept::Claimed);
            }
            if let Origin::Flush { writer, hi, .. } = origin
                && watermarks.get(writer).is_none_or(|watermark| watermark < hi)
            {
                return Err(Kept::AboveWatermark);
            }
            if checkpointed.contains(&place) {
                return Err(Kept::Checkpointed);
            }
            if read.contain(stray.path.id) {
                return Err(Kept::ReadByMerge);
            }
        }
    }
    Ok(table)
}

/// What merges have read whose outputs lie there without being live.
struct Inputs {
    files: HashSet<FileId>,
    /// The youngest output whose footer cannot be read: it may have read whatever is older.
    unreadable: Option<FileId>,
}

impl Inputs {
    fn of(facts: &OrphanFacts, strays: &[Stray]) -> Self {
        let mut inputs = Self { files: HashSet::new(), unreadable: None };
        for stray in strays.iter().filter(|stray| !facts.live.contains(&(stray.layer.clone(), stray.path.id))) {
            match &stray.footer {
                Footer::Ours { origin: Origin::Merge { sources, .. }, .. } => {
                    inputs.files.extend(sources.iter().map(|source| source.file));
                }
                Footer::Unread | Footer::Damaged(_) if is_merge(&stray.path) => {
                    inputs.unreadable = inputs.unreadable.max(Some(stray.path.id));
                }
                _ => {}
            }
        }
        inputs
    }

    fn contain(&self, file: FileId) -> bool {
        // Ids are ordered by the time of their minting, and an input is minted before its output.
        self.files.contains(&file) || self.unreadable.is_some_and(|output| file < output)
    }
}

/// Whether a merge wrote it: flushes are of the first level.
pub(super) fn is_merge(path: &FilePath) -> bool {
    path.level != gigapi_model::Level::FLUSHED
}

#[cfg(test)]
mod tests;
