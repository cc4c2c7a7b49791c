//! Statements beside plain queries: what is shown, described, summarized and explained.

use gigapi_model::ErrorKind;

use super::world::*;

async fn world() -> World {
    let world = World::new().await;
    let values = vec![("host", Tag("a")), ("usageUser", Float(1.0)), ("cpu", Integer(7))];
    world.flush("mydb", "cpu", &[(DAY, values)]).await;
    world.flush("mydb", "Mixed", &[(DAY, vec![("host", Tag("a")), ("V", Float(2.0))])]).await;
    world.flush("other", "mem", &[(DAY, vec![("host", Tag("a")), ("used", Integer(9))])]).await;
    world.flush("mydb", "system.cpu", &[(DAY, vec![("load", Float(0.5))])]).await;
    world
}

#[tokio::test]
async fn databases_and_tables_are_shown_and_described() {
    let world = world().await;
    let querier = world.querier();
    assert_eq!(ask(&querier, "show databases").await, ["database_name", "mydb", "other"]);
    assert_eq!(ask(&querier, "SHOW TABLES").await, ["table_name", "Mixed", "cpu", "system.cpu"]);
    assert_eq!(ask(&querier, "SHOW TABLES FROM OTHER").await, ["table_name", "mem"]);
    assert_eq!(ask(&querier, "SHOW TABLES LIKE '%.%'").await, ["table_name", "system.cpu"]);
    assert_eq!(ask(&querier, "SHOW TABLES LIKE 'CPU'").await, ["table_name"]);
    assert_eq!(ask(&querier, "SHOW TABLES ILIKE 'CPU'").await, ["table_name", "cpu"]);
    assert_eq!(ask(&querier, "SHOW TABLES FROM mydb LIKE 'c_u'").await, ["table_name", "cpu"]);
    assert_eq!(ask(&querier, "SHOW DATABASES LIKE 'o%'").await, ["database_name", "other"]);
    assert_eq!(ask(&querier, "SHOW SCHEMAS").await, ["database_name", "mydb", "other"]);
    assert_eq!(ask(&querier, "SHOW COLUMNS FROM cpu LIKE 'us%'").await.len(), 2);
    assert_eq!(ask(&querier, "SHOW cpu").await, ask(&querier, "DESCRIBE cpu").await);
    assert_eq!(ask(&querier, "SHOW COLUMNS FROM other.mem").await, ask(&querier, "DESC other.mem").await);
    let described = ask(&querier, "DESCRIBE other.mem").await;
    assert_eq!(described[0], "column_name|column_type|null|key|default|extra");
    assert_eq!(
        described[1..],
        ["time|TIMESTAMP_NS|NO|NULL|NULL|NULL", "host|VARCHAR|YES|NULL|NULL|NULL", "used|BIGINT|YES|NULL|NULL|NULL"]
    );
    let described =
        ask(&querier, "DESCRIBE SELECT host, count(*), avg(used) FROM other.mem GROUP BY host LIMIT 1").await;
    let columns: Vec<&str> =
        described[1..].iter().map(|line| line.split("|YES|").next().unwrap().split("|NO|").next().unwrap()).collect();
    assert_eq!(columns, ["host|VARCHAR", "count_star()|BIGINT", "avg(used)|DOUBLE"]);
    assert!(try_ask(&querier, "SHOW TABLES FROM nope").await.is_err());
}

#[tokio::test]
async fn all_tables_are_shown_with_their_columns() {
    let world = world().await;
    let querier = world.querier();
    let shown = ask(&querier, "SHOW ALL TABLES").await;
    assert_eq!(shown[0], "database|schema|name|column_names|column_types|temporary");
    assert_eq!(shown[2], "public|mydb|cpu|[time, cpu, host, usageUser]|[TIMESTAMP_NS, BIGINT, VARCHAR, DOUBLE]|false");
    assert_eq!(shown[4], "public|other|mem|[time, host, used]|[TIMESTAMP_NS, VARCHAR, BIGINT]|false");
    assert_eq!(ask(&querier, "DESCRIBE").await, shown);
}

#[tokio::test]
async fn a_table_and_a_query_are_summarized_as_duckdb_does() {
    let world = World::new().await;
    let row = |minute: i64, host, x| (DAY + minute * 60_000_000_000, vec![("host", Tag(host)), ("x", x)]);
    world.flush("mydb", "t", &[row(0, "a", Float(1.0)), row(2, "b", Float(3.0))]).await;
    world.flush("mydb", "t", &[(DAY + HOUR, vec![("host", Tag("b"))])]).await;
    let querier = world.querier();
    let header = "column_name|column_type|min|max|approx_unique|avg|std|q25|q50|q75|count|null_percentage";
    let summary = ask(&querier, "SUMMARIZE t").await;
    assert_eq!(summary[0], header);
    assert_eq!(summary.len(), 4);
    assert!(
        summary[1].starts_with("time|TIMESTAMP_NS|2025-04-24T00:00:00|2025-04-24T01:00:00|3|2025-04-24T00:20:40|NULL|"),
        "{}",
        summary[1]
    );
    assert_eq!(summary[2], "host|VARCHAR|a|b|2|NULL|NULL|NULL|NULL|NULL|3|0.00");
    assert!(summary[3].starts_with("x|DOUBLE|1.0|3.0|2|2.0|1.4142135623730951|"), "{}", summary[3]);
    assert!(summary[3].ends_with("|3|33.33"), "{}", summary[3]);
    let query =
        ask(&querier, "summarize SELECT x > 2 AS big, [x] AS list, count(*) OVER () AS n FROM T ORDER BY time").await;
    assert_eq!(query[1], "big|BOOLEAN|false|true|2|NULL|NULL|NULL|NULL|NULL|3|33.33");
    assert!(query[2].starts_with("list|DOUBLE[]|NULL|NULL|NULL|"), "{}", query[2]);
    assert!(query[3].starts_with("n|BIGINT|3|3|1|3.0|0.0|3"), "{}", query[3]);
    let nothing = ask(&querier, "SUMMARIZE SELECT x FROM t WHERE x > 100").await;
    assert_eq!(nothing[1], "x|DOUBLE|NULL|NULL|0|NULL|NULL|NULL|NULL|NULL|0|NULL");
    assert_eq!(ask(&querier, "SUMMARIZE (SELECT host FROM t)").await.len(), 2);
    assert_eq!(ask(&querier, "SUMMARIZE FROM t").await.len(), 4);
    assert_eq!(ask(&querier, "SUMMARIZE mydb.t").await, summary);
    let joined = ask(&querier, "SUMMARIZE SELECT * FROM t a JOIN t b USING (time)").await;
    assert_eq!(joined.len(), 6);
}

