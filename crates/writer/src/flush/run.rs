//! The rounds of a flush: what is due, and what is left over from last time.

mod answers;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use gigapi_catalog::{Catalog, Epochs, TableState};
use gigapi_model::{CommitId, IdempotencyRecord, Ids, TableDef, TableId, WriterId};
use gigapi_service::{Block, Readiness};
use gigapi_storage::{FileEncoders, Layers};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::encode::{Encoder, Prepared};
use super::upload::upload;
use crate::buffer::{Buffer, Frozen};
use crate::crash::crash_point;
use crate::idempotency::Keys;
use crate::metrics::{Metrics, Stage, StageLabel};
use crate::publish::Publisher;
use crate::tables::Tables;
use crate::wal::{Interval, Log, LogError};

/// Encodings at once; a flush shares the machine with parsing and queries.
const ENCODINGS_AT_ONCE: usize = 2;

/// Small tables are encoded together, so that a thousand of them are not a thousand tasks.
const ENCODE_BATCH_BYTES: usize = 4 << 20;

/// Tables that the catalog is asked about at once.
const TABLES_AT_ONCE: usize = 64;

/// The pause after a round in which something failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long a step of a flush goes on without a word in the log.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// At the end, rounds in a row that commit nothing and yet do not fail.
const FRUITLESS_ROUNDS_MAX: u32 = 10;

/// The writer's standing with the catalog.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The catalog's epoch in which it was opened.
    pub(crate) catalog_epoch: u64,
    pub(crate) writer_epoch: u64,
    /// Where the log lies, if several writers share the catalog.
    pub(crate) place: Option<String>,
    /// Where other processes reach the writer.
    pub(crate) address: String,
}

/// What a flusher works with.
#[derive(Debug)]
pub(crate) struct FlusherParts {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) layers: Arc<Layers>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) log: Log,
    pub(crate) publisher: Publisher,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) writer: WriterId,
    pub(crate) session: Session,
    pub(crate) keys: Arc<Keys>,
    /// Asks for a round before the next one is due.
    pub(crate) flush_now: Arc<Notify>,
    /// Becomes true when another process took the log over.
    pub(crate) fenced: watch::Sender<bool>,
}

/// Moves rows from the buffer into committed files.
#[derive(Debug)]
pub(crate) struct Flusher {
    parts: FlusherParts,
    encoders: Arc<FileEncoders>,
    /// Frozen intervals without files: new ones, and those whose upload failed.
    waiting: Vec<Arc<Frozen>>,
    /// Uploaded intervals that the catalog has not answered for.
    unanswered: Vec<Prepared>,
    /// Whether the last round could not be noted in the log.
    unnoted: bool,
    /// Which stage failed in the last round, and that it was logged.
    failing: Option<Stage>,
    /// Tables that the catalog does not know, which keep the process from being ready.
    recovering: Option<Block>,
    /// Idempotency keys that a rebuilt catalog has to be told again, by age, until commits that bring them are made.
    untold: Vec<IdempotencyRecord>,
    /// The commit that brings so many of the newest ones.
    telling: Option<(CommitId, usize)>,
}

impl Flusher {
    pub(crate) fn new(parts: FlusherParts) -> Self {
        Self {
            parts,
            encoders: Arc::default(),
            waiting: Vec::new(),
            unanswered: Vec::new(),
            unnoted: false,
            failing: None,
            recovering: None,
            untold: Vec::new(),
            telling: None,
        }
    }

