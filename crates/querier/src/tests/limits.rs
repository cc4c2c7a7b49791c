//! Limits say which limit it is, and what is given up is given up wholly.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures::StreamExt;
use gigapi_model::ErrorKind;

use super::world::*;
use crate::{Error, QueryOptions};

/// More rows than anything here could wait for.
const ENDLESS: &str = "SELECT value FROM generate_series(1, 1000000000000)";

fn one_at_a_time() -> QueryOptions {
    QueryOptions {
        concurrency_max: NonZeroUsize::MIN,
        queue_wait: Duration::from_millis(20),
        ..QueryOptions::default()
    }
}

#[tokio::test]
async fn a_query_that_takes_too_long_names_the_limit() {
    let world = World::new().await;
    let options = QueryOptions { timeout: Some(Duration::from_millis(50)), ..QueryOptions::default() };
    let querier = world.querier_with(options, None);
    let error = try_ask(&querier, &format!("SELECT count(value + 1) FROM ({ENDLESS})")).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(error.to_string().contains("GIGAPI_QUERY_TIMEOUT_S"));
    // After the first rows it is the stream that ends with the error.
    let error = try_ask(&querier, ENDLESS).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_names_the_limit() {
    let world = World::new().await;
    let options = QueryOptions { memory_bytes_max: 1 << 20, ..QueryOptions::default() };
    let querier = world.querier_with(options, None);
    let sql = "SELECT count(*) FROM (SELECT value, count(*) FROM generate_series(1, 3000000) GROUP BY value)";
    let error = try_ask(&querier, sql).await.unwrap_err();
    assert!(matches!(error, Error::Memory { limit_mib: 1, shared: false }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("GIGAPI_QUERY_MEMORY"));
}

#[tokio::test]
async fn one_querys_share_of_the_memory_is_a_limit_of_its_own() {
    let world = World::new().await;
    let options = QueryOptions { memory_bytes_max_each: 1 << 20, ..QueryOptions::default() };
    let querier = world.querier_with(options, None);
    let sql = "SELECT count(*) FROM (SELECT value, count(*) FROM generate_series(1, 3000000) GROUP BY value)";
    let error = try_ask(&querier, sql).await.unwrap_err();
    assert!(matches!(error, Error::OwnMemory { limit_mib: 1 }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("GIGAPI_QUERY_MEMORY_EACH"));
}

#[tokio::test]
async fn an_answer_with_too_many_rows_names_the_limit() {
    let world = World::new().await;
    let options = QueryOptions { rows_max: Some(10), ..QueryOptions::default() };
    let querier = world.querier_with(options, None);
    assert_eq!(ask(&querier, "SELECT value FROM generate_series(1, 10)").await.len(), 11);
    for rows in [11, 100_000] {
        let error = try_ask(&querier, &format!("SELECT value FROM generate_series(1, {rows})")).await.unwrap_err();
        assert!(matches!(error, Error::TooManyRows { limit: 10 }), "{rows}: {error:?}");
        assert!(error.to_string().contains("GIGAPI_QUERY_ROWS_MAX"));
    }
}

#[tokio::test]
async fn what_does_not_fit_is_spilled_where_there_is_a_folder() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let options = QueryOptions {
        memory_bytes_max: 24 << 20,
        spill_folder: Some(folder.path().to_path_buf()),
        ..QueryOptions::default()
    };
    let querier = world.querier_with(options, None);
    let sql = "SELECT count(*) FROM (SELECT value FROM generate_series(1, 4000000) ORDER BY value % 7, value) x WHERE value > 0";
    assert_eq!(ask(&querier, sql).await[1], "4000000");
}

#[tokio::test]
async fn a_query_without_a_turn_is_told_to_come_back() {
    let world = World::new().await;
    let querier = world.querier_with(one_at_a_time(), None);
    let running = querier.query(request(ENDLESS)).await.unwrap();
    let error = try_ask(&querier, "SELECT 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    drop(running);
}

#[tokio::test]
async fn dropping_an_answer_cancels_its_query() {
    let world = World::new().await;
    let options = QueryOptions { queue_wait: Duration::from_secs(30), ..one_at_a_time() };
    let querier = world.querier_with(options, None);
    let mut running = querier.query(request(ENDLESS)).await.unwrap();
    assert!(running.next().await.unwrap().unwrap().num_rows() > 0);
    drop(running);
    // The only turn is free again.
    assert_eq!(ask(&querier, "SELECT 1").await[1], "1");
}

#[tokio::test]
async fn giving_up_before_the_first_row_cancels_the_query() {
    let world = World::new().await;
    let options = QueryOptions { queue_wait: Duration::from_secs(30), ..one_at_a_time() };
    let querier = world.querier_with(options, None);
    let sql = format!("SELECT count(value + 1) FROM ({ENDLESS})");
    let waiting = querier.query(request(&sql));
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
    assert_eq!(ask(&querier, "SELECT 1").await[1], "1");
}

#[tokio::test]
async fn a_statement_over_the_limit_is_not_parsed() {
    let world = World::new().await;
    let options = QueryOptions { sql_bytes_max: 100, ..QueryOptions::default() };
    let querier = world.querier_with(options, None);
    let error = try_ask(&querier, &format!("SELECT '{}'", "x".repeat(100))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn errors_of_computing_are_the_users() {
    let world = World::new().await;
    let querier = world.querier();
    for sql in
        ["SELECT '1x'::DOUBLE", "SELECT 'x'::BIGINT", "SELECT nofunction(1)", "SELECT * FROM generate_series(1)  WHERE"]
    {
        let error = try_ask(&querier, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error:?}");
        assert!(!error.to_string().contains("DataFusion"), "{error}");
    }
}

#[tokio::test]
async fn a_text_that_is_no_sql_is_told_with_its_place() {
    let world = World::new().await;
    let querier = world.querier();
    let error = try_ask(&querier, "SELECT `x FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let told = error.to_string();
    assert!(told.starts_with("SQL syntax: ") && told.contains("Line: 1, Column: 8"), "{told}");
    assert!(!told.contains("TokenizerError"), "{told}");
}

#[tokio::test]
async fn queries_are_counted_by_how_they_ended() {
    let world = World::new().await;
    world.flush("mydb", "t", &[(DAY, vec![("x", Float(1.0))])]).await;
    let mut registry = prometheus_client::registry::Registry::default();
    let querier = world.registered_querier(&mut registry);
    ask(&querier, "SELECT avg(x) FROM t").await;
    try_ask(&querier, "SELECT nothing FROM t").await.unwrap_err();
    let mut told = String::new();
    prometheus_client::encoding::text::encode(&mut told, &registry).unwrap();
    for line in [
        "queries_total{outcome=\"ok\"} 1",
        "queries_total{outcome=\"invalid\"} 1",
        "query_rows_total 1",
        "query_files_opened_total 1",
        "queries_active 0",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
}
