use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
    UnionArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, UnionFields};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandPreparedStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, Ticket};
use futures::TryStreamExt;
use prost::Message;
use tonic::Code;
use tonic::transport::Channel;

use super::harness::*;
use crate::tests::world::*;

fn row(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn integer(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

/// The answer to a prepared statement with these values.
async fn bound(client: &mut FlightSqlServiceClient<Channel>, sql: &str, values: RecordBatch) -> Vec<String> {
    let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    prepared.set_parameters(values).unwrap();
    let info = prepared.execute().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let (schema, batches) = read(client, &info).await;
    prepared.close().await.unwrap();
    shown(&schema, &batches)
}

#[tokio::test]
async fn a_statement_without_parameters_is_prepared_and_told_its_columns() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    let mut prepared = client.prepare("SELECT city, n, time FROM weather ORDER BY n".to_owned(), None).await.unwrap();
    let columns = prepared.dataset_schema().unwrap();
    let types: Vec<&DataType> = columns.fields().iter().map(|field| field.data_type()).collect();
    assert_eq!(types, [&DataType::Utf8, &DataType::Int64, &DataType::Timestamp(TimeUnit::Nanosecond, None)]);
    assert!(prepared.parameter_schema().unwrap().fields().is_empty());
    let info = prepared.execute().await.unwrap();
    let (schema, batches) = read(&mut client, &info).await;
    assert_eq!(shown(&schema, &batches)[1], "Oslo|5|2025-04-24T00:00:05");
    prepared.close().await.unwrap();
}

#[tokio::test]
async fn parameters_are_told_in_order_with_the_types_that_fit() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    let told = async |client: &mut FlightSqlServiceClient<Channel>, sql: &str| {
        let prepared = client.prepare(sql.to_owned(), None).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let fields = prepared.parameter_schema().unwrap().fields().clone();
        fields.iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect::<Vec<_>>().join(", ")
    };
    let sql = "SELECT n FROM weather WHERE city = ? AND n > ? AND temperature < ?";
    assert_eq!(told(&mut client, sql).await, "1 Utf8, 2 Int64, 3 Float64");
    assert_eq!(told(&mut client, "SELECT ? AS a, $name AS b").await, "1 Utf8, name Utf8");
    let sql = "SELECT n FROM weather WHERE n IN ($10, $9, $2, $1)";
    assert_eq!(told(&mut client, sql).await, "1 Int64, 2 Int64, 9 Int64, 10 Int64");
}

#[tokio::test]
async fn values_come_in_every_way_that_clients_have() {
    let served = Served::of(weather().await.querier()).await;
    let client = &mut served.client().await;
    let sql = "SELECT n FROM weather WHERE city = ? AND n > ?";
    assert_eq!(bound(client, sql, row(vec![("0", text("Oslo")), ("1", integer(5))])).await, ["n", "75"]);
    assert_eq!(bound(client, sql, row(vec![("$1", text("Oslo")), ("$2", integer(5))])).await, ["n", "75"]);
    assert_eq!(bound(client, sql, row(vec![("$2", integer(5)), ("$1", text("Oslo"))])).await, ["n", "75"]);
    assert_eq!(bound(client, sql, row(vec![("", text("Oslo")), ("?", integer(5))])).await, ["n", "75"]);
    let unions = row(vec![("param_0", any_of(1)), ("param_1", any_of(0))]);
    assert_eq!(bound(client, sql, unions).await, ["n", "75"]);
    let named = "SELECT n FROM weather WHERE city = $city AND n > $low";
    assert_eq!(bound(client, named, row(vec![("low", integer(5)), ("city", text("Oslo"))])).await, ["n", "75"]);
    assert_eq!(bound(client, named, row(vec![("$low", integer(5)), ("$city", text("Oslo"))])).await, ["n", "75"]);
    let time: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![DAY + 60_000_000_000]));
    let sql = "SELECT n FROM weather WHERE time > ?";
    assert_eq!(bound(client, sql, row(vec![("0", time)])).await, ["n", "75"]);
    assert_eq!(bound(client, sql, row(vec![("0", text("2025-04-24T00:01:00Z"))])).await, ["n", "75"]);
    let null: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    let sql = "SELECT ? IS NULL AS a, ? AS b, ? AS c";
    let values = row(vec![("0", null), ("1", Arc::new(BooleanArray::from(vec![true])) as ArrayRef), ("2", text("x"))]);
    assert_eq!(bound(client, sql, values).await, ["a|b|c", "true|true|x"]);
    assert_eq!(
        bound(client, "SELECT n FROM weather ORDER BY n LIMIT ?", row(vec![("0", integer(1))])).await,
        ["n", "5"]
    );
}

