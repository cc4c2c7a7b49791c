//! Workers: merging files and relocating them, under claims.
//!
//! claim → read and write under a new id (merge) or copy under the same one (relocate) → commit. A worker may die
//! or sleep between any two of these, and a claim lapses meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use gigapi_catalog::{Claim, ClaimRequest, CommitOutcome, Error};
use gigapi_model::{
    Actor, Change, Commit, CommitId, DataFile, FileId, Ids, Level, NewFile, SequenceRange, TableDef, TableId, TimeRange,
};
use gigapi_storage::{FileFacts, MergeSource, Origin};

use crate::check::{Kind, Violation};
use crate::events::Event;
use crate::flushing::{bucket_of, data_file, time_of};
use crate::layers::{COLD, HOT, Object, Row, layer_name, layer_of, place_of};
use crate::protections::Protection;
use crate::random::short;
use crate::world::{LEASE, World};

/// A merge takes no more.
const INPUTS_MAX: usize = 4;

/// A claim and the work under it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) table: Arc<TableDef>,
    inputs: Vec<Arc<DataFile>>,
    pub(crate) claim: Claim,
    catalog_epoch: u64,
    id: CommitId,
    /// Where the file goes; none in a merge.
    to: Option<usize>,
    /// What was written.
    output: Option<DataFile>,
}

impl Job {
    pub(crate) fn names(&self, file: FileId) -> bool {
        self.inputs.iter().any(|input| input.id == file)
    }

    fn sources(&self) -> Vec<MergeSource> {
        self.inputs.iter().map(|input| MergeSource { file: input.id, sequence: input.sequence }).collect()
    }

    fn removed(&self) -> Vec<FileId> {
        self.inputs.iter().map(|input| input.id).collect()
    }
}

/// The times and the sequences of all files together.
fn hull(files: &[Arc<DataFile>]) -> (TimeRange, SequenceRange) {
    let spans = files.iter().map(|file| (file.time, file.sequence));
    let joined = spans.reduce(|(time, sequence), (other_time, other)| {
        let time = TimeRange::new(time.min.min(other_time.min), time.max.max(other_time.max));
        (time, SequenceRange { lo: sequence.lo.min(other.lo), hi: sequence.hi.max(other.hi) })
    });
    joined.expect("a merge has inputs")
}

/// The inputs and all live files that stand between them.
fn closed(mut inputs: Vec<Arc<DataFile>>, live: &[Arc<DataFile>]) -> Vec<Arc<DataFile>> {
    loop {
        let (time, sequence) = hull(&inputs);
        let stands_between = |file: &&Arc<DataFile>| {
            file.time.overlaps(time) && file.sequence.lo <= sequence.hi && sequence.lo <= file.sequence.hi
        };
        let is_new = |file: &&Arc<DataFile>| inputs.iter().all(|input| input.id != file.id);
        let Some(next) = live.iter().filter(stands_between).find(is_new).cloned() else { return inputs };
        inputs.push(next);
    }
}

impl World {
    fn working(&self) -> bool {
        !self.recovering || !self.holds(Protection::WorkWaits)
    }

    /// A live table with its files.
    fn some_table(&mut self) -> Option<(Arc<TableDef>, Vec<Arc<DataFile>>)> {
        let tables = self.store.live_tables();
        let table = tables[self.random.index(tables.len())?].clone();
        let files = self.store.snapshot(table.id).ok()?.files;
        Some((table, files.iter().cloned().collect()))
    }

    /// Plans a merge over live files and claims its inputs.
    pub(crate) fn claim_merge(&mut self) {
        if !self.working() {
            return;
        }
        let Some((table, live)) = self.some_table() else { return };
        let mut inputs = Vec::new();
        for _ in 0..2 + self.random.below(2) {
            let Some(index) = self.random.index(live.len()) else { return };
            inputs.push(live[index].clone());
        }
        let mut seen = BTreeSet::new();
        inputs.retain(|input| seen.insert(input.id));
        if self.holds(Protection::Between) {
            inputs = closed(inputs, &live);
        }
        if (2..=INPUTS_MAX).contains(&inputs.len()) {
            self.claim(table, inputs, None);
        }
    }

