//! Every way to write a condition on time rules out files.

use gigapi_model::Timestamp;

use super::world::*;

/// Eight hourly files from 2025-04-24T00:00Z on, four rows each.
async fn world() -> World {
    let world = World::new().await;
    for hour in 0..8 {
        let row = |quarter: i64| {
            let values = vec![("location", Tag("us")), ("temperature", Float((hour * 4 + quarter) as f64))];
            (DAY + hour * HOUR + quarter * HOUR / 4, values)
        };
        world.flush("mydb", "weather", &[row(0), row(1), row(2), row(3)]).await;
    }
    world
}

#[tokio::test]
async fn every_form_of_a_time_condition_reads_only_the_files_inside() {
    let world = world().await;
    let querier = world.querier();
    // Each leaves the hours from 02:00 up to 04:00.
    let (from, to) = (DAY + 2 * HOUR, DAY + 4 * HOUR);
    let conditions = [
        "time >= '2025-04-24T02:00:00' AND time < '2025-04-24T04:00:00'".to_owned(),
        "time >= '2025-04-24T02:00:00Z' AND time < '2025-04-24T04:00:00Z'".to_owned(),
        "time >= '2025-04-24 02:00:00' and time < '2025-04-24 04:00:00'".to_owned(),
        "'2025-04-24T02:00:00Z' <= time AND '2025-04-24T04:00:00Z' > time".to_owned(),
        "time >= '2025-04-24T02:00:00'::TIMESTAMP AND time < '2025-04-24T04:00:00'::TIMESTAMP".to_owned(),
        "time >= cast('2025-04-24T02:00:00Z' as timestamp) AND time < cast('2025-04-24T04:00:00Z' as timestamp)".to_owned(),
        "time >= TIMESTAMP '2025-04-24T02:00:00' AND time < TIMESTAMP '2025-04-24T04:00:00'".to_owned(),
        "time >= epoch_ns('2025-04-24T02:00:00'::TIMESTAMP) AND time < epoch_ns('2025-04-24T04:00:00'::TIMESTAMP)".to_owned(),
        "time >= epoch_ns(cast('2025-04-24T02:00:00' as timestamp)) AND time < EPOCH_NS('2025-04-24T04:00:00'::TIMESTAMP)".to_owned(),
        "time >= epoch_ns(\"2025-04-24T02:00:00\"::TIMESTAMP) AND time < epoch_ns(\"2025-04-24T04:00:00\"::TIMESTAMP)".to_owned(),
        format!("time >= {from} AND time < {to}"),
        format!("{from} <= time AND {to} > time"),
        format!("time::BIGINT >= {from} AND epoch_ns(time) < {to}"),
        format!("time BETWEEN {from} AND {}", to - 1),
        format!("time >= make_timestamp_ns({from}) AND time < make_timestamp_ns({to})"),
        "time BETWEEN '2025-04-24T02:00:00' AND '2025-04-24T03:59:59.999999999'".to_owned(),
        "time >= '2025-04-24T01:00:00'::TIMESTAMP + INTERVAL '1 hour' AND time < '2025-04-24T05:00:00'::TIMESTAMP - INTERVAL '1 hour'".to_owned(),
        "weather.time >= '2025-04-24T02:00:00' AND weather.time < '2025-04-24T04:00:00'".to_owned(),
        "TIME >= '2025-04-24T02:00:00' AND Time < '2025-04-24T04:00:00'".to_owned(),
        "time >= '2025-04-24T02:00:00+00:00' AND time < '2025-04-24T06:00:00+02:00'".to_owned(),
        "epoch_us(time) >= epoch_us('2025-04-24T02:00:00'::TIMESTAMP) AND epoch_ms(time) < epoch_ms('2025-04-24T04:00:00'::TIMESTAMP)".to_owned(),
        format!("epoch_ns(time) BETWEEN {from} AND {}", to - 1),
        format!("time >= epoch_ms({}) AND time < make_timestamp({})", from / 1_000_000, to / 1000),
        format!("time >= make_timestamp_ms({}) AND time < {}::BIGINT", from / 1_000_000, to),
        "time >= make_timestamp(2025, 4, 24, 2, 0, 0) AND time < make_timestamp(2025, 4, 24, 4, 0, 0)".to_owned(),
        "time >= strptime('24.04.2025 02:00', '%d.%m.%Y %H:%M') AND time < to_timestamp('2025-04-24T04:00:00Z')".to_owned(),
        "time >= '2025-04-24T02:00:00'::TIMESTAMP_NS AND time < '2025-04-24T04:00:00'::TIMESTAMP_S".to_owned(),
        "time >= '2025-04-24T02:00:00'::TIMESTAMP_MS AND time < '2025-04-24T04:00:00Z'::TIMESTAMPTZ".to_owned(),
        "time >= date_trunc('hour', '2025-04-24T02:30:00'::TIMESTAMP) AND time < date_add('2025-04-24'::TIMESTAMP, INTERVAL '4 hours')".to_owned(),
        "time >= time_bucket(INTERVAL '1 hour', '2025-04-24T02:59:00'::TIMESTAMP) AND time < DATE '2025-04-24' + INTERVAL '4 hours'".to_owned(),
        "time BETWEEN epoch_ns('2025-04-24T02:00:00'::TIMESTAMP) AND epoch_ns('2025-04-24T03:59:59'::TIMESTAMP)".to_owned(),
        format!("NOT (time < {from} OR time >= {to})"),
        format!("time >= if(true, {from}, 0) AND time < {to}"),
        format!("time >= {} // 2 AND time < 2 * {}", from * 2, to / 2),
        format!("time > {} AND NOT time >= '2025-04-24T04:00:00'", from - 1),
    ];
    for condition in conditions {
        let sql = format!("SELECT count(temperature), min(time) FROM weather WHERE {condition}");
        let sum = format!("SELECT sum(temperature) FROM weather WHERE {condition}");
        let answer = ask(&querier, &sql).await;
        assert_eq!(answer[1], "8|2025-04-24T02:00:00", "{condition}");
        assert_eq!(files_planned(&querier, &sum).await, 2, "{condition}");
    }
}

