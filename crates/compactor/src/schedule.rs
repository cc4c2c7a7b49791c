//! Runs jobs as they become due: some at once, without end, or until nothing is due.
//!
//! Jobs that remove most files come first, one table does not keep the others waiting, and a failure holds up its
//! own files alone. Whatever ends in the middle is found again by the next plan.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{ErrorKind, FileId, TableDef, TableId, Timestamp};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::metrics::{Metrics, Overview, flushed_bytes};
use crate::planner::{Planned, Planner};
use crate::worker::{Done, Job, Size, Worker};
use crate::{Error, Result};

/// Files of a job that failed are left alone for this long.
const FAILED_PAUSE: Duration = Duration::from_secs(60);

/// Files that somebody else works on are left alone for this long.
const OVERTAKEN_PAUSE: Duration = Duration::from_secs(5);

/// Small jobs at once: they wait for disks and the catalog, which serve many together.
const SMALL_AT_ONCE: usize = 64;

/// What was done since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Merges.
    pub merges: u64,
    /// Files that merges took in.
    pub merged_files: u64,
    /// Bytes that merges took in.
    pub merged_bytes: u64,
    /// Bytes that merges wrote.
    pub written_bytes: u64,
    /// Files that went to another layer.
    pub relocated_files: u64,
    /// Files that ended.
    pub expired_files: u64,
    /// Files that were deleted from their layer.
    pub deleted_files: u64,
    /// What failed, in words.
    pub failures: Vec<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "merged {} files of {} bytes into {} of {} bytes; relocated {}, expired {}, deleted {} files; {} failures",
            self.merged_files,
            self.merged_bytes,
            self.merges,
            self.written_bytes,
            self.relocated_files,
            self.expired_files,
            self.deleted_files,
            self.failures.len()
        )
    }
}

impl Summary {
    fn add(&mut self, kind: &str, done: &Done) {
        match kind {
            "merge" => {
                self.merges += 1;
                self.merged_files += done.files_in;
                self.merged_bytes += done.bytes_in;
                self.written_bytes += done.bytes_out;
            }
            "relocate" => self.relocated_files += done.files_in,
            _ => self.expired_files += done.files_in,
        }
    }
}

/// A job under way.
#[derive(Debug)]
struct Begun {
    table: TableId,
    inputs: Vec<FileId>,
    size: Size,
}

/// A job that has ended.
struct Ended {
    table: Arc<TableDef>,
    kind: &'static str,
    flushed_bytes: u64,
    seconds: f64,
    outcome: Result<Option<Done>>,
}

/// What a job has come to, of which no note is taken yet.
pub(crate) struct Joined(std::result::Result<(Id, Ended), JoinError>);

