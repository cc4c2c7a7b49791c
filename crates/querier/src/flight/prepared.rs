//! Prepared statements.
//!
//! A handle holds its statement, and once values are bound, a new handle holds these too: the client gets it as the
//! answer to binding, and any querier understands it. Some clients go on with the first handle instead. For them the
//! querier that took the values keeps them for a while, under the name that it gave the statement; whoever uses
//! the new handle never needs that.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    DoPutPreparedStatementResult,
};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use gigapi_model::Ids;
use parking_lot::Mutex;
use prost::Message;

use super::caller::{Caller, query};
use super::handle::Handle;
use super::message::schema_bytes;
use super::refusal::{Refusal, Result};
use super::values::Values;
use super::wire;
use crate::querier::Parameter;
use crate::{Error, Querier};

/// Statements whose values are kept for clients that hold on to their first handle.
const KEPT_MAX: usize = 1024;

/// Bytes of these.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// What the querier keeps of prepared statements.
#[derive(Debug)]
pub(super) struct Prepared {
    ids: Arc<dyn Ids>,
    kept: Mutex<Kept>,
}

/// Handles with values by their statement's name, the oldest first.
#[derive(Debug, Default)]
struct Kept {
    handles: HashMap<Bytes, Handle>,
    order: VecDeque<Bytes>,
    bytes: usize,
}

impl Kept {
    fn insert(&mut self, handle: Handle) {
        self.remove(&handle.name);
        self.bytes += handle.encoded_len();
        self.order.push_back(handle.name.clone());
        self.handles.insert(handle.name.clone(), handle);
        while self.order.len() > KEPT_MAX || self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.order.front().cloned() else { return };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, name: &Bytes) {
        if let Some(handle) = self.handles.remove(name) {
            self.bytes -= handle.encoded_len();
            self.order.retain(|kept| kept != name);
        }
    }
}

impl Prepared {
    pub(super) fn new(ids: Arc<dyn Ids>) -> Self {
        Self { ids, kept: Mutex::default() }
    }

    /// Makes a handle, and says what the statement answers and waits for.
    pub(super) async fn create(
        &self,
        querier: &Querier,
        caller: &Caller,
        request: ActionCreatePreparedStatementRequest,
    ) -> Result<ActionCreatePreparedStatementResult> {
        if request.transaction_id.is_some() {
            return Err(Refusal::invalid("there are no transactions here; prepare the statement without one"));
        }
        let database = caller.database(querier, None).await?;
        let (columns, parameters) = querier.outline(query(request.query.clone(), database.clone())).await?;
        let handle = Handle::new(request.query, database);
        let handle = match parameters.is_empty() {
            true => handle,
            false => handle.named(Bytes::copy_from_slice(self.ids.random().as_bytes())),
        };
        let bytes = |schema: &Schema| {
            schema_bytes(schema).map_err(|error| Refusal::from(Error::internal(format!("encoding a schema: {error}"))))
        };
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle.to_bytes(),
            // A client of JDBC takes a statement without this for one that changes something.
            dataset_schema: bytes(&wire::wire_schema(&columns))?,
            parameter_schema: bytes(&parameter_schema(&parameters))?,
        })
    }

    /// Binds values; the answer holds the handle that has them.
    pub(super) async fn bind(
        &self,
        handle: &[u8],
        data: impl Stream<Item = std::result::Result<FlightData, FlightError>> + Send + 'static,
    ) -> Result<DoPutPreparedStatementResult> {
        let handle = Handle::from_bytes(handle)?;
        let handle = match row(data).await? {
            Some(values) => handle.bound(&values)?,
            None => handle,
        };
        if !handle.name.is_empty() {
            self.kept.lock().insert(handle.clone());
        }
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(handle.to_bytes()) })
    }

    /// The handle with its values: those that it holds, else those that were bound here last.
    pub(super) fn completed(&self, handle: Handle) -> Result<Handle> {
        if handle.name.is_empty() || handle.values()?.is_some() {
            return Ok(handle);
        }
        let kept = self.kept.lock().handles.get(&handle.name).cloned();
        kept.filter(|kept| kept.sql == handle.sql).ok_or_else(|| {
            Refusal::invalid(
                "the statement has parameters and no values; bind them first, and where several queriers share the \
                 work use the handle that binding returns",
            )
        })
    }

    /// Forgets what was kept for a statement.
    pub(super) fn close(&self, request: &ActionClosePreparedStatementRequest) {
        // A handle that cannot be read is one that nothing is kept for.
        if let Ok(handle) = Handle::from_bytes(&request.prepared_statement_handle) {
            self.kept.lock().remove(&handle.name);
        }
    }
}

/// The values of the only row that the client sends.
async fn row(
    data: impl Stream<Item = std::result::Result<FlightData, FlightError>> + Send + 'static,
) -> Result<Option<Values>> {
    let batches = FlightRecordBatchStream::new_from_flight_data(data);
    let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(|error| match error {
        FlightError::Tonic(status) => Refusal::invalid(format!("the parameters did not arrive: {}", status.message())),
        other => Refusal::invalid(format!("the parameters cannot be read: {other}")),
    })?;
    let mut filled = batches.iter().filter(|batch| batch.num_rows() > 0);
    match (filled.next(), filled.next()) {
        (None, _) => Ok(None),
        (Some(batch), None) => Values::of_row(batch),
        (Some(_), Some(_)) => Err(Refusal::invalid(
            "several rows of parameters came for one statement; bind one row and execute, then the next",
        )),
    }
}

/// The parameters as a schema. What the statement does not tell is a text: it is what every client can send.
fn parameter_schema(parameters: &[Parameter]) -> Schema {
    let fields = parameters.iter().map(|parameter| {
        let data_type = parameter.data_type.clone().unwrap_or(DataType::Utf8);
        Field::new(&parameter.name, data_type, true)
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    Schema::new(wire::wire_schema(&schema).fields().clone())
}
