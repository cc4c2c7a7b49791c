//! One merge: claim, read, write, verify, commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use gigapi_catalog::Epochs;
use gigapi_model::{Change, DataFile, FileId, NewFile, SequenceRange, TableDef, Timestamp};
use gigapi_rows::merge::MergeError;
use gigapi_service::crash_point;
use gigapi_storage::{
    FileEncoders, FileFacts, FilePath, FileStatistics, MergeSource, Origin, Source, Staged, StoredRows,
};
use tokio::time::Instant;

use super::{Done, LONG_BYTES, SMALL_BYTES_MAX, Worker};
use crate::lease::Lease;
use crate::merge::{COLUMN_BYTES_MAX, Expected, Merged, Work, check_output, check_statistics};
use crate::policy::{MergePlan, first_inputs};
use crate::progress::{LONG, Progress};
use crate::threads::{Length, Turn};
use crate::throttle::Throttle;
use crate::{Error, Result};

/// Memory of a long merge, however long it is: keys of a row group, one column of it twice, and what it is encoded to.
const LONG_MEMORY: u64 = 256 << 20;

/// The same of a shorter one, which finds room beside it.
const SHORT_MEMORY: u64 = 112 << 20;

/// The column that goes with it.
const SHORT_COLUMN_BYTES_MAX: u64 = 12 << 20;

/// What a byte of a small file takes when it is decoded, about.
const DECODED_PER_BYTE: u64 = 16;

/// What any merge takes.
const LEAST_BYTES: u64 = 8 << 20;

/// Dictionaries of all inputs take no more than this part of the memory; with more, fewer files are merged.
const DICTIONARY_PART: u64 = 3;

/// What a merge takes.
#[derive(Debug, Clone, Copy)]
struct Share {
    length: Length,
    memory: u64,
    column_bytes_max: u64,
}

impl Share {
    fn of(plan: &MergePlan) -> Self {
        let bytes = plan.bytes();
        let (length, most, column_bytes_max) = if bytes > LONG_BYTES {
            (Length::Long, LONG_MEMORY, COLUMN_BYTES_MAX)
        } else {
            (Length::Short, SHORT_MEMORY, SHORT_COLUMN_BYTES_MAX)
        };
        let memory = LEAST_BYTES + bytes.saturating_mul(DECODED_PER_BYTE).min(most);
        Self { length, memory, column_bytes_max }
    }
}

/// A merge on its thread.
struct Run {
    table: Arc<TableDef>,
    files: Vec<Arc<DataFile>>,
    sources: Vec<Source>,
    facts: FileFacts,
    staged: Staged,
    encoders: Arc<FileEncoders>,
    throttle: Arc<Throttle>,
    lost: Arc<AtomicBool>,
    progress: Arc<Progress>,
    dictionary_bytes_max: u64,
    column_bytes_max: u64,
}

/// What the thread gives back.
struct Written {
    /// The inputs that were merged, all of them or the oldest.
    files: Vec<Arc<DataFile>>,
    staged: Staged,
    merged: Merged,
    checksum: u64,
}

impl Worker {
    pub(super) async fn merge(&self, table: &Arc<TableDef>, plan: MergePlan) -> Result<Done> {
        let share = Share::of(&plan);
        let _memory = self.memory.take(share.memory).await;
        crash_point("merge:before-claim");
        let epochs = self.catalog.epochs().await?;
        let inputs = plan.inputs.iter().map(|file| file.id).collect();
        let lease = Lease::take(&self.catalog, table.id, inputs, self.lease).await?;
        crash_point("merge:after-claim");
        let outcome = self.merge_claimed(table, plan, share, epochs, &lease).await;
        lease.give_back().await;
        outcome
    }

