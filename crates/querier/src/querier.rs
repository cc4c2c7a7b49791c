//! Answers statements: admission, planning, running, and giving up.
//!
//! A query runs on the runtime that the caller gives, apart from whoever takes its rows, and is cancelled when
//! they are no longer wanted. Its first rows are there before an answer is given, so that whatever can fail early
//! fails as an error and not in the middle of a body.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use futures::TryStreamExt;
use gigapi_catalog::{Catalog, Freshness, Reader};
use gigapi_model::{Clock, DatabaseName, Ids};
use gigapi_service::Secret;
use gigapi_service::settings::Consistency;
use object_store::ObjectStore;
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

mod activity;
mod answer;
mod columns;
mod interrupt;
mod memory;
mod plan;
mod run;
mod running;
mod shown;

pub use answer::{Answer, QueryProgress};
pub(crate) use columns::{COLUMN_TYPE, Parameter, role};
pub use running::{QueryFigures, QueryId, QueryState, QueryStatus, QueryTimes};

use memory::QueryMemory;
use running::{RunningQueries, RunningQuery};

use crate::dialect::{self, Command};
use crate::metrics::QuerierMetrics;
use crate::scan::StatisticsCache;
use crate::session::Engine;
use crate::settings::QueryOptions;
use crate::unflushed::{Away, Holders, Unflushed, Writers};
use crate::{Error, Result};

/// What a querier is made of.
pub struct QuerierComponents {
    /// Which tables and files there are.
    pub catalog: Arc<dyn Catalog>,
    /// All layers as one store whose paths are `<layer>/<object path>`.
    pub store: Arc<dyn ObjectStore>,
    /// Rows that a writer in this process holds.
    pub unflushed: Option<Arc<dyn Unflushed>>,
    /// The header that writers in other processes accept, if they ask for one.
    pub authorization: Option<Secret>,
    /// Tells statements what `now()` is.
    pub clock: Arc<dyn Clock>,
    /// Names queries that their clients have not named.
    pub ids: Arc<dyn Ids>,
    /// Limits.
    pub options: QueryOptions,
    /// Where queries run; apart from the threads that serve requests.
    pub runtime: tokio::runtime::Handle,
}

impl fmt::Debug for QuerierComponents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuerierComponents").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Which habits an answer follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habits {
    /// Unnamed columns are named as DuckDB names them.
    DuckDb,
    /// Unnamed columns are named as the engine names them.
    Engine,
}

/// One statement and what its request says beside it.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// What the query goes by while it runs; if it is none, one is made.
    pub id: Option<QueryId>,
    /// The text.
    pub sql: String,
    /// The database of names that do not say theirs.
    pub database: String,
    /// Whether `SELECT *` shows `date` and `hour`.
    pub show_virtual: bool,
    /// How unnamed columns are named.
    pub habits: Habits,
    /// Values of the statement's `$name` placeholders.
    pub parameters: Option<ParamValues>,
    /// Which rows it sees; `None` is as the operator says.
    pub consistency: Option<Consistency>,
}

/// Answers queries; clones share everything.
#[derive(Clone)]
pub struct Querier {
    shared: Arc<Shared>,
}

struct Shared {
    components: QuerierComponents,
    engine: Engine,
    statistics: Arc<StatisticsCache>,
    writers: Writers,
    turns: Arc<Semaphore>,
    running: Arc<RunningQueries>,
    metrics: QuerierMetrics,
}

impl Shared {
    /// How current answers have to be, as the operator says.
    fn freshness(&self) -> Freshness {
        Freshness { age_max: self.components.options.snapshot_age_max }
    }

    /// What one query reads of the catalog.
    fn reader(&self, freshness: Freshness) -> Arc<dyn Reader> {
        Arc::clone(&self.components.catalog).reader(freshness)
    }

