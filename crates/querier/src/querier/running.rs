//! Queries that run: what each is, how far it has come, and how it is ended from outside.
//!
//! A query is listed from the moment it is admitted to its queue until its last row is taken, however it ends. Its id is
//! the client's, so that it can be asked for before the first byte of its answer, or one that is made here.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use datafusion::physical_plan::ExecutionPlan;
use gigapi_model::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::memory::QueryMemory;
use crate::scan::{ROWS_SCANNED, ReadCounters};
use crate::{Error, Result};

/// Names one query of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(Uuid);

impl QueryId {
    /// An id that nobody chose.
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for QueryId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let id = Uuid::try_parse(text.trim());
        id.map(Self).map_err(|_| Error::invalid(format!("{text:?} is not the id of a query, which is a UUID")))
    }
}

/// How far a query has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum QueryState {
    /// It waits for others to end.
    Queued,
    /// Its tables and files are being found.
    Planning,
    /// Rows are being made or sent.
    Running,
}

impl QueryState {
    /// As clients are told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Running => "running",
        }
    }
}

/// How long the parts of a query took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryTimes {
    /// Until it was its turn.
    pub queued: Duration,
    /// From then until its plan was there.
    pub planning: Duration,
    /// From the request until now, or the end.
    pub elapsed: Duration,
}

/// What a query has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryFigures {
    /// Data files that planning kept.
    pub files_planned: u64,
    /// Data files that planning ruled out.
    pub files_pruned: u64,
    /// Data files of which anything was read.
    pub files_opened: u64,
    /// Rows that were looked at in files and in memory.
    pub rows_scanned: u64,
    /// Bytes of data files that were asked for.
    pub bytes_scanned: u64,
    /// Bytes of these that the read cache had, and nothing was asked of a layer for.
    pub bytes_from_cache: u64,
    /// Rows handed out.
    pub rows_returned: u64,
    /// The most memory held at once for sorting, grouping and joining.
    pub memory_bytes: u64,
}

/// One query, for whoever asks after it.
#[derive(Debug, Clone)]
pub struct QueryStatus {
    /// Its name.
    pub id: QueryId,
    /// Its text.
    pub sql: String,
    /// The database of names that do not say theirs.
    pub database: String,
    /// When it was asked.
    pub started_at: Timestamp,
    /// How far it has come.
    pub state: QueryState,
    /// How long it took so far.
    pub times: QueryTimes,
    /// What it did so far.
    pub figures: QueryFigures,
}

/// A query that runs.
#[derive(Debug)]
pub(crate) struct RunningQuery {
    id: QueryId,
    sql: String,
    database: String,
    started_at: Timestamp,
    begun: Instant,
    state: AtomicU8,
    queued_us: AtomicU64,
    planned_us: AtomicU64,
    rows: AtomicU64,
    /// What it runs, once that is known; its leaves know how many rows they have read.
    plan: Mutex<Option<Arc<dyn ExecutionPlan>>>,
    pub(crate) counters: Arc<ReadCounters>,
    pub(crate) memory: Arc<QueryMemory>,
    pub(crate) cancelled: CancellationToken,
    /// How long it may take, and when that is over; set when its turn comes.
    time: OnceLock<(Duration, Instant)>,
}

impl RunningQuery {
    pub(super) fn id(&self) -> QueryId {
        self.id
    }

    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// It is its turn.
    pub(super) fn admitted(&self) {
        self.queued_us.store(self.elapsed_us(), Ordering::Relaxed);
        self.state.store(QueryState::Planning as u8, Ordering::Relaxed);
    }

    /// It may take no longer than that from now on; when that is over.
    pub(super) fn limit(&self, time: Duration) -> Instant {
        self.time.get_or_init(|| (time, Instant::now() + time)).1
    }

    pub(super) fn time(&self) -> Option<(Duration, Instant)> {
        self.time.get().copied()
    }

    /// Its plan is there.
    pub(super) fn planned(&self, plan: &Arc<dyn ExecutionPlan>) {
        *self.plan.lock() = Some(Arc::clone(plan));
        self.planned_us.store(self.elapsed_us(), Ordering::Relaxed);
        self.state.store(QueryState::Running as u8, Ordering::Relaxed);
    }