    async fn merge_claimed(
        &self,
        table: &Arc<TableDef>,
        plan: MergePlan,
        share: Share,
        epochs: Epochs,
        lease: &Lease,
    ) -> Result<Done> {
        let started = Instant::now();
        let expected = (plan.bytes() <= SMALL_BYTES_MAX).then(|| self.small.expect());
        let layer = Arc::clone(self.layer(&plan.layer)?);
        let sources = lease.while_held(self.fetch(table, &plan.inputs)).await?;
        crash_point("merge:after-read");
        let rows = plan.inputs.iter().map(|file| file.rows).sum();
        let progress = Arc::new(Progress::new(rows, &self.under_way));
        let run = Run {
            table: Arc::clone(table),
            facts: facts(&plan, epochs, self.catalog.now().await?),
            files: plan.inputs,
            sources,
            staged: Staged::new(layer, Arc::clone(&self.staging)),
            encoders: Arc::clone(&self.encoders),
            throttle: Arc::clone(&self.throttle),
            lost: lease.lost(),
            progress: Arc::clone(&progress),
            dictionary_bytes_max: self.memory.bytes() / DICTIONARY_PART,
            column_bytes_max: share.column_bytes_max,
        };
        let running = self.threads.run("a merge", share.length, move |turn| run.run(turn));
        let tell = |rows_done: u64, rows: u64| {
            tracing::info!(
                database = %table.database, table = %table.name, bucket = %plan.bucket, rows_done, rows,
                seconds = started.elapsed().as_secs(), "a long merge goes on"
            );
        };
        let Written { files, staged, merged, checksum } = progress.watch(running, tell).await??;
        drop(progress);
        crash_point("merge:after-verify");
        let file = DataFile {
            id: self.ids.file_id(self.catalog.now().await?),
            level: plan.level,
            layer: plan.layer,
            bucket: plan.bucket,
            rows: merged.rows,
            bytes: staged.bytes(),
            time: merged.time,
            sequence: hull(&files),
            checksum,
            tail_bytes: merged.tail_bytes,
        };
        let path = FilePath::of(table, &file).object_path();
        match staged.into_small() {
            Ok((layer, bytes)) => self.small.put(expected, &layer, &path, bytes).await?,
            Err(large) => large.publish(&path).await?,
        }
        crash_point("merge:before-commit");
        let removed: Vec<FileId> = files.iter().map(|file| file.id).collect();
        let (bytes_in, bytes_out, files_in) = (files.iter().map(|file| file.bytes).sum(), file.bytes, files.len());
        let change = Change { added: vec![NewFile { file, statistics: merged.statistics.to_bytes() }], removed };
        self.commit(table.id, epochs, lease, change).await?;
        crash_point("merge:after-commit");
        if started.elapsed() >= LONG {
            tracing::info!(
                database = %table.database, table = %table.name, bucket = %plan.bucket, files = files_in,
                rows = merged.rows, bytes_in, bytes_out, seconds = started.elapsed().as_secs_f64(),
                "a long merge is done"
            );
        }
        let (rows, overwritten) = (merged.rows, merged.overwritten);
        Ok(Done { files_in: files_in as u64, files_out: 1, rows, overwritten, bytes_in, bytes_out })
    }
}

fn hull(files: &[Arc<DataFile>]) -> SequenceRange {
    let sequences = files.iter().map(|file| file.sequence);
    let joined = sequences.reduce(|a, b| SequenceRange { lo: a.lo.min(b.lo), hi: a.hi.max(b.hi) });
    joined.unwrap_or(SequenceRange { lo: 0, hi: 0 })
}

fn facts(plan: &MergePlan, epochs: Epochs, now: Timestamp) -> FileFacts {
    FileFacts {
        catalog: epochs.catalog,
        catalog_epoch: epochs.epoch,
        bucket: plan.bucket,
        created_at: now,
        origin: origin(&plan.inputs),
    }
}

fn origin(files: &[Arc<DataFile>]) -> Origin {
    let sources = files.iter().map(|file| MergeSource { file: file.id, sequence: file.sequence }).collect();
    Origin::Merge { sequence: hull(files), sources }
}

