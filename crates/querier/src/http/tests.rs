use std::num::NonZeroUsize;
use std::time::Duration;

use axum::body::Body;
use http::{Request as HttpRequest, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::QueryOptions;
use crate::tests::world::*;

async fn world() -> World {
    let world = World::new().await;
    let row = |second: i64, temperature: f64| {
        let values = vec![("location", Tag("us")), ("temperature", Float(temperature)), ("n", Integer(second))];
        (DAY + second * 1_000_000_000, values)
    };
    world.flush("mydb", "weather", &[row(5, 82.0), row(75, 81.5)]).await;
    world
}

struct Told {
    status: StatusCode,
    content_type: String,
    body: String,
}

async fn send(querier: &Querier, request: HttpRequest<Body>) -> Told {
    let response = routes(querier.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Told { status, content_type: content_type.unwrap_or_default(), body: String::from_utf8(bytes.to_vec()).unwrap() }
}

fn post(path: &str, body: &str) -> HttpRequest<Body> {
    HttpRequest::post(path).header(CONTENT_TYPE, "application/json").body(Body::from(body.to_owned())).unwrap()
}

fn get_request(path: &str) -> HttpRequest<Body> {
    HttpRequest::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn the_originals_examples_are_answered_in_its_shape() {
    let querier = world().await.querier();
    let sql = r#"{"query": "SELECT time, temperature FROM weather WHERE time >= epoch_ns('2025-04-24T00:00:00'::TIMESTAMP)"}"#;
    let told = send(&querier, post("/query?db=mydb", sql)).await;
    assert_eq!((told.status, told.content_type.as_str()), (StatusCode::OK, "application/json"));
    let expected = r#"{"results":[{"time":"2025-04-24T00:00:05Z","temperature":82.0},{"time":"2025-04-24T00:01:15Z","temperature":81.5}]}"#;
    assert_eq!(told.body.trim_end(), expected);
    let told =
        send(&querier, post("/query", r#"{"query": "SELECT count(*), avg(temperature) FROM weather", "db": "mydb"}"#))
            .await;
    assert_eq!(told.body.trim_end(), r#"{"results":[{"count_star()":"2","avg(temperature)":81.75}]}"#);
}

#[tokio::test]
async fn the_database_is_taken_from_the_url_then_the_body_then_mydb() {
    let world = world().await;
    world.flush("other", "weather", &[(DAY, vec![("temperature", Float(1.0))])]).await;
    let querier = world.querier();
    let count = |answer: Told| answer.body.trim_end().to_owned();
    let sql = r#"{"query": "SELECT count(*) FROM weather"}"#;
    assert_eq!(count(send(&querier, post("/query", sql)).await), r#"{"results":[{"count_star()":"2"}]}"#);
    assert_eq!(count(send(&querier, post("/query?db=other", sql)).await), r#"{"results":[{"count_star()":"1"}]}"#);
    let sql = r#"{"query": "SELECT count(*) FROM weather", "db": "other"}"#;
    assert_eq!(count(send(&querier, post("/query", sql)).await), r#"{"results":[{"count_star()":"1"}]}"#);
    let form = HttpRequest::post("/query")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("query=SELECT+count(*)+FROM+weather&db=other"))
        .unwrap();
    assert_eq!(count(send(&querier, form).await), r#"{"results":[{"count_star()":"1"}]}"#);
}

#[tokio::test]
async fn formats_and_time_and_hive_are_chosen_in_the_url() {
    let querier = world().await.querier();
    let sql = r#"{"query": "SELECT * FROM weather ORDER BY time LIMIT 1"}"#;
    let told = send(&querier, post("/query?format=ndjson&time=ns", sql)).await;
    assert_eq!(told.content_type, "application/x-ndjson");
    assert_eq!(told.body, "{\"time\":\"1745452805000000000\",\"location\":\"us\",\"n\":\"5\",\"temperature\":82.0}\n");
    let told = send(&querier, post("/query?hive=true", sql)).await;
    assert!(told.body.contains(r#""date":"2025-04-24T00:00:00Z","hour":"0""#), "{}", told.body);
    let told = send(&querier, post("/query?format=csv", sql)).await;
    assert_eq!(told.body.lines().next(), Some("time,location,n,temperature"));
    let told = send(&querier, post("/query?format=xml", sql)).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn errors_are_400_with_a_message_in_json() {
    let querier = world().await.querier();
    for body in [
        r#"{"query": "SELEC 1"}"#,
        r#"{"query": "SELECT * FROM nope"}"#,
        r#"{"query": "DROP TABLE weather"}"#,
        r#"{"query": "SELECT 'x'::BIGINT"}"#,
        r#"{"sql": "SELECT 1"}"#,
        r#"{"query""#,
        "",
    ] {
        let told = send(&querier, post("/query", body)).await;
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{body}: {}", told.body);
        let json: serde_json::Value = serde_json::from_str(&told.body).unwrap();
        assert!(json["error"].as_str().is_some_and(|error| !error.is_empty()), "{body}: {}", told.body);
    }
}

#[tokio::test]
async fn influxql_is_declined_except_for_what_clients_ask_first() {
    let querier = world().await.querier();
    let told = send(&querier, get_request("/query?q=SELECT+v+FROM+m&db=mydb")).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    assert!(told.body.contains("InfluxQL"));
    let told = send(&querier, get_request("/query?q=CREATE+DATABASE+%22telegraf%22")).await;
    assert_eq!((told.status, told.body.trim_end()), (StatusCode::OK, r#"{"results":[{"statement_id":0}]}"#));
}

#[tokio::test]
async fn influxdb_3s_endpoint_answers_in_its_shape() {
    let querier = world().await.querier();
    let told =
        send(&querier, get_request("/api/v3/query_sql?db=mydb&q=SELECT+*+FROM+weather+ORDER+BY+time+LIMIT+1")).await;
    assert_eq!(told.body, r#"[{"time":"2025-04-24T00:00:05","location":"us","n":5,"temperature":82.0}]"#);
    let sql = r#"{"db": "mydb", "q": "SELECT count(*) FROM weather WHERE n > $low AND location = $place", "format": "jsonl", "params": {"low": 5, "place": "us"}}"#;
    let told = send(&querier, post("/api/v3/query_sql", sql)).await;
    assert_eq!((told.content_type.as_str(), told.body.as_str()), ("application/jsonl", "{\"count(*)\":1}\n"));
    let by_accept = HttpRequest::get("/api/v3/query_sql?db=mydb&q=SELECT+n+FROM+weather+ORDER+BY+n")
        .header(http::header::ACCEPT, "text/csv")
        .body(Body::empty())
        .unwrap();
    assert_eq!(send(&querier, by_accept).await.body, "n\n5\n75\n");
    let told = send(&querier, get_request("/api/v3/query_sql?q=SELECT+1")).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    let told = send(&querier, get_request("/api/v3/query_sql?db=nope&q=SELECT+1")).await;
    assert_eq!(told.status, StatusCode::NOT_FOUND);
    let told =
        send(&querier, get_request("/api/v3/query_sql?db=mydb&q=SELECT+%24x&params=%7B%22x%22%3A%5B1%5D%7D")).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn both_endpoints_take_values_by_name_and_by_number() {
    let querier = world().await.querier();
    let by_name =
        r#"{"query": "SELECT count(*) AS c FROM weather WHERE n > $low", "db": "mydb", "params": {"low": 5}}"#;
    assert_eq!(send(&querier, post("/query", by_name)).await.body.trim(), r#"{"results":[{"c":"1"}]}"#);
    let by_number = r#"{"query": "SELECT $2 AS a, $1 AS b", "params": ["x", 1.5]}"#;
    assert_eq!(send(&querier, post("/query", by_number)).await.body.trim(), r#"{"results":[{"a":1.5,"b":"x"}]}"#);
    let by_number = r#"{"q": "SELECT n FROM weather WHERE n > $1", "db": "mydb", "params": [5]}"#;
    assert_eq!(send(&querier, post("/api/v3/query_sql", by_number)).await.body, r#"[{"n":75}]"#);
    let neither = r#"{"query": "SELECT $1", "params": 5}"#;
    let told = send(&querier, post("/query", neither)).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    assert!(told.body.contains("a list for $1"), "{}", told.body);
}

#[tokio::test]
async fn bodies_are_compressed_as_accepted() {
    let querier = world().await.querier();
    for (accepted, expected) in [("gzip, deflate", Some("gzip")), ("gzip, zstd", Some("zstd")), ("gzip;q=0", None)] {
        let mut request = post("/query", r#"{"query": "SELECT value FROM generate_series(1, 100000)"}"#);
        request.headers_mut().insert(http::header::ACCEPT_ENCODING, accepted.parse().unwrap());
        let response = routes(querier.clone()).oneshot(request).await.unwrap();
        let found =
            response.headers().get(http::header::CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(found.as_deref(), expected);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let plain = decompressed(found.as_deref(), &bytes).await;
        assert!(plain.ends_with(b"{\"value\":\"100000\"}]}\n"));
        assert_eq!(plain.iter().filter(|byte| **byte == b'{').count(), 100_001);
    }
}

async fn decompressed(encoding: Option<&str>, bytes: &[u8]) -> Vec<u8> {
    use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
    use tokio::io::AsyncReadExt;
    let mut plain = Vec::new();
    match encoding {
        Some("gzip") => GzipDecoder::new(bytes).read_to_end(&mut plain).await.unwrap(),
        Some("zstd") => ZstdDecoder::new(bytes).read_to_end(&mut plain).await.unwrap(),
        _ => (&mut &*bytes).read_to_end(&mut plain).await.unwrap(),
    };
    plain
}

#[tokio::test]
async fn an_error_after_the_first_rows_breaks_the_body_off() {
    let querier = world().await.querier();
    let sql = r#"{"query": "SELECT CAST(CASE WHEN value = 200000 THEN 'x' ELSE '1' END AS BIGINT) AS x FROM generate_series(1, 300000)"}"#;
    let response = routes(querier.clone()).oneshot(post("/query", sql)).await.unwrap();
    if response.status() == StatusCode::OK {
        assert!(response.into_body().collect().await.is_err());
    } else {
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn dropping_a_body_cancels_its_query() {
    let options = QueryOptions {
        concurrency_max: NonZeroUsize::MIN,
        queue_wait: Duration::from_secs(30),
        ..QueryOptions::default()
    };
    let querier = world().await.querier_with(options, None);
    let endless = r#"{"query": "SELECT value FROM generate_series(1, 1000000000000)"}"#;
    let response = routes(querier.clone()).oneshot(post("/query", endless)).await.unwrap();
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    drop(body);
    let told = send(&querier, post("/query", r#"{"query": "SELECT 1"}"#)).await;
    assert_eq!(told.body.trim_end(), r#"{"results":[{"1":"1"}]}"#);
}

#[tokio::test]
async fn too_many_queries_are_503_with_a_pause() {
    let options = QueryOptions {
        concurrency_max: NonZeroUsize::MIN,
        queue_wait: Duration::from_millis(10),
        ..QueryOptions::default()
    };
    let querier = world().await.querier_with(options, None);
    let endless = r#"{"query": "SELECT value FROM generate_series(1, 1000000000000)"}"#;
    let running = routes(querier.clone()).oneshot(post("/query", endless)).await.unwrap();
    let response = routes(querier.clone()).oneshot(post("/query", r#"{"query": "SELECT 1"}"#)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(http::header::RETRY_AFTER));
    drop(running);
}

/// A query that fails after its first rows, and one that does not end.
const FAILS_LATE: &str = r#"{"query": "SELECT CAST(CASE WHEN value = 200000 THEN 'x' ELSE '1' END AS BIGINT) AS x FROM generate_series(1, 300000)"}"#;
const ENDLESS: &str = r#"{"query": "SELECT value FROM generate_series(1, 1000000000000)"}"#;

async fn send_old(querier: &Querier, body: &str) -> (Told, Option<String>) {
    let mut request = post("/query", body);
    *request.version_mut() = http::Version::HTTP_10;
    let response = routes(querier.clone()).oneshot(request).await.unwrap();
    let size = axum::body::HttpBody::size_hint(response.body()).exact();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = |name| headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(size, Some(bytes.len() as u64), "a length is stated");
    let body = String::from_utf8(bytes.to_vec()).unwrap();
    (Told { status, content_type: text(CONTENT_TYPE).unwrap_or_default(), body }, text(http::header::VARY))
}

#[tokio::test]
async fn an_answer_in_the_older_http_is_whole_and_states_its_length() {
    let querier = world().await.querier();
    let (told, vary) = send_old(&querier, r#"{"query": "SELECT value FROM generate_series(1, 100000)"}"#).await;
    assert_eq!((told.status, told.content_type.as_str()), (StatusCode::OK, "application/json"));
    assert!(told.body.ends_with("{\"value\":\"100000\"}]}\n") && vary.is_some());
    let (told, _) = send_old(&querier, FAILS_LATE).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST, "{}", told.body);
    assert!(told.body.contains("Cannot cast"), "{}", told.body);
}

#[tokio::test]
async fn an_answer_too_long_for_the_older_http_is_refused_and_its_query_ends() {
    let options = QueryOptions {
        concurrency_max: NonZeroUsize::MIN,
        queue_wait: Duration::from_secs(30),
        ..QueryOptions::default()
    };
    let querier = world().await.querier_with(options, None);
    let (told, _) = send_old(&querier, ENDLESS).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    assert!(told.body.contains("HTTP/1.1") && told.body.contains("LIMIT"), "{}", told.body);
    let told = send(&querier, post("/query", r#"{"query": "SELECT 1"}"#)).await;
    assert_eq!(told.status, StatusCode::OK);
}
