//! Functions and types of DuckDB and InfluxDB 3, with what DuckDB answers.

use gigapi_model::ErrorKind;

use super::world::*;
use crate::{Habits, QueryRequest};

async fn world() -> World {
    let world = World::new().await;
    let row = |minute: i64, location, temperature, n| {
        let values = vec![("location", Tag(location)), ("temperature", Float(temperature)), ("n", Integer(n))];
        (DAY + minute * 60_000_000_000, values)
    };
    let rows = [row(0, "us", 80.0, 1), row(1, "eu", 60.0, 2), row(6, "us", 84.0, 3), row(7, "eu", 62.0, 4)];
    world.flush("mydb", "weather", &rows).await;
    world
}

/// Expressions without a table, and their values.
const SCALARS: &[(&str, &str)] = &[
    ("epoch_ns('2025-04-24T00:00:01'::TIMESTAMP)", "1745452801000000000"),
    ("epoch_us('2025-04-24T00:00:01'::TIMESTAMP)", "1745452801000000"),
    ("epoch_ms('2025-04-24T00:00:01'::TIMESTAMP)", "1745452801000"),
    ("epoch('2025-04-24T00:00:01'::TIMESTAMP)", "1745452801.0"),
    ("epoch_ms(1745452801000)", "2025-04-24T00:00:01"),
    ("make_timestamp(1745452801000000)", "2025-04-24T00:00:01"),
    ("make_timestamp_ms(1745452801000)", "2025-04-24T00:00:01"),
    ("make_timestamp_ns(1745452801000000000)", "2025-04-24T00:00:01"),
    ("make_timestamp(2025, 1, 2, 3, 4, 5.5)", "2025-01-02T03:04:05.500"),
    ("time_bucket(INTERVAL '7 days', '2025-04-24'::TIMESTAMP)", "2025-04-21T00:00:00"),
    ("time_bucket(INTERVAL '1 month', '2025-04-24'::TIMESTAMP)", "2025-04-01T00:00:00"),
    ("time_bucket(INTERVAL '3 months', '2024-05-01'::TIMESTAMP)", "2024-04-01T00:00:00"),
    ("time_bucket(INTERVAL '1 year', '2024-05-01'::TIMESTAMP)", "2024-01-01T00:00:00"),
    ("time_bucket('1 month', '2025-04-24'::TIMESTAMP)", "2025-04-01T00:00:00"),
    ("time_bucket(INTERVAL '7 days', '2025-04-24'::TIMESTAMP, INTERVAL '1 day')", "2025-04-22T00:00:00"),
    ("time_bucket(INTERVAL '7 days', '2025-04-24'::TIMESTAMP, '2025-01-02'::TIMESTAMP)", "2025-04-24T00:00:00"),
    ("time_bucket(INTERVAL '1 day', DATE '2025-04-24')", "2025-04-24T00:00:00"),
    ("strftime('2025-04-24T01:02:03.123456789'::TIMESTAMP, '%Y-%m-%d %H:%M:%S.%f')", "2025-04-24 01:02:03.123456"),
    ("strftime('%g %n', '2025-04-24T01:02:03.123456789'::TIMESTAMP)", "123 123456789"),
    ("strftime(DATE '2024-01-01', '%a %d %B %j')", "Mon 01 January 001"),
    ("strptime('2025-01-02 03:04:05', '%Y-%m-%d %H:%M:%S')", "2025-01-02T03:04:05"),
    ("strptime('2025-01-02', '%Y-%m-%d')", "2025-01-02T00:00:00"),
    ("strptime('02.01.2025 03:04', ['%Y-%m-%d', '%d.%m.%Y %H:%M'])", "2025-01-02T03:04:00"),
    ("date_diff('day', TIMESTAMP '2024-01-01 23:00:00', TIMESTAMP '2024-01-05 01:00:00')", "4"),
    ("date_diff('hour', TIMESTAMP '2024-01-01 00:59:00', TIMESTAMP '2024-01-01 01:00:00')", "1"),
    ("date_diff('month', TIMESTAMP '2024-01-31', TIMESTAMP '2025-02-01')", "13"),
    ("date_diff('quarter', DATE '2024-03-31', DATE '2024-04-01')", "1"),
    ("date_diff('year', DATE '2024-12-31', DATE '2025-01-01')", "1"),
    ("date_diff('week', DATE '2024-01-01', DATE '2024-01-10')", "1"),
    ("datediff('minute', TIMESTAMP '2024-01-01 00:00:59', TIMESTAMP '2024-01-01 00:01:00')", "1"),
    ("date_add(TIMESTAMP '2024-01-01', INTERVAL '1 day')", "2024-01-02T00:00:00"),
    ("year(DATE '2025-01-05')", "2025"),
    ("month(DATE '2025-01-05')", "1"),
    ("week(DATE '2025-01-05')", "1"),
    ("dayofweek(DATE '2025-01-05')", "0"),
    ("isodow(DATE '2025-01-05')", "7"),
    ("dayofyear(DATE '2025-02-01')", "32"),
    ("yearweek(DATE '2025-01-05')", "202501"),
    ("dayname(DATE '2025-01-05')", "Sunday"),
    ("monthname(DATE '2025-01-05')", "January"),
    ("last_day(DATE '2024-02-05')", "2024-02-29"),
    ("millisecond(TIMESTAMP '2025-01-01 00:00:10.5')", "10500"),
    ("microsecond(TIMESTAMP '2025-01-01 00:00:10.5')", "10500000"),
    ("extract(hour FROM TIMESTAMP '2025-01-01 05:00:00')", "5"),
    ("datepart('minute', TIMESTAMP '2025-01-01 05:06:00')", "6"),
    ("if(1 > 2, 'a', 'b')", "b"),
    ("if(1 < 2, 1, 2.5)", "1.0"),
    ("iff(NULL, 'a', 'b')", "b"),
    ("ifnull(NULL, 1)", "1"),
    ("coalesce(NULL, NULL, 'x')", "x"),
    ("len('äö')", "2"),
    ("len([1, 2, 3])", "3"),
    ("length('äö')", "2"),
    ("strlen('äö')", "4"),
    ("regexp_extract('abc', 'b(c)')", "bc"),
    ("regexp_extract('abc', 'b(c)', 1)", "c"),
    ("regexp_extract('abc', 'x')", ""),
    ("regexp_extract('ABC', 'b(c)', 1, 'i')", "C"),
    ("regexp_extract(NULL::VARCHAR, 'x')", "NULL"),
    ("regexp_matches('abc', 'b')", "true"),
    ("regexp_full_match('abc', 'b')", "false"),
    ("regexp_full_match('abc', 'a|abc')", "true"),
    ("regexp_replace('abc', 'b', 'x')", "axc"),
    ("string_split('a,b', ',')", "[a, b]"),
    ("str_split('a,b', ',')[2]", "b"),
    ("split_part('a,b', ',', 2)", "b"),
    ("ucase('a') || lcase('B')", "Ab"),
    ("prefix('abc', 'ab') AND suffix('abc', 'bc') AND contains('abc', 'b')", "true"),
    ("list_value(1, 2)", "[1, 2]"),
    ("struct_pack(a := 1, b := 'x')['b']", "x"),
    ("[1, 2, 3][1]", "1"),
    ("list_contains([1, 2], 2)", "true"),
    ("list_transform([1, 2], x -> x + 1)", "[2, 3]"),
    ("list_filter([1, 2, 3], x -> x > 1)", "[2, 3]"),
    ("typeof(1)", "BIGINT"),
    ("typeof('a')", "VARCHAR"),
    ("typeof(1.5)", "DOUBLE"),
    ("typeof(now())", "TIMESTAMP_NS"),
    ("typeof([1])", "BIGINT[]"),
    ("typeof('2025-01-01'::TIMESTAMP_MS)", "TIMESTAMP_MS"),
    ("'2025-04-24T00:00:00.000000001'::TIMESTAMP_NS", "2025-04-24T00:00:00.000000001"),
    ("'2025-04-24T00:00:00.123456'::TIMESTAMP_MS", "2025-04-24T00:00:00.123"),
    ("'2025-04-24T00:00:00.5'::TIMESTAMP_S", "2025-04-24T00:00:00"),
    ("'2025-04-24T00:00:00Z'::TIMESTAMPTZ", "2025-04-24T00:00:00"),
    ("5::UBIGINT", "5"),
    ("5::UINTEGER + 1::USMALLINT + 1::UTINYINT", "7"),
    ("5::HUGEINT", "5"),
    ("'ab'::BLOB", "6162"),
    ("TRY_CAST('x' AS INTEGER)", "NULL"),
    ("round(2.567, 2)", "2.57"),
    ("abs(-1) + sqrt(4) + ceil(1.2) + floor(1.8)", "6.0"),
    ("pow(2, 3) = 8", "true"),
    ("greatest(1, 3, 2) - least(1, 3, 2)", "2"),
    ("current_database()", "mydb"),
    ("current_schema()", "mydb"),
    ("version() LIKE 'GigAPI %'", "true"),
];

