//! Commits and claims: the judge's facts from a replica, and the writes that it grants.

use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{
    Actor, ClaimId, Commit, CommitId, DataFile, FileId, NewFile, TableDef, TableId, TimeRange, Timestamp, WriterId,
};

use super::RedisCatalog;
use super::graves::{StoredGrave, grave_field};
use super::replica::{Look, Replica};
use super::state::encode_idempotency;
use super::table::{Judged, Place, Write, live};
use crate::judge::{self, Facts, HeldClaim, Verdict};
use crate::record::encode_file;
use crate::{Claim, ClaimRequest, CommitOutcome, Error, Limits, Result};

/// Idempotency records of a commit that are kept as one.
const RECORDS_TOGETHER: usize = 1_000;

/// A table as a commit to it sees it.
struct View<'a> {
    replica: &'a Replica,
    look: &'a Look,
    /// The epoch of a writer that the table does not know.
    registered: Option<u64>,
}

impl Facts for View<'_> {
    fn now(&self) -> Timestamp {
        self.look.now
    }

    fn version(&self) -> u64 {
        self.replica.version
    }

    fn recorded(&self, actor: Actor, id: CommitId) -> Result<Option<u64>> {
        Ok(self.replica.ledger.recorded(actor, id))
    }

    fn writer_epoch(&self, writer: WriterId) -> Result<Option<u64>> {
        let known = self.replica.ledger.writers.get(&writer).map(|entry| entry.epoch);
        Ok(known.max(self.registered))
    }

    fn watermark(&self, writer: WriterId) -> Result<Option<u64>> {
        Ok(self.replica.ledger.writers.get(&writer).map(|entry| entry.watermark))
    }

    fn claim(&self, claim: ClaimId) -> Result<Option<HeldClaim>> {
        Ok(self.replica.ledger.held(claim).cloned())
    }

    fn is_claimed(&self, file: FileId) -> Result<bool> {
        Ok(self.replica.ledger.is_claimed(file, self.look.now))
    }

    fn live(&self, file: FileId) -> Result<Option<Arc<DataFile>>> {
        Ok(self.replica.files.get(file).cloned())
    }

    fn is_used(&self, file: FileId) -> Result<bool> {
        Ok(self.look.used.contains(&file))
    }

    fn overlapping(&self, range: TimeRange) -> Result<Vec<Arc<DataFile>>> {
        Ok(self.replica.files.overlapping(range).cloned().collect())
    }
}

impl RedisCatalog {
    pub(super) async fn commit_one(&self, commit: Commit) -> Result<CommitOutcome> {
        let added: Vec<FileId> = commit.change.added.iter().map(|new| new.file.id).collect();
        let registered = match commit.actor {
            Actor::Writer { writer, .. } => self.registered(commit.table, writer).await?,
            Actor::Claim { .. } => None,
        };
        let limits = &self.0.limits;
        let judged = self.change(commit.table, &added, |replica, look| {
            let table = live(replica, commit.table)?;
            judge::check_epoch(commit.catalog_epoch, replica.epoch)?;
            let view = View { replica, look, registered };
            match judge::judge(&view, &commit, limits)? {
                Verdict::Answer(outcome) => Ok(Judged::Answer(outcome)),
                Verdict::Make { version, removed } => {
                    let write = write_of(&view, &table, &commit, version, &removed, limits)?;
                    Ok(Judged::Change(Box::new(write), CommitOutcome::Committed { version }))
                }
            }
        });
        match judged.await {
            // Nobody superseded it: the server knows less than it told this writer. One that it never knew is a stranger.
            Err(Error::Fenced { current, known }) if 0 < current && current < known => Err(self
                .lost(format!("Redis was rolled back: it gave a writer epoch {known} and knows {current}"))
                .await),
            judged => judged,
        }
    }

    /// The epoch of a writer that the table does not know; a table that does has the epoch itself.
    async fn registered(&self, table: TableId, writer: WriterId) -> Result<Option<u64>> {
        let replica = self.replica(table);
        if replica.lock().await.ledger.writers.contains_key(&writer) {
            return Ok(None);
        }
        self.writer_epoch(writer).await
    }

    pub(super) async fn claim_files(&self, request: ClaimRequest) -> Result<Claim> {
        let id = ClaimId::from_uuid(self.0.ids.random());
        self.change(request.table, &[], |replica, look| {
            live(replica, request.table)?;
            let mut ledger = replica.ledger.clone();
            let claim = ledger.claim(&request, id, look.now, |file| replica.files.get(file).is_some())?;
            let mut write = Write::new(None, &[], &[]);
            write.ledger(ledger)?;
            Ok(Judged::Change(Box::new(write), claim))
        })
        .await
    }