    /// Rows are handed out; how many there are by now.
    pub(super) fn returned(&self, rows: u64) -> u64 {
        self.rows.fetch_add(rows, Ordering::Relaxed) + rows
    }

    pub(crate) fn times(&self) -> QueryTimes {
        let at = |cell: &AtomicU64| Duration::from_micros(cell.load(Ordering::Relaxed));
        let queued = at(&self.queued_us);
        QueryTimes { queued, planning: at(&self.planned_us).saturating_sub(queued), elapsed: self.begun.elapsed() }
    }

    pub(crate) fn figures(&self) -> QueryFigures {
        let count = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let counters = &self.counters;
        QueryFigures {
            files_planned: count(&counters.files_planned),
            files_pruned: count(&counters.files_pruned),
            files_opened: count(&counters.files_opened),
            rows_scanned: self.plan.lock().as_ref().map_or(0, rows_scanned),
            bytes_scanned: count(&counters.bytes_read),
            bytes_from_cache: count(&counters.bytes_cached),
            rows_returned: count(&self.rows),
            memory_bytes: self.memory.peak() as u64,
        }
    }

    fn status(&self) -> QueryStatus {
        let state = match self.state.load(Ordering::Relaxed) {
            0 => QueryState::Queued,
            1 => QueryState::Planning,
            _ => QueryState::Running,
        };
        QueryStatus {
            id: self.id,
            sql: self.sql.clone(),
            database: self.database.clone(),
            started_at: self.started_at,
            state,
            times: self.times(),
            figures: self.figures(),
        }
    }
}

/// Rows that the leaves of a plan have read so far.
fn rows_scanned(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let children = plan.children();
    if !children.is_empty() {
        return children.into_iter().map(rows_scanned).sum();
    }
    let Some(metrics) = plan.metrics() else { return 0 };
    let folded = metrics.sum_by_name(ROWS_SCANNED).map(|rows| rows.as_usize());
    folded.or(metrics.output_rows()).unwrap_or(0) as u64
}

/// All queries that run in a process.
#[derive(Debug, Default)]
pub(crate) struct RunningQueries {
    queries: Mutex<HashMap<QueryId, Arc<RunningQuery>>>,
}

/// A query's place in the list, which it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    all: Arc<RunningQueries>,
    pub(super) query: Arc<RunningQuery>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.all.queries.lock().remove(&self.query.id);
    }
}

impl RunningQueries {
    /// Lists a query. An id that runs already is refused: neither could be told from the other.
    pub(super) fn begin(
        self: &Arc<Self>,
        id: QueryId,
        (sql, database): (&str, &str),
        started_at: Timestamp,
        memory: Arc<QueryMemory>,
    ) -> Result<Listed> {
        let query = Arc::new(RunningQuery {
            id,
            sql: sql.to_owned(),
            database: database.to_owned(),
            started_at,
            begun: Instant::now(),
            state: AtomicU8::new(QueryState::Queued as u8),
            queued_us: AtomicU64::new(0),
            planned_us: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            plan: Mutex::default(),
            counters: Arc::default(),
            memory,
            cancelled: CancellationToken::new(),
            time: OnceLock::new(),
        });
        let mut queries = self.queries.lock();
        if queries.contains_key(&id) {
            return Err(Error::invalid(format!("a query with the id {id} is running; give each its own")));
        }
        queries.insert(id, Arc::clone(&query));
        Ok(Listed { all: Arc::clone(self), query })
    }

    /// Ends a query; whether there is one.
    pub(super) fn cancel(&self, id: QueryId) -> bool {
        let found = self.queries.lock().get(&id).cloned();
        found.inspect(|query| query.cancelled.cancel()).is_some()
    }

    pub(super) fn status(&self, id: QueryId) -> Option<QueryStatus> {
        let found = self.queries.lock().get(&id).cloned();
        found.map(|query| query.status())
    }

    /// The oldest first.
    pub(super) fn all(&self) -> Vec<QueryStatus> {
        let queries: Vec<_> = self.queries.lock().values().cloned().collect();
        let mut all: Vec<_> = queries.iter().map(|query| query.status()).collect();
        all.sort_by_key(|status| (status.started_at, status.id));
        all
    }
}

#[cfg(test)]
mod tests;
