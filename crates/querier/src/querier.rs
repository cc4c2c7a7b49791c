//! Answers statements: admission, planning, running, and giving up.
//!
//! A query runs on the runtime that the caller gives, apart from whoever takes its rows, and is cancelled when
//! they are no longer wanted. Its first rows are there before an answer is given, so that whatever can fail early
//! fails as an error and not in the middle of a body.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ParamValues;
use futures::TryStreamExt;
use gigapi_catalog::{Catalog, Freshness, Reader};
use gigapi_model::{Clock, DatabaseName, TableDef, TableName};
use object_store::ObjectStore;
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

mod answer;
mod columns;
mod plan;
mod run;

pub use answer::Answer;
pub(crate) use columns::{COLUMN_TYPE, Parameter, role};

use crate::dialect::{self, Command};
use crate::metrics::QuerierMetrics;
use crate::scan::StatisticsCache;
use crate::session::{self, Engine};
use crate::settings::QueryOptions;
use crate::unflushed::Unflushed;
use crate::{Error, Result};

/// What a querier is made of.
pub struct QuerierComponents {
    /// Which tables and files there are.
    pub catalog: Arc<dyn Catalog>,
    /// All layers as one store whose paths are `<layer>/<object path>`.
    pub store: Arc<dyn ObjectStore>,
    /// Rows that a writer in this process holds.
    pub unflushed: Option<Arc<dyn Unflushed>>,
    /// Tells statements what `now()` is.
    pub clock: Arc<dyn Clock>,
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
    turns: Arc<Semaphore>,
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
        let shared = Shared { components, engine, statistics: Arc::default(), turns, metrics };
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
            Command::ShowDatabases => self.show_databases().await,
            Command::ShowTables(database) => self.show_tables(database, &request).await,
            Command::DescribeTable(name) => self.describe_table(&name, &request).await,
            Command::DescribeQuery(query) => self.start(request, query, run::Purpose::Describe).await,
            Command::Query(query) => self.start(request, query, purpose).await,
        }
    }

    async fn show_databases(&self) -> Result<Answer> {
        let reader = self.shared.reader(self.shared.freshness());
        let databases = reader.databases().await?;
        let names = StringArray::from_iter_values(databases.iter().map(|database| database.as_str()));
        Ok(one_column("database_name", names)?.aged(reader.stale()))
    }

    async fn show_tables(&self, database: Option<String>, request: &QueryRequest) -> Result<Answer> {
        let reader = self.shared.reader(self.shared.freshness());
        let tables = session::tables_of(reader.as_ref(), database.as_deref(), &request.database).await?;
        let names = StringArray::from_iter_values(tables.iter().map(TableName::as_str));
        Ok(one_column("table_name", names)?.aged(reader.stale()))
    }

    async fn describe_table(&self, name: &dialect::Name, request: &QueryRequest) -> Result<Answer> {
        let parts = dialect::name_parts(name)?;
        let reader = self.shared.reader(self.shared.freshness());
        let table: Arc<TableDef> = session::similar_table(reader.as_ref(), &parts, &request.database).await?;
        Ok(answer::described(&gigapi_rows::table_schema(&table))?.aged(reader.stale()))
    }

    async fn start(&self, request: QueryRequest, query: Box<dialect::Query>, purpose: run::Purpose) -> Result<Answer> {
        let turn = self.turn().await?;
        let (ready_tx, ready_rx) = oneshot::channel();
        let (rows_tx, rows_rx) = mpsc::channel(ROWS_AHEAD);
        let run = run::Run { shared: Arc::clone(&self.shared), request, query, purpose, turn };
        let (end_tx, end_rx) = oneshot::channel();
        let task = self.shared.components.runtime.spawn(run.run(ready_tx, rows_tx, end_tx));
        let cancel = answer::CancelOnDrop::new(task.abort_handle());
        match ready_rx.await {
            Ok(Ok(begun)) => Ok(Answer::running(begun, answer::Rest { rows: rows_rx, end: end_rx }, cancel)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::internal("a query's task ended without an answer")),
        }
    }

    async fn turn(&self) -> Result<tokio::sync::OwnedSemaphorePermit> {
        let Shared { turns, metrics, components, .. } = &*self.shared;
        if let Ok(turn) = Arc::clone(turns).try_acquire_owned() {
            return Ok(turn);
        }
        metrics.waiting.inc();
        let started = Instant::now();
        let turn = tokio::time::timeout(components.options.queue_wait, Arc::clone(turns).acquire_owned()).await;
        metrics.waiting.dec();
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

/// Batches that may wait for whoever takes them.
const ROWS_AHEAD: usize = 4;

fn parsed(sql: &str) -> Result<Command> {
    match std::panic::catch_unwind(|| dialect::parse(sql)) {
        Ok(result) => result,
        Err(_) => Err(Error::internal("the parser panicked")),
    }
}

fn one_column(name: &str, values: StringArray) -> Result<Answer> {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new(name, DataType::Utf8, false)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)])
        .map_err(datafusion::error::DataFusionError::from)?;
    Ok(Answer::of(schema, vec![batch]))
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
