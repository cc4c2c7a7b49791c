//! Arrow Flight and FlightSQL: the same queries as over HTTP, as streams of Arrow batches.
//!
//! Spoken by Grafana, ADBC, JDBC, flightsql-dbapi and InfluxDB 3's clients, over gRPC and gRPC-web. Nothing is kept between
//! two calls that another querier would miss: tickets and handles hold what they mean. The calls of
//! the protocol are implemented here, one level below `FlightSqlService`, whose way of reading a ticket leaves no
//! room for one in JSON and whose thirty methods would say the same thing thirty times. This server only reads.

mod actions;
mod asked;
mod caller;
mod handle;
mod info;
mod listing;
mod message;
mod prepared;
mod refusal;
mod rows;
mod session;
mod values;
mod wire;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::{Any, Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use axum::Router;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use gigapi_model::SystemIds;
use gigapi_service::auth::bearer_for;
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};
use tonic_web::GrpcWebLayer;
use tower::Layer;

use asked::Asked;
use caller::Caller;
use info::Info;
use prepared::Prepared;
use refusal::Refusal;
use rows::Rows;

use crate::{Error, Querier, QueryRequest};

/// Where gRPC calls of Flight go.
const PATH: &str = "/arrow.flight.protocol.FlightService/{method}";

/// The routes of Flight, for gRPC and gRPC-web.
pub(crate) fn routes(querier: Querier) -> Router {
    let service = GrpcWebLayer::new().layer(FlightServiceServer::new(Flight::new(querier)));
    Router::new().route_service(PATH, service)
}

/// Answers calls of Flight.
struct Flight {
    querier: Querier,
    prepared: Prepared,
    info: Info,
}

impl Flight {
    fn new(querier: Querier) -> Self {
        let info = Info::new(querier.sql_bytes_max()).expect("facts of one type each always make a table");
        Self { querier, prepared: Prepared::new(Arc::new(SystemIds)), info }
    }

    /// The columns of what is asked for; its rows have the same.
    async fn columns(&self, asked: Asked) -> refusal::Result<SchemaRef> {
        Ok(match asked {
            Asked::Statement(statement) => {
                let (columns, _) = self.querier.outline(statement.request).await?;
                wire::wire_schema(&columns)
            }
            Asked::Catalogs => listing::catalogs()?.schema(),
            Asked::Schemas(command) => command.into_builder().schema(),
            Asked::Tables(command) => listing::tables_schema(command),
            Asked::TableTypes => listing::table_types()?.schema(),
            Asked::SqlInfo(_) => self.info.sql(Vec::new())?.schema(),
            Asked::TypeInfo(_) => self.info.types(None)?.schema(),
            Asked::Keys(keys) => listing::keys(keys),
        })
    }

    async fn rows(&self, caller: &Caller, asked: Asked) -> refusal::Result<Rows> {
        let batch = match asked {
            Asked::Statement(statement) => {
                let request = QueryRequest { consistency: caller.consistency()?, ..statement.request };
                return Ok(Rows::of_answer(self.querier.query(request).await?));
            }
            Asked::Catalogs => listing::catalogs()?,
            Asked::Schemas(command) => listing::schemas(&self.querier, caller, command).await?,
            Asked::Tables(command) => listing::tables(&self.querier, caller, command).await?,
            Asked::TableTypes => listing::table_types()?,
            Asked::SqlInfo(command) => self.info.sql(command.info)?,
            Asked::TypeInfo(command) => self.info.types(command.data_type)?,
            Asked::Keys(keys) => RecordBatch::new_empty(listing::keys(keys)),
        };
        Ok(Rows::of_batch(batch))
    }

    async fn asked(&self, caller: &Caller, descriptor: &FlightDescriptor) -> refusal::Result<Asked> {
        if !descriptor.path.is_empty() {
            return Err(Refusal::invalid("there are no flights by path here; ask with a command of FlightSQL"));
        }
        asked::command(&descriptor.cmd, caller, &self.querier, &self.prepared).await
    }

    async fn schema(&self, caller: &Caller, descriptor: &FlightDescriptor) -> refusal::Result<Bytes> {
        let asked = self.asked(caller, descriptor).await?;
        encoded(&self.columns(asked).await?)
    }

    /// One place to read from, without an address: the one that answered, or another querier behind the same address.
    async fn flight_info(&self, caller: &Caller, descriptor: FlightDescriptor) -> refusal::Result<FlightInfo> {
        let asked = self.asked(caller, &descriptor).await?;
        let ticket = match &asked {
            Asked::Statement(statement) => {
                let ticket = TicketStatementQuery { statement_handle: statement.handle.to_bytes() };
                ticket.as_any().encode_to_vec().into()
            }
            _ => descriptor.cmd.clone(),
        };
        let schema = encoded(&self.columns(asked).await?)?;
        let endpoint = FlightEndpoint::new().with_ticket(Ticket { ticket });
        let info = FlightInfo::new().with_descriptor(descriptor).with_endpoint(endpoint);
        Ok(FlightInfo { schema, ..info.with_total_records(-1).with_total_bytes(-1) })
    }