/// Plans and runs.
#[derive(Debug)]
pub(crate) struct Schedule {
    planner: Planner,
    worker: Arc<Worker>,
    metrics: Metrics,
    overview: Overview,
    parallelism: usize,
    waiting: VecDeque<(Arc<TableDef>, Job)>,
    running: JoinSet<Ended>,
    /// What each of them works on.
    begun: HashMap<Id, Begun>,
    pub(crate) summary: Summary,
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Schedule {
    pub(crate) fn new(planner: Planner, worker: Arc<Worker>, metrics: Metrics, parallelism: usize) -> Self {
        Self {
            planner,
            worker,
            metrics,
            overview: Overview::default(),
            parallelism: parallelism.max(1),
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            begun: HashMap::new(),
            summary: Summary::default(),
        }
    }

    /// Plans what has changed and puts it in line, in place of what waited of those tables.
    pub(crate) async fn plan(&mut self) -> Result<usize> {
        let planned = self.planner.due().await?;
        for table in &planned {
            self.overview.planned(table);
        }
        self.overview.retain(|table| self.planner.is_known(table));
        self.overview.publish(&self.metrics, self.worker.catalog.now().await?);
        self.line_up(planned);
        Ok(self.waiting.len())
    }

    /// One job of each table in turn; plans of tables that have not changed hold.
    fn line_up(&mut self, planned: Vec<Planned>) {
        let mut jobs_of: HashMap<TableId, (Arc<TableDef>, VecDeque<Job>)> = HashMap::new();
        let mut order: Vec<TableId> = Vec::new();
        let is_anew: HashSet<TableId> = planned.iter().map(|planned| planned.table.id).collect();
        let waiting = self.waiting.drain(..).filter(|(table, _)| !is_anew.contains(&table.id));
        let new = planned
            .into_iter()
            .flat_map(|Planned { table, jobs, .. }| jobs.into_iter().map(move |job| (Arc::clone(&table), job)));
        for (table, job) in waiting.filter(|(table, _)| self.planner.is_known(table.id)).chain(new) {
            let (_, jobs) = jobs_of.entry(table.id).or_insert_with(|| {
                order.push(table.id);
                (table, VecDeque::new())
            });
            jobs.push_back(job);
        }
        let mut tables: VecDeque<_> = order.iter().filter_map(|table| jobs_of.remove(table)).collect();
        while let Some((table, mut jobs)) = tables.pop_front() {
            if let Some(job) = jobs.pop_front() {
                self.waiting.push_back((Arc::clone(&table), job));
                tables.push_back((table, jobs));
            }
        }
    }

    /// Jobs under way.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Starts as many as may run at once.
    pub(crate) fn start(&mut self) {
        loop {
            let begun = |size: Size| self.begun.values().filter(|begun| begun.size == size).count();
            let (small, medium, long) = (begun(Size::Small), begun(Size::Medium), begun(Size::Long));
            let fits = |(_, job): &(Arc<TableDef>, Job)| match job.size() {
                Size::Small => small < SMALL_AT_ONCE,
                // Beside long ones, which give way to them.
                Size::Medium => medium < self.parallelism,
                Size::Long => long < self.parallelism,
            };
            let Some(next) = self.waiting.iter().position(fits) else { return };
            let Some((table, job)) = self.waiting.remove(next) else { return };
            self.planner.begin(&job);
            let begun = Begun { table: table.id, inputs: job.inputs(), size: job.size() };
            self.metrics.begin();
            let worker = Arc::clone(&self.worker);
            let running = self.running.spawn(async move {
                let started = Instant::now();
                let (kind, flushed_bytes) = (job.kind(), flushed_bytes(&job));
                let outcome = worker.run(&table, job).await;
                let seconds = started.elapsed().as_secs_f64();
                Ended { table, kind, flushed_bytes, seconds, outcome }
            });
            self.begun.insert(running.id(), begun);
        }
    }

    /// Waits for the next job to end and takes note of it; none if nothing runs. Not to be given up half-way.
    pub(crate) async fn ended(&mut self) -> Option<()> {
        let joined = self.joined().await?;
        self.settle(joined).await;
        Some(())
    }

    /// Waits for the next job to end; none if nothing runs. Given up half-way, it has taken nothing.
    pub(crate) async fn joined(&mut self) -> Option<Joined> {
        self.running.join_next_with_id().await.map(Joined)
    }

    /// Takes note of a job that has ended: until then its files are worked on. Not to be given up half-way.
    pub(crate) async fn settle(&mut self, Joined(joined): Joined) {
        match joined {
            Ok((id, ended)) => {
                let inputs = self.begun.remove(&id).map(|begun| begun.inputs).unwrap_or_default();
                self.note(ended, &inputs).await;
            }
            Err(error) => {
                // A defect of a job ends the job and nothing else; its claim lapses.
                tracing::error!(%error, "a job did not end");
                self.metrics.overtaken();
                self.summary.failures.push(error.to_string());
                if let Some(Begun { table, inputs, .. }) = self.begun.remove(&error.id()) {
                    let now = self.worker.catalog.now().await.ok();
                    self.planner.end(table, &inputs, now.map(|now| now.plus(FAILED_PAUSE)));
                }
            }
        }
    }

    async fn note(&mut self, ended: Ended, inputs: &[FileId]) {
        let Ended { table, kind, flushed_bytes, seconds, outcome } = ended;
        let pause = |now: Option<Timestamp>, pause: Duration| now.map(|now| now.plus(pause));
        let now = self.worker.catalog.now().await.ok();
        match outcome {
            Ok(Some(done)) => {
                self.metrics.done(kind, flushed_bytes, &done, seconds);
                self.summary.add(kind, &done);
                self.planner.end(table.id, inputs, None);
            }
            // Others have changed the files, or have taken the claim over.
            Ok(None) | Err(Error::Cancelled) => {
                self.metrics.overtaken();
                self.planner.end(table.id, inputs, pause(now, OVERTAKEN_PAUSE));
            }
            Err(error) => {
                self.metrics.failed(kind, error.kind());
                self.failed(&table, kind, &error);
                self.damaged(table.id, inputs, &error, now);
            }
        }
    }

    fn failed(&mut self, table: &TableDef, kind: &'static str, error: &Error) {
        let name = format!("{}.{}", table.database, table.name);
        match error.kind() {
            ErrorKind::Busy | ErrorKind::Unavailable => {
                tracing::warn!(table = name, job = kind, %error, "a job failed and is tried again");
            }
            _ => tracing::error!(table = name, job = kind, %error, "a job failed; its files stay as they are"),
        }
        self.summary.failures.push(format!("{kind} of {name}: {error}"));
    }

    /// Where one file is to blame, the others of its job are free at once.
    fn damaged(&mut self, table: TableId, inputs: &[FileId], error: &Error, now: Option<Timestamp>) {
        let until = now.map(|now| now.plus(FAILED_PAUSE));
        match error {
            Error::Damaged { file, .. } => {
                let (blamed, free): (Vec<FileId>, Vec<FileId>) = inputs.iter().partition(|input| *input == file);
                self.planner.end(table, &free, None);
                self.planner.end(table, &blamed, until);
            }
            _ => self.planner.end(table, inputs, until),
        }
    }

    /// Runs until nothing is due, however often something becomes due by that.
    pub(crate) async fn until_done(&mut self) -> Result<()> {
        loop {
            if self.plan().await? == 0 {
                return Ok(());
            }
            self.start();
            while self.ended().await.is_some() {
                self.start();
            }
        }
    }

    /// Lets what runs come to its end; nothing new begins.
    pub(crate) async fn finish(&mut self) {
        self.waiting.clear();
        while self.ended().await.is_some() {}
    }
}