    pub(super) async fn renew_claim(&self, table: TableId, claim: Claim, lease: Duration) -> Result<Claim> {
        self.change(table, &[], |replica, look| {
            live(replica, table)?;
            let mut ledger = replica.ledger.clone();
            let lapses = ledger.held(claim.id).map(|held| held.expires);
            let renewed = ledger.renew(claim, lease, look.now)?;
            let mut write = Write::new(None, &[], &[]).until(lapses);
            write.ledger(ledger)?;
            Ok(Judged::Change(Box::new(write), renewed))
        })
        .await
    }

    pub(super) async fn release_claim(&self, table: TableId, claim: Claim) -> Result<()> {
        let released = self
            .change(table, &[], |replica, _| {
                let mut ledger = replica.ledger.clone();
                if !ledger.release(claim) {
                    return Ok(Judged::Answer(()));
                }
                let mut write = Write::new(None, &[], &[]);
                write.ledger(ledger)?;
                Ok(Judged::Change(Box::new(write), ()))
            })
            .await;
        match released {
            // A table that is gone holds no claim.
            Err(crate::Error::Dropped { .. } | crate::Error::UnknownTable { .. }) => Ok(()),
            other => other,
        }
    }
}

/// Everything that a granted commit changes.
fn write_of(
    view: &View<'_>,
    table: &TableDef,
    commit: &Commit,
    version: u64,
    removed: &[Arc<DataFile>],
    limits: &Limits,
) -> Result<Write> {
    let (replica, now) = (view.replica, view.look.now);
    let added = judge::sequenced(commit.change.added.clone(), commit.actor, version);
    let watermark = match commit.actor {
        Actor::Writer { writer, hi, .. } => Some((writer, hi)),
        Actor::Claim { .. } => None,
    };
    let until = deadline(replica, commit, removed, limits);
    let new = added.iter().map(|new| new.file.id).filter(|id| removed.iter().all(|file| file.id != *id)).collect();
    let mut write = Write::new(watermark, &added, removed).until(until).with_new(new);
    for file in removed {
        bury(&mut write, table, version, file, now.plus(limits.grace))?;
    }
    for NewFile { file, statistics } in &added {
        let id = file.id.uuid();
        write.set(Place::Files, id.as_bytes(), encode_file(file));
        // A file that comes back to a layer where it was buried is not to be deleted there.
        write.delete(Place::Graves, grave_field(file.id, &file.layer));
        match statistics.is_empty() {
            true => write.delete(Place::Statistics, id.as_bytes()),
            false => write.set(Place::Statistics, id.as_bytes(), statistics.clone()),
        }
    }
    for records in commit.idempotency.chunks(RECORDS_TOGETHER) {
        write.record(Place::Idempotency, limits.idempotency_window, encode_idempotency(now, records)?);
    }
    let mut ledger = replica.ledger.clone();
    ledger.record(commit.actor, commit.id, version, now, limits);
    write.ledger(ledger)?;
    write.version(version);
    Ok(write)
}

/// The file leaves the table and waits to be deleted.
pub(super) fn bury(
    write: &mut Write,
    table: &TableDef,
    version: u64,
    file: &DataFile,
    delete_after: Timestamp,
) -> Result<()> {
    let id = file.id.uuid();
    write.delete(Place::Files, id.as_bytes());
    write.set(Place::Used, id.as_bytes(), "");
    let grave = StoredGrave::new(table, file, version, delete_after);
    write.set(Place::Graves, grave_field(file.id, &file.layer), grave.encode()?);
    Ok(())
}

/// When what was judged stops being right by the mere passing of time: a claim lapses, a file's id gets too old.
fn deadline(replica: &Replica, commit: &Commit, removed: &[Arc<DataFile>], limits: &Limits) -> Option<Timestamp> {
    let lapses = match commit.actor {
        Actor::Claim { claim, .. } => replica.ledger.held(claim).map(|held| held.expires),
        Actor::Writer { .. } => None,
    };
    let fresh = commit.change.added.iter().map(|new| new.file.id);
    let fresh = fresh.filter(|id| removed.iter().all(|input| input.id != *id));
    lapses.into_iter().chain(fresh.map(|id| id.minted_at().plus(limits.file_age_max))).min()
}