    /// Plans a relocation and claims the file.
    pub(crate) fn claim_move(&mut self) {
        if !self.working() {
            return;
        }
        let Some((table, live)) = self.some_table() else { return };
        let Some(index) = self.random.index(live.len()) else { return };
        let file = live[index].clone();
        let to = match layer_of(&file.layer) {
            HOT => COLD,
            _ if self.holds(Protection::MoveForward) => return,
            _ => HOT,
        };
        self.claim(table, vec![file], Some(to));
    }

    fn claim(&mut self, table: Arc<TableDef>, inputs: Vec<Arc<DataFile>>, to: Option<usize>) {
        let files: Vec<FileId> = inputs.iter().map(|input| input.id).collect();
        let request = ClaimRequest { table: table.id, inputs: files.clone(), lease: LEASE };
        let Ok(claim) = self.store.claim(request) else { return };
        let (catalog_epoch, id) = (self.store.epochs().epoch, self.commit_id());
        let what = if to.is_some() { "relocation" } else { "merge" };
        self.jobs.push(Job { table, inputs, claim, catalog_epoch, id, to, output: None });
        self.note(|| {
            let files: Vec<String> = files.iter().map(|file| short(file.uuid())).collect();
            format!("{what} of {} claimed, token {}", files.join(" "), claim.token)
        });
    }

    /// A worker shows that it lives.
    pub(crate) fn renew(&mut self) {
        let Some(index) = self.random.index(self.jobs.len()) else { return };
        let job = &self.jobs[index];
        let (table, claim) = (job.table.id, job.claim);
        match self.store.renew(table, claim, LEASE) {
            Ok(renewed) => self.jobs[index].claim = renewed,
            // The answer of a catalog that is away is none.
            Err(Error::ClaimLost) => drop(self.jobs.remove(index)),
            Err(_) => {}
        }
    }

    /// A worker goes on, or dies.
    pub(crate) fn work(&mut self) -> Result<(), Violation> {
        let Some(index) = self.random.index(self.jobs.len()) else { return Ok(()) };
        if self.random.chance(7) {
            self.jobs.remove(index);
            self.note(|| "a worker dies".to_owned());
            return Ok(());
        }
        if self.jobs[index].output.is_some() {
            return self.finish(index);
        }
        let written = match self.jobs[index].to {
            Some(to) => self.copy(index, to),
            None => self.merge(index),
        };
        match written {
            Some(output) => self.jobs[index].output = Some(output),
            // An input is gone: the work is given up.
            None => drop(self.jobs.remove(index)),
        }
        Ok(())
    }

    /// Copies the file under its own id.
    fn copy(&mut self, index: usize, to: usize) -> Option<DataFile> {
        let input = self.jobs[index].inputs.first()?.clone();
        let mut object = self.layers.objects.get(&place_of(&input))?.clone();
        object.file.layer = layer_name(to);
        object.modified = self.now();
        self.layers.put(object);
        if !self.holds(Protection::SourceStays) {
            self.layers.objects.remove(&place_of(&input));
        }
        self.note(|| format!("file {} is copied to layer {to}", short(input.id.uuid())));
        Some(DataFile { layer: layer_name(to), ..DataFile::clone(&input) })
    }

    /// Writes all rows of the inputs under a new id.
    fn merge(&mut self, index: usize) -> Option<DataFile> {
        let job = &self.jobs[index];
        let mut rows: Vec<Row> = Vec::new();
        for input in &job.inputs {
            rows.extend(self.layers.objects.get(&place_of(input))?.rows.iter());
        }
        let (now, (_, sequence)) = (self.now(), hull(&job.inputs));
        let layer = job.inputs.iter().map(|input| layer_of(&input.layer)).max()?;
        let file = data_file(self.ids.file_id(now), Level::new(2)?, layer, &rows, sequence);
        debug_assert_eq!(file.time, time_of(&rows));
        let facts = FileFacts {
            catalog: self.owner,
            catalog_epoch: job.catalog_epoch,
            bucket: bucket_of(&rows),
            created_at: now,
            origin: Origin::Merge { sequence, sources: job.sources() },
        };
        let table = job.table.clone();
        self.layers.put(Object { rows: Arc::new(rows), file: file.clone(), facts, table, modified: now });
        self.note(|| format!("a merge writes file {}", short(file.id.uuid())));
        Some(file)
    }

