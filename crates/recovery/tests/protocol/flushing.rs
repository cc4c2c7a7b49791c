//! From a log to committed files: cut an interval, upload its parts under fresh ids, commit.

use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::{CommitOutcome, Error, TableState};
use gigapi_model::{
    Actor, Bucket, BucketSpan, Change, Commit, CommitId, DataFile, FileId, Ids, Level, NewFile, SequenceRange,
    TableDef, TableId, TimeRange, WriterId,
};
use gigapi_storage::{FileFacts, Origin};
use uuid::Uuid;

use crate::check::{Kind, Violation};
use crate::events::Event;
use crate::layers::{HOT, Object, Row, layer_name};
use crate::protections::Protection;
use crate::random::short;
use crate::world::{START, World};
use crate::writers::Interval;

/// An interval on its way.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) table: TableId,
    lo: u64,
    hi: u64,
    rows: Vec<Row>,
    /// Its files, once their ids are minted.
    pub(crate) prepared: Option<Prepared>,
}

/// An interval's files and the commit that adds them.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) commit: Commit,
    objects: Vec<Object>,
    uploaded: usize,
}

impl Prepared {
    pub(crate) fn is_uploaded(&self) -> bool {
        self.uploaded == self.objects.len()
    }
}

/// The exact range of the rows' times; the rows are not none.
pub(crate) fn time_of(rows: &[Row]) -> TimeRange {
    let times = || rows.iter().map(|row| row.at);
    let (min, max) = (times().min().expect("rows"), times().max().expect("rows"));
    TimeRange::new(min, max)
}

pub(crate) fn bucket_of(rows: &[Row]) -> Bucket {
    let hour = rows.first().map_or(0, |row| row.hour);
    Bucket::containing(START.plus(Duration::from_secs(u64::from(hour) * 3600)), BucketSpan::Hour)
}

impl World {
    /// Cuts the next interval of a table.
    pub(crate) fn freeze(&mut self, of: usize) {
        let one_at_a_time = self.holds(Protection::OneInterval);
        let writer = &self.writers[of];
        let Some(session) = &writer.session else { return };
        let floor = |table: TableId| {
            let cut = session.flushes.iter().filter(|flush| flush.table == table).map(|flush| flush.hi).max();
            cut.unwrap_or(0).max(session.watermarks.get(&table).copied().unwrap_or(0))
        };
        let is_busy = |table: TableId| {
            let under_way = session.flushes.iter().filter(|flush| flush.table == table).count();
            under_way >= if one_at_a_time { 1 } else { 3 }
        };
        let waiting: Vec<Row> = writer
            .log
            .iter()
            .flat_map(|record| &record.rows)
            .filter(|row| !is_busy(row.table) && row.seq > floor(row.table))
            .copied()
            .collect();
        let Some(index) = self.random.index(waiting.len()) else { return };
        let (table, until) = (waiting[index].table, waiting[index].seq);
        let later = waiting.iter().any(|row| row.table == table && row.seq > until);
        let lo = floor(table) + 1;
        let noted = writer.intervals.iter().filter(|interval| interval.table == table && interval.hi >= lo);
        let noted = noted.map(|interval| interval.hi).min().filter(|_| self.holds(Protection::IntervalsNoted));
        // Where no later row of the table waits, all that was applied is covered, whatever table it belongs to.
        let hi = noted.unwrap_or(if later { until } else { session.last });
        let rows = waiting.into_iter().filter(|row| row.table == table && row.seq <= hi).collect();
        let Some(session) = &mut self.writers[of].session else { return };
        session.flushes.push(Flush { table, lo, hi, rows, prepared: None });
        self.note(|| format!("writer {of} freezes {lo}..={hi} of table {}", short(table.uuid())));
    }

    /// Mints the files of an interval, or uploads one of them.
    pub(crate) fn upload(&mut self, of: usize) {
        let Some(session) = &self.writers[of].session else { return };
        let Some(index) = self.random.index(session.flushes.len()) else { return };
        if session.flushes[index].prepared.is_none() {
            self.prepare(of, index);
            return;
        }
        let now = self.now();
        let Some(session) = &mut self.writers[of].session else { return };
        let Some(prepared) = &mut session.flushes[index].prepared else { return };
        let Some(object) = prepared.objects.get(prepared.uploaded).cloned() else { return };
        prepared.uploaded += 1;
        let id = object.file.id;
        self.layers.put(Object { modified: now, ..object });
        self.note(|| format!("writer {of} uploads file {}", short(id.uuid())));
    }

