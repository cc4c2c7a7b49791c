//! Unflushed rows for queriers in other processes, over Arrow Flight.
//!
//! An action tells what the writer holds of a table; a ticket fetches rows of it once the querier has its snapshot.
//! Nothing is kept between the two: a ticket whose rows have been flushed meanwhile is refused, and the querier begins
//! anew. Handing out rows never changes the buffer, and never delays a write or a flush: it shares what they share.

use std::sync::Arc;

use arrow_flight::encode::DictionaryHandling;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use axum::Router;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use gigapi_model::WriterId;
use gigapi_service::unflushed::{HELD_ACTION, Held, HeldChunk, HeldRequest, RowsRequest, UNFLUSHED_PATH};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use crate::buffer::Buffer;
use crate::unflushed::unflushed_batch;

/// Tickets whose rows are sorted and copied at once; others wait, so that queriers cannot make a writer's memory a
/// multiple of its buffer.
const HANDED_OUT_AT_ONCE: usize = 2;

/// The routes of a writer for queriers.
pub(crate) fn routes(writer: WriterId, buffer: Arc<Buffer>) -> Router {
    let turns = Arc::new(Semaphore::new(HANDED_OUT_AT_ONCE));
    let service = FlightServiceServer::new(Unflushed { writer, buffer, turns });
    Router::new().nest_service(UNFLUSHED_PATH, service)
}

struct Unflushed {
    writer: WriterId,
    buffer: Arc<Buffer>,
    turns: Arc<Semaphore>,
}

type Answer<T> = Result<Response<T>, Status>;
type Stream<T> = BoxStream<'static, Result<T, Status>>;

/// Of every call but the two.
fn not_here<T>() -> Answer<T> {
    Err(Status::unimplemented("a writer hands out unflushed rows to queriers and nothing else; ask a querier"))
}

fn message<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Status> {
    serde_json::from_slice(bytes)
        .map_err(|error| Status::invalid_argument(format!("the request cannot be read: {error}")))
}

impl Unflushed {
    fn meant(&self, writer: WriterId) -> Result<(), Status> {
        match writer == self.writer {
            true => Ok(()),
            false => Err(Status::not_found(format!("this is writer {}, not {writer}", self.writer))),
        }
    }

    fn held(&self, request: &HeldRequest) -> Held {
        let view = self.buffer.view(request.table);
        let chunks = view.chunks.iter().map(|chunk| HeldChunk {
            lo: chunk.lo,
            hi: chunk.hi,
            time: chunk.range(),
            rows: chunk.parts.iter().map(|part| part.rows() as u64).sum(),
        });
        Held { floor: view.floor, chunks: chunks.collect() }
    }

    async fn rows(&self, request: RowsRequest) -> Result<Stream<FlightData>, Status> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| Status::unavailable("the writer stops"))?;
        let parts = self.buffer.rows_of(request.table.id, request.above, &request.chunks);
        let parts = parts.ok_or_else(|| Status::failed_precondition("these rows have been flushed meanwhile"))?;
        let produce = move || unflushed_batch(&parts, &request.table, &request.columns, request.time);
        let produced = tokio::task::spawn_blocking(produce).await;
        let batch = produced
            .map_err(|panic| Status::internal(format!("sorting unflushed rows: {panic}")))?
            .map_err(|error| Status::internal(format!("sorting unflushed rows: {error}")))?;
        let Some(batch) = batch else { return Ok(futures::stream::empty().boxed()) };
        let schema = batch.schema();
        let batches = futures::stream::iter([Ok::<_, FlightError>(batch)]);
        // Columns of a dictionary stay what they are.
        let encoder =
            FlightDataEncoderBuilder::new().with_schema(schema).with_dictionary_handling(DictionaryHandling::Resend);
        let messages = encoder.build(batches).map_err(Status::from);
        // The turn lasts as long as the copy does.
        Ok(messages.inspect(move |_| _ = &turn).boxed())
    }
}

#[tonic::async_trait]
impl FlightService for Unflushed {
    type HandshakeStream = Stream<HandshakeResponse>;
    type ListFlightsStream = Stream<FlightInfo>;
    type DoGetStream = Stream<FlightData>;
    type DoPutStream = Stream<PutResult>;
    type DoExchangeStream = Stream<FlightData>;
    type DoActionStream = Stream<arrow_flight::Result>;
    type ListActionsStream = Stream<ActionType>;

    async fn do_action(&self, request: Request<Action>) -> Answer<Self::DoActionStream> {
        let action = request.into_inner();
        if action.r#type != HELD_ACTION {
            return not_here();
        }
        let request: HeldRequest = message(&action.body)?;
        self.meant(request.writer)?;
        let held = serde_json::to_vec(&self.held(&request)).map_err(|error| Status::internal(error.to_string()))?;
        let result = arrow_flight::Result { body: held.into() };
        Ok(Response::new(futures::stream::iter([Ok(result)]).boxed()))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Answer<Self::DoGetStream> {
        let request: RowsRequest = message(&request.get_ref().ticket)?;
        self.meant(request.writer)?;
        self.rows(request).await.map(Response::new)
    }

    async fn list_actions(&self, _: Request<Empty>) -> Answer<Self::ListActionsStream> {
        let description = "what the writer holds of a table".to_owned();
        let held = ActionType { r#type: HELD_ACTION.to_owned(), description };
        Ok(Response::new(futures::stream::iter([Ok(held)]).boxed()))
    }

    async fn handshake(&self, _: Request<Streaming<HandshakeRequest>>) -> Answer<Self::HandshakeStream> {
        not_here()
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Answer<Self::ListFlightsStream> {
        not_here()
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        not_here()
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<PollInfo> {
        not_here()
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Answer<SchemaResult> {
        not_here()
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Answer<Self::DoPutStream> {
        not_here()
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Answer<Self::DoExchangeStream> {
        not_here()
    }
}
