//! Commits against the file: the judge's look-ups as point queries, and the writes that it grants.
//!
//! Each entry of a call is checked wholly before its first write and sees what the entries before it did.
//! All of them lie in the transaction of the job that runs this.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::Arc;

use gigapi_model::{
    Actor, ClaimId, Commit, CommitId, DataFile, FileId, IdempotencyRecord, NewFile, TableDef, TimeRange, Timestamp,
    WriterId,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::log;
use super::sql::{Located, definition, locate, run, signed, unsigned, uuid};
use crate::delta;
use crate::judge::{self, Facts, HeldClaim, Verdict};
use crate::limits::OUTCOMES_PER_WRITER;
use crate::path::object_path;
use crate::record::{decode_file, encode_file};
use crate::{CommitOutcome, Error, Limits, Result};

/// A commit id and a version.
const OUTCOME_BYTES: usize = 24;

/// Judges and makes the commits, one answer each. An error here is the store's and fails them all.
pub(super) fn commit_all(
    connection: &Connection,
    commits: Vec<Commit>,
    now: Timestamp,
    limits: &Limits,
) -> Result<Vec<Result<CommitOutcome>>> {
    let epoch = catalog_epoch(connection)?;
    let oldest_key = now.nanos().saturating_sub(nanos(limits.idempotency_window));
    if commits.iter().any(|commit| !commit.idempotency.is_empty()) {
        run(connection, "DELETE FROM idempotency WHERE at <= ?1", [oldest_key])?;
    }
    let mut answers = Vec::with_capacity(commits.len());
    for commit in commits {
        match commit_one(connection, commit, epoch, now, limits) {
            Err(error @ Error::Unavailable { .. }) => return Err(error),
            answer => answers.push(answer),
        }
    }
    log::trim(connection)?;
    Ok(answers)
}

/// The catalog's epoch; refuses while the catalog is rebuilt.
pub(super) fn catalog_epoch(connection: &Connection) -> Result<u64> {
    let sql = "SELECT epoch, rebuilding FROM meta";
    let (epoch, rebuilding): (u64, Option<i64>) =
        connection.prepare_cached(sql)?.query_row([], |row| Ok((unsigned(row, 0)?, row.get(1)?)))?;
    rebuilding.map_or(Ok(epoch), |under| Err(judge::rebuilding(under.unsigned_abs())))
}

pub(super) fn writer_epoch(connection: &Connection, writer: WriterId) -> Result<Option<u64>> {
    let mut statement = connection.prepare_cached("SELECT epoch FROM writers WHERE id = ?1")?;
    Ok(statement.query_row([writer.uuid().into_bytes()], |row| unsigned(row, 0)).optional()?)
}

pub(super) fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn commit_one(
    connection: &Connection,
    commit: Commit,
    epoch: u64,
    now: Timestamp,
    limits: &Limits,
) -> Result<CommitOutcome> {
    judge::check_epoch(commit.catalog_epoch, epoch)?;
    let table = locate(connection, commit.table)?;
    let view = View::new(connection, table, now);
    let (version, removed) = match judge::judge(&view, &commit, limits)? {
        Verdict::Answer(outcome) => return Ok(outcome),
        Verdict::Make { version, removed } => (version, removed),
    };
    let previous = match commit.actor {
        Actor::Writer { writer, .. } => view.progress(writer)?.map(|progress| progress.outcomes.clone()),
        Actor::Claim { .. } => None,
    };
    // The last look-up: from here on only the store can fail, and that fails the transaction.
    let graves_of = if removed.is_empty() { None } else { Some(definition(connection, table.key)?) };
    let made = Made { connection, table, now, limits };
    let added = judge::sequenced(commit.change.added, commit.actor, version);
    made.write_files(graves_of.as_ref(), &added, &removed)
        .and_then(|()| made.write_actor(commit.actor, commit.id, version, previous.unwrap_or_default()))
        .and_then(|()| made.write_idempotency(&commit.idempotency))
        .and_then(|()| made.write_version(commit.actor, version, &added, &removed))
        .map_err(failed)?;
    Ok(CommitOutcome::Committed { version })
}

/// An entry that was written in part must not be answered alone.
fn failed(error: Error) -> Error {
    Error::Unavailable { reason: error.to_string() }
}

/// One table inside the transaction, as one commit or claim sees it.
pub(super) struct View<'a> {
    connection: &'a Connection,
    table: Located,
    now: Timestamp,
    /// The committing writer's row, read once.
    progress: OnceCell<(WriterId, Option<Progress>)>,
}

/// How far a writer's rows are in a table.
struct Progress {
    watermark: u64,
    /// Commit ids and versions of its last commits, oldest first.
    outcomes: Vec<u8>,
}

impl<'a> View<'a> {
    pub(super) fn new(connection: &'a Connection, table: Located, now: Timestamp) -> Self {
        Self { connection, table, now, progress: OnceCell::new() }
    }

