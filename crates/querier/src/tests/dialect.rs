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
async fn functions_of_duckdb_work() {
    let world = world().await;
    let querier = world.querier();
    let cases = [
        ("SELECT epoch_ns('2025-04-24T00:00:01'::TIMESTAMP)", "1745452801000000000"),
        ("SELECT epoch_us('2025-04-24T00:00:01'::TIMESTAMP)", "1745452801000000"),
        ("SELECT epoch_ms('2025-04-24T00:00:01'::TIMESTAMP)", "1745452801000"),
        ("SELECT epoch('2025-04-24T00:00:01'::TIMESTAMP)", "1745452801.0"),
        ("SELECT epoch_ms(1745452801000)", "2025-04-24T00:00:01"),
        ("SELECT make_timestamp(1745452801000000)", "2025-04-24T00:00:01"),
        ("SELECT min(epoch_ns(time)) FROM weather", "1745452800000000000"),
        ("SELECT hour(max(time)), minute(max(time)) FROM weather", "0|7"),
        ("SELECT '2025-04-24T00:00:00.000000001'::TIMESTAMP_NS", "2025-04-24T00:00:00.000000001"),
        ("SELECT 5::UBIGINT", "5"),
        ("SELECT datepart('minute', max(time)) FROM weather", "7"),
        ("SELECT first(location ORDER BY time) FROM weather", "us"),
        ("SELECT len('abc')", "3"),
    ];
    for (sql, expected) in cases {
        assert_eq!(ask(&querier, sql).await[1], expected, "{sql}");
    }
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
async fn parameters_are_values_and_never_text() {
    let world = world().await;
    let mut asked = request("SELECT count(*) FROM weather WHERE location = $place AND temperature > $low");
    let text = datafusion::common::ScalarValue::from("us' OR 1=1 --");
    let parameters = vec![("place", text), ("low", datafusion::common::ScalarValue::from(1.0))];
    asked.parameters = Some(parameters.into());
    assert_eq!(lines(world.querier().query(asked).await.unwrap()).await.unwrap()[1], "0");
}