/// A value in the union that flightsql-dbapi sends: an integer 5, or the text Oslo.
fn any_of(kind: i8) -> ArrayRef {
    let fields = [
        ("int", DataType::Int64),
        ("float", DataType::Float64),
        ("string", DataType::Utf8),
        ("bytes", DataType::Binary),
        ("bool", DataType::Boolean),
    ];
    let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
    let type_id = if kind == 0 { 0 } else { 2 };
    let children: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(if kind == 0 { vec![5] } else { vec![] })),
        Arc::new(Float64Array::from(Vec::<f64>::new())),
        Arc::new(StringArray::from(if kind == 0 { vec![] } else { vec!["Oslo"] })),
        Arc::new(BinaryArray::from(Vec::<&[u8]>::new())),
        Arc::new(BooleanArray::from(Vec::<bool>::new())),
    ];
    let fields = UnionFields::from_fields(fields);
    Arc::new(UnionArray::try_new(fields, vec![type_id].into(), Some(vec![0].into()), children).unwrap())
}

/// Prepares on one querier, binds on a second, asks a third and reads from a fourth, which know nothing of each other.
#[tokio::test]
async fn any_querier_goes_on_with_what_another_began() {
    let world = weather().await;
    let mut queriers = Vec::new();
    for _ in 0..4 {
        queriers.push(Served::of(world.querier()).await);
    }
    let created = create(&queriers[0], "SELECT n FROM weather WHERE n > ?").await;
    let with_values = bind(&queriers[1], &created, row(vec![("0", integer(5))])).await.unwrap();
    let described = execute(&queriers[2], &with_values).await.unwrap();
    let ticket = described.endpoint[0].ticket.clone().unwrap();
    let (schema, batches) = {
        let client = &mut queriers[3].client().await;
        read(client, &described).await
    };
    assert_eq!(shown(&schema, &batches), ["n", "75"]);
    // The statement's own database goes with it, whatever later calls say.
    let stream = queriers[3].raw().await.do_get(call(ticket, &[("database", "nope")])).await.unwrap();
    assert!(stream.into_inner().try_collect::<Vec<_>>().await.unwrap().len() > 1);
}

