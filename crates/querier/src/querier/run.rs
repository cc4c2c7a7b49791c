//! One query from its turn to its last row.
//!
//! A file that is gone before the first row was replaced by another while the query was planned: the query is
//! planned again over a new view, twice at most. Only a view that is as new as the attempt can show that a live file
//! is missing. A panic of the engine ends the query, not the process, and is
//! reported as a defect.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, StreamExt};
use gigapi_catalog::{Freshness, Reader};
use gigapi_model::Invariant;
use gigapi_service::settings::Consistency;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use super::columns::Parameter;
use super::running::{Listed, RunningQuery};
use super::{QueryRequest, Shared, answer, plan, within};
use crate::dialect;
use crate::unflushed::{Away, Holders};
use crate::{Error, Result};

/// How often a query is planned anew.
const REPLANS_MAX: usize = 2;

/// First batches of more rows are likely to be followed by others.
const SHORT_ROWS_MAX: usize = 4096;

/// How often it is planned anew because rows were flushed between a writer's view and its rows.
const OVERTAKEN_MAX: usize = 20;

/// What is known of an answer when its first rows are there.
pub(super) struct Begun {
    pub(super) schema: SchemaRef,
    /// The values that the statement waits for.
    pub(super) parameters: Vec<Parameter>,
    pub(super) first: Option<RecordBatch>,
    /// How old the view of the tables may be, if the catalog could not be asked.
    pub(super) stale: Option<Duration>,
    /// Writers whose unflushed rows are left out because they could not be asked.
    pub(super) away: Vec<String>,
    /// Whether the first rows are all there are.
    pub(super) is_whole: bool,
}

/// How the answer begins, or why there is none.
pub(super) type Ready = oneshot::Sender<Result<Begun>>;
/// Where the other rows go.
pub(super) type Rows = mpsc::Sender<RecordBatch>;
/// How the query ended after its first rows.
pub(super) type End = oneshot::Sender<Result<()>>;

/// What is wanted of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Its rows.
    Rows,
    /// The columns that its rows would have, as rows.
    Describe,
    /// Its columns and parameters, and no rows.
    Outline,
}

/// One query.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) request: QueryRequest,
    pub(super) query: Box<dialect::Query>,
    pub(super) purpose: Purpose,
    pub(super) turn: OwnedSemaphorePermit,
    pub(super) listed: Listed,
}

/// Counts the query when it ends, however it ends.
struct Ending {
    shared: Arc<Shared>,
    listed: Listed,
    started: Instant,
    rows: u64,
    outcome: &'static str,
    _turn: OwnedSemaphorePermit,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let metrics = &self.shared.metrics;
        metrics.active.dec();
        metrics.memory_held(&self.shared.engine.memory);
        metrics.ended(self.outcome, self.started.elapsed(), self.rows, &self.listed.query.counters);
    }
}

struct Started {
    begun: Begun,
    rest: SendableRecordBatchStream,
}

impl Started {
    /// An answer that is there as soon as it begins.
    fn whole(begun: Begun) -> Self {
        let rest = RecordBatchStreamAdapter::new(Arc::clone(&begun.schema), futures::stream::empty());
        Self { begun, rest: Box::pin(rest) }
    }
}

impl Run {
    /// Runs the query; the first rows go to `ready`, the others to `rows`, and how it ended to `end`.
    pub(super) async fn run(self, ready: Ready, rows: Rows, end: End) {
        let Self { shared, request, query, purpose, turn, listed } = self;
        let running = Arc::clone(&listed.query);
        shared.metrics.active.inc();
        let mut ending = Ending {
            shared: Arc::clone(&shared),
            listed,
            started: running.begun(),
            rows: 0,
            outcome: "cancelled",
            _turn: turn,
        };
        let limits = Limits {
            time: shared.components.options.timeout,
            deadline: shared.components.options.timeout.map(|limit| running.limit(limit)),
            rows: shared.components.options.rows_max,
        };
        let start = unpanicked(start(&shared, &request, &query, purpose, &running));
        let started = limits.keep(&running, start).await.and_then(|started| {
            let first = started.begun.first.as_ref().map_or(0, |batch| batch.num_rows() as u64);
            limits.check(running.returned(first)).map(|()| started)
        });
        let started = match started {
            Ok(started) => started,
            Err(error) => {
                let error = shared.completed(error, &running);
                ending.outcome = error.outcome();
                // Counted before it is told; a requester that went away takes no answer.
                drop(ending);
                let _ = ready.send(Err(error));
                return;
            }
        };
        ending.rows = running.returned(0);
        if started.begun.is_whole {
            ending.outcome = "ok";
            drop(ending);
            let _ = ready.send(Ok(started.begun));
            return;
        }
        if ready.send(Ok(started.begun)).is_err() {
            return;
        }
        // A slow taker of rows is bounded too, else it could keep memory and turn for ever.
        let sending = unpanicked(send_all(started.rest, &rows, &running, &limits));
        let sent = limits.keep(&running, sending).await;
        ending.rows = running.returned(0);
        let result = match sent {
            Ok(Sent::All) => Ok(()),
            Ok(Sent::Unwanted) => return,
            Err(error) => Err(shared.completed(error, &running)),
        };
        ending.outcome = result.as_ref().map_or_else(Error::outcome, |()| "ok");
        drop(ending);
        let _ = end.send(result);
    }
}

