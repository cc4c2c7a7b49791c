//! Statements that are deep or long: an answer or an error, soon, and never the end of the process.

use std::time::Duration;

use gigapi_model::ErrorKind;
use tokio::time::Instant;

use super::world::*;
use crate::{Error, Habits, QueryRequest};

/// Far more than any of them needs, far less than minutes.
const SOON: Duration = Duration::from_secs(60);

async fn world() -> World {
    let world = World::new().await;
    world.flush("mydb", "t", &[(DAY, vec![("host", Tag("a")), ("n", Integer(7)), ("x", Float(1.0))])]).await;
    world
}

#[tokio::test]
async fn long_rows_of_conditions_are_answered() {
    let world = world().await;
    let querier = world.querier();
    let each = |joined: &str, item: &dyn Fn(usize) -> String, count: usize| {
        (0..count).map(item).collect::<Vec<_>>().join(joined)
    };
    let cases = [
        each(" OR ", &|n| format!("n = {n}"), 1_000),
        each(" AND ", &|n| format!("n <> {}", n + 100), 1_000),
        each(" OR ", &|n| format!("(n = {n} AND host = 'a')"), 500),
        format!("n IN ({})", each(", ", &|n| n.to_string(), 100_000)),
        format!("host NOT IN ({})", each(", ", &|n| format!("'h{n}'"), 100_000)),
        format!("time IN ({})", each(", ", &|n| (DAY + n as i64).to_string(), 40_000)),
    ];
    for condition in cases {
        let started = Instant::now();
        let sql = format!("SELECT count(*) FROM t WHERE {condition}");
        assert_eq!(ask(&querier, &sql).await[1], "1", "{}", &sql[..60]);
        assert!(started.elapsed() < SOON, "{}: {:?}", &sql[..60], started.elapsed());
    }
}

/// Statements that are too deep, by everything that makes one deep.
fn too_deep() -> Vec<String> {
    let (many, half) = (400_000, 200_000);
    let nested = |open: &str, inner: &str, close: &str, count: usize| {
        format!("SELECT {}{inner}{}", open.repeat(count), close.repeat(count))
    };
    vec![
        nested("(", "1", ")", half),
        nested("[", "1", "]", half),
        nested("{'a': ", "1", "}", 50_000),
        nested("abs(", "1", ")", half),
        nested("NOT ", "true", "", half),
        nested("- ", "1", "", half),
        nested("+", "1", "", half),
        nested("CASE WHEN true THEN ", "1", " END", 20_000),
        nested("CASE ", "1", "", half),
        nested("(SELECT ", "1", ")", half / 2),
        nested("EXISTS (SELECT ", "1", ")", half / 4),
        nested("INTERVAL ", "'1 day'", "", half / 2),
        nested("CAST(", "1", " AS INT)", 50_000),
        nested("1 + (", "1", ")", half / 2),
        nested("x -> ", "1", "", half / 2),
        nested("", "1", " + 1", half),
        nested("", "1", "+1", many),
        nested("", "'a'", "||'a'", half),
        nested("", "1", "::int", half),
        nested("", "a", "[1]", half),
        nested("", "1", " IS NULL", half / 2),
        nested("", "a", " IS DISTINCT FROM a", 40_000),
        nested("", "'a'", " LIKE 'a'", half / 2),
        nested("", "1", " BETWEEN 1 AND 2", half / 4),
        nested("", "1", " IN (1)", half / 2),
        nested("", "1", " = 1", half),
        nested("", "1", "+on", half),
        nested("", "1", " + end", half / 2),
        nested("", "1", "+f(end,1)", half / 4),
        nested("", "1", "+a.on", half / 2),
        nested("", "1", "**2", half),
        nested("", "1", "//2", half),
        nested("", "now()", " AT TIME ZONE 'UTC'", 40_000),
        nested("", "'a'", " COLLATE c", half / 4),
        nested("", "1::int", "[]", many),
        format!("SELECT 1::{}INT{}", "STRUCT(a ".repeat(50_000), ")".repeat(50_000)),
        format!("SELECT 1::{}INT{}", "ARRAY<".repeat(half / 4), ">".repeat(half / 4)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(50_000)),
        format!("SELECT 1{}", " EXCEPT SELECT 1".repeat(50_000)),
        format!("SELECT 1 FROM t{}", ", t".repeat(half)),
        format!("SELECT 1 FROM t{}", " CROSS JOIN t".repeat(half / 4)),
        format!("SELECT 1 FROM {}t{}", "(".repeat(half), ")".repeat(half)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(half / 2)),
        format!("{}SELECT 1", "DESCRIBE ".repeat(half / 4)),
        format!("{}SELECT 1{}", "WITH a AS (".repeat(half / 4), ") SELECT 1".repeat(half / 4)),
        format!("{}SELECT 1", "(".repeat(half)),
        billion_tables(),
    ]
}