/// Aggregates over the table, and their values.
const AGGREGATES: &[(&str, &str)] = &[
    ("arg_max(location, temperature)", "us"),
    ("arg_min(location, temperature)", "eu"),
    ("max_by(n, time)", "4"),
    ("min_by(n, time)", "1"),
    ("arg_max(n, temperature) FILTER (WHERE location = 'eu')", "4"),
    ("first(location ORDER BY time)", "us"),
    ("last(location ORDER BY time)", "eu"),
    ("list(n ORDER BY n)", "[1, 2, 3, 4]"),
    ("array_agg(DISTINCT location ORDER BY location)", "[eu, us]"),
    ("mode(location)", "eu"),
    ("mode(n)", "2"),
    ("mode(location) FILTER (WHERE n IN (1, 3, 4))", "us"),
    ("histogram(location)", "{eu: 2, us: 2}"),
    ("median(temperature)", "71.0"),
    ("quantile_cont(temperature, 0.5)", "71.0"),
    ("quantile_cont(temperature, [0.0, 1.0])", "[60.0, 84.0]"),
    ("quantile_disc(n, 0.5)", "2"),
    ("quantile(n, 0.75)", "3"),
    ("quantile(n, [0.25, 0.5])", "[1, 2]"),
    ("quantile_disc(location, 0.9)", "us"),
    ("quantile(n, 0.5) FILTER (WHERE n > 10)", "NULL"),
    ("approx_quantile(n, 0.5) BETWEEN 2 AND 3", "true"),
    ("percentile_cont(0.5) WITHIN GROUP (ORDER BY n)", "2.5"),
    ("approx_count_distinct(location)", "2"),
    ("count_if(temperature > 70)", "2"),
    ("count(*) FILTER (WHERE n > 1)", "3"),
    ("count(DISTINCT location)", "2"),
    ("string_agg(location, ',' ORDER BY n)", "us,eu,us,eu"),
    ("group_concat(location)", "eu,eu,us,us"),
    ("bool_and(n > 0) AND bool_or(n > 3)", "true"),
    ("round(stddev(n), 3)", "1.291"),
    ("round(variance(n), 3)", "1.667"),
    ("round(corr(n, n), 3)", "1.0"),
    ("selector_first(temperature, time)['value']", "80.0"),
    ("selector_last(temperature, time)['value']", "62.0"),
    ("selector_last(temperature, time)['time']", "2025-04-24T00:07:00"),
    ("selector_max(temperature, time)['value']", "84.0"),
    ("selector_min(temperature, time)['time']", "2025-04-24T00:01:00"),
    ("min(epoch_ns(time))", "1745452800000000000"),
    ("date_diff('minute', min(time), max(time))", "7"),
];