    /// Sends the work to the catalog. A lost answer is asked for again under the same id.
    fn finish(&mut self, index: usize) -> Result<(), Violation> {
        let job = &self.jobs[index];
        let Some(output) = job.output.clone() else { return Ok(()) };
        let commit = Commit {
            table: job.table.id,
            catalog_epoch: job.catalog_epoch,
            id: job.id,
            actor: Actor::Claim { claim: job.claim.id, token: job.claim.token },
            change: Change { added: vec![NewFile { file: output, statistics: Vec::new() }], removed: job.removed() },
            idempotency: Vec::new(),
        };
        let is_current = job.claim.expires > self.now() && job.catalog_epoch == self.store.epochs().epoch;
        let allowed = is_current || self.made.contains(&commit.id) || self.recovering;
        let (id, is_merge) = (commit.id, job.to.is_none());
        let answer = self.send_claimed(commit, is_merge);
        self.note(|| format!("commit of a claim: {answer:?}"));
        if let Ok(CommitOutcome::Committed { .. }) = &answer {
            self.made.insert(id);
            self.count(if is_merge { Event::Merged } else { Event::Relocated });
            if self.fences_checked && !allowed {
                return Err(Violation::new(Kind::Fence, "a claim that was lost made a change".to_owned()));
            }
        }
        if !self.random.chance(10) {
            self.jobs.remove(index);
        }
        Ok(())
    }

    /// The catalog judges; checks that are removed are passed by asking as somebody would who may do this now.
    fn send_claimed(&mut self, commit: Commit, is_merge: bool) -> gigapi_catalog::Result<CommitOutcome> {
        let mut asked = commit;
        if !self.holds(Protection::CatalogEpoch) {
            asked.catalog_epoch = self.store.epochs().epoch;
        }
        if !self.holds(Protection::Lease)
            && let Some((claim, token)) = self.current_claim(&asked)
        {
            asked.actor = Actor::Claim { claim, token };
        }
        let answer = self.store.commit(asked.clone());
        match answer {
            Err(Error::InputChanged { .. }) if is_merge && !self.holds(Protection::Between) => {
                self.replace_unasked(asked)
            }
            Err(Error::InputChanged { .. }) if is_merge && !self.holds(Protection::Inputs) => {
                self.replace_unasked(asked)
            }
            Err(Error::ClaimLost) if is_merge && !self.holds(Protection::Inputs) && !self.holds(Protection::Lease) => {
                self.replace_unasked(asked)
            }
            answer => answer,
        }
    }

    /// The claim that covers these inputs now, whoever holds it; a new one where nobody does.
    fn current_claim(&mut self, commit: &Commit) -> Option<(gigapi_model::ClaimId, u64)> {
        let (now, inputs) = (self.now(), commit.change.removed.clone());
        let holds = |job: &&Job| job.claim.expires > now && inputs.iter().all(|input| job.names(*input));
        if let Some(job) = self.jobs.iter().find(holds) {
            return Some((job.claim.id, job.claim.token));
        }
        let claim = self.store.claim(ClaimRequest { table: commit.table, inputs, lease: LEASE }).ok()?;
        Some((claim.id, claim.token))
    }

    /// Removes those inputs that are live and adds the output, whatever became of the others.
    fn replace_unasked(&mut self, commit: Commit) -> gigapi_catalog::Result<CommitOutcome> {
        let live: Vec<FileId> = self.live_of(commit.table, &commit.change.removed);
        if !live.is_empty() {
            let half = Commit { change: Change { added: Vec::new(), removed: live }, ..commit.clone() };
            let actor = self.current_claim(&half).map(|(claim, token)| Actor::Claim { claim, token });
            let Some(actor) = actor else { return Err(Error::ClaimLost) };
            let id = self.commit_id();
            self.store.commit(Commit { actor, id, ..half })?;
        }
        self.add_unasked(commit)
    }

    fn live_of(&self, table: TableId, files: &[FileId]) -> Vec<FileId> {
        let Ok(snapshot) = self.store.snapshot(table) else { return Vec::new() };
        files.iter().filter(|id| snapshot.files.iter().any(|file| file.id == **id)).copied().collect()
    }
}
