//! Signs that mean one thing in DuckDB and another to the engine: right for the endpoint, or refused.

use gigapi_model::ErrorKind;

use super::world::*;
use crate::{Habits, Querier, QueryRequest};

async fn world() -> World {
    let world = World::new().await;
    let row = |minute: i64, host, n, x| {
        let values = vec![("host", Tag(host)), ("n", Integer(n)), ("x", Float(x)), ("code", Text("10"))];
        (DAY + minute * 60_000_000_000, values)
    };
    world.flush("mydb", "t", &[row(0, "5", 5, 5.5), row(1, "7", 7, 2.0)]).await;
    world
}

async fn with(querier: &Querier, sql: &str, habits: Habits) -> crate::Result<Vec<String>> {
    lines(querier.query(QueryRequest { habits, ..request(sql) }).await?).await
}

/// What the sign gives on `/query` and on `/api/v3/query_sql`; an empty text is an error.
const CASES: &[(&str, &str, &str)] = &[
    // Division of integers.
    ("5 / 2", "2.5", "2"),
    ("-5 / 2", "-2.5", "-2"),
    ("4 / 2", "2.0", "2"),
    ("5 / 2.0", "2.5", "2.5"),
    ("1 / 2 * 2", "1.0", "0"),
    ("sum(n) / count(*)", "6.0", "6"),
    ("max(n) / 2", "3.5", "3"),
    ("max(x) / 2", "2.75", "2.75"),
    ("5 // 2", "2", "2"),
    ("-5 // 2", "-2", "-2"),
    ("5.5 // 2", "2.75", "2.75"),
    ("max(n) // 2", "3", "3"),
    ("7 % 3", "1", "1"),
    ("7 % -3", "1", "1"),
    // Division by zero.
    ("1 / 0", "inf", ""),
    ("1 // 0", "NULL", "NULL"),
    ("1.0 // 0", "NULL", "NULL"),
    ("1 % 0", "NULL", ""),
    ("max(n) // (min(n) - 5)", "NULL", "NULL"),
    ("max(n) % (min(n) - 5)", "NULL", ""),
    ("max(x) / 0", "inf", "inf"),
    // Powers.
    ("2 ^ 3", "8.0", ""),
    ("2 ** 3", "8.0", "8.0"),
    ("2 * 3 ** 2", "18.0", "18.0"),
    ("2 ** 3 ** 2", "64.0", "64.0"),
    ("2 ^ 3 * 2", "16.0", ""),
    ("-2 ** 2", "4.0", "4.0"),
    ("- 2 ^ 2", "4.0", ""),
    ("2 ** -1", "0.5", "0.5"),
    ("max(n) ** 2", "49.0", "49.0"),
    ("-max(n) + 1", "-6", "-6"),
    ("- (1 + 2) * 3", "-9", "-9"),
    ("count(*) * 2", "4", "4"),
    // Numbers with their digits in groups.
    ("1_000_000", "1000000", "1000000"),
    ("1_000.5", "1000.5", "1000.5"),
    ("1_000_000 + 1", "1000001", "1000001"),
    // Equality.
    ("1 == 1", "true", "true"),
    ("count(*) == 2", "true", "true"),
    // Texts beside numbers are numbers.
    ("'10' > 9", "true", "true"),
    ("'10' = 10", "true", "true"),
    ("'010' = 10", "true", "true"),
    ("'10' > '9'", "false", "false"),
    ("'x' > 9", "", ""),
    ("count(*) FILTER (WHERE host > 6)", "1", "1"),
    ("count(*) FILTER (WHERE code > 9)", "2", "2"),
    ("count(*) FILTER (WHERE n > '6')", "1", "1"),
    ("count(*) FILTER (WHERE n = 'x')", "", ""),
    // Fields of a point in time.
    ("date_part('nanosecond', '2025-01-01T00:00:10.5'::TIMESTAMP)", "10500000000", "10500000000"),
    ("nanosecond('2025-01-01T00:00:10.5'::TIMESTAMP)", "10500000000", "10500000000"),
    ("epoch_ns('1970-01-01T00:00:10.5'::TIMESTAMP)", "10500000000", "10500000000"),
];