    fn progress(&self, writer: WriterId) -> Result<Option<&Progress>> {
        if self.progress.get().is_none_or(|(known, _)| *known != writer) {
            let sql = "SELECT seq, outcomes FROM watermarks WHERE table_key = ?1 AND writer = ?2";
            let mut statement = self.connection.prepare_cached(sql)?;
            let found = statement.query_row(params![self.table.key, writer.uuid().into_bytes()], |row| {
                Ok(Progress { watermark: unsigned(row, 0)?, outcomes: row.get(1)? })
            });
            // A commit has one actor, so the cell is never set for another writer.
            let _ = self.progress.set((writer, found.optional()?));
        }
        Ok(self.progress.get().and_then(|(_, progress)| progress.as_ref()))
    }
}

impl Facts for View<'_> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn version(&self) -> u64 {
        self.table.version
    }

    fn recorded(&self, actor: Actor, id: CommitId) -> Result<Option<u64>> {
        match actor {
            Actor::Writer { writer, .. } => {
                let Some(progress) = self.progress(writer)? else { return Ok(None) };
                let (known, _) = progress.outcomes.as_chunks::<OUTCOME_BYTES>();
                Ok(known.iter().find_map(|outcome| {
                    let (commit, version) = outcome.split_first_chunk::<16>()?;
                    let version = version.first_chunk::<8>()?;
                    (*commit == id.uuid().into_bytes()).then(|| u64::from_le_bytes(*version))
                }))
            }
            Actor::Claim { claim, .. } => {
                let sql = "SELECT version FROM claim_outcomes WHERE claim = ?1 AND commit_id = ?2";
                let ids = params![claim.uuid().into_bytes(), id.uuid().into_bytes()];
                Ok(self.connection.prepare_cached(sql)?.query_row(ids, |row| unsigned(row, 0)).optional()?)
            }
        }
    }

    fn writer_epoch(&self, writer: WriterId) -> Result<Option<u64>> {
        writer_epoch(self.connection, writer)
    }

    fn watermark(&self, writer: WriterId) -> Result<Option<u64>> {
        Ok(self.progress(writer)?.map(|progress| progress.watermark))
    }

    fn claim(&self, claim: ClaimId) -> Result<Option<HeldClaim>> {
        let sql = "SELECT token, expires FROM claims WHERE id = ?1 AND table_key = ?2";
        let ids = params![claim.uuid().into_bytes(), self.table.key];
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row(ids, |row| Ok((unsigned(row, 0)?, row.get::<_, i64>(1)?))).optional()?;
        let Some((token, expires)) = found else { return Ok(None) };
        let mut files = self.connection.prepare_cached("SELECT file FROM claim_files WHERE claim = ?1")?;
        let inputs = files.query_map([claim.uuid().into_bytes()], |row| uuid(row, 0).map(FileId::from_uuid))?;
        let inputs = inputs.collect::<rusqlite::Result<HashSet<_>>>()?;
        Ok(Some(HeldClaim { token, expires: Timestamp::from_nanos(expires), inputs }))
    }

    fn is_claimed(&self, file: FileId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM claim_files JOIN claims ON claims.id = claim
                   WHERE file = ?1 AND expires > ?2)";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params![file.uuid().into_bytes(), self.now.nanos()], |row| row.get(0))?)
    }

    fn live(&self, file: FileId) -> Result<Option<Arc<DataFile>>> {
        let sql = "SELECT record FROM files WHERE id = ?1 AND table_key = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row(params![file.uuid().into_bytes(), self.table.key], record).optional()?;
        found.transpose()
    }

    fn is_used(&self, file: FileId) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM files WHERE id = ?1) OR EXISTS (SELECT 1 FROM graves WHERE file = ?1)
                   OR EXISTS (SELECT 1 FROM spent WHERE file = ?1)";
        Ok(self.connection.prepare_cached(sql)?.query_row([file.uuid().into_bytes()], |row| row.get(0))?)
    }

    fn overlapping(&self, range: TimeRange) -> Result<Vec<Arc<DataFile>>> {
        let longest = "SELECT longest FROM versions WHERE table_key = ?1";
        let longest: i64 = self.connection.prepare_cached(longest)?.query_row([self.table.key], |row| row.get(0))?;
        let sql = "SELECT record FROM files WHERE table_key = ?1 AND time_min BETWEEN ?2 AND ?3 AND time_max >= ?4";
        let (min, max) = (range.min.nanos(), range.max.nanos());
        // A span at the column's upper end may be longer still.
        let first = if longest == i64::MAX { i64::MIN } else { min.saturating_sub(longest) };
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_map(params![self.table.key, first, max, min], record)?;
        found.map(|row| row?).collect()
    }
}

/// The row's first column as a data file.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Result<Arc<DataFile>>> {
    Ok(decode_file(row.get_ref(0)?.as_blob()?).map(Arc::new))
}

/// What was granted, on its way into the file.
struct Made<'a> {
    connection: &'a Connection,
    table: Located,
    now: Timestamp,
    limits: &'a Limits,
}