impl Run {
    fn run(mut self, turn: &Turn) -> Result<Written> {
        let mut inputs = self.open()?;
        self.leave_out(&mut inputs);
        let statistics = inputs.iter().map(|input| Ok((input.rows(), input.facts()?.statistics)));
        let statistics = statistics.collect::<Result<Vec<(u64, FileStatistics)>>>()?;
        let mut checksum = twox_hash::XxHash3_64::default();
        let (staged, throttle, progress, lost) = (&mut self.staged, &self.throttle, &self.progress, &self.lost);
        let goes_on = || {
            if lost.load(Ordering::Relaxed) {
                return Err(Error::Cancelled);
            }
            turn.give_way();
            Ok(())
        };
        let between = |rows: u64| {
            progress.add(rows);
            goes_on()
        };
        let (table, facts, encoders, between) = (&self.table, &self.facts, &self.encoders, &between);
        let work = Work { table, inputs, facts, encoders, column_bytes_max: self.column_bytes_max, between };
        let merged = work.run(&mut |bytes: Bytes| {
            use std::hash::Hasher;
            throttle.pass_blocking(bytes.len() as u64);
            checksum.write(&bytes);
            Ok(staged.write(&bytes)?)
        });
        let merged = merged.map_err(|error| self.named(error))?;
        let checksum = std::hash::Hasher::finish(&checksum);
        self.verify(&merged, &statistics, &goes_on)?;
        Ok(Written { files: self.files, staged: self.staged, merged, checksum })
    }

    fn open(&self) -> Result<Vec<Arc<StoredRows>>> {
        let opened = self.files.iter().zip(&self.sources).map(|(file, source)| {
            let opened = StoredRows::open(&file.id.to_string(), source.clone(), &self.table);
            let opened = opened.map_err(|error| self.named(error.into()))?;
            if opened.rows() == file.rows {
                return Ok(Arc::new(opened));
            }
            let reason = format!("it holds {} rows, the catalog says {}", opened.rows(), file.rows);
            Err(Error::Damaged { file: file.id, layer: file.layer.clone(), reason })
        });
        opened.collect()
    }

    /// Keeps the oldest inputs, as many as memory has room for the dictionaries of and as make a merge; two at least.
    fn leave_out(&mut self, inputs: &mut Vec<Arc<StoredRows>>) {
        let mut bytes = 0;
        let fits = inputs.iter().take_while(|input| {
            bytes += input.key_bytes();
            bytes <= self.dictionary_bytes_max
        });
        let kept = first_inputs(&self.files, fits.count());
        if kept < inputs.len() {
            inputs.truncate(kept);
            self.files.truncate(kept);
            self.facts.origin = origin(&self.files);
        }
    }

    /// Which of the inputs an error is about.
    fn named(&self, error: Error) -> Error {
        let of = |file: &Arc<DataFile>| Error::Damaged {
            file: file.id,
            layer: file.layer.clone(),
            reason: error.to_string(),
        };
        let found = match &error {
            Error::Merge(MergeError::Order { input, .. } | MergeError::Shape { input, .. }) => self.files.get(*input),
            Error::Storage(gigapi_storage::Error::Corrupt { what, .. }) | Error::Input { file: what, .. } => {
                self.files.iter().find(|file| *what == file.id.to_string())
            }
            _ => None,
        };
        match found.map(of) {
            Some(damaged) => damaged,
            None => error,
        }
    }

    /// Reads the output back from where it is staged.
    fn verify(
        &self,
        merged: &Merged,
        inputs: &[(u64, FileStatistics)],
        between: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let output = StoredRows::open("the output", self.staged.source()?, &self.table)?;
        let expected = Expected::of(&self.files, merged.overwritten)
            .ok_or_else(|| Error::Check { reason: "more rows were overwritten than there were".to_owned() })?;
        check_output(&self.table, Arc::new(output), expected, between)?;
        check_statistics(&self.table, inputs, &merged.statistics, merged.overwritten)
    }
}
