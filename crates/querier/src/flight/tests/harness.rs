//! A server on a port and clients of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, FlightInfo, Ticket};
use futures::TryStreamExt;
use gigapi_model::{SystemClock, SystemIds};
use gigapi_service::http::{ConnectionLimit, HttpMetrics, RequestIds, ServeOptions, Shell, serve, shell};
use gigapi_service::settings::{AuthSettings, UserCredentials};
use gigapi_service::{Authenticator, Metrics, Secret, Shutdown};
use prometheus_client::registry::Registry;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::tests::world::*;
use crate::{Querier, routes};

/// Long enough that only a hang reaches it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// More rows than anything here could wait for.
pub(super) const ENDLESS: &str = "SELECT value FROM generate_series(1, 1000000000000)";

/// A server of queries as a process runs it: shell, limits and all.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Served {
    /// To everybody.
    pub(super) async fn of(querier: Querier) -> Self {
        Self::guarded(querier, AuthSettings { user: None, token: None }).await
    }

    /// To whoever has these credentials.
    pub(super) async fn guarded(querier: Querier, auth: AuthSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = HttpMetrics::register(&Metrics::new(Arc::new(SystemClock)));
        let wrapping = Shell {
            ids: RequestIds::new(&SystemIds),
            auth: Arc::new(Authenticator::new(&auth)),
            metrics: metrics.clone(),
            endpoints: Arc::from([]),
        };
        let options = ServeOptions {
            name: "test",
            connections: ConnectionLimit::new(100),
            header_timeout: PATIENCE,
            body_idle_timeout: PATIENCE,
            keep_alive_timeout: PATIENCE,
            drain_timeout: PATIENCE,
            metrics,
        };
        let serving = tokio::spawn(serve(listener, shell(routes(querier), wrapping), options, &Shutdown::new()));
        Self { address, serving }
    }

    pub(super) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// A client of the protocol below SQL.
    pub(super) async fn raw(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.channel().await)
    }

    /// A client that names the database `mydb`.
    pub(super) async fn client(&self) -> FlightSqlServiceClient<Channel> {
        let mut client = FlightSqlServiceClient::new(self.channel().await);
        client.set_header("database", "mydb");
        client
    }
}

/// Credentials of a user, of a token, or of both.
pub(super) fn credentials(user: Option<(&str, &str)>, token: Option<&str>) -> AuthSettings {
    let secret = |text: &str| Secret::new(text);
    let user = user.map(|(name, password)| UserCredentials { name: secret(name), password: secret(password) });
    AuthSettings { user, token: token.map(secret) }
}

/// Two rows of `weather` in `mydb`, with a column of each type.
pub(super) async fn weather() -> World {
    let world = World::new().await;
    let row = |second: i64, temperature: f64| {
        let values = vec![
            ("city", Tag("Oslo")),
            ("temperature", Float(temperature)),
            ("n", Integer(second)),
            ("u", Unsigned(7)),
            ("wet", Boolean(true)),
            ("note", Text("fog")),
        ];
        (DAY + second * 1_000_000_000, values)
    };
    world.flush("mydb", "weather", &[row(5, 82.0), row(75, 81.5)]).await;
    world
}

/// What the querier counts, by name.
pub(super) fn counted(registry: &Registry, name: &str) -> i64 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Waits until it is so.
pub(super) async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came to be");
}

/// The columns and rows behind the only ticket.
pub(super) async fn read(
    client: &mut FlightSqlServiceClient<Channel>,
    info: &FlightInfo,
) -> (SchemaRef, Vec<RecordBatch>) {
    assert_eq!(info.endpoint.len(), 1);
    assert!(info.endpoint[0].location.is_empty());
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let batches: Vec<RecordBatch> = (&mut stream).try_collect().await.unwrap();
    let schema = stream.schema().cloned().expect("a stream without a schema");
    let announced = Schema::try_from(arrow_flight::IpcMessage(info.schema.clone())).unwrap();
    assert_eq!(announced, *schema, "the announced columns are not those of the rows");
    (schema, batches)
}

/// The rows as text, values separated by `|`, after the columns' names.
pub(super) fn shown(schema: &Schema, batches: &[RecordBatch]) -> Vec<String> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut lines = vec![names.join("|")];
    let options = FormatOptions::default().with_null("NULL");
    for batch in batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap());
        let columns: Vec<_> = columns.collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

/// The answer to a statement as text.
pub(super) async fn answer_to(client: &mut FlightSqlServiceClient<Channel>, sql: &str) -> Vec<String> {
    let info = client.execute(sql.to_owned(), None).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let (schema, batches) = read(client, &info).await;
    shown(&schema, &batches)
}

/// A statement as a descriptor.
pub(super) fn statement(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

/// A call with metadata.
pub(super) fn call<T>(message: T, metadata: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// What a statement is answered, when it is not.
pub(super) async fn refused(served: &Served, sql: &str) -> Status {
    let described = served.raw().await.get_flight_info(call(statement(sql), &[("database", "mydb")])).await;
    described.expect_err(sql)
}

/// The code and the message of a ticket's refusal.
pub(super) async fn refused_ticket(served: &Served, ticket: impl Into<bytes::Bytes>) -> (Code, String) {
    let ticket = Ticket { ticket: ticket.into() };
    let status = served.raw().await.do_get(call(ticket, &[("database", "mydb")])).await.unwrap_err();
    (status.code(), status.message().to_owned())
}