    /// Who holds rows that the query wants to see and that are in no file, `away` left out.
    ///
    /// Called before anything of the catalog is read for the query: a writer that takes its first row later is none of
    /// those whose rows were acknowledged before the query.
    async fn holders(&self, consistency: Consistency, away: &Away) -> Result<Holders> {
        let own = self.components.unflushed.iter();
        let mut sources: Vec<Arc<dyn Unflushed>> = own.map(Arc::clone).collect();
        if consistency != Consistency::Committed {
            let mut registered = self.components.catalog.registered_writers().await?;
            registered.retain(|writer, _| sources.iter().all(|own| own.writer() != *writer));
            sources.extend(self.writers.at(&registered));
        }
        Ok(Holders::new(sources, consistency == Consistency::Tail, away))
    }
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    There,
    Missing,
    /// It was never heard of, and the catalog cannot be asked for it.
    Unheard,
}

impl fmt::Debug for Querier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Querier").field("components", &self.shared.components).finish_non_exhaustive()
    }
}

impl Querier {
    /// Makes a querier and registers its metrics. Nothing is read yet.
    pub fn new(components: QuerierComponents, registry: &mut Registry) -> Result<Self> {
        let engine = Engine::new(&components.options, Arc::clone(&components.store))?;
        let turns = Arc::new(Semaphore::new(components.options.concurrency_max.get()));
        let metrics = QuerierMetrics::register(registry);
        let (statistics, running) = (Arc::default(), Arc::default());
        let writers = Writers::new(components.authorization.as_ref())?;
        let shared = Shared { components, engine, statistics, writers, turns, running, metrics };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether there is a database that fits. One that is known is not asked for: what became of it, its tables tell.
    pub(crate) async fn has_database(&self, fits: impl Fn(&str) -> bool) -> Result<Presence> {
        let fit = |databases: Vec<DatabaseName>| databases.iter().any(|database| fits(database.as_str()));
        let reader = self.shared.reader(self.shared.freshness());
        if fit(reader.known_databases().await?) || fit(reader.databases().await?) {
            return Ok(Presence::There);
        }
        Ok(if reader.stale().is_none() { Presence::Missing } else { Presence::Unheard })
    }

    /// The database that a request reads: the one that it names; else the one that the original reads, if it is there;
    /// else the one that writes without a name go to.
    pub(crate) async fn database(&self, named: Option<&str>) -> Result<String> {
        if let Some(named) = named {
            return Ok(named.to_owned());
        }
        let of_original = self.has_database(|known| known == DATABASE_OF_ORIGINAL).await? == Presence::There;
        Ok(if of_original { DATABASE_OF_ORIGINAL } else { DATABASE_DEFAULT }.to_owned())
    }

    /// Where queries run.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.shared.components.runtime
    }

    /// The longest statement that is taken.
    pub fn sql_bytes_max(&self) -> usize {
        self.shared.components.options.sql_bytes_max
    }

    /// What one query reads of the catalog.
    pub(crate) fn reader(&self) -> Arc<dyn Reader> {
        self.shared.reader(self.shared.freshness())
    }

    /// Runs one statement. Errors that come before the first row are returned; later ones end the answer's rows.
    pub async fn query(&self, request: QueryRequest) -> Result<Answer> {
        self.answer(request, run::Purpose::Rows).await
    }

    /// The columns and parameters of a statement, which is planned and not run. Running it gives rows of the same columns.
    pub(crate) async fn outline(&self, request: QueryRequest) -> Result<(SchemaRef, Vec<Parameter>)> {
        let mut answer = self.answer(request, run::Purpose::Outline).await?;
        let outline = (Arc::clone(answer.schema()), std::mem::take(&mut answer.parameters));
        // Waited for, because an answer that is dropped before its end counts as given up.
        answer.try_for_each(|_| std::future::ready(Ok(()))).await?;
        Ok(outline)
    }

    async fn answer(&self, request: QueryRequest, purpose: run::Purpose) -> Result<Answer> {
        let limit = self.sql_bytes_max();
        if request.sql.len() > limit {
            return Err(Error::TooLong { bytes: request.sql.len(), limit });
        }
        match parsed(&request.sql)? {
            Command::Nothing => Ok(Answer::empty()),
            Command::ShowDatabases(like) => self.show_databases(&like).await,
            Command::ShowTables(database, like) => self.show_tables(database, &like, &request).await,
            Command::ShowAllTables => self.show_all_tables().await,
            Command::DescribeTable(name, like) => self.describe_table(&name, &like, &request).await,
            Command::DescribeQuery(query) => self.start(request, query, run::Purpose::Describe).await,
            Command::Query(query) => self.start(request, query, purpose).await,
        }
    }

