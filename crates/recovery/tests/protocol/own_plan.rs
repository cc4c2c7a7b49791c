//! The rebuild's choice once more, small and slow, so that two of its rules can be taken out: that flushes which a
//! merge read are in, and that the cover is exact.
//!
//! With both rules it has to make no worse a choice than the product's plan; a control run checks that. It does not
//! rank files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use gigapi_catalog::TableExport;
use gigapi_model::{FileId, NewFile, SequenceRange, TableDef, TableId, WriterId};
use gigapi_recovery::{Found, PlanError, RebuildPlan, Survey};
use gigapi_storage::{MergeSource, Origin};

use crate::protections::{Protection, Protections};

/// One flush, however often it was tried: writer, first and last sequence, parts.
type Attempt = (WriterId, u64, u64, u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Leaf {
    Base(FileId),
    Part(Attempt, u32),
    Past(FileId),
}

type Leaves = BTreeSet<Leaf>;

struct Table<'a> {
    protections: &'a Protections,
    base: Option<&'a TableExport>,
    found: Vec<&'a Found>,
    leaves: BTreeMap<FileId, Option<Leaves>>,
}

pub(crate) fn plan(survey: &Survey, protections: &Protections) -> Result<RebuildPlan, PlanError> {
    let mut by_table: BTreeMap<TableId, Vec<&Found>> = BTreeMap::new();
    by_table.extend(survey.checkpoints.keys().map(|table| (*table, Vec::new())));
    survey.found.iter().for_each(|found| by_table.entry(found.table.id).or_default().push(found));
    let mut planned = RebuildPlan { dropped: survey.dropped.iter().copied().collect(), ..RebuildPlan::default() };
    planned.dropped.sort_unstable();
    for (table, found) in by_table.into_iter().filter(|(table, _)| !survey.dropped.contains(table)) {
        let base = survey.checkpoints.get(&table);
        let epoch = base.map_or(0, |base| base.epoch);
        let found: Vec<&Found> = found.into_iter().filter(|found| found.facts.catalog_epoch >= epoch).collect();
        if base.is_none() && found.is_empty() {
            continue;
        }
        let mut table = Table { protections, base, found, leaves: BTreeMap::new() };
        table.resolve_all();
        planned.tables.push(table.plan(survey)?);
    }
    Ok(planned)
}