/// flightsql-dbapi leaves the new handle unread.
#[tokio::test]
async fn a_client_that_keeps_its_first_handle_is_answered_where_it_bound() {
    let world = weather().await;
    let (here, elsewhere) = (Served::of(world.querier()).await, Served::of(world.querier()).await);
    let created = create(&here, "SELECT n FROM weather WHERE n > ?").await;
    let early = execute(&here, &created).await.unwrap_err();
    assert_eq!(early.code(), Code::InvalidArgument);
    assert!(early.message().contains("parameters and no values"), "{early}");
    for (low, expected) in [(5, "75"), (0, "5")] {
        bind(&here, &created, row(vec![("0", integer(low))])).await.unwrap();
        let info = execute(&here, &created).await.unwrap();
        let (schema, batches) = read(&mut here.client().await, &info).await;
        assert_eq!(shown(&schema, &batches)[1], expected);
    }
    let lost = execute(&elsewhere, &created).await.unwrap_err();
    assert!(lost.message().contains("the handle that binding returns"), "{lost}");
    close(&here, &created).await;
    assert_eq!(execute(&here, &created).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn mistakes_with_parameters_are_named() {
    let served = Served::of(weather().await.querier()).await;
    let handle = create(&served, "SELECT n FROM weather WHERE n > ? AND city = ?").await;
    let two = RecordBatch::try_from_iter([("0", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    let status = bind(&served, &handle, two).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("2 rows of parameters"), "{status}");
    let large = row(vec![("0", text(&"x".repeat(1 << 20)))]);
    let status = bind(&served, &handle, large).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("is the limit"), "{status}");
    let few = bind(&served, &handle, row(vec![("0", integer(1))])).await.unwrap();
    let status = execute(&served, &few).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("$2"), "{status}");
    for foreign in [&b"h1"[..], b"", b"SELECT 1"] {
        let status = execute(&served, foreign).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("handle"), "{status}");
        assert!(bind(&served, foreign, row(vec![("0", integer(1))])).await.is_err());
        close(&served, foreign).await;
    }
    let mut client = served.client().await;
    for wrong in ["SELEC ?", "SELECT nope FROM weather", "INSERT INTO weather VALUES (?)", "SELECT ?, $1"] {
        assert!(client.prepare(wrong.to_owned(), None).await.is_err(), "{wrong}");
    }
}

async fn create(served: &Served, sql: &str) -> Vec<u8> {
    use arrow_flight::Action;
    use arrow_flight::sql::{ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any};
    let request = ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
    let action = Action::new("CreatePreparedStatement", request.as_any().encode_to_vec());
    let results = served.raw().await.do_action(call(action, &[("database", "mydb")])).await.unwrap();
    let result = results.into_inner().message().await.unwrap().unwrap();
    let created: ActionCreatePreparedStatementResult = Any::decode(&*result.body).unwrap().unpack().unwrap().unwrap();
    created.prepared_statement_handle.to_vec()
}

async fn bind(served: &Served, handle: &[u8], values: RecordBatch) -> Result<Vec<u8>, tonic::Status> {
    let command = CommandPreparedStatementQuery { prepared_statement_handle: handle.to_vec().into() };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let schema: Arc<Schema> = values.schema();
    let data = FlightDataEncoderBuilder::new().with_schema(schema).with_flight_descriptor(Some(descriptor));
    let data: Vec<_> = data.build(futures::stream::iter([Ok(values)])).try_collect().await.unwrap();
    let results = served.raw().await.do_put(futures::stream::iter(data)).await?;
    let result = results.into_inner().message().await?.unwrap();
    let bound = arrow_flight::sql::DoPutPreparedStatementResult::decode(&*result.app_metadata).unwrap();
    Ok(bound.prepared_statement_handle.unwrap().to_vec())
}

async fn execute(served: &Served, handle: &[u8]) -> Result<arrow_flight::FlightInfo, tonic::Status> {
    let command = CommandPreparedStatementQuery { prepared_statement_handle: handle.to_vec().into() };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = served.raw().await.get_flight_info(descriptor).await?.into_inner();
    // The command itself is a ticket too.
    let ticket = Ticket { ticket: command.as_any().encode_to_vec().into() };
    let stream = served.raw().await.do_get(ticket).await?.into_inner();
    stream.try_collect::<Vec<_>>().await?;
    Ok(info)
}

async fn close(served: &Served, handle: &[u8]) {
    use arrow_flight::Action;
    use arrow_flight::sql::ActionClosePreparedStatementRequest;
    let request = ActionClosePreparedStatementRequest { prepared_statement_handle: handle.to_vec().into() };
    let action = Action::new("ClosePreparedStatement", request.as_any().encode_to_vec());
    let mut results = served.raw().await.do_action(action).await.unwrap().into_inner();
    assert!(results.message().await.unwrap().is_none());
}