    /// The queries that run, the oldest first.
    pub fn running(&self) -> Vec<QueryStatus> {
        self.shared.running.all()
    }

    /// How far a query has come; `None` if none of that name runs.
    pub fn status(&self, id: QueryId) -> Option<QueryStatus> {
        self.shared.running.status(id)
    }

    /// Ends a query, whose client gets an error or a body that is broken off; whether there is one.
    pub fn cancel(&self, id: QueryId) -> bool {
        self.shared.running.cancel(id)
    }

    async fn start(&self, request: QueryRequest, query: Box<dialect::Query>, purpose: run::Purpose) -> Result<Answer> {
        let Shared { components, engine, running, .. } = &*self.shared;
        let id = request.id.unwrap_or_else(|| QueryId::new(components.ids.random()));
        let memory = Arc::new(QueryMemory::new(Arc::clone(&engine.memory), components.options.memory_bytes_max_each));
        let texts = (request.sql.as_str(), request.database.as_str());
        let listed = running.begin(id, texts, components.clock.now(), memory)?;
        let turn = self.turn(&listed.query).await?;
        listed.query.admitted();
        let (ready_tx, ready_rx) = oneshot::channel();
        let (rows_tx, rows_rx) = mpsc::channel(ROWS_AHEAD);
        let status = Arc::clone(&listed.query);
        let run = run::Run { shared: Arc::clone(&self.shared), request, query, purpose, turn, listed };
        let (end_tx, end_rx) = oneshot::channel();
        let task = components.runtime.spawn(run.run(ready_tx, rows_tx, end_tx));
        let cancel = answer::CancelOnDrop::new(task.abort_handle(), status.cancelled.clone());
        match ready_rx.await {
            Ok(Ok(begun)) => {
                let rest = answer::Rest { rows: rows_rx, end: end_rx };
                Ok(Answer::running(begun, rest, status, cancel))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::internal("a query's task ended without an answer")),
        }
    }

    async fn turn(&self, query: &RunningQuery) -> Result<tokio::sync::OwnedSemaphorePermit> {
        let Shared { turns, metrics, components, .. } = &*self.shared;
        if let Ok(turn) = Arc::clone(turns).try_acquire_owned() {
            return Ok(turn);
        }
        metrics.waiting.inc();
        let _waiting = Waiting(metrics);
        let started = Instant::now();
        let queue = tokio::time::timeout(components.options.queue_wait, Arc::clone(turns).acquire_owned());
        let turn = tokio::select! {
            turn = queue => turn,
            () = query.cancelled.cancelled() => return Err(Error::Cancelled),
        };
        match turn {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Error::Busy {
                running: components.options.concurrency_max.get(),
                waited_ms: started.elapsed().as_millis(),
            }),
        }
    }
}

/// What the original reads when a request names no database.
const DATABASE_OF_ORIGINAL: &str = "mydb";

/// Where writes without a database go.
const DATABASE_DEFAULT: &str = "default";

/// Counts a query that waits, until it does so no longer: its client may go away meanwhile.
struct Waiting<'a>(&'a QuerierMetrics);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.dec();
    }
}

/// Batches that may wait for whoever takes them.
const ROWS_AHEAD: usize = 4;

fn parsed(sql: &str) -> Result<Command> {
    match std::panic::catch_unwind(|| dialect::parse(sql)) {
        Ok(result) => result,
        Err(_) => Err(Error::internal("the parser panicked")),
    }
}

/// Waits no longer than the limit.
async fn within<T>(
    limit: Option<Duration>,
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match (limit, deadline) {
        (Some(limit), Some(deadline)) => match tokio::time::timeout_at(deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout { limit_s: limit.as_secs() }),
        },
        _ => work.await,
    }
}