/// How far a query may go.
struct Limits {
    time: Option<Duration>,
    deadline: Option<Instant>,
    rows: Option<u64>,
}

impl Limits {
    /// Does some of a query's work, no longer than it may take and until somebody ends it.
    async fn keep<T>(&self, running: &RunningQuery, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = running.cancelled.cancelled() => Err(Error::Cancelled),
            done = within(self.time, self.deadline, work) => done,
        }
    }

    /// Whether that many rows are too many.
    fn check(&self, rows: u64) -> Result<()> {
        match self.rows {
            Some(limit) if rows > limit => Err(Error::TooManyRows { limit }),
            _ => Ok(()),
        }
    }
}

enum Sent {
    All,
    Unwanted,
}

async fn send_all(
    mut rest: SendableRecordBatchStream,
    rows: &Rows,
    running: &RunningQuery,
    limits: &Limits,
) -> Result<Sent> {
    while let Some(batch) = rest.next().await.transpose()? {
        limits.check(running.returned(batch.num_rows() as u64))?;
        if rows.send(batch).await.is_err() {
            return Ok(Sent::Unwanted);
        }
    }
    Ok(Sent::All)
}

impl Shared {
    /// Adds what only the querier knows about a limit.
    fn completed(&self, error: Error, running: &RunningQuery) -> Error {
        match (error, running.memory.refused_at()) {
            (Error::Memory { .. }, Some(limit)) => Error::OwnMemory { limit_mib: limit >> 20 },
            (Error::Memory { .. }, None) => Error::Memory {
                limit_mib: self.components.options.memory_bytes_max >> 20,
                shared: self.metrics.active.get() > 1,
            },
            (other, _) => other,
        }
    }
}

/// A panic inside as an error.
async fn unpanicked<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(Error::internal(format!("the engine panicked: {text}")))
        }
    }
}

/// Plans and waits for the first rows; plans again where a file was replaced meanwhile.
async fn start(
    shared: &Shared,
    request: &QueryRequest,
    query: &dialect::Query,
    purpose: Purpose,
    running: &RunningQuery,
) -> Result<Started> {
    let consistency = request.consistency.unwrap_or(shared.components.options.consistency);
    let mut vanished: Option<String> = None;
    let (mut attempt, mut overtaken, mut without) = (0, 0, Without::default());
    while attempt <= REPLANS_MAX {
        // A file that vanished is looked up in a view that is as new as can be, however old a first one may be; and
        // unflushed rows of others fit only such a view.
        let freshness = match consistency {
            Consistency::Committed if attempt == 0 => shared.freshness(),
            _ => Freshness::default(),
        };
        let holders = holders(shared, purpose, consistency, &mut without).await?;
        let reader = shared.reader(freshness);
        match attempt_once(shared, request, query, purpose, (&reader, &holders), running).await {
            Ok(_) if holders.are_all() && reader.stale().is_some() => return Err(Error::NoTail),
            Ok(mut started) => {
                started.begun.away = without.told();
                return Ok(started);
            }
            Err(Error::Overtaken { .. }) if overtaken < OVERTAKEN_MAX => {
                shared.metrics.replanned();
                overtaken += 1;
                continue;
            }
            Err(Error::WriterAway { writer, address, reason }) => {
                holders.note_away(writer, &address);
                let away = holders.away();
                shared.metrics.writers_away(away.len());
                if consistency != Consistency::TailBestEffort {
                    return Err(Error::WriterAway { writer, address, reason });
                }
                // Of one that has told of some tables and not of others nothing is taken, or the tables would not agree.
                without.away.extend(away);
                continue;
            }
            Err(Error::Vanished { path }) if attempt > 0 && reader.stale().is_some() => {
                return Err(Error::Outdated { path });
            }
            Err(Error::Vanished { path }) if vanished.as_ref() == Some(&path) => {
                shared.metrics.file_missing();
                let detail = format!("{} violated: a live data file has no object: {path}", Invariant::I3);
                return Err(Error::Corrupt { detail });
            }
            Err(Error::Vanished { path }) if attempt < REPLANS_MAX => {
                shared.metrics.replanned();
                vanished = Some(path);
            }
            Err(error) => return Err(error),
        }
        attempt += 1;
    }
    Err(Error::internal("a query was planned neither once nor again"))
}