impl Table<'_> {
    fn base_files(&self) -> &[NewFile] {
        self.base.map_or(&[], |base| &base.files)
    }

    fn resolve_all(&mut self) {
        for new in self.base_files().to_vec() {
            self.leaves.insert(new.file.id, Some(BTreeSet::from([Leaf::Base(new.file.id)])));
        }
        for found in self.found.clone() {
            self.resolve(found.file.id);
        }
    }

    /// The leaves of a file; none if an input of a merge cannot be told.
    fn resolve(&mut self, file: FileId) -> Option<Leaves> {
        if let Some(known) = self.leaves.get(&file) {
            return known.clone();
        }
        let found = self.found.iter().find(|found| found.file.id == file).copied()?;
        let leaves = match &found.facts.origin {
            Origin::Flush { writer, lo, hi, part, parts, .. } => {
                Some(BTreeSet::from([Leaf::Part((*writer, *lo, *hi, *parts), *part)]))
            }
            Origin::Merge { sources, .. } => {
                let moment = self.base.map_or((0, 0), |base| (base.epoch, base.version));
                let past = |source: &MergeSource| (found.facts.catalog_epoch, source.sequence.hi) <= moment;
                let of_past = |source: &MergeSource| past(source).then(|| BTreeSet::from([Leaf::Past(source.file)]));
                let held: Option<Vec<Leaves>> =
                    sources.iter().map(|source| self.resolve(source.file).or_else(|| of_past(source))).collect();
                held.map(|held| held.into_iter().flatten().collect())
            }
        };
        self.leaves.insert(file, leaves.clone());
        leaves
    }

    fn held(&self, found: &Found) -> Option<&Leaves> {
        self.leaves.get(&found.file.id)?.as_ref()
    }

    /// Attempts that are complete or were read by a merge, with whether they were read.
    fn attempts(&self) -> BTreeMap<Attempt, bool> {
        let mut seen: BTreeMap<Attempt, (BTreeSet<u32>, bool)> = BTreeMap::new();
        for found in &self.found {
            let is_merge = matches!(found.facts.origin, Origin::Merge { .. });
            for leaf in self.held(found).into_iter().flatten() {
                if let Leaf::Part(attempt, part) = leaf {
                    let (parts, read) = seen.entry(*attempt).or_default();
                    parts.insert(*part);
                    *read |= is_merge;
                }
            }
        }
        let is_candidate = |attempt: &Attempt, parts: &BTreeSet<u32>, read: bool| {
            read || u32::try_from(parts.len()).is_ok_and(|parts| parts == attempt.3)
        };
        seen.retain(|attempt, (parts, read)| is_candidate(attempt, parts, *read));
        seen.into_iter().map(|(attempt, (_, read))| (attempt, read)).collect()
    }

    /// The walk of one writer: from the watermark through as many read flushes as possible, as far as possible.
    fn walk(&self, writer: WriterId, attempts: &BTreeMap<Attempt, bool>) -> (Vec<Attempt>, Option<u64>) {
        let counts_read = self.protections.hold(Protection::Proven);
        let watermark = self.base.and_then(|base| base.watermarks.get(&writer).copied());
        let mut best: BTreeMap<u64, (usize, u64, Attempt)> = BTreeMap::new();
        for (attempt, read) in attempts.iter().rev() {
            let (of, lo, hi, ..) = *attempt;
            if of != writer || lo <= watermark.unwrap_or(0) {
                continue;
            }
            let (reads, end) = best.get(&(hi + 1)).map_or((0, hi), |(reads, end, _)| (*reads, *end));
            let reads = reads + usize::from(counts_read && *read);
            if best.get(&lo).is_none_or(|(known_reads, known_end, _)| (*known_reads, *known_end) < (reads, end)) {
                best.insert(lo, (reads, end, *attempt));
            }
        }
        let first = best.keys().next().copied().unwrap_or(1);
        let mut next = watermark.map_or(first, |watermark| watermark + 1);
        let (mut chosen, mut end) = (Vec::new(), watermark);
        while let Some((.., attempt)) = best.get(&next) {
            chosen.push(*attempt);
            end = Some(attempt.2);
            next = attempt.2 + 1;
        }
        (chosen, end)
    }

    fn plan(&self, survey: &Survey) -> Result<TableExport, PlanError> {
        let attempts = self.attempts();
        let mut watermarks: HashMap<WriterId, u64> = self.base.map(|base| base.watermarks.clone()).unwrap_or_default();
        let mut leaves: Leaves = self.base_files().iter().map(|new| Leaf::Base(new.file.id)).collect();
        let writers: BTreeSet<WriterId> = attempts.keys().map(|attempt| attempt.0).collect();
        for writer in writers {
            let (chosen, end) = self.walk(writer, &attempts);
            watermarks.extend(end.map(|end| (writer, end)));
            leaves.extend(chosen.iter().flat_map(|attempt| (0..attempt.3).map(|part| Leaf::Part(*attempt, part))));
        }
        let table = self.definition();
        let before = self.base.map_or(0, |base| base.version);
        let refused = || PlanError::Tangled { table: table.name.to_string() };
        if self.is_missed(&attempts, &leaves) || self.is_lineage_lost(before) {
            return Err(refused());
        }
        let picked = self.cover(survey, &leaves).ok_or_else(refused)?;
        let files: Vec<NewFile> = picked.iter().filter_map(|file| self.file(*file, before, survey)).collect();
        let highest = self.found.iter().map(|found| match &found.facts.origin {
            Origin::Merge { sequence, .. } => sequence.hi,
            Origin::Flush { .. } => before + 1,
        });
        let version = highest.max().unwrap_or(before).max(before) + 1;
        Ok(TableExport { epoch: 0, table, version, files, watermarks })
    }

    /// Whether a flush that a merge read is neither in the base nor on a walk.
    fn is_missed(&self, attempts: &BTreeMap<Attempt, bool>, leaves: &Leaves) -> bool {
        let watermark = |writer| self.base.and_then(|base| base.watermarks.get(&writer).copied()).unwrap_or(0);
        let is_later = |attempt: &Attempt| attempt.1 > watermark(attempt.0);
        let mut read = attempts.iter().filter(|(attempt, read)| **read && is_later(attempt));
        self.protections.hold(Protection::Proven) && read.any(|(attempt, _)| !leaves.contains(&Leaf::Part(*attempt, 0)))
    }

    /// Whether a merge that the base does not know replaced something of which nothing is left.
    fn is_lineage_lost(&self, before: u64) -> bool {
        let epoch = self.base.map_or(0, |base| base.epoch);
        let is_new = |found: &&&Found| match &found.facts.origin {
            Origin::Merge { sequence, .. } => (found.facts.catalog_epoch, sequence.hi) > (epoch, before),
            Origin::Flush { .. } => false,
        };
        self.found.iter().filter(is_new).any(|found| self.held(found).is_none())
    }

    fn definition(&self) -> Arc<TableDef> {
        let of_base = self.base.map(|base| (base.epoch, &base.table));
        let of_found = self.found.iter().map(|found| (found.facts.catalog_epoch, &found.table));
        let latest = of_base.into_iter().chain(of_found).max_by_key(|(epoch, table)| (*epoch, table.revision));
        latest.expect("a table has a base or a file").1.clone()
    }

    fn file(&self, file: FileId, before: u64, survey: &Survey) -> Option<NewFile> {
        if let Some(new) = self.base_files().iter().find(|new| new.file.id == file) {
            let mut new = new.clone();
            new.file.layer = survey.present.get(&file)?.clone();
            return Some(new);
        }
        let found = self.found.iter().find(|found| found.file.id == file)?;
        let mut file = found.file.clone();
        if file.sequence.hi == 0 {
            file.sequence = SequenceRange { lo: before + 1, hi: before + 1 };
        }
        Some(NewFile { file, statistics: Vec::new() })
    }

    /// Files that hold each leaf once; without the rule the largest are taken first and nothing is taken back.
    fn cover(&self, survey: &Survey, leaves: &Leaves) -> Option<Vec<FileId>> {
        let of_base = self.base_files().iter().map(|new| new.file.id).filter(|file| survey.present.contains_key(file));
        let of_found = self.found.iter().map(|found| found.file.id);
        let held = |file: FileId| Some((file, self.leaves.get(&file)?.as_ref()?));
        let mut sets: Vec<(FileId, &Leaves)> =
            of_base.chain(of_found).filter_map(held).filter(|(_, held)| held.is_subset(leaves)).collect();
        sets.sort_by_key(|(file, held)| (std::cmp::Reverse(held.len()), *file));
        let mut rest = leaves.clone();
        let mut picked = Vec::new();
        if self.protections.hold(Protection::ExactCover) {
            let mut tries = 20_000;
            return exact(&sets, &mut rest, &mut picked, &mut tries).then_some(picked);
        }
        for (file, held) in sets {
            if held.is_subset(&rest) {
                rest = &rest - held;
                picked.push(file);
            }
        }
        Some(picked)
    }
}

/// Goes back where a choice leads nowhere.
fn exact(sets: &[(FileId, &Leaves)], rest: &mut Leaves, picked: &mut Vec<FileId>, tries: &mut u32) -> bool {
    let holders = |leaf: &Leaf| sets.iter().filter(|(_, held)| held.contains(leaf)).count();
    let Some(scarcest) = rest.iter().copied().min_by_key(holders) else { return true };
    for (file, held) in sets.iter().filter(|(_, held)| held.contains(&scarcest)) {
        if *tries == 0 {
            return false;
        }
        *tries -= 1;
        if held.is_subset(rest) {
            let mut left = &*rest - held;
            picked.push(*file);
            if exact(sets, &mut left, picked, tries) {
                return true;
            }
            picked.pop();
        }
    }
    false
}