#[tokio::test]
async fn each_sign_means_what_it_means_to_the_users_of_the_endpoint() {
    let world = world().await;
    let querier = world.querier();
    let mut wrong = Vec::new();
    for (expression, duckdb, influxdb) in CASES {
        for (habits, expected) in [(Habits::DuckDb, duckdb), (Habits::Engine, influxdb)] {
            let sql = format!("SELECT {expression} FROM t LIMIT 1");
            let found = match with(&querier, &sql, habits).await {
                Ok(rows) => rows[1].clone(),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error:?}");
                    String::new()
                }
            };
            if found != *expected {
                wrong.push(format!("{expression} on {habits:?}: {found:?} instead of {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn texts_and_names_are_left_alone() {
    let world = world().await;
    let querier = world.querier();
    for habits in [Habits::DuckDb, Habits::Engine] {
        let sql = "SELECT '2 ^ 3, 5 // 2, 2 ** 3, 1_000 if(a, b, c)' AS \"2 ^ 3\"";
        let answer = with(&querier, sql, habits).await.unwrap();
        assert_eq!(answer, ["2 ^ 3", "2 ^ 3, 5 // 2, 2 ** 3, 1_000 if(a, b, c)"]);
    }
}

/// The rewrite is made once: what it leaves is not rewritten again, and can be explained.
#[tokio::test]
async fn a_plan_shows_what_a_sign_has_become() {
    let world = world().await;
    let querier = world.querier();
    let plan = ask(&querier, "EXPLAIN SELECT n / 2 ^ 2, n // 2, n % 2 FROM t").await.join("\n");
    assert_eq!(plan.lines().next().unwrap(), "plan_type|plan");
    let logical = plan.split("physical_plan").next().unwrap();
    assert!(logical.contains("CAST(t.n AS Float64) / Float64(4)"), "{logical}");
    assert!(logical.contains("t.n / Int64(2)"), "{logical}");
    assert!(logical.contains("t.n % Int64(2)"), "{logical}");
    // Twice the same statement is twice the same plan.
    let again = ask(&querier, "EXPLAIN SELECT n / 2 ^ 2, n // 2, n % 2 FROM t").await.join("\n");
    assert_eq!(again.split("physical_plan").next().unwrap(), logical);
}

#[tokio::test]
async fn what_would_be_read_otherwise_is_refused_by_name() {
    let world = world().await;
    let querier = world.querier();
    let cases = [
        ("SELECT * FROM t POSITIONAL JOIN t AS u", "POSITIONAL JOIN"),
        ("SELECT * FROM t positional  join t AS u", "POSITIONAL JOIN"),
        ("SELECT * FROM t ASOF JOIN t AS u USING (time)", "ASOF JOIN"),
        ("SELECT * FROM t ASOF LEFT JOIN t AS u ON t.time >= u.time", "ASOF JOIN"),
        ("PIVOT t ON host USING sum(n)", "PIVOT"),
        ("UNPIVOT t ON n, x", "PIVOT"),
        ("SELECT * FROM t PIVOT (sum(n) FOR host IN ('5', '7'))", "PIVOT"),
        ("SELECT * FROM t UNPIVOT (v FOR k IN (n, x))", "PIVOT"),
        ("SELECT FROM t", "SQL syntax"),
        ("SELECT", "SQL syntax"),
        ("SELECT date_bin_gapfill(INTERVAL '1 hour', time) FROM t GROUP BY 1", "date_bin_gapfill"),
        ("SELECT interpolate(avg(x)) FROM t", "interpolate"),
        ("SELECT locf(avg(x)) FROM t", "locf"),
        ("SELECT age(time, time) FROM t", "date_diff"),
    ];
    for (sql, named) in cases {
        let error = try_ask(&querier, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error:?}");
        assert!(error.to_string().contains(named), "{sql}: {error}");
    }
    let mut v3 = request("SELECT 2 ^ 3");
    v3.habits = Habits::Engine;
    let error = querier.query(v3).await.unwrap_err();
    assert!(error.to_string().contains("power(a, b)"), "{error}");
}