#[tokio::test]
async fn one_sided_conditions_rule_out_the_other_side() {
    let world = world().await;
    let querier = world.querier();
    let cases = [
        ("time >= '2025-04-24T06:00:00'", 2),
        ("time > '2025-04-24T06:45:00'", 1),
        ("time < '2025-04-24T01:00:00'", 1),
        ("time <= '2025-04-24T01:00:00'", 2),
        ("time = '2025-04-24T01:15:00'", 1),
        ("time IN ('2025-04-24T01:15:00', '2025-04-24T05:15:00')", 2),
        ("time > '2026-01-01'", 0),
        ("time < '2025-04-24T01:00:00' OR time >= '2025-04-24T07:00:00'", 2),
        ("time NOT BETWEEN '2025-04-24T01:00:00' AND '2025-04-24T06:59:00'", 2),
        ("time == '2025-04-24T01:15:00'", 1),
        ("time IN (epoch_ns('2025-04-24T01:15:00'::TIMESTAMP), '2025-04-24T05:15:00'::TIMESTAMP)", 2),
        ("time IN (1745457300000000000, '2025-04-24T05:15:00', make_timestamp_ns(1745452800000000000))", 3),
        ("time NOT IN ('2025-04-24T01:15:00')", 8),
        ("year(time) = 2024", 0),
        ("year(time) = 2025", 8),
        ("epoch_ms(time) = 1745457300000", 1),
        ("epoch_us(time) <= 1745457300000000", 2),
    ];
    for (condition, files) in cases {
        let sql = format!("SELECT sum(temperature) FROM weather WHERE {condition}");
        assert_eq!(files_planned(&querier, &sql).await, files, "{condition}");
    }
    let numbers = format!("time IN ({}, {})", DAY, DAY + HOUR);
    let sql = format!("SELECT sum(temperature) FROM weather WHERE {numbers}");
    assert_eq!(files_planned(&querier, &sql).await, 2);
    assert_eq!(ask(&querier, &sql).await[1], "4.0");
}

#[tokio::test]
async fn now_minus_an_interval_rules_out_old_files() {
    let world = world().await;
    let now = Timestamp::from_nanos(DAY + 8 * HOUR);
    world.clock.set(now);
    let querier = world.querier();
    let last_hour = "SELECT count(temperature) FROM weather WHERE time >= now() - INTERVAL '1 hour'";
    assert_eq!(ask(&querier, last_hour).await[1], "4");
    let sum = "SELECT sum(temperature) FROM weather WHERE";
    assert_eq!(files_planned(&querier, &format!("{sum} time >= now() - INTERVAL '1 hour'")).await, 1);
    assert_eq!(files_planned(&querier, &format!("{sum} time < now() - INTERVAL '6 hours'")).await, 2);
    assert_eq!(files_planned(&querier, &format!("{sum} time > now()")).await, 0);
}

