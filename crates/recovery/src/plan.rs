//! Which files are live after a loss: a pure function from what was found to the state to restore.
//!
//! A table's base is its newest readable checkpoint. Beyond it, footers tell which interval of a writer's sequence
//! a flush covered, and which files a merge replaced. The plan walks each writer's intervals without a gap from the
//! base's watermark (`intervals`), expands merges to the flush parts and base files that they hold (`lineage`), and
//! chooses files that hold every part exactly once (`cover`). Merging preserves rows, so every exact choice is
//! right; where none exists the plan says what is missing and makes nothing up.

mod cover;
mod intervals;
mod lineage;
mod ranks;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use gigapi_catalog::TableExport;
use gigapi_model::{DataFile, FileId, LayerName, NewFile, TableDef, TableId, WriterId};
use gigapi_storage::FileFacts;

use lineage::{Attempt, Leaf, Lineage};

/// A data file that no checkpoint in use names, with what its footer says.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The file; the sequence of a flush is not set.
    pub file: DataFile,
    /// Statistics as the catalog keeps them.
    pub statistics: Vec<u8>,
    /// Where its rows come from.
    pub facts: FileFacts,
    /// Its table as it was defined then.
    pub table: Arc<TableDef>,
}

/// What lies on the layers of one catalog.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Per table, its newest readable checkpoint.
    pub checkpoints: HashMap<TableId, TableExport>,
    /// Where the objects of the checkpoints' files lie; a file that is gone is absent.
    pub present: HashMap<FileId, LayerName>,
    /// All other data files, each once.
    pub found: Vec<Found>,
    /// Tables that were dropped.
    pub dropped: HashSet<TableId>,
    /// Per table its newest definition that lies there by itself, with its epoch.
    pub definitions: HashMap<TableId, (u64, Arc<TableDef>)>,
}

/// The state to restore.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RebuildPlan {
    /// Live tables by id; their `epoch` is to be set by whoever takes one.
    pub tables: Vec<TableExport>,
    /// Dropped tables, by id.
    pub dropped: Vec<TableId>,
    /// Files that no table needs: replaced, never committed, or of dropped tables. By id.
    pub orphans: Vec<FileId>,
}

/// Why what was found is not one state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A live file's object is gone and no merge holds its rows.
    #[error(
        "{table}: data file {file} is gone and no other file holds its rows; restore it from a copy, or remove the table's checkpoints to do without"
    )]
    FileGone {
        /// `database.table`.
        table: String,
        /// The file.
        file: FileId,
    },
    /// Parts of a flush that was committed are gone.
    #[error(
        "{table}: rows {lo} to {hi} of writer {writer} were committed, but part {part} of them is in no file; restore it from a copy"
    )]
    PartGone {
        /// `database.table`.
        table: String,
        /// The writer.
        writer: WriterId,
        /// First sequence of the flush.
        lo: u64,
        /// Last sequence of the flush.
        hi: u64,
        /// The part.
        part: u32,
    },
    /// A flush that was committed cannot be reached from the watermark.
    #[error(
        "{table}: rows {lo} to {hi} of writer {writer} were committed, but not all rows between the checkpoint and them are there; restore the missing files from a copy"
    )]
    Unreachable {
        /// `database.table`.
        table: String,
        /// The writer.
        writer: WriterId,
        /// First sequence of the flush.
        lo: u64,
        /// Last sequence of the flush.
        hi: u64,
    },
    /// A merge holds rows whose origin cannot be told any more.
    #[error(
        "{table}: merged file {file} replaced {source_file}, of which nothing is left; restore that file or a newer checkpoint from a copy"
    )]
    LineageLost {
        /// `database.table`.
        table: String,
        /// The merge's output.
        file: FileId,
        /// The input that is gone.
        source_file: FileId,
    },
    /// Files overlap in ways that no history of this system makes.
    #[error("{table}: its merged files contradict each other; restore a newer checkpoint from a copy")]
    Tangled {
        /// `database.table`.
        table: String,
    },
    /// Two live tables have one name.
    #[error("tables {first} and {second} are both named {name}; write a tombstone for the one that was dropped")]
    NameTwice {
        /// `database.table`.
        name: String,
        /// One.
        first: TableId,
        /// The other.
        second: TableId,
    },
}

