//! What a commit may do: the checks of [`crate::Catalog::commit`], in their order, over facts that an
//! implementation looks up.
//!
//! It stands apart so that every implementation refuses the same commits for the same reasons. It writes
//! nothing; whoever asked performs what was granted, in the same transaction as the look-ups.

use std::collections::HashSet;
use std::sync::Arc;

use gigapi_model::{
    Actor, ClaimId, Commit, CommitId, DataFile, FileId, NewFile, SequenceRange, TableDef, TableId, TimeRange,
    Timestamp, WriterId,
};

use serde::{Deserialize, Serialize};

use crate::{CommitOutcome, Definition, Error, Limits, Restore, Result};

/// A claim as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldClaim {
    pub(crate) token: u64,
    pub(crate) expires: Timestamp,
    pub(crate) inputs: HashSet<FileId>,
}

/// What a table's state says about a commit to it.
pub(crate) trait Facts {
    /// The present by the catalog's clock.
    fn now(&self) -> Timestamp;
    /// The table's version.
    fn version(&self) -> u64;
    /// The version that this commit of this actor made, if it is remembered.
    fn recorded(&self, actor: Actor, id: CommitId) -> Result<Option<u64>>;
    /// The writer's current epoch.
    fn writer_epoch(&self, writer: WriterId) -> Result<Option<u64>>;
    /// The table's watermark for the writer.
    fn watermark(&self, writer: WriterId) -> Result<Option<u64>>;
    /// The claim, lapsed or not.
    fn claim(&self, claim: ClaimId) -> Result<Option<HeldClaim>>;
    /// Whether a claim that has not lapsed names the file.
    fn is_claimed(&self, file: FileId) -> Result<bool>;
    /// The file, if it is live in this table.
    fn live(&self, file: FileId) -> Result<Option<Arc<DataFile>>>;
    /// Whether the table uses the id or used it within the last hour; ids are minted unique, so other tables may be
    /// asked and need not be.
    fn is_used(&self, file: FileId) -> Result<bool>;
    /// Live files of the table that overlap the range.
    fn overlapping(&self, range: TimeRange) -> Result<Vec<Arc<DataFile>>>;
}

/// What the checks came to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing is to be done; this is the answer.
    Answer(CommitOutcome),
    /// The change is to be made.
    Make {
        /// The version that the table gets.
        version: u64,
        /// The files that go.
        removed: Vec<Arc<DataFile>>,
    },
}

/// The first check: the actor and the catalog speak of the same epoch.
pub(crate) fn check_epoch(known: u64, current: u64) -> Result<()> {
    if known == current { Ok(()) } else { Err(Error::StaleEpoch { current, known }) }
}

/// All checks from the commit id on.
pub(crate) fn judge(facts: &impl Facts, commit: &Commit, limits: &Limits) -> Result<Verdict> {
    if let Some(version) = facts.recorded(commit.actor, commit.id)? {
        return Ok(Verdict::Answer(CommitOutcome::Committed { version }));
    }
    let claim = match commit.actor {
        Actor::Writer { writer, epoch, lo, hi } => {
            check_writer_epoch(facts, writer, epoch)?;
            if let Some(watermark) = check_watermark(facts.watermark(writer)?, lo, hi)? {
                return Ok(Verdict::Answer(CommitOutcome::AlreadyCommitted { watermark }));
            }
            None
        }
        Actor::Claim { claim, token } => Some(current_claim(facts, claim, token)?),
    };
    let removed = check_removed(facts, commit, claim.as_ref())?;
    check_added(facts, commit, &removed, limits)?;
    Ok(Verdict::Make { version: facts.version() + 1, removed })
}

/// The claim, if it is still the caller's.
pub(crate) fn current_claim(facts: &impl Facts, claim: ClaimId, token: u64) -> Result<HeldClaim> {
    match facts.claim(claim)? {
        Some(held) if held.token == token && held.expires > facts.now() => Ok(held),
        _ => Err(Error::ClaimLost),
    }
}

/// The change's files as they become live: a writer's get the new version as their sequence.
pub(crate) fn sequenced(added: Vec<NewFile>, actor: Actor, version: u64) -> Vec<NewFile> {
    let mut added = added;
    if matches!(actor, Actor::Writer { .. }) {
        for new in &mut added {
            new.file.sequence = SequenceRange { lo: version, hi: version };
        }
    }
    added
}

fn check_writer_epoch(facts: &impl Facts, writer: WriterId, known: u64) -> Result<()> {
    let current = facts.writer_epoch(writer)?.unwrap_or(0);
    if current == known { Ok(()) } else { Err(Error::Fenced { current, known }) }
}