    fn prepare(&mut self, of: usize, index: usize) {
        if self.recovering && self.holds(Protection::WorkWaits) {
            return;
        }
        if self.writers[of].catalog_epoch != self.store.epochs().epoch {
            self.reopen(of);
        }
        let Some(session) = &self.writers[of].session else { return };
        let flush = &session.flushes[index];
        let table = flush.table;
        match self.store.table_state(table) {
            TableState::Live(def) => {
                let prepared = self.prepared(of, flush, def);
                let interval = Interval { table, lo: flush.lo, hi: flush.hi };
                if self.holds(Protection::IntervalsNoted) {
                    self.writers[of].intervals.push(interval);
                }
                let Some(session) = &mut self.writers[of].session else { return };
                session.flushes[index].prepared = Some(prepared);
            }
            TableState::Dropped => self.discard(of, index),
            TableState::Unknown => {}
        }
    }

    fn prepared(&self, of: usize, flush: &Flush, def: Arc<TableDef>) -> Prepared {
        let writer = &self.writers[of];
        let (epochs, now) = (self.store.epochs(), self.now());
        let writer_epoch = writer.session.as_ref().map_or(0, |session| session.epoch);
        let mut hours: Vec<Vec<Row>> = vec![Vec::new(); 2];
        flush.rows.iter().for_each(|row| hours[usize::from(row.hour)].push(*row));
        hours.retain(|rows| !rows.is_empty());
        let parts = u32::try_from(hours.len()).expect("few parts");
        let objects = (0..parts).zip(hours).map(|(part, rows)| {
            let origin = Origin::Flush { writer: writer.id, writer_epoch, lo: flush.lo, hi: flush.hi, part, parts };
            let bucket = bucket_of(&rows);
            let facts =
                FileFacts { catalog: epochs.catalog, catalog_epoch: epochs.epoch, bucket, created_at: now, origin };
            let file = data_file(self.ids.file_id(now), Level::FLUSHED, HOT, &rows, SequenceRange { lo: 0, hi: 0 });
            Object { rows: Arc::new(rows), file, facts, table: def.clone(), modified: now }
        });
        let objects: Vec<Object> = objects.collect();
        let added =
            objects.iter().map(|object| NewFile { file: object.file.clone(), statistics: Vec::new() }).collect();
        let commit = Commit {
            table: flush.table,
            catalog_epoch: epochs.epoch,
            id: self.commit_id(),
            actor: Actor::Writer { writer: writer.id, epoch: writer_epoch, lo: flush.lo, hi: flush.hi },
            change: Change { added, removed: Vec::new() },
            idempotency: Vec::new(),
        };
        Prepared { commit, objects, uploaded: 0 }
    }

    /// The table was dropped: its rows go.
    fn discard(&mut self, of: usize, index: usize) {
        self.release(of, index);
        self.count(Event::RowsGone);
        self.note(|| format!("writer {of} lets rows of a dropped table go"));
    }

    /// The interval is in committed files, or of no use.
    fn release(&mut self, of: usize, index: usize) {
        let Some(session) = &mut self.writers[of].session else { return };
        let flush = session.flushes.remove(index);
        let known = session.watermarks.entry(flush.table).or_default();
        *known = flush.hi.max(*known);
    }

    /// Sends an uploaded interval to the catalog and does what the answer asks for.
    pub(crate) fn commit(&mut self, of: usize) -> Result<(), Violation> {
        let Some(session) = &self.writers[of].session else { return Ok(()) };
        if self.recovering && self.holds(Protection::WorkWaits) {
            return Ok(());
        }
        let ready = |flush: &Flush| flush.prepared.as_ref().is_some_and(Prepared::is_uploaded);
        let ready: Vec<usize> = (0..session.flushes.len()).filter(|index| ready(&session.flushes[*index])).collect();
        let Some(place) = self.random.index(ready.len()) else { return Ok(()) };
        let index = ready[place];
        let Some(prepared) = &session.flushes[index].prepared else { return Ok(()) };
        let answer = self.send(prepared.commit.clone())?;
        if self.random.chance(8) {
            self.note(|| format!("the answer to writer {of} is lost"));
            self.count(Event::AnswerLost);
            return Ok(());
        }
        let tells_of_rows = matches!(answer, Ok(_) | Err(Error::PartlyCommitted { .. }));
        if tells_of_rows && self.is_overtaken() {
            self.count(Event::Overtaken);
            if !self.recovering {
                self.notice(|| format!("writer {of} finds a later epoch taken"));
            }
            return Ok(());
        }
        match answer {
            Ok(CommitOutcome::Committed { .. } | CommitOutcome::AlreadyCommitted { .. }) => self.release(of, index),
            Err(Error::PartlyCommitted { watermark, .. }) => {
                self.recut(of, index, watermark);
            }
            Err(Error::Dropped { .. }) => self.discard(of, index),
            Err(Error::FileExists { .. } | Error::FileTooOld { .. } | Error::StaleEpoch { .. }) => {
                let Some(session) = &mut self.writers[of].session else { return Ok(()) };
                session.flushes[index].prepared = None;
            }
            Err(Error::Fenced { .. }) => self.crash(of),
            Err(Error::Gap { .. }) if self.fences_checked && !self.recovering => {
                return Err(Violation::new(Kind::Lost, format!("writer {of} met a gap: {answer:?}")));
            }
            Err(_) => {}
        }
        Ok(())
    }

