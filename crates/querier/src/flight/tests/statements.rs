use arrow::datatypes::{DataType, TimeUnit};
use arrow_flight::Ticket;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandStatementQuery, CommandStatementSubstraitPlan, CommandStatementUpdate, ProstMessageExt,
};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tonic::Code;

use super::harness::*;
use crate::QueryOptions;
use crate::tests::world::*;

#[tokio::test]
async fn a_statement_is_described_and_read() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    let answer = answer_to(&mut client, "SELECT city, temperature, time FROM weather ORDER BY time").await;
    assert_eq!(answer, ["city|temperature|time", "Oslo|82.0|2025-04-24T00:00:05", "Oslo|81.5|2025-04-24T00:01:15"]);
    assert_eq!(answer_to(&mut client, "SELECT count(*) FROM weather WHERE n > 100").await, ["count(*)", "0"]);
    assert_eq!(answer_to(&mut client, "SELECT n FROM weather WHERE n > 100").await, ["n"]);
    assert_eq!(answer_to(&mut client, "SHOW TABLES").await, ["table_name", "weather"]);
    assert_eq!(answer_to(&mut client, "DESCRIBE SELECT n FROM weather").await[1], "n|BIGINT|YES|NULL|NULL|NULL");
    assert!(answer_to(&mut client, "EXPLAIN SELECT n FROM weather").await[2].contains("physical_plan"));
}

#[tokio::test]
async fn an_empty_statement_has_an_empty_answer() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    for nothing in ["", "  ;\n", "SET TIME ZONE 'UTC'"] {
        assert_eq!(answer_to(&mut client, nothing).await, [""], "{nothing:?}");
    }
}

/// The announced schema is the stream's, byte for byte, whatever the statement does to types and names.
#[tokio::test]
async fn the_announced_schema_is_the_one_that_comes() {
    let served = Served::of(weather().await.querier()).await;
    for sql in [
        "SELECT * FROM weather",
        "SELECT * FROM weather a JOIN weather b ON a.time = b.time",
        "SELECT 1 AS x UNION ALL SELECT 1.5",
        "SELECT max(time), min(city), count(*), avg(n) FROM weather",
        "SELECT city, sum(n) FROM weather GROUP BY city",
        "SELECT * FROM (VALUES (1, 'a', NULL), (2, NULL, TRUE)) AS t(x, y, z)",
        "SELECT arrow_cast(city, 'Dictionary(Int32, Utf8)') AS d, arrow_cast(n, 'Decimal128(20, 2)') FROM weather",
        "SELECT city, row_number() OVER (ORDER BY time) FROM weather",
        "WITH x AS (SELECT DISTINCT city FROM weather) SELECT * FROM x",
        "SELECT [n, 1], {'a': city} FROM weather",
        "SELECT n FROM weather WHERE n > 1000",
        "SHOW DATABASES",
        "EXPLAIN SELECT 1",
        "",
    ] {
        let mut raw = served.raw().await;
        let described = call(statement(sql), &[("database", "mydb")]);
        let info = raw.get_flight_info(described).await.unwrap_or_else(|e| panic!("{sql}: {e}")).into_inner();
        let asked = call(statement(sql), &[("database", "mydb")]);
        assert_eq!(raw.get_schema(asked).await.unwrap().into_inner().schema, info.schema, "{sql}");
        let polled = call(statement(sql), &[("database", "mydb")]);
        let polled = raw.poll_flight_info(polled).await.unwrap().into_inner();
        assert_eq!((polled.info.unwrap().schema, polled.flight_descriptor), (info.schema.clone(), None), "{sql}");
        let mut stream = raw.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap().into_inner();
        let header = stream.message().await.unwrap().unwrap().data_header;
        // The frame of a stream around the message: a marker, a length, and zeroes to a multiple of eight.
        let framed = &info.schema[8..];
        assert_eq!(framed[..header.len()], header[..], "{sql}");
        assert!(framed[header.len()..].iter().all(|byte| *byte == 0), "{sql}");
        let rest: Vec<_> = stream.try_collect().await.unwrap();
        let first = arrow_flight::FlightData { data_header: header, ..Default::default() };
        let all = futures::stream::iter([first].into_iter().chain(rest).map(Ok::<_, FlightError>));
        // Every batch fits it.
        FlightRecordBatchStream::new_from_flight_data(all).try_collect::<Vec<_>>().await.unwrap();
    }
}