/// The state of all tables.
pub fn plan(survey: &Survey) -> Result<RebuildPlan, PlanError> {
    let mut by_table: BTreeMap<TableId, Vec<&Found>> = BTreeMap::new();
    for table in survey.checkpoints.keys().chain(survey.definitions.keys()) {
        by_table.entry(*table).or_default();
    }
    for found in &survey.found {
        by_table.entry(found.table.id).or_default().push(found);
    }
    let mut result = RebuildPlan { dropped: survey.dropped.iter().copied().collect(), ..RebuildPlan::default() };
    let mut planned: Vec<Planned> = Vec::new();
    for (id, found) in by_table {
        if survey.dropped.contains(&id) {
            continue;
        }
        let (base, definition) = (survey.checkpoints.get(&id), survey.definitions.get(&id));
        let Some(table) = plan_table(base, definition, &survey.present, &found)? else { continue };
        let bare = definition.filter(|_| base.is_none() && table.files.is_empty()).map(|(epoch, _)| *epoch);
        planned.push(Planned { table, bare });
    }
    result.tables = without_strays(planned)?;
    let live: HashSet<FileId> = result.tables.iter().flat_map(|table| &table.files).map(|new| new.file.id).collect();
    let known = survey.found.iter().map(|found| found.file.id).chain(survey.present.keys().copied());
    result.orphans = known.filter(|file| !live.contains(file)).collect();
    result.dropped.sort_unstable();
    result.orphans.sort_unstable();
    Ok(result)
}

/// A table's state, and the definition's epoch if nothing but that is known of it.
struct Planned {
    table: TableExport,
    bare: Option<u64>,
}

/// A definition may have been laid down while its catalog was lost, and its name given again by the next one: then no
/// row relies on it, and what else has the name is the table.
fn without_strays(planned: Vec<Planned>) -> Result<Vec<TableExport>, PlanError> {
    let mut by_name: BTreeMap<String, Planned> = BTreeMap::new();
    for table in planned {
        let name = name_of(&table.table.table);
        let Some(other) = by_name.get(&name) else {
            by_name.insert(name, table);
            continue;
        };
        match (other.bare, table.bare) {
            (Some(first), Some(second)) if first == second => return Err(name_twice(name, other, &table)),
            (None, None) => return Err(name_twice(name, other, &table)),
            (Some(first), Some(second)) if first > second => {}
            (None, Some(_)) => {}
            (Some(_), _) => drop(by_name.insert(name, table)),
        }
    }
    let mut tables: Vec<TableExport> = by_name.into_values().map(|planned| planned.table).collect();
    tables.sort_by_key(|table| table.table.id);
    Ok(tables)
}

fn name_twice(name: String, first: &Planned, second: &Planned) -> PlanError {
    PlanError::NameTwice { name, first: first.table.table.id, second: second.table.table.id }
}

/// The state of one table; none if nothing eligible was found.
///
/// Eligible are the base's files and files whose footer has the base's epoch or a later one: an output of an
/// earlier epoch that turned up late was never committed after the base.
pub fn plan_table(
    base: Option<&TableExport>,
    definition: Option<&(u64, Arc<TableDef>)>,
    present: &HashMap<FileId, LayerName>,
    found: &[&Found],
) -> Result<Option<TableExport>, PlanError> {
    let epoch = base.map_or(0, |base| base.epoch);
    let eligible: Vec<&Found> = found.iter().copied().filter(|found| found.facts.catalog_epoch >= epoch).collect();
    let Some(table) = newest_definition(base, definition, &eligible) else { return Ok(None) };
    let scene = Scene { name: name_of(&table), base, present, found: eligible };
    let lineage = Lineage::new(base, &scene.found);
    let (chosen, watermarks) = scene.committed(&lineage)?;
    let picked = scene.cover(&lineage, &chosen)?;
    let mut files = scene.base_files(&picked);
    // A table without rows has a version too.
    let version = 1.max(ranks::rank(base, &scene.found, &lineage, &chosen, &picked, &mut files));
    files.sort_by_key(|new| (new.file.time.min, new.file.id));
    Ok(Some(TableExport { epoch, table, version, files, watermarks }))
}

fn name_of(table: &TableDef) -> String {
    format!("{}.{}", table.database, table.name)
}

/// The latest definition, by epoch and revision; footers and an object of its own may know a later one than the
/// checkpoint.
fn newest_definition(
    base: Option<&TableExport>,
    alone: Option<&(u64, Arc<TableDef>)>,
    found: &[&Found],
) -> Option<Arc<TableDef>> {
    let of_base = base.map(|base| (base.epoch, &base.table));
    let of_files = found.iter().map(|found| (found.facts.catalog_epoch, &found.table));
    let alone = alone.map(|(epoch, table)| (*epoch, table));
    let newest = of_base.into_iter().chain(of_files).chain(alone).max_by_key(|(epoch, table)| (*epoch, table.revision));
    newest.map(|(_, table)| table.clone())
}

