//! The rows of an answer, as they come.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::columns::Parameter;
use super::run::Begun;
use super::running::{QueryFigures, QueryId, QueryTimes, RunningQuery};
use crate::dialect::duckdb_type;
use crate::{Error, Result};

/// A short answer has no more values than this.
const SHORT_VALUES_MAX: usize = 256;

/// And no more bytes.
const SHORT_BYTES_MAX: usize = 16 << 10;

/// A schema and a stream of batches. Dropping it cancels the query.
pub struct Answer {
    schema: SchemaRef,
    pub(super) parameters: Vec<Parameter>,
    ready: std::vec::IntoIter<RecordBatch>,
    rest: Option<Rest>,
    stale: Option<Duration>,
    away: Vec<String>,
    query: Option<Arc<RunningQuery>>,
    _cancel: Option<CancelOnDrop>,
}

/// How far a query has come.
#[derive(Debug, Clone)]
pub struct QueryProgress(Option<Arc<RunningQuery>>);

impl QueryProgress {
    /// How long its parts took; nothing if there was no query.
    pub fn times(&self) -> QueryTimes {
        self.0.as_ref().map(|query| query.times()).unwrap_or_default()
    }

    /// What it did; nothing if there was no query.
    pub fn figures(&self) -> QueryFigures {
        self.0.as_ref().map(|query| query.figures()).unwrap_or_default()
    }
}

/// What a running query sends.
pub(super) struct Rest {
    pub(super) rows: mpsc::Receiver<RecordBatch>,
    /// How it ended. Rows that stop without an end are not all there are.
    pub(super) end: oneshot::Receiver<Result<()>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Answer {
    pub(super) fn empty() -> Self {
        Self::of(Arc::new(Schema::empty()), Vec::new())
    }

    pub(super) fn of(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let (parameters, ready) = (Vec::new(), batches.into_iter());
        Self { schema, parameters, ready, rest: None, stale: None, away: Vec::new(), query: None, _cancel: None }
    }

    /// The same with other batches, where all of them are there.
    pub(super) fn filtered(self, keep: impl Fn(RecordBatch) -> Result<RecordBatch>) -> Result<Self> {
        let ready = self.ready.map(keep).collect::<Result<Vec<_>>>()?.into_iter();
        Ok(Self { ready, ..Self::of(self.schema, Vec::new()) })
    }

    /// Whether all rows are here and are few enough that encoding them takes no time to speak of.
    pub(crate) fn is_short(&self) -> bool {
        let batches = self.ready.as_slice();
        let values: usize = batches.iter().map(|batch| batch.num_rows() * batch.num_columns()).sum();
        let bytes = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(usize::MAX);
        // The bytes are not looked at where the values are too many already.
        self.rest.is_none()
            && values <= SHORT_VALUES_MAX
            && batches.iter().flat_map(RecordBatch::columns).map(bytes).fold(0, usize::saturating_add)
                <= SHORT_BYTES_MAX
    }

    pub(super) fn running(begun: Begun, rest: Rest, query: Arc<RunningQuery>, cancel: CancelOnDrop) -> Self {
        let Begun { schema, parameters, first, stale, away, is_whole } = begun;
        let ready = Vec::from_iter(first).into_iter();
        let rest = (!is_whole).then_some(rest);
        Self { schema, parameters, ready, rest, stale, away, query: Some(query), _cancel: Some(cancel) }
    }

    /// What the query goes by; `None` if the answer needed no query.
    pub fn id(&self) -> Option<QueryId> {
        self.query.as_ref().map(|query| query.id())
    }

    /// Tells how far the query has come, now and after the answer is gone.
    pub fn progress(&self) -> QueryProgress {
        QueryProgress(self.query.clone())
    }

    pub(super) fn aged(self, stale: Option<Duration>) -> Self {
        Self { stale, ..self }
    }

    /// How old the rows may be, if the catalog could not be asked what is current.
    pub fn stale(&self) -> Option<Duration> {
        self.stale
    }

    /// Writers whose rows are left out because they could not be asked, if the request allows that.
    pub fn writers_away(&self) -> &[String] {
        &self.away
    }

    /// The columns of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Stream for Answer {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(batch) = self.ready.next() {
            return Poll::Ready(Some(Ok(batch)));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        if let Some(batch) = std::task::ready!(rest.rows.poll_recv(context)) {
            return Poll::Ready(Some(Ok(batch)));
        }
        let end = std::task::ready!(Pin::new(&mut rest.end).poll(context));
        self.rest = None;
        match end {
            Ok(Ok(())) => Poll::Ready(None),
            Ok(Err(error)) => Poll::Ready(Some(Err(error))),
            Err(_) => Poll::Ready(Some(Err(Error::internal("a query ended before its last row")))),
        }
    }
}

/// Ends the query's task when nobody waits for its rows any more.
#[derive(Debug)]
pub(super) struct CancelOnDrop {
    task: AbortHandle,
    /// What the task asks where it does not yield.
    cancelled: CancellationToken,
}

impl CancelOnDrop {
    pub(super) fn new(task: AbortHandle, cancelled: CancellationToken) -> Self {
        Self { task, cancelled }
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.cancelled.cancel();
        self.task.abort();
    }
}

/// A schema as rows, with DuckDB's columns and names of types.
pub(super) fn described(schema: &Schema) -> Result<Answer> {
    let names = ["column_name", "column_type", "null", "key", "default", "extra"];
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let described: SchemaRef = Arc::new(Schema::new(fields));
    let columns = schema.fields();
    let nothing = || Arc::new(StringArray::from(vec![None::<&str>; columns.len()]));
    let batch = RecordBatch::try_new(
        Arc::clone(&described),
        vec![
            Arc::new(StringArray::from_iter_values(columns.iter().map(|field| field.name()))),
            Arc::new(StringArray::from_iter_values(columns.iter().map(|field| duckdb_type(field.data_type())))),
            Arc::new(StringArray::from_iter_values(
                columns.iter().map(|field| if field.is_nullable() { "YES" } else { "NO" }),
            )),
            nothing(),
            nothing(),
            nothing(),
        ],
    );
    let batch = batch.map_err(|error| Error::internal(format!("describing a schema: {error}")))?;
    Ok(Answer::of(described, vec![batch]))
}