#[tokio::test]
async fn types_are_those_that_clients_read() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    let nanos = || DataType::Timestamp(TimeUnit::Nanosecond, None);
    for (sql, expected, value) in [
        ("SELECT city FROM weather LIMIT 1", DataType::Utf8, "Oslo"),
        ("SELECT arrow_cast(city, 'LargeUtf8') FROM weather LIMIT 1", DataType::Utf8, "Oslo"),
        ("SELECT arrow_cast('x', 'Dictionary(Int32, LargeUtf8)')", DataType::Utf8, "x"),
        (
            "SELECT arrow_cast(TIMESTAMP '2025-01-01T00:00:00', 'Timestamp(Second, None)')",
            nanos(),
            "2025-01-01T00:00:00",
        ),
        ("SELECT arrow_cast(1, 'Timestamp(Millisecond, None)')", nanos(), "1970-01-01T00:00:00.001"),
        ("SELECT DATE '2025-01-02'", nanos(), "2025-01-02T00:00:00"),
        ("SELECT arrow_cast(1.25, 'Decimal128(10, 2)')", DataType::Float64, "1.25"),
        ("SELECT arrow_cast('ab', 'BinaryView')", DataType::Binary, "6162"),
        ("SELECT arrow_cast(0.5, 'Float16')", DataType::Float32, "0.5"),
        ("SELECT n + 1 FROM weather ORDER BY n LIMIT 1", DataType::Int64, "6"),
        ("SELECT u FROM weather LIMIT 1", DataType::UInt64, "7"),
        ("SELECT wet FROM weather LIMIT 1", DataType::Boolean, "true"),
    ] {
        let info = client.execute(sql.to_owned(), None).await.unwrap();
        let (schema, batches) = read(&mut client, &info).await;
        assert_eq!(schema.field(0).data_type(), &expected, "{sql}");
        assert_eq!(shown(&schema, &batches)[1], value, "{sql}");
    }
    let sql = "SELECT arrow_cast(['a'], 'LargeList(Utf8View)')";
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let (schema, _) = read(&mut client, &info).await;
    assert!(matches!(schema.field(0).data_type(), DataType::List(item) if item.data_type() == &DataType::Utf8));
}

#[tokio::test]
async fn a_time_that_nanoseconds_cannot_hold_is_an_error_and_not_an_empty_field() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    let sql = "SELECT arrow_cast(100000000000, 'Timestamp(Second, None)')";
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    let FlightError::Tonic(status) = error else { panic!("{error}") };
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("cast the column"), "{status}");
}

#[tokio::test]
async fn columns_that_come_straight_from_a_table_say_what_they_are_there() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    let roles = async |client: &mut FlightSqlClient, sql: &str| {
        let info = client.execute(sql.to_owned(), None).await.unwrap();
        let (schema, _) = read(client, &info).await;
        let role = |field: &arrow::datatypes::Field| {
            let keys: Vec<&String> = field.metadata().keys().collect();
            assert!(keys.is_empty() || keys == ["iox::column::type"], "{keys:?}");
            let role = field.metadata().get("iox::column::type");
            role.map(|role| role.strip_prefix("iox::column_type::").unwrap().to_owned()).unwrap_or("-".to_owned())
        };
        schema.fields().iter().map(|field| role(field)).collect::<Vec<_>>().join(" ")
    };
    for (sql, expected) in [
        (
            "SELECT time, city, temperature, n, u, wet, note FROM weather",
            "timestamp tag field::float field::integer field::uinteger field::boolean field::string",
        ),
        ("SELECT city AS place, n AS number FROM weather ORDER BY n LIMIT 1", "tag field::integer"),
        ("SELECT n + 1, upper(city), CAST(n AS VARCHAR), 1 FROM weather", "- - - -"),
        ("SELECT city, max(n), count(*) FROM weather GROUP BY city", "tag - -"),
        ("SELECT DISTINCT city FROM (SELECT city, n FROM weather WHERE n > 1) x", "tag"),
        ("SELECT a.city, b.n, a.n * 2 FROM weather a JOIN weather b ON a.time = b.time", "tag field::integer -"),
        ("SELECT n, rank() OVER (ORDER BY n) FROM weather", "field::integer -"),
        ("SELECT n FROM weather UNION ALL SELECT n FROM weather", "field::integer"),
        ("SELECT n FROM weather UNION ALL SELECT 1", "-"),
        ("WITH x AS (SELECT city AS c FROM weather) SELECT c FROM x", "tag"),
        ("SELECT table_name FROM information_schema.tables", "-"),
        ("SHOW TABLES", "-"),
    ] {
        assert_eq!(roles(&mut client, sql).await, expected, "{sql}");
    }
}

