//! Writers in other processes, asked over Arrow Flight.
//!
//! A connection to each address is kept for as long as a writer is registered there. Whatever keeps a writer from
//! answering is told as [`Error::WriterAway`], and nothing is tried twice here: what to do without a writer is the
//! query's to say.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{Action, Ticket};
use async_trait::async_trait;
use datafusion::execution::memory_pool::MemoryConsumer;
use futures::{StreamExt, TryStreamExt};
use gigapi_model::{TableId, TimeRange, WriterId};
use gigapi_service::Secret;
use gigapi_service::process::with_causes;
use gigapi_service::unflushed::{HELD_ACTION, Held, HeldChunk, HeldRequest, RowsRequest, UNFLUSHED_PATH};
use parking_lot::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::{Produce, RowsWanted, Unflushed, UnflushedPart, UnflushedView};
use crate::{Error, Result};

/// How long a writer is waited for: for a connection, for an answer to begin, and between two pieces of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The connections to writers.
#[derive(Debug)]
pub(crate) struct Writers {
    channels: Mutex<HashMap<String, Channel>>,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Writers {
    /// `authorization` is what every process of the installation accepts.
    pub(crate) fn new(authorization: Option<&Secret>) -> Result<Self> {
        let header = |secret: &Secret| -> Result<MetadataValue<Ascii>> {
            let value = secret.expose().parse();
            let mut value: MetadataValue<Ascii> =
                value.map_err(|_| Error::internal("the credentials do not fit into a header"))?;
            value.set_sensitive(true);
            Ok(value)
        };
        Ok(Self { channels: Mutex::default(), authorization: authorization.map(header).transpose()? })
    }

    /// The writers at these addresses. Others are forgotten.
    pub(crate) fn at(&self, registered: &BTreeMap<WriterId, String>) -> Vec<Arc<dyn Unflushed>> {
        let mut channels = self.channels.lock();
        channels.retain(|known, _| registered.values().any(|address| address == known));
        let remote = |(writer, address): (&WriterId, &String)| {
            let channel = match channels.get(address) {
                Some(channel) => Ok(channel.clone()),
                None => connected(address).inspect(|channel| _ = channels.insert(address.clone(), channel.clone())),
            };
            let authorization = self.authorization.clone();
            Arc::new(RemoteWriter { writer: *writer, address: address.clone(), channel, authorization })
                as Arc<dyn Unflushed>
        };
        registered.iter().map(remote).collect()
    }
}

/// A connection that is made when it is used.
fn connected(address: &str) -> std::result::Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
    let endpoint = endpoint.connect_timeout(PATIENCE).tcp_nodelay(true);
    // A host that has gone without a word is noticed, so that the next query asks whoever is there now.
    Ok(endpoint.http2_keep_alive_interval(PATIENCE).keep_alive_timeout(PATIENCE).connect_lazy())
}

/// A writer in another process.
struct RemoteWriter {
    writer: WriterId,
    address: String,
    channel: std::result::Result<Channel, String>,
    authorization: Option<MetadataValue<Ascii>>,
}

impl std::fmt::Debug for RemoteWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteWriter")
            .field("writer", &self.writer)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A chunk as the writer told of it.
#[derive(Debug)]
struct RemotePart(HeldChunk);

impl UnflushedPart for RemotePart {
    fn sequences(&self) -> (u64, u64) {
        (self.0.lo, self.0.hi)
    }

    fn time_range(&self) -> TimeRange {
        self.0.time
    }

    fn rows(&self) -> usize {
        usize::try_from(self.0.rows).unwrap_or(usize::MAX)
    }
}

impl RemoteWriter {
    fn away(&self, reason: impl Into<String>) -> Error {
        Error::WriterAway { writer: self.writer, address: self.address.clone(), reason: reason.into() }
    }

    fn client(&self) -> Result<FlightServiceClient<Channel>> {
        let channel = self.channel.clone().map_err(|reason| self.away(reason))?;
        let origin = format!("http://{}{UNFLUSHED_PATH}", self.address);
        let origin = origin.parse().map_err(|_| self.away("this is no address"))?;
        Ok(FlightServiceClient::with_origin(channel, origin).max_decoding_message_size(usize::MAX))
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }

    /// Waits for a step of the conversation.
    async fn patiently<T>(&self, step: impl Future<Output = std::result::Result<T, Status>>) -> Result<T> {
        match tokio::time::timeout(PATIENCE, step).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(status)) if status.code() == Code::FailedPrecondition => {
                Err(Error::Overtaken { writer: self.writer })
            }
            Ok(Err(status)) => Err(self.away(with_causes(status.message().to_owned(), &status))),
            Err(_) => Err(self.away(format!("it did not answer within {} s", PATIENCE.as_secs()))),
        }
    }
}

fn encoded<T: serde::Serialize>(message: &T) -> Result<bytes::Bytes> {
    let encoded = serde_json::to_vec(message);
    encoded.map(Into::into).map_err(|error| Error::internal(format!("asking a writer: {error}")))
}

#[async_trait]
impl Unflushed for RemoteWriter {
    fn writer(&self) -> WriterId {
        self.writer
    }

    async fn view(&self, table: TableId) -> Result<UnflushedView> {
        let body = encoded(&HeldRequest { writer: self.writer, table })?;
        let mut client = self.client()?;
        let asked = async {
            let action = Action { r#type: HELD_ACTION.to_owned(), body };
            let mut results = client.do_action(self.request(action)).await?.into_inner();
            results.message().await?.ok_or_else(|| Status::unavailable("its answer is empty"))
        };
        let result = self.patiently(asked).await?;
        let held: Held = serde_json::from_slice(&result.body)
            .map_err(|error| self.away(format!("its answer cannot be read: {error}")))?;
        let part = |chunk| Arc::new(RemotePart(chunk)) as Arc<dyn UnflushedPart>;
        Ok(UnflushedView { floor: held.floor, parts: held.chunks.into_iter().map(part).collect() })
    }

    async fn rows(&self, wanted: RowsWanted) -> Result<Produce> {
        let RowsWanted { parts, above, table, columns, range, memory } = wanted;
        let chunk = |part: &Arc<dyn UnflushedPart>| {
            let part = (part.as_ref() as &dyn Any).downcast_ref::<RemotePart>();
            part.map(|RemotePart(chunk)| (chunk.lo, chunk.hi))
                .ok_or_else(|| Error::internal("a part of another holder"))
        };
        let request = RowsRequest {
            writer: self.writer,
            table: table.as_ref().clone(),
            above,
            chunks: parts.iter().map(chunk).collect::<Result<_>>()?,
            columns: columns.to_vec(),
            time: range,
        };
        let ticket = Ticket { ticket: encoded(&request)? };
        let mut client = self.client()?;
        let messages = self.patiently(client.do_get(self.request(ticket))).await?.into_inner();
        let status = |error: FlightError| match error {
            FlightError::Tonic(status) => *status,
            other => Status::unavailable(format!("its rows cannot be read: {other}")),
        };
        let messages = messages.map_err(|status| FlightError::Tonic(Box::new(status)));
        let mut rows = FlightRecordBatchStream::new_from_flight_data(messages).map_err(status);
        let reservation = MemoryConsumer::new("UnflushedRows").register(&memory);
        let mut batches: Vec<RecordBatch> = Vec::new();
        while let Some(batch) = self.patiently(async { rows.next().await.transpose() }).await? {
            reservation.try_grow(batch.get_array_memory_size())?;
            batches.push(batch);
        }
        Ok(Arc::new(move || {
            // Counted as long as the plan that holds this.
            let _ = &reservation;
            Ok(batches.clone())
        }))
    }
}