impl Made<'_> {
    fn write_files(&self, def: Option<&TableDef>, added: &[NewFile], removed: &[Arc<DataFile>]) -> Result<()> {
        if let Some(def) = def {
            let delete_after = self.now.plus(self.limits.grace);
            removed.iter().try_for_each(|file| bury(self.connection, self.table, def, file, delete_after))?;
        }
        if !removed.is_empty() {
            // A file that comes back to a layer where it was buried is not to be deleted there.
            let sql = "DELETE FROM graves WHERE file = ?1 AND layer = ?2";
            for new in added {
                run(self.connection, sql, params![new.file.id.uuid().into_bytes(), new.file.layer.as_str()])?;
            }
        }
        added.iter().try_for_each(|new| insert_file(self.connection, self.table.key, new))
    }

    fn write_actor(&self, actor: Actor, id: CommitId, version: u64, previous: Vec<u8>) -> Result<()> {
        match actor {
            Actor::Writer { writer, hi, .. } => {
                let sql = "INSERT INTO watermarks(table_key, writer, seq, outcomes) VALUES (?1, ?2, ?3, ?4)
                           ON CONFLICT (table_key, writer) DO UPDATE SET seq = excluded.seq, outcomes = excluded.outcomes";
                let mut outcomes = previous;
                outcomes.extend_from_slice(id.uuid().as_bytes());
                outcomes.extend_from_slice(&version.to_le_bytes());
                let surplus = outcomes.len().saturating_sub(OUTCOMES_PER_WRITER * OUTCOME_BYTES);
                let kept = &outcomes[surplus..];
                run(self.connection, sql, params![self.table.key, writer.uuid().into_bytes(), signed(hi), kept])?;
            }
            Actor::Claim { claim, .. } => {
                super::claims::end(self.connection, claim)?;
                let oldest = self.now.nanos().saturating_sub(nanos(self.limits.outcome_age_max));
                run(self.connection, "DELETE FROM claim_outcomes WHERE at <= ?1", [oldest])?;
                let sql = "INSERT INTO claim_outcomes(claim, commit_id, version, at) VALUES (?1, ?2, ?3, ?4)";
                let (claim, id) = (claim.uuid(), id.uuid());
                let row = params![claim.as_bytes(), id.as_bytes(), signed(version), self.now.nanos()];
                run(self.connection, sql, row)?;
            }
        }
        Ok(())
    }

    fn write_idempotency(&self, records: &[IdempotencyRecord]) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO idempotency(key, at, received_at, answer) VALUES (?1, ?2, ?3, ?4)";
        for record in records {
            let row = params![record.key, self.now.nanos(), record.received_at.nanos(), record.answer];
            run(self.connection, sql, row)?;
        }
        Ok(())
    }

    fn write_version(&self, actor: Actor, version: u64, added: &[NewFile], removed: &[Arc<DataFile>]) -> Result<()> {
        set_version(self.connection, self.table.key, version, added)?;
        let watermark = match actor {
            Actor::Writer { writer, hi, .. } => Some((writer, hi)),
            Actor::Claim { .. } => None,
        };
        let entry = delta::encode(watermark, added, removed);
        log::append(self.connection, self.table.key, log::FILES, version, &entry)
    }
}

pub(super) fn set_version(connection: &Connection, table: i64, version: u64, added: &[NewFile]) -> Result<()> {
    let span = |new: &NewFile| new.file.time.max.since(new.file.time.min);
    let longest = nanos(added.iter().map(span).max().unwrap_or_default());
    let sql = "UPDATE versions SET version = ?2, longest = max(longest, ?3) WHERE table_key = ?1";
    run(connection, sql, params![table, signed(version), longest]).map(drop)
}

pub(super) fn insert_file(connection: &Connection, table: i64, new: &NewFile) -> Result<()> {
    let NewFile { file, statistics } = new;
    let id = file.id.uuid();
    let sql = "INSERT INTO files(table_key, time_min, id, time_max, record) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (min, max) = (file.time.min.nanos(), file.time.max.nanos());
    run(connection, sql, params![table, min, id.as_bytes(), max, encode_file(file)])?;
    if !statistics.is_empty() {
        let sql = "INSERT OR REPLACE INTO statistics(id, data) VALUES (?1, ?2)";
        run(connection, sql, params![id.as_bytes(), statistics])?;
    }
    Ok(())
}

/// Takes a live file out of its table, whose version goes up by one, and remembers where its object lies.
pub(super) fn bury(
    connection: &Connection,
    table: Located,
    def: &TableDef,
    file: &DataFile,
    delete_after: Timestamp,
) -> Result<()> {
    let sql = "DELETE FROM files WHERE table_key = ?1 AND time_min = ?2 AND id = ?3";
    run(connection, sql, params![table.key, file.time.min.nanos(), file.id.uuid().into_bytes()])?;
    let sql = "INSERT OR REPLACE INTO graves(file, layer, table_id, path, version, delete_after)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (id, owner, path) = (file.id.uuid(), def.id.uuid(), object_path(def, file));
    let (layer, version) = (file.layer.as_str(), signed(table.version + 1));
    run(connection, sql, params![id.as_bytes(), layer, owner.as_bytes(), path, version, delete_after.nanos()])?;
    Ok(())
}
