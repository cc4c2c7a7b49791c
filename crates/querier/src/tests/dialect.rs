//! What users of the original and of DuckDB write.

use super::world::*;
use crate::Habits;

async fn world() -> World {
    let world = World::new().await;
    let row = |minute: i64, location, temperature| {
        (DAY + minute * 60_000_000_000, vec![("location", Tag(location)), ("temperature", Float(temperature))])
    };
    world
        .flush("mydb", "weather", &[row(0, "us", 80.0), row(1, "eu", 60.0), row(6, "us", 84.0), row(7, "eu", 62.0)])
        .await;
    world
}

#[tokio::test]
async fn unnamed_columns_have_duckdbs_names_only_where_asked() {
    let world = world().await;
    let querier = world.querier();
    let sql = "SELECT count(*), avg(temperature) FROM weather";
    assert_eq!(ask(&querier, sql).await, ["count_star()|avg(temperature)", "4|71.5"]);
    let mut engine = request(sql);
    engine.habits = Habits::Engine;
    assert_eq!(lines(querier.query(engine).await.unwrap()).await.unwrap()[0], "count(*)|avg(weather.temperature)");
}

#[tokio::test]
async fn time_is_put_into_buckets_as_in_duckdb_and_influxdb() {
    let world = world().await;
    let querier = world.querier();
    for bucket in [
        "time_bucket(INTERVAL '5 minutes', time)",
        "time_bucket('5 minutes', time)",
        "date_bin(interval '5 minute', time)",
        "date_bin(interval '300 second', time, timestamp '1970-01-01T00:00:00Z')",
    ] {
        let sql = format!("SELECT {bucket} AS t, avg(temperature) FROM weather GROUP BY 1 ORDER BY 1");
        assert_eq!(ask(&querier, &sql).await[1..], ["2025-04-24T00:00:00|70.0", "2025-04-24T00:05:00|73.0"], "{sql}");
    }
    // Weeks start on Mondays.
    let sql = "SELECT time_bucket(INTERVAL '7 days', '2025-04-24'::TIMESTAMP)";
    assert_eq!(ask(&querier, sql).await[1], "2025-04-21T00:00:00");
}

#[tokio::test]
async fn windows_expressions_and_sets_work() {
    let world = world().await;
    let querier = world.querier();
    let sql = "SELECT location, temperature FROM weather QUALIFY row_number() OVER (PARTITION BY location ORDER BY time DESC) = 1 ORDER BY location";
    assert_eq!(ask(&querier, sql).await[1..], ["eu|62.0", "us|84.0"]);
    let sql = "SELECT lag(temperature) OVER (PARTITION BY location ORDER BY time) AS before FROM weather WHERE location = 'us' ORDER BY time";
    assert_eq!(ask(&querier, sql).await[1..], ["NULL", "80.0"]);
    let sql = "SELECT * EXCLUDE (location) FROM weather ORDER BY time LIMIT 1";
    assert_eq!(ask(&querier, sql).await, ["time|temperature", "2025-04-24T00:00:00|80.0"]);
    assert_eq!(
        ask(&querier, "FROM weather ORDER BY time LIMIT 1").await,
        ["time|location|temperature", "2025-04-24T00:00:00|us|80.0"]
    );
    let sql = "SELECT count(*) FROM weather UNION ALL SELECT count(*) FROM weather WHERE location = 'eu' ORDER BY 1";
    assert_eq!(ask(&querier, sql).await[1..], ["2", "4"]);
    let sql = "SELECT location, avg(temperature) AS avg_temp FROM weather GROUP BY ALL HAVING count(*) > 1 ORDER BY avg_temp DESC";
    assert_eq!(ask(&querier, sql).await[1..], ["us|82.0", "eu|61.0"]);
}

#[tokio::test]
async fn a_test_of_the_connection_is_answered() {
    let world = World::new().await;
    let querier = world.querier();
    assert_eq!(ask(&querier, "select 1").await, ["1", "1"]);
    assert_eq!(ask(&querier, "").await, [""]);
}

