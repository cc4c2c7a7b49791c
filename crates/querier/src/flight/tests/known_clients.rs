//! Call sequences of clients that cannot be run here, taken from their sources.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    Any, CommandGetCatalogs, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandPreparedStatementQuery, ProstMessageExt,
};
use arrow_flight::{Action, FlightDescriptor, HandshakeRequest};
use futures::TryStreamExt;
use prost::Message;
use tonic::transport::Channel;

use super::harness::*;
use crate::flight::session::{OptionValue, SetSessionOptionsRequest, SetSessionOptionsResult};

/// Grafana executes a statement with the database as metadata and takes the only endpoint; a text that it cannot show
/// and a time that is not in nanoseconds would be empty columns.
#[tokio::test]
async fn grafana_finds_its_way_and_its_macros_work() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    assert_eq!(answer_to(&mut client, "select 1").await.len(), 2);
    assert_eq!(answer_to(&mut client, "").await, [""]);
    for (sql, expected) in [
        (
            "SELECT DISTINCT TABLE_SCHEMA from information_schema.TABLES where TABLE_TYPE != 'SYSTEM VIEW' ORDER BY TABLE_SCHEMA",
            "information_schema iox mydb",
        ),
        ("SELECT table_name FROM information_schema.tables WHERE table_schema = 'iox' ORDER BY table_name", "weather"),
        (
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'iox' AND table_name = 'weather' ORDER BY column_name",
            "city|Utf8 n|Int64 note|Utf8 temperature|Float64 time|Timestamp(Nanosecond, None) u|UInt64 wet|Boolean",
        ),
        // $__timeFrom and $__timeTo, $__timeFilter
        (
            "SELECT n FROM weather WHERE time >= cast('2025-04-24T00:00:00Z' as timestamp) AND time <= cast('2025-04-24T00:01:00Z' as timestamp)",
            "5",
        ),
        // $__dateBin, $__dateBinAlias
        (
            "SELECT date_bin(interval '60 second', time, timestamp '1970-01-01T00:00:00Z') AS time_binned, avg(temperature) FROM weather GROUP BY time_binned ORDER BY 1",
            "2025-04-24T00:00:00|82.0 2025-04-24T00:01:00|81.5",
        ),
        // $__interval
        ("SELECT time + interval '10 second' FROM weather ORDER BY time LIMIT 1", "2025-04-24T00:00:15"),
        // $__timeGroup
        ("SELECT datepart('minute', time), n FROM weather ORDER BY time", "0|5 1|75"),
        (
            "SELECT \"n\", \"time\" FROM iox.weather WHERE \"city\" = 'Oslo' ORDER BY \"time\" ASC LIMIT 1",
            "5|2025-04-24T00:00:05",
        ),
    ] {
        let info = client.execute(sql.to_owned(), None).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let (schema, batches) = read(&mut client, &info).await;
        assert_eq!(shown(&schema, &batches)[1..].join(" "), expected, "{sql}");
        for field in schema.fields() {
            let shown = matches!(
                field.data_type(),
                DataType::Utf8
                    | DataType::Float64
                    | DataType::Int64
                    | DataType::Int32
                    | DataType::UInt64
                    | DataType::Boolean
                    | DataType::Timestamp(TimeUnit::Nanosecond, _)
            );
            assert!(shown, "{sql}: {field}");
        }
    }
}

async fn described(client: &mut FlightSqlServiceClient<Channel>, command: impl ProstMessageExt) -> Vec<String> {
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info =
        client.inner_mut().get_flight_info(call(descriptor, &[("database", "mydb")])).await.unwrap().into_inner();
    let (schema, batches) = read(client, &info).await;
    shown(&schema, &batches)
}

