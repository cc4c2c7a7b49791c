//! A querier of a catalog that other processes share: how often it asks, and what it answers when nobody can be asked.

mod server;

use std::time::Duration;

use axum::body::Body;
use gigapi_model::{ErrorKind, TableKey};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use object_store::ObjectStoreExt;
use tower::ServiceExt;

use self::server::Shared;
use super::world::*;
use crate::{Error, Querier};

const ALWAYS_FRESH: Duration = Duration::ZERO;
const AN_HOUR: Duration = Duration::from_secs(3600);

/// Several tables, of which `cpu` is asked for.
async fn shared() -> Shared {
    let shared = Shared::new().await;
    for table in ["cpu", "disk", "mem", "net", "swap"] {
        shared.world.flush("mydb", table, &[(DAY, vec![("x", Float(1.5))])]).await;
    }
    shared
}

struct Told {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Told {
    fn stale_seconds(&self) -> Option<u64> {
        Some(self.headers.get("x-gigapi-stale-seconds")?.to_str().unwrap().parse().unwrap())
    }
}

async fn get(querier: &Querier, path: &str, field: &str, sql: &str) -> Told {
    let sql: String = url::form_urlencoded::byte_serialize(sql.as_bytes()).collect();
    let mark = if path.contains('?') { '&' } else { '?' };
    let request = Request::get(format!("{path}{mark}{field}={sql}")).body(Body::empty()).unwrap();
    let response = crate::routes(querier.clone()).oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Told { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

async fn gigapi(querier: &Querier, sql: &str) -> Told {
    get(querier, "/query?db=mydb", "query", sql).await
}

async fn v3(querier: &Querier, sql: &str) -> Told {
    get(querier, "/api/v3/query_sql?db=mydb", "q", sql).await
}

/// How often Redis is asked for a query that was asked before.
async fn trips(shared: &Shared, querier: &Querier, (path, field): (&str, &str), sql: &str) -> u64 {
    for _ in 0..2 {
        let told = get(querier, path, field, sql).await;
        assert_eq!(told.status, StatusCode::OK, "{path} {sql}: {}", told.body);
    }
    let before = shared.round_trips();
    let told = get(querier, path, field, sql).await;
    assert!(told.body.contains("1.5") && told.stale_seconds().is_none(), "{path} {sql}: {}", told.body);
    shared.round_trips() - before
}

#[tokio::test]
async fn a_warm_query_of_any_endpoint_asks_once_and_a_bearably_fresh_one_never() {
    let shared = shared().await;
    let (fresh, bearable) = (shared.querier(ALWAYS_FRESH), shared.querier(AN_HOUR));
    for endpoint in [("/query?db=mydb", "query"), ("/query", "query"), ("/api/v3/query_sql?db=mydb", "q")] {
        assert_eq!(trips(&shared, &fresh, endpoint, "SELECT x FROM cpu").await, 1, "{endpoint:?}");
        assert_eq!(trips(&shared, &bearable, endpoint, "SELECT x FROM cpu").await, 0, "{endpoint:?}");
    }
}

#[tokio::test]
async fn a_name_in_another_spelling_costs_no_question_for_each_table() {
    let shared = shared().await;
    let (fresh, bearable) = (shared.querier(ALWAYS_FRESH), shared.querier(AN_HOUR));
    let endpoint = ("/query?db=mydb", "query");
    for (sql, expected) in [
        // A name that the statement gives itself is nobody's to tell.
        ("WITH a AS (SELECT x FROM cpu) SELECT x FROM a", 1),
        // Whether there is a table of exactly that name is one question, the table another.
        ("SELECT x FROM CPU", 2),
        ("SELECT x FROM iox.cpu", 2),
        ("SELECT x FROM MyDb.Cpu", 2),
    ] {
        assert_eq!(trips(&shared, &fresh, endpoint, sql).await, expected, "{sql}");
        assert_eq!(trips(&shared, &bearable, endpoint, sql).await, 0, "{sql}");
    }
}

#[tokio::test]
async fn a_table_that_another_process_makes_is_seen_at_once_under_its_exact_name() {
    let shared = shared().await;
    let querier = shared.querier(ALWAYS_FRESH);
    assert_eq!(ask(&querier, "SELECT x FROM CPU").await[1], "1.5");
    shared.world.flush("mydb", "CPU", &[(DAY, vec![("x", Float(2.5))])]).await;
    assert_eq!(ask(&querier, "SELECT x FROM CPU").await[1], "2.5");
    shared.world.flush("iox", "cpu", &[(DAY, vec![("x", Float(3.5))])]).await;
    assert_eq!(ask(&querier, "SELECT x FROM iox.cpu").await[1], "3.5");
    // A table that is named within a query of its own name is looked for like any other.
    shared.world.flush("mydb", "new", &[(DAY, vec![("x", Float(4.5))])]).await;
    assert_eq!(ask(&querier, "WITH new AS (SELECT x FROM new) SELECT x FROM new").await[1], "4.5");
    assert_eq!(get(&querier, "/api/v3/query_sql?db=later", "q", "SELECT 1").await.status, StatusCode::NOT_FOUND);
    shared.world.flush("later", "t", &[(DAY, vec![("x", Float(5.5))])]).await;
    assert_eq!(get(&querier, "/api/v3/query_sql?db=later", "q", "SELECT x FROM t").await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_redis_every_endpoint_and_spelling_is_answered_from_what_is_known() {
    let mut shared = shared().await;
    let querier = shared.querier(ALWAYS_FRESH);
    assert_eq!(ask(&querier, "SELECT x FROM cpu").await[1], "1.5");
    shared.stop();
    for sql in [
        "SELECT x FROM cpu",
        "SELECT x FROM CPU",
        "SELECT x FROM iox.cpu",
        "SELECT x FROM MYDB.cpu",
        "WITH a AS (SELECT x FROM cpu) SELECT x FROM a",
        "WITH cpu AS (SELECT x FROM cpu) SELECT x FROM cpu",
    ] {
        for told in [gigapi(&querier, sql).await, v3(&querier, sql).await, get(&querier, "/query", "query", sql).await]
        {
            assert_eq!(told.status, StatusCode::OK, "{sql}: {}", told.body);
            assert!(told.body.contains("1.5") && told.stale_seconds().is_some(), "{sql}: {}", told.body);
        }
    }
    // Who holds rows that are in no file cannot be known.
    let tail = get(&querier, "/query?db=mydb&consistency=tail", "query", "SELECT x FROM cpu").await;
    assert_eq!(tail.status, StatusCode::SERVICE_UNAVAILABLE, "{}", tail.body);
    let best = get(&querier, "/query?db=mydb&consistency=tail_best_effort", "query", "SELECT x FROM cpu").await;
    assert!(best.body.contains("1.5") && best.stale_seconds().is_some(), "{}", best.body);
    assert!(best.headers["x-gigapi-writers-away"].to_str().unwrap().starts_with("unlisted"), "{:?}", best.headers);
    // What is not known may be there all the same.
    for sql in ["SELECT x FROM disk", "SELECT x FROM unheard", "SELECT x FROM unheard.cpu"] {
        assert_eq!(gigapi(&querier, sql).await.status, StatusCode::SERVICE_UNAVAILABLE, "{sql}");
    }
    let unheard = get(&querier, "/api/v3/query_sql?db=unheard", "q", "SELECT 1").await;
    assert_eq!(unheard.status, StatusCode::SERVICE_UNAVAILABLE, "{}", unheard.body);
    assert!(unheard.headers.contains_key(http::header::RETRY_AFTER));
}

#[tokio::test]
async fn without_redis_tables_are_listed_by_their_names_with_an_age_that_is_one() {
    let mut shared = shared().await;
    let querier = shared.querier(ALWAYS_FRESH);
    assert_eq!(ask(&querier, "SELECT x FROM cpu").await[1], "1.5");
    shared.stop();
    for sql in ["SHOW TABLES", "SELECT table_name FROM information_schema.tables", "SHOW DATABASES"] {
        let told = gigapi(&querier, sql).await;
        assert_eq!(told.status, StatusCode::OK, "{sql}: {}", told.body);
        assert!(told.stale_seconds().is_some_and(|age| age < 3600), "{sql}: {:?}", told.headers);
    }
    // Four of them were never read.
    let listed = ask(&querier, "SHOW TABLES").await;
    assert_eq!(listed, ["table_name", "cpu", "disk", "mem", "net", "swap"]);
}

#[tokio::test]
async fn a_file_that_vanished_is_looked_up_in_a_view_that_is_new_however_old_a_first_one_may_be() {
    let shared = shared().await;
    let querier = shared.querier(AN_HOUR);
    // Values that statistics do not tell.
    let rows = |base: f64, time: i64| {
        [
            (time, vec![("x", Float(base))]),
            (time + 1, vec![("x", Float(base + 1.0))]),
            (time + 2, vec![("x", Float(base))]),
        ]
    };
    let table = shared.world.define("mydb", "t", &rows(1.0, DAY), TableKey::Tags).await;
    let file = shared.world.commit_next(&table, &rows(1.0, DAY)).await;
    assert_eq!(ask(&querier, "SELECT sum(x) FROM t").await[1], "4.0");
    // Another table takes the place of this one, whose files are deleted.
    shared.world.catalog.drop_table(table.id).await.unwrap();
    shared.world.store.delete(&object_path(&table, &file)).await.unwrap();
    let table = shared.world.flush("mydb", "t", &rows(2.0, DAY)).await;
    assert_eq!(ask(&querier, "SELECT sum(x) FROM t").await[1], "7.0");
    // What is live and gone is damage, and found to be.
    let file = shared.world.commit_next(&table, &rows(3.0, DAY + HOUR)).await;
    assert_eq!(ask(&shared.querier(ALWAYS_FRESH), "SELECT sum(x) FROM t").await[1], "17.0");
    shared.world.store.delete(&object_path(&table, &file)).await.unwrap();
    let error = try_ask(&querier, "SELECT sum(x) FROM t").await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_vanished_is_no_damage_where_redis_cannot_be_asked() {
    let mut shared = shared().await;
    for age in [ALWAYS_FRESH, AN_HOUR] {
        assert_eq!(ask(&shared.querier(age), "SELECT x FROM cpu").await[1], "1.5");
    }
    let paths: Vec<_> = {
        use futures::TryStreamExt;
        use object_store::ObjectStore;
        shared.world.store.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap()
    };
    shared.stop();
    for path in paths {
        shared.world.store.delete(&path).await.unwrap();
    }
    for age in [ALWAYS_FRESH, AN_HOUR] {
        let error = try_ask(&shared.querier(age), "SELECT x FROM cpu").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(matches!(&error, Error::Outdated { .. }) && error.to_string().contains("retry"), "{error:?}");
    }
}