#[tokio::test]
async fn parameters_are_values_in_every_clause_and_never_text() {
    use datafusion::common::{ParamValues, ScalarValue};
    let world = world().await;
    let querier = world.querier();
    let named = || ParamValues::from(vec![("place", ScalarValue::from("us")), ("low", ScalarValue::from(1.0))]);
    let numbered =
        || ParamValues::from(vec![ScalarValue::from("us"), ScalarValue::from(1.0), ScalarValue::from(1_i64)]);
    let attack =
        ParamValues::from(vec![("place", ScalarValue::from("us' OR 1=1 --")), ("low", ScalarValue::from(1.0))]);
    let cases = [
        ("SELECT count(*) FROM weather WHERE location = $place AND temperature > $low", named(), "2"),
        ("SELECT count(*) FROM weather WHERE location = $place AND temperature > $low", attack, "0"),
        ("SELECT count(*) FROM weather WHERE location = $1 AND temperature > $2", numbered(), "2"),
        ("SELECT $1 || '-' || location FROM weather ORDER BY time", numbered(), "us-us"),
        ("SELECT count(*) FROM weather GROUP BY location = $1 HAVING count(*) > $2", numbered(), "2"),
        ("SELECT location FROM weather ORDER BY location = $1 DESC, time", numbered(), "us"),
        ("SELECT count(*) FROM weather WHERE location IN ($1)", numbered(), "2"),
        ("SELECT count(*) FROM weather WHERE temperature BETWEEN $2 AND 90", numbered(), "4"),
        ("SELECT count(*) FROM (SELECT * FROM weather LIMIT $3)", numbered(), "1"),
        ("SELECT count(*) FROM weather a JOIN weather b ON a.location = $1 AND a.time = b.time", numbered(), "2"),
        ("WITH x AS (SELECT * FROM weather WHERE location = $1) SELECT count(*) FROM x", numbered(), "2"),
        ("SELECT CASE WHEN $2 > 0 THEN $1 END", numbered(), "us"),
        ("SELECT count(*) FILTER (WHERE location = $1) FROM weather", numbered(), "2"),
        ("SELECT if(location = $1, 1, 2) FROM weather ORDER BY time", numbered(), "1"),
        ("SELECT count(*) FROM weather WHERE location = (SELECT $1)", numbered(), "2"),
    ];
    for (sql, values, expected) in cases {
        let mut asked = request(sql);
        asked.parameters = Some(values);
        let answer = querier.query(asked).await.unwrap_or_else(|error| panic!("{sql}: {error} ({:?})", error.detail()));
        assert_eq!(lines(answer).await.unwrap()[1], expected, "{sql}");
    }
    let mut missing = request("SELECT count(*) FROM weather WHERE location = $nothing");
    missing.parameters = Some(named());
    let error = querier.query(missing).await.unwrap_err();
    assert_eq!(error.kind(), gigapi_model::ErrorKind::Invalid);
    assert!(error.to_string().contains("nothing"), "{error}");
}

#[tokio::test]
async fn joins_of_duckdb_work() {
    let world = world().await;
    world.flush("mydb", "places", &[(DAY, vec![("location", Tag("us")), ("code", Integer(1))])]).await;
    let querier = world.querier();
    for (sql, expected) in [
        ("SELECT count(*) FROM weather SEMI JOIN places USING (location)", "2"),
        ("SELECT count(*) FROM weather ANTI JOIN places USING (Location)", "2"),
        ("SELECT count(*) FROM weather w SEMI JOIN places p ON w.location = p.location", "2"),
        ("SELECT count(*) FROM weather LEFT JOIN places USING (location) WHERE code IS NULL", "2"),
        ("SELECT count(*) FROM weather FULL JOIN places ON weather.time = places.time", "4"),
        ("SELECT count(*) FROM weather CROSS JOIN places", "4"),
        ("SELECT count(*) FROM weather, places", "4"),
        ("SELECT count(*) FROM weather NATURAL JOIN places", "1"),
    ] {
        assert_eq!(ask(&querier, sql).await[1], expected, "{sql}");
    }
}