type FlightSqlClient = arrow_flight::sql::client::FlightSqlServiceClient<tonic::transport::Channel>;

#[tokio::test]
async fn the_database_is_found_wherever_clients_put_it() {
    let world = weather().await;
    world.flush("other", "weather", &[(DAY, vec![("temperature", Float(1.0))])]).await;
    let served = Served::of(world.querier()).await;
    let mut raw = served.raw().await;
    let sql = "SELECT count(*) FROM weather";
    let mut count = async |ticket: Vec<u8>, metadata: &[(&'static str, &str)]| {
        let ticket = Ticket { ticket: ticket.into() };
        let stream = raw.do_get(call(ticket, metadata)).await.unwrap().into_inner();
        let stream = FlightRecordBatchStream::new_from_flight_data(stream.map_err(FlightError::from));
        let batches: Vec<_> = stream.try_collect().await.unwrap();
        shown(&batches[0].schema(), &batches)[1].clone()
    };
    let command = || CommandStatementQuery { query: sql.to_owned(), transaction_id: None }.as_any().encode_to_vec();
    for key in ["database", "bucket", "bucket-name", "namespace", "iox-namespace-name"] {
        assert_eq!(count(command(), &[(key, "other")]).await, "1", "{key}");
    }
    assert_eq!(count(command(), &[("bucket", "other/autogen")]).await, "1");
    assert_eq!(count(command(), &[("database", "other"), ("bucket", "mydb")]).await, "1");
    assert_eq!(count(command(), &[("database", "OTHER")]).await, "1");
    assert_eq!(count(command(), &[]).await, "2", "mydb, as over HTTP");
    let json = |database: &str| format!(r#"{{"database":"{database}","sql_query":"{sql}"}}"#).into_bytes();
    assert_eq!(count(json("other"), &[]).await, "1");
    assert_eq!(count(json("mydb"), &[("database", "other")]).await, "1", "metadata comes first");
    let json = format!(" {{\"sql_query\":\"{sql}\",\"query_type\":\"sql\",\"params\":null}}");
    assert_eq!(count(json.into_bytes(), &[]).await, "2");
}

#[tokio::test]
async fn tickets_of_influxdb_3_are_answered_and_their_mistakes_named() {
    let served = Served::of(weather().await.querier()).await;
    let mut raw = served.raw().await;
    let ticket = r#"{"database":"mydb","sql_query":"SELECT n FROM weather WHERE city = $city AND n > $low","query_type":"sql","params":{"city":"Oslo","low":5}}"#;
    let stream = raw.do_get(Ticket { ticket: ticket.into() }).await.unwrap().into_inner();
    let stream = FlightRecordBatchStream::new_from_flight_data(stream.map_err(FlightError::from));
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!(shown(&batches[0].schema(), &batches), ["n", "75"]);
    for (ticket, told) in [
        (r#"{"sql_query":"SHOW MEASUREMENTS","query_type":"influxql"}"#, "InfluxQL is not part of this version"),
        (r#"{"sql_query":"SELECT 1","query_type":"flux"}"#, "query_type \"flux\" is unknown"),
        (r#"{"database":"mydb"}"#, "sql_query"),
        (r#"{"sql_query":"SELECT $x","params":{"x":[1]}}"#, "the parameter \"x\" is a list"),
        (r#"{"sql_query":"SELECT $x"}"#, "$x"),
        (r#"{"sql_query":"SELEC 1"}"#, "SQL syntax"),
        ("{", "the ticket is not one of InfluxDB 3"),
    ] {
        let (code, message) = refused_ticket(&served, ticket).await;
        assert_eq!(code, Code::InvalidArgument, "{ticket}: {message}");
        assert!(message.contains(told), "{ticket}: {message}");
    }
}

#[tokio::test]
async fn errors_have_the_codes_that_clients_know() {
    let served = Served::of(weather().await.querier()).await;
    for sql in [
        "SELEC 1",
        "SELECT nope FROM weather",
        "SELECT * FROM nope",
        "DROP TABLE weather",
        "INSERT INTO weather VALUES (1)",
        "SELECT 1; SELECT 2",
    ] {
        let status = refused(&served, sql).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{sql}: {status}");
        assert!(!status.message().is_empty(), "{sql}");
    }
    let status = refused(&served, &format!("SELECT '{}'", "x".repeat(2 << 20))).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{}", status.message());
    assert!(status.message().contains("GIGAPI_SQL_BYTES_MAX"), "{}", status.message());
    // Headers carry messages, and clients limit headers.
    for character in ["x", "ü", "\u{1f600}"] {
        let long = refused(&served, &format!("SELECT \"{}\" FROM weather", character.repeat(50_000))).await;
        assert_eq!(long.code(), Code::InvalidArgument);
        assert!(long.message().ends_with('…') && long.message().len() < 4010, "{character}");
    }
}

#[tokio::test]
async fn an_error_after_the_first_rows_ends_the_stream_and_is_no_short_answer() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    let sql = "SELECT 1 / (200000 - value) FROM generate_series(1, 300000)";
    let info = client.execute(sql.to_owned(), None).await.unwrap();
    let mut stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let mut rows = 0;
    let error = loop {
        match stream.next().await.expect("it ended without an error") {
            Ok(batch) => rows += batch.num_rows(),
            Err(error) => break error,
        }
    };
    assert!(rows > 0);
    let FlightError::Tonic(status) = error else { panic!("{error}") };
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
}

#[tokio::test]
async fn a_server_that_is_busy_says_so_in_a_way_that_is_repeated() {
    let options = QueryOptions {
        concurrency_max: std::num::NonZeroUsize::MIN,
        queue_wait: std::time::Duration::from_millis(20),
        ..QueryOptions::default()
    };
    let querier = weather().await.querier_with(options, None);
    let running = querier.query(request(ENDLESS)).await.unwrap();
    let served = Served::of(querier).await;
    let status = refused(&served, "SELECT 1").await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("retry"), "{status}");
    drop(running);
}

#[tokio::test]
async fn what_is_not_there_is_refused_in_words() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    let error = client.execute_update("INSERT INTO weather VALUES (1)".to_owned(), None).await.unwrap_err().to_string();
    assert!(error.contains("only reads here"), "{error}");
    assert_eq!(client.execute_update("SET TIME ZONE 'UTC'".to_owned(), None).await.unwrap(), 0);
    let error = client.begin_transaction().await.unwrap_err().to_string();
    assert!(error.contains("there are no transactions"), "{error}");
    let in_transaction = client.execute("SELECT 1".to_owned(), Some("t".into())).await.unwrap_err().to_string();
    assert!(in_transaction.contains("there are no transactions"), "{in_transaction}");

    let substrait = CommandStatementSubstraitPlan { plan: None, transaction_id: None };
    let (code, message) = refused_ticket(&served, substrait.as_any().encode_to_vec()).await;
    assert_eq!(code, Code::Unimplemented);
    assert!(message.contains("Substrait"), "{message}");
    let update = CommandStatementUpdate { query: "x".to_owned(), transaction_id: None };
    assert_eq!(refused_ticket(&served, update.as_any().encode_to_vec()).await.0, Code::Unimplemented);
    let unknown = arrow_flight::sql::Any { type_url: "type.googleapis.com/x.Y".to_owned(), value: "".into() };
    let (code, message) = refused_ticket(&served, unknown.encode_to_vec()).await;
    assert_eq!(code, Code::Unimplemented);
    assert!(message.contains("x.Y"), "{message}");
    for garbage in [&b"\xff\xff\xff"[..], b"\n\x05", b"hello"] {
        assert_eq!(refused_ticket(&served, garbage).await.0, Code::InvalidArgument, "{garbage:?}");
    }
    let path = arrow_flight::FlightDescriptor::new_path(vec!["weather".to_owned()]);
    let status = served.raw().await.get_flight_info(path).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("by path"), "{status}");
}