#[tokio::test]
async fn functions_answer_what_duckdb_answers() {
    let world = world().await;
    let querier = world.querier();
    let scalars = SCALARS.iter().map(|(call, expected)| (format!("SELECT {call}"), *call, *expected));
    let aggregates =
        AGGREGATES.iter().map(|(call, expected)| (format!("SELECT {call} FROM weather"), *call, *expected));
    let mut wrong = Vec::new();
    for (sql, call, expected) in scalars.chain(aggregates) {
        for habits in [Habits::DuckDb, Habits::Engine] {
            let found = match querier.query(QueryRequest { habits, ..request(&sql) }).await {
                Ok(answer) => lines(answer).await.map(|rows| rows[1].clone()),
                Err(error) => Err(error),
            };
            match found {
                Ok(found) if found == expected => {}
                found => wrong.push(format!("{call} ({habits:?}): {found:?} instead of {expected}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn aggregates_of_our_own_are_right_in_groups_windows_and_several_parts() {
    let world = world().await;
    let rows: Vec<Row> = (0..3000)
        .map(|n| (DAY + n, vec![("kind", Tag(["a", "b", "c"][(n % 3) as usize])), ("n", Integer(n % 7 / 2))]))
        .collect();
    world.flush("mydb", "many", &rows).await;
    let querier = world.querier();
    let sql = "SELECT kind, mode(n), histogram(n) FROM many GROUP BY kind ORDER BY kind";
    let answer = ask(&querier, sql).await;
    assert_eq!(answer.len(), 4);
    assert!(answer[1].starts_with("a|0|{0: 286, 1: 28"), "{}", answer[1]);
    let sql = "SELECT location, arg_max(n, temperature), arg_min(n, temperature), quantile(n, 0.5) FROM weather GROUP BY location ORDER BY location";
    assert_eq!(ask(&querier, sql).await[1..], ["eu|4|2|2", "us|3|1|1"]);
    let sql = "SELECT n, count_if(temperature > 70) OVER (ORDER BY n) AS c FROM weather ORDER BY n";
    assert_eq!(ask(&querier, sql).await[1..], ["1|1", "2|1", "3|2", "4|2"]);
    let sql = "SELECT mode(n), histogram(n), arg_max(n, n), quantile(n, 0.5) FROM weather WHERE n > 100";
    assert_eq!(ask(&querier, sql).await[1], "NULL|NULL|NULL|NULL");
}

#[tokio::test]
async fn columns_of_replaced_functions_are_called_as_they_were_written() {
    let world = world().await;
    let querier = world.querier();
    let sql = "SELECT if(n > 1, 1, 0), count_if(n > 1) OVER (), n ** 2 FROM weather";
    let named = |habits| querier.query(QueryRequest { habits, ..request(sql) });
    let names =
        |answer: crate::Answer| answer.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let duckdb = names(named(Habits::DuckDb).await.unwrap());
    assert_eq!(duckdb, ["CASE  WHEN ((n > 1)) THEN (1) ELSE 0 END", "count_if((n > 1)) OVER ()", "(n ** 2)"]);
    let engine = names(named(Habits::Engine).await.unwrap());
    assert_eq!(engine, ["if(n > 1, 1, 0)", "count_if(n > 1) OVER ()", "n ** 2"]);
}

#[tokio::test]
async fn wrong_calls_say_what_would_be_right() {
    let world = world().await;
    let querier = world.querier();
    let cases = [
        ("SELECT if(1)", "if() is not known with 1 arguments"),
        ("SELECT arg_max(n) FROM weather", "arg_max() is not known with 1 arguments"),
        ("SELECT arg_max(DISTINCT n, n) FROM weather", "DISTINCT"),
        ("SELECT strftime(time, location) FROM weather", "a format in quotes"),
        ("SELECT strftime(time, '%Q') FROM weather", "unknown %Q"),
        ("SELECT strptime('x', '%Y')", "x"),
        ("SELECT date_diff('fortnight', time, time) FROM weather", "fortnight"),
        ("SELECT struct_pack(1)", "struct_pack(a := 1"),
        ("SELECT nosuchfunction(1)", "nosuchfunction"),
        ("SELECT date_bin_gapfill(INTERVAL '1 hour', time) FROM weather", "generate_series"),
    ];
    for (sql, said) in cases {
        let error = try_ask(&querier, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error:?}");
        assert!(error.to_string().contains(said), "{sql}: {error}");
    }
}