    fn recut(&mut self, of: usize, index: usize, watermark: u64) {
        let Some(session) = &mut self.writers[of].session else { return };
        let flush = &mut session.flushes[index];
        let known = session.watermarks.entry(flush.table).or_default();
        *known = watermark.max(*known);
        flush.prepared = None;
        flush.lo = watermark + 1;
        flush.rows.retain(|row| row.seq > watermark);
        if flush.rows.is_empty() {
            session.flushes.remove(index);
        }
    }

    /// A commit of a process that is gone arrives.
    pub(crate) fn late_commit(&mut self) -> Result<(), Violation> {
        let Some(index) = self.random.index(self.late.len()) else { return Ok(()) };
        let commit = self.late.remove(index);
        self.note(|| "a commit of a process that is gone arrives".to_owned());
        let before = self.made.len();
        self.send(commit)?.ok();
        if self.made.len() > before {
            self.count(Event::LateCommit);
        }
        Ok(())
    }

    /// The catalog judges a writer's commit. Checks that are removed are passed by asking as somebody would who
    /// may do this now.
    fn send(&mut self, commit: Commit) -> Result<gigapi_catalog::Result<CommitOutcome>, Violation> {
        let Actor::Writer { writer, epoch, lo, hi } = commit.actor else { return Ok(Err(Error::ClaimLost)) };
        let current = self.store.epochs().epoch;
        let known = self.writers.iter().find(|known| known.id == writer && known.catalog_epoch == current);
        let known = known.map(|known| known.epoch);
        let is_repeated = self.made.contains(&commit.id);
        // A catalog from the past knows the epochs of then, until the log is opened again.
        let place = self.writers.iter().position(|known| known.id == writer);
        let is_unopened = self.unnoticed.as_ref().zip(place).is_some_and(|(waiting, place)| waiting.contains(&place));
        let is_current = commit.catalog_epoch == current && (Some(epoch) == known || is_unopened);
        let mut asked = commit.clone();
        let (mut as_epoch, mut as_lo) = (epoch, lo);
        if !self.holds(Protection::CatalogEpoch) {
            asked.catalog_epoch = current;
        }
        if !self.holds(Protection::WriterFence) {
            as_epoch = known.unwrap_or(epoch);
        }
        if !self.holds(Protection::Watermark)
            && !is_repeated
            && asked.catalog_epoch == current
            && Some(as_epoch) == known
            && let Ok(snapshot) = self.store.snapshot(commit.table)
        {
            let watermark = snapshot.watermarks.get(&writer).copied().unwrap_or(lo - 1);
            if watermark >= hi {
                return Ok(self.add_unasked(commit));
            }
            as_lo = watermark + 1;
        }
        asked.actor = Actor::Writer { writer, epoch: as_epoch, lo: as_lo, hi };
        let answer = self.store.commit(asked);
        self.note(|| format!("commit of {lo}..={hi}: {answer:?}"));
        if matches!(answer, Ok(CommitOutcome::Committed { .. })) {
            self.made.insert(commit.id);
            self.count(Event::Flushed);
            if self.fences_checked && !is_current && !is_repeated && !self.recovering {
                return Err(Violation::new(Kind::Fence, format!("{commit:?} was made")));
            }
        }
        Ok(answer)
    }

    /// Adds files under the name of a writer that has nothing else to say.
    pub(crate) fn add_unasked(&mut self, commit: Commit) -> gigapi_catalog::Result<CommitOutcome> {
        let writer = WriterId::from_uuid(self.ids.random());
        let epoch = self.store.open_writer(writer)?.epoch;
        let change = Change { removed: Vec::new(), ..commit.change };
        let (actor, catalog_epoch) = (Actor::Writer { writer, epoch, lo: 1, hi: 1 }, self.store.epochs().epoch);
        self.store.commit(Commit { actor, change, catalog_epoch, id: CommitId::from_uuid(Uuid::nil()), ..commit })
    }
}

/// A file that holds these rows.
pub(crate) fn data_file(id: FileId, level: Level, layer: usize, rows: &[Row], sequence: SequenceRange) -> DataFile {
    let count = u64::try_from(rows.len()).expect("few rows");
    DataFile {
        id,
        level,
        layer: layer_name(layer),
        bucket: bucket_of(rows),
        rows: count,
        bytes: count,
        time: time_of(rows),
        sequence,
        checksum: 1,
        tail_bytes: 1,
    }
}