    /// Flushes every `interval`, and when asked to, until `stop` resolves; then drains the buffer, giving up
    /// at the first round that fails, because the log still has the rows. Tells whether all is committed.
    pub(crate) async fn run(mut self, interval: Duration, stop: impl Future<Output = ()>) -> bool {
        tokio::pin!(stop);
        loop {
            let pause = if self.failing.is_some() { interval.max(PAUSE_AFTER_FAILURE) } else { interval };
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(pause) => {}
                () = self.parts.flush_now.notified() => {}
            }
            self.round().await;
        }
        let mut fruitless = 0;
        while !self.parts.buffer.is_empty() {
            let before = self.parts.buffer.rows();
            self.round().await;
            // A round may be refused and repeated with new files; not for ever.
            fruitless = if self.parts.buffer.rows() < before { 0 } else { fruitless + 1 };
            if self.failing.is_some() || *self.parts.fenced.borrow() || fruitless > FRUITLESS_ROUNDS_MAX {
                return false;
            }
        }
        self.parts.publisher.finish().await;
        true
    }

    /// One flush of everything that is due.
    pub(crate) async fn round(&mut self) {
        if *self.parts.fenced.borrow() {
            return;
        }
        self.waiting.extend(self.parts.buffer.freeze());
        if self.waiting.is_empty() && self.unanswered.is_empty() {
            self.succeeded();
            if self.parts.log.status().failing.load(Ordering::Relaxed) {
                // What is committed makes room.
                self.release_log();
            }
            return;
        }
        let started = Instant::now();
        let mut failed = None;
        if let Err(stage) = self.prepare_and_upload().await {
            failed = Some(stage);
        }
        if let Err(stage) = self.commit().await {
            failed = failed.or(Some(stage));
        }
        match failed {
            Some(stage) => self.failing = Some(stage),
            None => self.succeeded(),
        }
        self.parts.metrics.flush_seconds.observe(started.elapsed().as_secs_f64());
        self.release_log();
        crash_point("flush:after-release");
    }

    fn release_log(&self) {
        let buffer = Arc::clone(&self.parts.buffer);
        self.parts.log.release(move |table, last| buffer.watermark(table) >= last);
    }

    fn succeeded(&mut self) {
        self.parts.buffer.set_stalled(false);
        if let Some(stage) = self.failing.take() {
            tracing::info!(?stage, "flushing works again");
        }
    }

    /// Says once what keeps failing.
    fn report(&mut self, stage: Stage, message: &dyn std::fmt::Display) {
        self.parts.buffer.set_stalled(true);
        self.parts.metrics.flush_failures.get_or_create(&StageLabel { stage }).inc();
        if self.failing != Some(stage) {
            tracing::error!(?stage, "a flush failed and is tried again; rows stay in the write-ahead log: {message}");
        }
    }

    /// A log that cannot be written does not keep its rows from being flushed, which is what makes room on a full disk.
    fn report_note(&mut self, intervals: usize, noted: Result<(), LogError>) {
        let before = std::mem::replace(&mut self.unnoted, noted.is_err());
        if let Err(error) = noted {
            self.parts.metrics.unnoted.inc_by(intervals as u64);
            if !before {
                tracing::warn!(%error, "the log cannot tell a next process how rows are being flushed");
            }
        }
    }

    async fn prepare_and_upload(&mut self) -> Result<(), Stage> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let (encoder, defined) = match self.definitions(&waiting).await {
            Ok(found) => found,
            Err(error) => {
                self.report(Stage::Prepare, &error);
                self.waiting = waiting;
                return Err(Stage::Prepare);
            }
        };
        let (mut prepared, mut failed) = watched("encoding", self.encode(encoder, defined)).await;
        self.parts.metrics.encode_seconds.observe(started.elapsed().as_secs_f64());
        crash_point("flush:before-upload");
        let started = Instant::now();
        let intervals: Vec<Interval> = prepared.iter().map(|prepared| prepared.frozen.interval()).collect();
        let (uploaded, noted) = tokio::join!(
            watched("uploads", upload(&self.parts.layers, &mut prepared)),
            watched("the log", self.parts.log.note(&intervals))
        );
        self.report_note(intervals.len(), noted);
        if let Err(error) = uploaded {
            self.report(Stage::Upload, &error);
            self.waiting.extend(prepared.into_iter().map(|prepared| prepared.frozen));
            return Err(Stage::Upload);
        }
        crash_point("flush:after-upload");
        self.tell_keys(&mut prepared);
        self.parts.metrics.upload_seconds.observe(started.elapsed().as_secs_f64());
        self.unanswered.append(&mut prepared);
        if self.waiting.is_empty() && failed.take().is_none() { Ok(()) } else { Err(Stage::Prepare) }
    }

    /// The catalog's state and the tables' definitions. Tables that are gone lose their rows; tables that
    /// the catalog does not know keep them and are waited for.
    async fn definitions(
        &mut self,
        frozen: &[Arc<Frozen>],
    ) -> gigapi_catalog::Result<(Encoder, Vec<(Arc<Frozen>, Arc<TableDef>)>)> {
        let catalog = Arc::clone(&self.parts.catalog);
        let epochs: Epochs = watched("the catalog's epoch", catalog.epochs()).await?;
        if epochs.epoch != self.parts.session.catalog_epoch {
            watched("the log in the rebuilt catalog", self.reopen(epochs.epoch)).await?;
        }
        let now = watched("the catalog's time", catalog.now()).await?;
        let mut defined = Vec::with_capacity(frozen.len());
        let mut unknown: Vec<Arc<Frozen>> = Vec::new();
        let mut states: HashMap<TableId, TableState> = HashMap::new();
        let tables: Vec<TableId> = frozen.iter().map(|frozen| frozen.table).collect();
        let asked = tables.into_iter().map(|table| {
            let catalog = Arc::clone(&catalog);
            async move { catalog.table_state(table).await.map(|state| (table, state)) }
        });
        let mut asked = futures::stream::iter(asked).buffer_unordered(TABLES_AT_ONCE);
        while let Some((table, state)) = watched("the tables' definitions", asked.try_next()).await? {
            states.insert(table, state);
        }
        for frozen in frozen {
            match states.get(&frozen.table) {
                Some(TableState::Live(table)) => defined.push((Arc::clone(frozen), Arc::clone(table))),
                Some(TableState::Dropped) => self.discard(frozen),
                Some(TableState::Unknown) | None => unknown.push(Arc::clone(frozen)),
            }
        }
        if unknown.is_empty() {
            self.recovering = None;
        } else {
            let message = format!(
                "the catalog does not know {} tables whose rows are in the write-ahead log; rebuild it",
                unknown.len()
            );
            self.report(Stage::Prepare, &message);
            self.recovering.get_or_insert_with(|| self.parts.readiness.block("recovering", message));
            self.waiting.extend(unknown);
        }
        let encoder = Encoder {
            encoders: Arc::clone(&self.encoders),
            ids: Arc::clone(&self.parts.ids),
            layer: self.parts.layers.first().name.clone(),
            catalog: epochs,
            writer: self.parts.writer,
            writer_epoch: self.parts.session.writer_epoch,
            now,
            cpu: self.parts.metrics.cpu_seconds.clone(),
        };
        Ok((encoder, defined))
    }

    /// The catalog was rebuilt: the log is opened anew in it, and what only this process knows is told again.
    ///
    /// That no other process has the log is what the lock on its folder says: the catalog that would know is gone.
    async fn reopen(&mut self, epoch: u64) -> gigapi_catalog::Result<()> {
        let opened = self.parts.catalog.open_writer(self.parts.writer).await?;
        if let Some(place) = &self.parts.session.place {
            self.parts.catalog.place_writer(self.parts.writer, place).await?;
        }
        self.parts.catalog.register_writer(self.parts.writer, &self.parts.session.address).await?;
        self.parts.tables.follow(epoch).await?;
        (self.untold, self.telling) = (self.parts.keys.all(), None);
        self.untold.sort_unstable_by_key(|record| record.received_at);
        let session = &mut self.parts.session;
        (session.catalog_epoch, session.writer_epoch) = (epoch, opened.epoch);
        tracing::info!(epoch, "the log is open in the rebuilt catalog");
        Ok(())
    }

    /// The table was dropped: its rows go.
    fn discard(&mut self, frozen: &Frozen) {
        let rows: usize = frozen.entries.iter().map(|entry| entry.part.rows()).sum();
        tracing::info!(table = %frozen.table, rows, "rows of a dropped table go");
        self.parts.metrics.rows_dropped.inc_by(rows as u64);
        self.parts.tables.forget(frozen.table);
        self.parts.buffer.release(frozen);
    }

    /// Encodes on blocking threads. What cannot be encoded waits again, and the last reason comes back.
    async fn encode(
        &mut self,
        encoder: Encoder,
        defined: Vec<(Arc<Frozen>, Arc<TableDef>)>,
    ) -> (Vec<Prepared>, Option<String>) {
        let tasks = batches(defined).into_iter().map(|batch| {
            let encoder = encoder.clone();
            let intervals: Vec<Arc<Frozen>> = batch.iter().map(|(frozen, _)| Arc::clone(frozen)).collect();
            let encoding = tokio::task::spawn_blocking(move || {
                let encode = |(frozen, table): (Arc<Frozen>, Arc<TableDef>)| {
                    encoder.encode(Arc::clone(&frozen), table).map_err(|error| (frozen, error.to_string()))
                };
                batch.into_iter().map(encode).collect::<Vec<_>>()
            });
            async move { (intervals, encoding.await) }
        });
        let mut finished = futures::stream::iter(tasks).buffer_unordered(ENCODINGS_AT_ONCE);
        let mut prepared = Vec::new();
        let mut failed = None;
        while let Some((intervals, batch)) = finished.next().await {
            match batch {
                Ok(results) => {
                    for result in results {
                        match result {
                            Ok(done) => prepared.push(done),
                            Err((frozen, reason)) => {
                                self.report(Stage::Prepare, &reason);
                                self.waiting.push(frozen);
                                failed = Some(reason);
                            }
                        }
                    }
                }
                Err(panic) => {
                    self.report(Stage::Prepare, &panic);
                    self.waiting.extend(intervals);
                    failed = Some(panic.to_string());
                }
            }
        }
        (prepared, failed)
    }
}

/// Does a step of a flush, and tells what is waited for if that takes long.
async fn watched<T>(what: &'static str, step: impl Future<Output = T>) -> T {
    tokio::pin!(step);
    loop {
        tokio::select! {
            done = &mut step => return done,
            () = tokio::time::sleep(SILENT_MAX) => tracing::warn!("a flush waits for {what}"),
        }
    }
}

/// Groups small intervals, keeps large ones apart.
fn batches(defined: Vec<(Arc<Frozen>, Arc<TableDef>)>) -> Vec<Vec<(Arc<Frozen>, Arc<TableDef>)>> {
    let mut batches = vec![Vec::new()];
    let mut bytes = 0;
    for item in defined {
        bytes += item.0.entries.iter().map(|entry| entry.part.bytes()).sum::<usize>();
        if let Some(batch) = batches.last_mut() {
            batch.push(item);
        }
        if bytes >= ENCODE_BATCH_BYTES {
            batches.push(Vec::new());
            bytes = 0;
        }
    }
    batches
}