#[tokio::test]
async fn date_and_hour_can_be_named_and_date_rules_out_files() {
    let world = world().await;
    world.flush("mydb", "weather", &[(DAY + 24 * HOUR, vec![("temperature", Float(100.0))])]).await;
    let querier = world.querier();
    let by_date = "SELECT sum(temperature) FROM weather WHERE date = '2025-04-25'";
    assert_eq!(ask(&querier, by_date).await[1], "100.0");
    assert_eq!(files_planned(&querier, by_date).await, 1);
    assert_eq!(ask(&querier, "SELECT count(*) FROM weather WHERE hour = 3").await[1], "4");
    assert_eq!(ask(&querier, "SELECT count(*) FROM weather WHERE hour = '3' AND date = '2025-04-24'").await[1], "4");
    let grouped = "SELECT date, hour, count(*) FROM weather WHERE hour < 2 GROUP BY date, hour ORDER BY date, hour";
    assert_eq!(ask(&querier, grouped).await[1..], ["2025-04-24|0|4", "2025-04-24|1|4", "2025-04-25|0|1"]);
}

#[tokio::test]
async fn a_star_shows_date_and_hour_only_when_asked() {
    let world = world().await;
    let querier = world.querier();
    let sql = "SELECT * FROM weather WHERE date = '2025-04-24' ORDER BY time LIMIT 1";
    assert_eq!(ask(&querier, sql).await[0], "time|location|temperature");
    let joined = "SELECT * FROM weather a JOIN weather b ON a.time = b.time WHERE a.date = '2025-04-24' LIMIT 1";
    assert_eq!(ask(&querier, joined).await[0], "time|location|temperature|time|location|temperature");
    let mut shown = request("SELECT * FROM weather ORDER BY time LIMIT 1");
    shown.show_virtual = true;
    let answer = lines(querier.query(shown).await.unwrap()).await.unwrap();
    assert_eq!(answer, ["time|location|temperature|date|hour", "2025-04-24T00:00:00|us|0.0|2025-04-24|0"]);
}

#[tokio::test]
async fn a_name_that_the_statement_gives_itself_wins_over_hour() {
    let world = world().await;
    let sql = "SELECT date_trunc('hour', time) AS hour, count(*) FROM weather GROUP BY hour ORDER BY hour LIMIT 1";
    assert_eq!(ask(&world.querier(), sql).await, ["hour|count_star()", "2025-04-24T00:00:00|4"]);
}

#[tokio::test]
async fn counts_and_bounds_open_no_file() {
    let world = world().await;
    let querier = world.querier();
    for sql in [
        "SELECT count(*), min(time), max(time) FROM weather",
        "SELECT count(*) FROM weather WHERE time >= '2025-04-24T02:00:00' AND time < '2025-04-24T04:00:00'",
        "SELECT count(*) FROM weather WHERE date = '2025-04-24'",
        "SELECT min(temperature), max(temperature) FROM weather",
    ] {
        assert_eq!(files_planned(&querier, sql).await, 0, "{sql}");
    }
    let answer = ask(&querier, "SELECT count(*), min(time), max(time), max(temperature) FROM weather").await;
    assert_eq!(answer[1], "32|2025-04-24T00:00:00|2025-04-24T07:45:00|31.0");
}

/// Whole units of time are compared as such: what lies inside one is not cut off.
#[tokio::test]
async fn conditions_on_coarser_units_keep_what_lies_between_them() {
    let world = World::new().await;
    let at = |nanos: i64| (DAY + nanos, vec![("x", Float(1.0))]);
    world.flush("mydb", "t", &[at(-1), at(0), at(999_999), at(1_000_000), at(1_500_000)]).await;
    let querier = world.querier();
    let ms = DAY / 1_000_000;
    for (condition, expected) in [
        (format!("epoch_ms(time) <= {ms}"), "3"),
        (format!("epoch_ms(time) < {ms}"), "1"),
        (format!("epoch_ms(time) > {ms}"), "2"),
        (format!("epoch_ms(time) = {ms}"), "2"),
        (format!("epoch_ms(time) != {ms}"), "3"),
        (format!("epoch_ms(time) IN ({ms}, {})", ms + 1), "4"),
        (format!("epoch_us(time) BETWEEN {} AND {}", ms * 1000, ms * 1000 + 999), "2"),
        (format!("epoch_ms(time) + 1 = {}", ms + 1), "2"),
        ("date = '2025-04-23'".to_owned(), "1"),
    ] {
        assert_eq!(
            ask(&querier, &format!("SELECT count(*) FROM t WHERE {condition}")).await[1],
            expected,
            "{condition}"
        );
    }
    assert_eq!(ask(&querier, "SELECT epoch_ms('1969-12-31T23:59:59.9995'::TIMESTAMP)").await[1], "-1");
}