/// The watermark where the interval was committed before; nothing where it is to be committed now.
fn check_watermark(watermark: Option<u64>, lo: u64, hi: u64) -> Result<Option<u64>> {
    if lo == 0 || lo > hi {
        return Err(Error::Malformed { reason: "a flush covers lo..=hi with 1 <= lo <= hi" });
    }
    let watermark = watermark.unwrap_or(0);
    if watermark >= hi {
        Ok(Some(watermark))
    } else if watermark >= lo {
        Err(Error::PartlyCommitted { watermark, lo })
    } else if watermark < lo - 1 {
        Err(Error::Gap { watermark, lo })
    } else {
        Ok(None)
    }
}

fn check_removed(facts: &impl Facts, commit: &Commit, claim: Option<&HeldClaim>) -> Result<Vec<Arc<DataFile>>> {
    let mut removed = Vec::with_capacity(commit.change.removed.len());
    let mut seen = HashSet::with_capacity(commit.change.removed.len());
    for &id in &commit.change.removed {
        if !seen.insert(id) {
            return Err(Error::Malformed { reason: "a file is removed twice" });
        }
        match claim {
            Some(claim) if !claim.inputs.contains(&id) => {
                return Err(Error::Malformed { reason: "a claim removes a file that it does not name" });
            }
            None if facts.is_claimed(id)? => return Err(Error::Claimed { file: id }),
            _ => {}
        }
        removed.push(facts.live(id)?.ok_or(Error::InputChanged { file: id })?);
    }
    Ok(removed)
}

fn check_added(facts: &impl Facts, commit: &Commit, removed: &[Arc<DataFile>], limits: &Limits) -> Result<()> {
    let mut seen = HashSet::with_capacity(commit.change.added.len());
    let mut merged: Vec<&Arc<DataFile>> = removed.iter().collect();
    let mut fresh = Vec::with_capacity(commit.change.added.len());
    for NewFile { file, .. } in &commit.change.added {
        if !seen.insert(file.id) {
            return Err(Error::FileExists { file: file.id });
        }
        if let Some(source) = removed.iter().find(|source| source.id == file.id) {
            check_relocated(source, file)?;
            merged.retain(|input| input.id != file.id);
        } else {
            fresh.push(file);
        }
    }
    if !fresh.is_empty() {
        check_merged(facts, commit.actor, &merged, &fresh, removed)?;
    }
    for file in fresh {
        if facts.is_used(file.id)? {
            return Err(Error::FileExists { file: file.id });
        }
        if facts.now().since(file.id.minted_at()) > limits.file_age_max {
            return Err(Error::FileTooOld { file: file.id });
        }
        if file.time.is_empty() {
            return Err(Error::Malformed { reason: "a file's last row is before its first" });
        }
    }
    Ok(())
}

fn check_relocated(source: &DataFile, target: &DataFile) -> Result<()> {
    let moved = DataFile { layer: target.layer.clone(), ..source.clone() };
    if moved == *target && source.layer != target.layer {
        Ok(())
    } else {
        Err(Error::Malformed { reason: "a file that keeps its id changes its layer and nothing else" })
    }
}

/// A merge takes all or none of the live files between its inputs.
///
/// Overlap is judged against the span of all inputs together, because that is the span of what replaces
/// them: so any two live files that overlap in time have sequences that do not.
fn check_merged(
    facts: &impl Facts,
    actor: Actor,
    merged: &[&Arc<DataFile>],
    fresh: &[&DataFile],
    removed: &[Arc<DataFile>],
) -> Result<()> {
    let is_claim = matches!(actor, Actor::Claim { .. });
    let Some((time, sequence)) = hull(merged) else {
        return if is_claim {
            Err(Error::Malformed { reason: "a claim adds a file in place of none" })
        } else {
            Ok(())
        };
    };
    let between = |lo: u64, hi: u64| lo <= sequence.hi && sequence.lo <= hi;
    for file in facts.overlapping(time)? {
        let stays = removed.iter().all(|input| input.id != file.id);
        if stays && between(file.sequence.lo, file.sequence.hi) {
            return Err(Error::InputChanged { file: file.id });
        }
    }
    let inside = |file: &&DataFile| {
        sequence.lo <= file.sequence.lo && file.sequence.lo <= file.sequence.hi && file.sequence.hi <= sequence.hi
    };
    if is_claim && !fresh.iter().all(inside) {
        return Err(Error::Malformed { reason: "a merged file's sequences are not those of its inputs" });
    }
    Ok(())
}