#[tokio::test]
async fn forms_of_a_query_that_duckdb_has_work() {
    let world = world().await;
    let querier = world.querier();
    for (sql, expected) in [
        ("FROM other.mem", "2025-04-24T00:00:00|a|9"),
        ("FROM other.mem SELECT used", "9"),
        ("FROM other.mem WHERE used > 1", "2025-04-24T00:00:00|a|9"),
        ("SELECT count(*) FROM (FROM other.mem)", "1"),
        ("WITH x AS (FROM other.mem) FROM x", "2025-04-24T00:00:00|a|9"),
        ("VALUES (1, 'a'), (2, 'b')", "1|a"),
        ("SELECT * FROM (VALUES (1, 'a')) AS v(n, s)", "1|a"),
        ("SELECT host, sum(cpu) FROM cpu GROUP BY ALL", "a|7"),
        ("SELECT host, cpu FROM cpu ORDER BY ALL", "a|7"),
        ("SELECT DISTINCT ON (host) host, cpu FROM cpu ORDER BY host, time DESC", "a|7"),
        ("SELECT host FROM cpu QUALIFY row_number() OVER (ORDER BY time) = 1", "a"),
        ("SELECT * EXCLUDE (time) REPLACE (cpu + 1 AS cpu) FROM cpu", "8|a|1.0"),
        ("SELECT * EXCLUDE time FROM other.mem", "a|9"),
        ("SELECT x FROM generate_series(1, 3) AS g(x)", "1"),
        ("SELECT unnest([5, 6])", "5"),
        ("SELECT sum(cpu) FROM cpu WHERE host ILIKE 'A%' AND cpu IN (7, 8,)", "7"),
        ("SELECT count(*) FROM cpu UNION ALL BY NAME SELECT count(*) FROM cpu", "1"),
        ("SELECT lag(cpu) OVER w, cpu FROM cpu WINDOW w AS (ORDER BY time)", "NULL|7"),
        ("SELECT mydb.cpu.cpu FROM mydb.cpu", "7"),
        ("SELECT count(*) FROM public.other.mem", "1"),
        ("SELECT extract('hour' FROM time) FROM cpu", "0"),
        ("SELECT count(*) FROM cpu WHERE time > now() - INTERVAL 1 HOUR", "1"),
        ("SELECT count(*) FROM cpu WHERE host SIMILAR TO 'a|b'", "1"),
        ("SELECT {'a': 1}['a']", "1"),
        ("SELECT map {'a': 1}['a']", "1"),
        ("SELECT 1 WHERE 1 IS NOT DISTINCT FROM 1", "1"),
        ("SELECT count(*) FROM cpu TABLESAMPLE SYSTEM (100)", ""),
        ("SELECT * FROM cpu, LATERAL (SELECT cpu.cpu * 2 AS d)", ""),
    ] {
        match try_ask(&querier, sql).await {
            Ok(rows) => assert_eq!(rows[1], expected, "{sql}"),
            Err(error) => {
                assert_eq!(expected, "", "{sql}: {error} ({:?})", error.detail());
                assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error:?}");
            }
        }
    }
}

#[tokio::test]
async fn queries_are_explained_and_analyzed() {
    let world = world().await;
    let querier = world.querier();
    let plan = ask(&querier, "EXPLAIN SELECT sum(cpu) FROM cpu").await.join("\n");
    assert!(plan.contains("logical_plan") && plan.contains("physical_plan"), "{plan}");
    let analyzed = ask(&querier, "EXPLAIN ANALYZE SELECT sum(cpu) FROM cpu").await.join("\n");
    assert!(analyzed.contains("Plan with Metrics") && analyzed.contains("output_rows=1"), "{analyzed}");
    let verbose = ask(&querier, "EXPLAIN VERBOSE SELECT 1").await.join("\n");
    assert!(verbose.contains("initial_logical_plan"), "{verbose}");
    ask(&querier, "EXPLAIN FROM cpu").await;
    ask(&querier, "EXPLAIN WITH x AS (SELECT 1) SELECT * FROM x").await;
    for sql in ["EXPLAIN SHOW TABLES", "EXPLAIN DESCRIBE cpu", "EXPLAIN SUMMARIZE cpu", "EXPLAIN cpu"] {
        let error = try_ask(&querier, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error:?}");
    }
}