    async fn put(&self, mut data: Streaming<FlightData>) -> refusal::Result<Vec<u8>> {
        let lost = |status: Status| Refusal::invalid(format!("the message did not arrive: {}", status.message()));
        let first = data.message().await.map_err(lost)?;
        let Some((first, descriptor)) = first.and_then(|first| first.flight_descriptor.clone().map(|of| (first, of)))
        else {
            return Err(Refusal::invalid("the first message has to carry a command of FlightSQL"));
        };
        let any = Any::decode(&*descriptor.cmd).ok().and_then(|any| Command::try_from(any).ok());
        match any.ok_or_else(|| Refusal::invalid("the command cannot be read; send one of FlightSQL"))? {
            Command::CommandPreparedStatementQuery(command) => {
                let data = futures::stream::iter([Ok(first)]).chain(data.map_err(FlightError::from));
                Ok(self.prepared.bind(&command.prepared_statement_handle, data).await?.encode_to_vec())
            }
            command => actions::update(&command),
        }
    }
}

fn encoded(schema: &SchemaRef) -> refusal::Result<Bytes> {
    message::schema_bytes(schema).map_err(|error| Error::internal(format!("encoding a schema: {error}")).into())
}

/// How old the rows may be, if the catalog could not be asked what is current.
const STALE_SECONDS: &str = "x-gigapi-stale-seconds";
/// On answers without the unflushed rows of writers that could not be asked.
const WRITERS_AWAY: &str = "x-gigapi-writers-away";

type Sent<T> = BoxStream<'static, Result<T, Status>>;

fn once<T: Send + 'static>(message: T) -> Response<Sent<T>> {
    Response::new(futures::stream::iter([Ok(message)]).boxed())
}

#[tonic::async_trait]
impl FlightService for Flight {
    type HandshakeStream = Sent<HandshakeResponse>;
    type ListFlightsStream = Sent<FlightInfo>;
    type DoGetStream = Sent<FlightData>;
    type DoPutStream = Sent<PutResult>;
    type DoExchangeStream = Sent<FlightData>;
    type DoActionStream = Sent<arrow_flight::Result>;
    type ListActionsStream = Sent<ActionType>;

    /// The credentials were judged before the call came here. Clients go on with what they get back.
    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let bearer = request.metadata().get("authorization").and_then(|value| bearer_for(value.as_bytes()));
        let token = bearer.as_deref().and_then(|bearer| bearer.strip_prefix("Bearer ")).unwrap_or_default();
        let mut response = once(HandshakeResponse { protocol_version: 0, payload: token.to_owned().into() });
        if let Some(value) = bearer.and_then(|bearer| MetadataValue::try_from(bearer).ok()) {
            response.metadata_mut().insert("authorization", value);
        }
        Ok(response)
    }

    /// There are no flights but those that a command describes.
    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Ok(Response::new(futures::stream::empty().boxed()))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let caller = Caller::of(&request);
        let info = self.flight_info(&caller, request.into_inner()).await;
        info.map(Response::new).map_err(|refusal| refusal.status(&caller.id))
    }

    /// A statement is planned when its information is asked for, so it is always there at once.
    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        let info = self.get_flight_info(request).await?.into_inner();
        Ok(Response::new(PollInfo { info: Some(info), progress: Some(1.0), ..PollInfo::default() }))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = Caller::of(&request);
        let schema = self.schema(&caller, request.get_ref()).await.map_err(|refusal| refusal.status(&caller.id))?;
        Ok(Response::new(SchemaResult { schema }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let caller = Caller::of(&request);
        let ticket = request.into_inner().ticket;
        let rows = async {
            let asked = asked::ticket(&ticket, &caller, &self.querier, &self.prepared).await?;
            self.rows(&caller, asked).await
        };
        let rows = rows.await.map_err(|refusal| refusal.status(&caller.id))?;
        let (stale, away) = (rows.stale, rows.away.join(", "));
        let mut response = Response::new(rows.messages(self.querier.runtime(), caller.id));
        if let Some(age) = stale {
            response.metadata_mut().insert(STALE_SECONDS, age.as_secs().into());
        }
        if let Some(away) = away.parse().ok().filter(|_| !away.is_empty()) {
            response.metadata_mut().insert(WRITERS_AWAY, away);
        }
        Ok(response)
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = Caller::of(&request);
        let done = self.put(request.into_inner()).await.map_err(|refusal| refusal.status(&caller.id))?;
        Ok(once(PutResult { app_metadata: done.into() }))
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        let caller = Caller::of(&request);
        Err(Refusal::not_here("there is no exchange of rows here; read with GetFlightInfo and DoGet")
            .status(&caller.id))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = Caller::of(&request);
        let done = actions::act(&self.querier, &caller, &self.prepared, request.into_inner()).await;
        let done = done.map_err(|refusal| refusal.status(&caller.id))?;
        let results = done.body.map(|body| Ok(arrow_flight::Result { body: body.into() }));
        let mut response = Response::new(futures::stream::iter(results).boxed());
        if let Some(cookie) = done.cookie {
            response.metadata_mut().insert("set-cookie", cookie);
        }
        Ok(response)
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(futures::stream::iter(actions::types().map(Ok)).boxed()))
    }
}

#[cfg(test)]
mod tests;