fn hull(files: &[&Arc<DataFile>]) -> Option<(TimeRange, SequenceRange)> {
    let first = files.first()?;
    Some(files.iter().fold((first.time, first.sequence), |(time, sequence), file| {
        (
            TimeRange::new(time.min.min(file.time.min), time.max.max(file.time.max)),
            SequenceRange { lo: sequence.lo.min(file.sequence.lo), hi: sequence.hi.max(file.sequence.hi) },
        )
    }))
}

/// Where writers' epochs and claims' tokens start under this epoch of the catalog: above all that an
/// earlier epoch gave, as long as none gave four thousand million.
pub(crate) fn first_token(epoch: u64) -> u64 {
    epoch.saturating_sub(1) << 32
}

/// Whether one more table may be made, in a database that has `tables` now (none: a new database).
pub(crate) fn check_room(databases: usize, tables: usize, limits: &Limits) -> Result<()> {
    if tables == 0 && databases >= limits.databases_max {
        return Err(too_many_databases(limits));
    }
    if tables >= limits.tables_per_database_max {
        return Err(too_many_tables(limits));
    }
    Ok(())
}

pub(crate) fn too_many_databases(limits: &Limits) -> Error {
    Error::LimitReached { what: "the number of databases", limit: limits.databases_max }
}

pub(crate) fn too_many_tables(limits: &Limits) -> Error {
    Error::LimitReached { what: "the number of tables in the database", limit: limits.tables_per_database_max }
}

/// A new table with the columns that were asked for.
pub(crate) fn first_definition(wanted: &Definition, id: TableId, limits: &Limits) -> Result<TableDef> {
    let empty = TableDef::new(id, wanted.database.clone(), wanted.table.clone(), wanted.key)
        .map_err(|error| Error::Corrupt { reason: error.to_string() })?;
    let mut table = empty.with_columns(&wanted.columns, limits.columns_max)?;
    table.revision = 1;
    Ok(table)
}

/// The answer to every change while the catalog is rebuilt.
pub(crate) fn rebuilding(epoch: u64) -> Error {
    Error::Recovering { reason: format!("it is being rebuilt under epoch {epoch}") }
}

/// A catalog that has reached an epoch need not be closed for it.
pub(crate) fn reached(begun: Result<()>) -> Result<()> {
    match begun {
        Ok(()) | Err(Error::StaleEpoch { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the rebuild that has taken `epoch` may begin or go on.
pub(crate) fn check_begin(epoch: u64, current: u64, rebuilding: Option<u64>) -> Result<()> {
    let highest = rebuilding.map_or(current, |under| current.max(under - 1));
    if epoch > highest { Ok(()) } else { Err(Error::StaleEpoch { current: highest, known: epoch }) }
}

/// Whether the rebuild is the one that was begun last, and its state can be a catalog's: no table, no name and no
/// file twice.
pub(crate) fn check_restore(restore: &Restore, rebuilding: Option<u64>) -> Result<()> {
    if rebuilding != Some(restore.epoch) {
        return Err(Error::Superseded { epoch: restore.epoch });
    }
    let mut tables: HashSet<TableId> = HashSet::new();
    let mut names = HashSet::new();
    let mut files = HashSet::new();
    for id in restore.dropped.iter().copied().chain(restore.tables.iter().map(|export| export.table.id)) {
        if !tables.insert(id) {
            return Err(Error::Malformed { reason: "the restored state names a table twice" });
        }
    }
    for export in &restore.tables {
        if !names.insert((&export.table.database, &export.table.name)) {
            return Err(Error::Malformed { reason: "two restored tables have one name" });
        }
        if !export.files.iter().all(|new| files.insert(new.file.id)) {
            return Err(Error::Malformed { reason: "the restored state names a file twice" });
        }
    }
    Ok(())
}

/// Whether a definition that a write-ahead log remembers takes the place of the catalog's own.
pub(crate) fn replaces(known: &TableDef, remembered: &TableDef) -> Result<bool> {
    if remembered.revision <= known.revision {
        return Ok(false);
    }
    let keeps_columns = known.columns.iter().all(|column| remembered.columns.contains(column));
    let same_name = known.database == remembered.database && known.name == remembered.name;
    if keeps_columns && same_name { Ok(true) } else { Err(name_taken(remembered)) }
}

/// The answer where a definition cannot be installed.
pub(crate) fn name_taken(wanted: &TableDef) -> Error {
    Error::NameTaken { database: wanted.database.to_string(), table: wanted.name.to_string() }
}