#[tokio::test]
async fn depth_of_every_kind_is_refused_before_it_is_parsed() {
    let world = world().await;
    let querier = world.querier();
    for sql in too_deep() {
        assert!(sql.len() <= 1 << 21, "{}", sql.len());
        for habits in [Habits::DuckDb, Habits::Engine] {
            let started = Instant::now();
            let sql = if sql.len() > 1 << 20 { sql[..1 << 20].to_owned() } else { sql.clone() };
            let start: String = sql.chars().take(60).collect();
            let error = match querier.query(QueryRequest { habits, ..request(&sql) }).await {
                Ok(_) => panic!("{start} … was answered"),
                Err(error) => error,
            };
            assert_eq!(error.kind(), ErrorKind::Invalid, "{start} …: {error:?}");
            assert!(started.elapsed() < SOON, "{start} … took {:?}", started.elapsed());
        }
    }
}

/// Each query names the one before twice.
fn billion_tables() -> String {
    let queries = (1..40).map(|n| format!("a{n} AS (SELECT * FROM a{0}, a{0})", n - 1));
    format!("WITH a0 AS (SELECT * FROM t), {} SELECT count(*) FROM a39", queries.collect::<Vec<_>>().join(", "))
}

/// As deep as is allowed, of every kind.
#[tokio::test]
async fn what_is_just_not_too_deep_is_answered() {
    let world = world().await;
    let querier = world.querier();
    let nested = |open: &str, inner: &str, close: &str, count: usize| {
        format!("SELECT {}{inner}{}", open.repeat(count), close.repeat(count))
    };
    for sql in [
        nested("(", "1", ")", 60),
        nested("abs(", "1", ")", 60),
        nested("NOT ", "true", "", 100),
        nested("CASE WHEN true THEN ", "1", " END", 60),
        nested("", "1", " + 1", 390),
        nested("", "'a'", " || 'a'", 390),
        nested("", "n", " + n", 390) + " FROM t",
        format!("SELECT n FROM {}t{}", "(SELECT * FROM ".repeat(40), ") AS t".repeat(40)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(199)),
        format!(
            "SELECT count(*) FROM t{}",
            (0..40).map(|n| format!(" JOIN t AS t{n} ON t{n}.time = t.time")).collect::<String>()
        ),
    ] {
        let started = Instant::now();
        let start: String = sql.chars().take(60).collect();
        try_ask(&querier, &sql).await.unwrap_or_else(|error| panic!("{start} …: {error} ({:?})", error.detail()));
        assert!(started.elapsed() < SOON, "{start} … took {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn limits_are_named_in_their_errors() {
    let world = world().await;
    let querier = world.querier();
    let told = async |sql: String| try_ask(&querier, &sql).await.unwrap_err();
    let error = told(format!("SELECT '{}'", "x".repeat(1 << 20))).await;
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("1048576") && error.to_string().contains("GIGAPI_SQL_BYTES_MAX"), "{error}");
    let error = told(format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200))).await;
    assert!(matches!(error, Error::TooDeep { limit: 128, .. }), "{error:?}");
    assert!(error.to_string().contains("128 levels of brackets"), "{error}");
    let error = told(format!("SELECT 1{}", " + 1".repeat(500))).await;
    assert!(error.to_string().contains("400 operators"), "{error}");
    let error = told(format!("SELECT 1{}", " UNION SELECT 1".repeat(300))).await;
    assert!(error.to_string().contains("200 queries joined by UNION"), "{error}");
    let error = told(format!("SELECT 1 FROM t{}", ", t".repeat(300))).await;
    assert!(error.to_string().contains("256 tables"), "{error}");
    let error = told(format!("SELECT 1 WHERE true{}", " OR true".repeat(3_000))).await;
    assert!(error.to_string().contains("2000 conditions"), "{error}");
}