/// A file that the plan may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Pick {
    /// A file of the base, by its place there.
    Base(usize),
    /// A found file, by its place among the eligible.
    Found(usize),
}

/// One table's material.
struct Scene<'a> {
    name: String,
    base: Option<&'a TableExport>,
    present: &'a HashMap<FileId, LayerName>,
    found: Vec<&'a Found>,
}

impl Scene<'_> {
    fn base_file_list(&self) -> &[NewFile] {
        self.base.map_or(&[], |base| &base.files)
    }

    /// The flushes that were committed after the base, and the watermarks that they make.
    fn committed(&self, lineage: &Lineage) -> Result<(HashSet<Attempt>, HashMap<WriterId, u64>), PlanError> {
        let mut watermarks = self.base.map(|base| base.watermarks.clone()).unwrap_or_default();
        let mut chosen = HashSet::new();
        for (writer, attempts) in lineage.attempts_by_writer() {
            let walk = intervals::walk(&attempts, watermarks.get(&writer).copied()).map_err(|lost| {
                PlanError::Unreachable { table: self.name.clone(), writer, lo: lost.lo, hi: lost.hi }
            })?;
            if let Some(end) = walk.end {
                watermarks.insert(writer, end);
            }
            chosen.extend(walk.chosen);
        }
        Ok((chosen, watermarks))
    }

    /// Files that together hold every base file and every part of the chosen flushes exactly once.
    fn cover(&self, lineage: &Lineage, chosen: &HashSet<Attempt>) -> Result<Vec<Pick>, PlanError> {
        let mut leaves: Vec<Leaf> = self.base_file_list().iter().map(|new| Leaf::Base(new.file.id)).collect();
        for attempt in chosen {
            leaves.extend((0..attempt.parts).map(|part| Leaf::Part(*attempt, part)));
        }
        leaves.sort_unstable();
        let place: HashMap<Leaf, usize> = leaves.iter().enumerate().map(|(index, leaf)| (*leaf, index)).collect();
        let mut picks = Vec::new();
        let mut sets = Vec::new();
        for (index, new) in self.base_file_list().iter().enumerate() {
            if self.present.contains_key(&new.file.id)
                && let Some(leaf) = place.get(&Leaf::Base(new.file.id))
            {
                picks.push(Pick::Base(index));
                sets.push(vec![*leaf]);
            }
        }
        for (index, found) in self.found.iter().enumerate() {
            match lineage.leaves(found.file.id) {
                Ok(held) => {
                    let inside: Option<Vec<usize>> = held.iter().map(|leaf| place.get(leaf).copied()).collect();
                    if let Some(inside) = inside {
                        picks.push(Pick::Found(index));
                        sets.push(inside);
                    }
                }
                Err(source_file) => {
                    let (table, file) = (self.name.clone(), found.file.id);
                    return Err(PlanError::LineageLost { table, file, source_file });
                }
            }
        }
        let solution = cover::exact(leaves.len(), &sets).map_err(|error| match error {
            cover::NoCover::Leaf(leaf) => self.gone(leaves[leaf]),
            cover::NoCover::Tangled => PlanError::Tangled { table: self.name.clone() },
        })?;
        Ok(solution.into_iter().map(|index| picks[index]).collect())
    }

    fn gone(&self, leaf: Leaf) -> PlanError {
        let table = self.name.clone();
        match leaf {
            Leaf::Base(file) | Leaf::Past(file) => PlanError::FileGone { table, file },
            Leaf::Part(attempt, part) => {
                PlanError::PartGone { table, writer: attempt.writer, lo: attempt.lo, hi: attempt.hi, part }
            }
        }
    }

    /// The picked files of the base, on the layer where they were found.
    fn base_files(&self, picked: &[Pick]) -> Vec<NewFile> {
        let files = picked.iter().filter_map(|pick| match pick {
            Pick::Base(index) => self.base_file_list().get(*index),
            Pick::Found(_) => None,
        });
        files
            .map(|new| {
                let mut new = new.clone();
                if let Some(layer) = self.present.get(&new.file.id) {
                    new.file.layer = layer.clone();
                }
                new
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
