//! Queries by their ids: listed while they run, ended from outside, and what their answers tell of them.

use axum::body::{Body, HttpBody};
use axum::response::Response;
use futures::StreamExt;
use http::{Request, StatusCode, Version};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::world::*;
use crate::{Error, Querier, QueryId, QueryRequest, QueryState, routes};

const ID: &str = "0197c3a8-5b0e-7c31-9d2e-3f1f6a1d2c11";
const ENDLESS: &str = "SELECT value FROM generate_series(1, 1000000000000)";

fn id() -> QueryId {
    ID.parse().unwrap()
}

fn named(sql: &str) -> QueryRequest {
    QueryRequest { id: Some(id()), ..request(sql) }
}

async fn send(querier: &Querier, request: Request<Body>) -> Response {
    routes(querier.clone()).oneshot(request).await.unwrap()
}

fn asking(sql: &str) -> Request<Body> {
    let body = serde_json::json!({ "db": "mydb", "q": sql }).to_string();
    Request::post("/api/v3/query_sql").header("x-gigapi-query-id", ID).body(Body::from(body)).unwrap()
}

async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn a_query_is_listed_with_what_it_has_done_until_it_ends() {
    let world = World::new().await;
    let querier = world.querier();
    let mut running = querier.query(named(ENDLESS)).await.unwrap();
    running.next().await.unwrap().unwrap();
    let status = querier.status(id()).unwrap();
    assert_eq!((status.state, status.sql.as_str(), status.database.as_str()), (QueryState::Running, ENDLESS, "mydb"));
    assert!(status.figures.rows_returned > 0);
    let shown =
        json(send(&querier, Request::get(format!("/api/v3/queries/{ID}")).body(Body::empty()).unwrap()).await).await;
    assert_eq!((shown["id"].as_str(), shown["state"].as_str()), (Some(ID), Some("running")));
    let all = json(send(&querier, Request::get("/api/v3/queries").body(Body::empty()).unwrap()).await).await;
    assert_eq!(all["queries"].as_array().unwrap().len(), 1);
    let listed = ask(&querier, "SELECT sql FROM system.queries ORDER BY started").await;
    assert_eq!(listed[1], ENDLESS);
    assert_eq!(listed.len(), 3, "the query that asks is one of them: {listed:?}");
    drop(running);
    let gone = async || querier.status(id()).is_none();
    while !gone().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_query_that_is_cancelled_says_so() {
    let world = World::new().await;
    let querier = world.querier();
    let mut running = querier.query(named(ENDLESS)).await.unwrap();
    running.next().await.unwrap().unwrap();
    let cancel = || Request::delete(format!("/api/v3/queries/{ID}")).body(Body::empty()).unwrap();
    assert_eq!(send(&querier, cancel()).await.status(), StatusCode::NO_CONTENT);
    let mut end = None;
    while let Some(batch) = running.next().await {
        end = batch.err();
    }
    assert!(matches!(end, Some(Error::Cancelled)), "{end:?}");
    assert_eq!(send(&querier, cancel()).await.status(), StatusCode::NOT_FOUND);
    let wrong = Request::delete("/api/v3/queries/7").body(Body::empty()).unwrap();
    assert_eq!(send(&querier, wrong).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn two_queries_that_run_do_not_share_an_id() {
    let world = World::new().await;
    let querier = world.querier();
    let running = querier.query(named(ENDLESS)).await.unwrap();
    let second = querier.query(named("SELECT 1")).await;
    assert!(second.unwrap_err().to_string().contains("is running"));
    drop(running);
}

#[tokio::test]
async fn an_answer_tells_what_its_query_took() {
    let world = World::new().await;
    let row = |hour: i64| (DAY + hour * HOUR, vec![("host", Tag("a")), ("n", Integer(hour))]);
    for hour in 0..3 {
        world.flush("mydb", "t", &[row(hour)]).await;
    }
    let querier = world.querier();
    let sql = "SELECT avg(n) FROM t WHERE time >= '2025-04-24T01:00:00Z'";
    let response = send(&querier, asking(sql)).await;
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("x-gigapi-query-id").as_deref(), Some(ID));
    assert_eq!(header("x-gigapi-files-planned").as_deref(), Some("2"));
    assert_eq!(header("x-gigapi-files-pruned").as_deref(), Some("1"));
    assert_eq!(header("x-gigapi-files-opened").as_deref(), Some("2"));
    assert_eq!(header("x-gigapi-rows-scanned").as_deref(), Some("2"));
    assert_eq!(header("x-gigapi-rows-returned").as_deref(), Some("1"));
    assert!(header("x-gigapi-bytes-scanned").unwrap().parse::<u64>().unwrap() > 0);
    // These files are on this machine.
    assert_eq!(header("x-gigapi-bytes-from-cache").as_deref(), Some("0"));
    assert!(header("server-timing").unwrap().starts_with("queue;dur="));
    assert!(response.body().size_hint().exact().is_some(), "a short answer states its length");
    let wrong = Request::post("/api/v3/query_sql").header("x-gigapi-query-id", "mine").body(Body::empty()).unwrap();
    assert_eq!(send(&querier, wrong).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_long_answer_tells_it_after_its_last_row() {
    let world = World::new().await;
    world.flush("mydb", "t", &[(DAY, vec![("n", Integer(1))])]).await;
    let querier = world.querier();
    let response = send(&querier, asking("SELECT value FROM generate_series(1, 100000)")).await;
    assert_eq!(response.version(), Version::HTTP_11);
    assert!(response.headers().contains_key("trailer") && !response.headers().contains_key("x-gigapi-rows-returned"));
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().unwrap();
    assert_eq!(trailers.get("x-gigapi-rows-returned").unwrap(), "100000");
}

#[tokio::test]
async fn explain_shows_the_plan_and_explain_analyze_what_it_took() {
    let world = World::new().await;
    let row = |n: i64| (DAY + n, vec![("host", Tag("a")), ("n", Integer(n))]);
    world.flush("mydb", "t", &[row(1), row(2)]).await;
    let querier = world.querier();
    let text = async |sql: &str| {
        let response = send(&querier, asking(sql)).await;
        assert_eq!(response.status(), StatusCode::OK, "{sql}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    };
    let plan = text("EXPLAIN SELECT host, max(n) FROM t GROUP BY host").await;
    assert!(plan.contains("SeriesFoldExec") && !plan.contains("elapsed_compute"), "{plan}");
    let analyzed = text("EXPLAIN ANALYZE SELECT n FROM t WHERE n = 1").await;
    assert!(analyzed.contains("output_rows=1") && analyzed.contains("elapsed_compute="), "{analyzed}");
    assert!(analyzed.contains("bytes_scanned=") && !analyzed.contains("bytes_scanned=0,"), "{analyzed}");
}