/// What a query goes without because it could not be asked for.
#[derive(Debug, Default)]
struct Without {
    away: Away,
    /// Whether the catalog could not be asked which writers there are.
    is_unlisted: bool,
}

impl Without {
    /// As an answer tells it.
    fn told(self) -> Vec<String> {
        let unlisted = self.is_unlisted.then(|| UNLISTED.to_owned());
        self.away.into_values().chain(unlisted).collect()
    }
}

/// In place of writers that the catalog could not name.
const UNLISTED: &str = "unlisted: the catalog does not answer";

/// Whom the query asks for unflushed rows. Whoever only wants to know the columns needs none.
async fn holders(
    shared: &Shared,
    purpose: Purpose,
    consistency: Consistency,
    without: &mut Without,
) -> Result<Holders> {
    if purpose != Purpose::Rows {
        return Ok(Holders::default());
    }
    match shared.holders(consistency, &without.away).await {
        Err(error) if consistency == Consistency::TailBestEffort && error.kind().is_transient() => {
            without.is_unlisted = true;
            shared.holders(Consistency::Committed, &without.away).await
        }
        holders => holders,
    }
}

async fn attempt_once(
    shared: &Shared,
    request: &QueryRequest,
    query: &dialect::Query,
    purpose: Purpose,
    (reader, holders): (&Arc<dyn Reader>, &Holders),
    running: &RunningQuery,
) -> Result<Started> {
    if purpose == Purpose::Describe {
        let (_, logical) = plan::logical(shared, request, query, (reader, holders), running).await?;
        let mut rows = answer::described(logical.schema().as_arrow())?;
        let first = rows.next().await.transpose()?;
        let schema = Arc::clone(rows.schema());
        let (stale, away) = (reader.stale(), Vec::new());
        return Ok(Started::whole(Begun { schema, parameters: Vec::new(), first, stale, away, is_whole: true }));
    }
    if purpose == Purpose::Outline {
        let plan::Outline { columns, parameters } = plan::outline(shared, request, query, reader, running).await?;
        let (stale, away) = (reader.stale(), Vec::new());
        return Ok(Started::whole(Begun { schema: columns, parameters, first: None, stale, away, is_whole: true }));
    }
    let planned = plan::plan(shared, request, query, (reader, holders), running).await?;
    running.planned(&planned.physical);
    let schema = planned.columns;
    let mut rest = execute_stream(planned.physical, planned.context)?;
    loop {
        match rest.next().await.transpose()? {
            Some(batch) if batch.num_rows() == 0 => {}
            first => {
                let (is_whole, rest) = looked_ahead(first.as_ref(), rest)?;
                let (stale, away) = (reader.stale(), Vec::new());
                let begun = Begun { schema, parameters: Vec::new(), first, stale, away, is_whole };
                return Ok(Started { begun, rest });
            }
        }
    }
}

/// Whether nothing comes after the first rows, if that can be told without waiting, and what does.
///
/// Most answers are one short batch; knowing so spares them the way of those that stream.
fn looked_ahead(
    first: Option<&RecordBatch>,
    mut rest: SendableRecordBatchStream,
) -> Result<(bool, SendableRecordBatchStream)> {
    let Some(first) = first else { return Ok((true, rest)) };
    if first.num_rows() > SHORT_ROWS_MAX {
        return Ok((false, rest));
    }
    match rest.next().now_or_never() {
        Some(None) => Ok((true, rest)),
        Some(Some(next)) => {
            let (schema, next) = (rest.schema(), next?);
            let rest = futures::stream::iter([Ok(next)]).chain(rest);
            Ok((false, Box::pin(RecordBatchStreamAdapter::new(schema, rest))))
        }
        None => Ok((false, rest)),
    }
}

#[cfg(test)]
mod tests;
