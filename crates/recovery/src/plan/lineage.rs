//! From a file to the smallest pieces whose rows it holds: files of the base, and parts of later flushes.
//!
//! A merge names its inputs; each is a file of the base (which is never opened up), a flush part, or a merge again.
//! Two objects with the same part are repetitions of one upload and hold the same rows: a log always cuts the same
//! interval, in whatever life of its writer.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gigapi_catalog::TableExport;
use gigapi_model::{FileId, WriterId};
use gigapi_storage::{FileFacts, MergeSource, Origin};

use super::Found;

/// One flush; tried again it is the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Attempt {
    pub(crate) writer: WriterId,
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    pub(crate) parts: u32,
}

/// What rows are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Leaf {
    /// All rows of a file of the base.
    Base(FileId),
    /// One part of a flush.
    Part(Attempt, u32),
    /// A file that was replaced before the base: other files of the base hold its rows.
    Past(FileId),
}

/// An attempt with what is known about its fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) attempt: Attempt,
    /// A merge read its files, so it was committed.
    pub(crate) proven: bool,
}

/// Leaves of all found files, or the input that stands in the way of telling them.
pub(crate) struct Lineage {
    leaves: HashMap<FileId, Result<BTreeSet<Leaf>, FileId>>,
    attempts: BTreeMap<WriterId, Vec<Candidate>>,
}

impl Lineage {
    pub(crate) fn new(base: Option<&TableExport>, found: &[&Found]) -> Self {
        let of_base = base.map(|base| base.files.iter().map(|new| new.file.id).collect()).unwrap_or_default();
        let moment = base.map_or((0, 0), |base| (base.epoch, base.version));
        let by_id = found.iter().map(|found| (found.file.id, &found.facts)).collect();
        let mut resolver = Resolver { of_base, moment, by_id, done: HashMap::new() };
        for found in found {
            // What it comes to is kept by the resolver.
            let _ = resolver.resolve(found.file.id);
        }
        let leaves = resolver.done;
        let attempts = gather_attempts(found, &leaves);
        Self { leaves, attempts }
    }

    /// The leaves of a found file; an error names an input of which nothing is left.
    pub(crate) fn leaves(&self, file: FileId) -> Result<&BTreeSet<Leaf>, FileId> {
        self.leaves.get(&file).map_or(Err(file), |leaves| leaves.as_ref().map_err(|lost| *lost))
    }

    /// Flushes of which every part is held by some file, or which are proven, by writer.
    pub(crate) fn attempts_by_writer(&self) -> impl Iterator<Item = (WriterId, Vec<Candidate>)> {
        self.attempts.iter().map(|(writer, attempts)| (*writer, attempts.clone()))
    }
}

fn gather_attempts(
    found: &[&Found],
    leaves: &HashMap<FileId, Result<BTreeSet<Leaf>, FileId>>,
) -> BTreeMap<WriterId, Vec<Candidate>> {
    let mut seen: BTreeMap<Attempt, (BTreeSet<u32>, bool)> = BTreeMap::new();
    for found in found {
        let merged = matches!(found.facts.origin, Origin::Merge { .. });
        let Some(Ok(leaves)) = leaves.get(&found.file.id) else { continue };
        for leaf in leaves {
            if let Leaf::Part(attempt, part) = leaf {
                let (parts, proven) = seen.entry(*attempt).or_default();
                parts.insert(*part);
                *proven |= merged;
            }
        }
    }
    let mut attempts: BTreeMap<WriterId, Vec<Candidate>> = BTreeMap::new();
    for (attempt, (parts, proven)) in seen {
        let complete = u32::try_from(parts.len()).is_ok_and(|parts| parts == attempt.parts);
        if complete || proven {
            attempts.entry(attempt.writer).or_default().push(Candidate { attempt, proven });
        }
    }
    attempts
}

struct Resolver<'a> {
    of_base: std::collections::HashSet<FileId>,
    /// The base's epoch and version.
    moment: (u64, u64),
    by_id: HashMap<FileId, &'a FileFacts>,
    done: HashMap<FileId, Result<BTreeSet<Leaf>, FileId>>,
}

impl Resolver<'_> {
    fn resolve(&mut self, file: FileId) -> Result<BTreeSet<Leaf>, FileId> {
        if self.of_base.contains(&file) {
            return Ok(BTreeSet::from([Leaf::Base(file)]));
        }
        if let Some(known) = self.done.get(&file) {
            return known.clone();
        }
        let Some(facts) = self.by_id.get(&file).copied() else { return Err(file) };
        let leaves = match &facts.origin {
            Origin::Flush { writer, lo, hi, part, parts, .. } => {
                let attempt = Attempt { writer: *writer, lo: *lo, hi: *hi, parts: *parts };
                Ok(BTreeSet::from([Leaf::Part(attempt, *part)]))
            }
            Origin::Merge { sources, .. } => {
                // A file that names itself among its ancestors ends here instead of running in a circle.
                self.done.insert(file, Err(file));
                self.resolve_all(facts.catalog_epoch, sources)
            }
        };
        self.done.insert(file, leaves.clone());
        leaves
    }

    /// What a merge of that epoch has read. Sequences of different epochs say nothing about each other.
    fn resolve_all(&mut self, epoch: u64, sources: &[MergeSource]) -> Result<BTreeSet<Leaf>, FileId> {
        let mut leaves = BTreeSet::new();
        for MergeSource { file, sequence } in sources {
            match self.resolve(*file) {
                Ok(mut held) => leaves.append(&mut held),
                Err(_) if (epoch, sequence.hi) <= self.moment => drop(leaves.insert(Leaf::Past(*file))),
                Err(lost) => return Err(lost),
            }
        }
        Ok(leaves)
    }
}