/// The driver of JDBC that comes with Arrow, with `catalog=public` and a token in its address: it shakes hands, sets the
/// catalog, asks for everything about the server, and prepares every statement. A statement whose columns are not told
/// it takes for an update.
#[tokio::test]
async fn jdbc_connects_asks_about_everything_and_reads() {
    let served = Served::guarded(weather().await.querier(), credentials(None, Some("t0ken"))).await;
    let bearer = [("authorization", "Bearer t0ken"), ("database", "mydb")];
    let hello = futures::stream::iter([HandshakeRequest::default()]);
    let shaken = served.raw().await.handshake(call(hello, &bearer)).await.unwrap();
    assert_eq!(shaken.metadata().get("authorization").unwrap(), "Bearer t0ken");
    shaken.into_inner().try_collect::<Vec<_>>().await.unwrap();

    let mut client = served.client().await;
    client.set_token("t0ken".to_owned());
    let catalog = [("catalog".to_owned(), OptionValue::of_text("public".to_owned()))];
    let options = SetSessionOptionsRequest { session_options: catalog.into() }.encode_to_vec();
    let set = client.inner_mut().do_action(call(Action::new("SetSessionOptions", options), &bearer)).await.unwrap();
    let set = set.into_inner().message().await.unwrap().unwrap();
    assert!(SetSessionOptionsResult::decode(&*set.body).unwrap().errors.is_empty());

    let mut known = FlightSqlServiceClient::new(served.channel().await);
    known.set_token("t0ken".to_owned());
    let name = || "weather".to_owned();
    let sizes = [
        jdbc(&mut known, CommandGetSqlInfo { info: Vec::new() }).await,
        jdbc(&mut known, CommandGetCatalogs {}).await,
        jdbc(&mut known, CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: Some("%".to_owned()) }).await,
        jdbc(&mut known, CommandGetTableTypes {}).await,
        jdbc(&mut known, CommandGetXdbcTypeInfo { data_type: None }).await,
        jdbc(&mut known, CommandGetTables { include_schema: true, ..Default::default() }).await,
        jdbc(&mut known, CommandGetPrimaryKeys { catalog: None, db_schema: None, table: name() }).await,
        jdbc(&mut known, CommandGetExportedKeys { catalog: None, db_schema: None, table: name() }).await,
        jdbc(&mut known, CommandGetImportedKeys { catalog: None, db_schema: None, table: name() }).await,
    ];
    assert!(sizes[..6].iter().all(|rows| *rows > 0), "{sizes:?}");
    assert_eq!(sizes[6..], [0, 0, 0]);

    let request =
        ActionCreatePreparedStatementRequest { query: "SELECT n FROM weather".to_owned(), transaction_id: None };
    let action = Action::new("CreatePreparedStatement", request.as_any().encode_to_vec());
    let results = client.inner_mut().do_action(call(action, &bearer)).await.unwrap();
    let result = results.into_inner().message().await.unwrap().unwrap();
    let created: ActionCreatePreparedStatementResult = Any::decode(&*result.body).unwrap().unpack().unwrap().unwrap();
    let columns = Schema::try_from(arrow_flight::IpcMessage(created.dataset_schema)).unwrap();
    assert_eq!(columns.field(0).name(), "n");
    let handle = created.prepared_statement_handle;
    let command = CommandPreparedStatementQuery { prepared_statement_handle: handle.clone() };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = client.inner_mut().get_flight_info(call(descriptor, &bearer)).await.unwrap().into_inner();
    let (schema, batches) = read(&mut client, &info).await;
    assert_eq!(shown(&schema, &batches).len(), 3);
    let request = ActionClosePreparedStatementRequest { prepared_statement_handle: handle };
    let action = Action::new("ClosePreparedStatement", request.as_any().encode_to_vec());
    client.inner_mut().do_action(call(action, &bearer)).await.unwrap();
    client.inner_mut().do_action(call(Action::new("CloseSession", ""), &bearer)).await.unwrap();
}

/// How many rows the driver gets for a command about the server.
async fn jdbc(client: &mut FlightSqlServiceClient<Channel>, command: impl ProstMessageExt) -> usize {
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let metadata = [("authorization", "Bearer t0ken"), ("database", "mydb")];
    let info = client.inner_mut().get_flight_info(call(descriptor, &metadata)).await.unwrap().into_inner();
    let (_, batches) = read(client, &info).await;
    batches.iter().map(|batch| batch.num_rows()).sum()
}

/// ADBC asks whether there are transactions when it connects, and a client in Go ends its process where the columns of the
/// answer are not the ones it knows. Then every statement is prepared.
#[tokio::test]
async fn adbc_connects_and_reads() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    let told = described(&mut client, CommandGetSqlInfo { info: vec![8] }).await;
    assert_eq!(told, ["info_name|value", "8|{int32_bitmask=0}"]);
    let told = described(&mut client, CommandGetSqlInfo { info: vec![0, 1, 2] }).await;
    assert_eq!((told.len(), told[1].as_str()), (4, "0|{string_value=GigAPI}"));
    let mut prepared = client.prepare("SELECT n FROM weather ORDER BY n".to_owned(), None).await.unwrap();
    let info = prepared.execute().await.unwrap();
    let (schema, batches) = read(&mut client, &info).await;
    assert_eq!(shown(&schema, &batches), ["n", "5", "75"]);
    prepared.close().await.unwrap();
}
