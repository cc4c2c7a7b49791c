//! Names of databases, tables and columns, however they are written.

use gigapi_model::TableKey;

use super::world::*;
use crate::Error;

async fn world() -> World {
    let world = World::new().await;
    world
        .flush(
            "mydb",
            "cpu",
            &[(
                DAY,
                vec![("host", Tag("a")), ("usageUser", Float(1.0)), ("cpu", Integer(7)), ("usage_cpu", Integer(8))],
            )],
        )
        .await;
    world.flush("mydb", "Mixed", &[(DAY, vec![("Host", Tag("a")), ("host", Tag("b")), ("V", Float(2.0))])]).await;
    world.flush("other", "mem", &[(DAY, vec![("host", Tag("a")), ("used", Integer(9))])]).await;
    world.flush("mydb", "system.cpu", &[(DAY, vec![("load", Float(0.5))])]).await;
    world
}

#[tokio::test]
async fn letter_case_does_not_matter_where_it_is_not_needed() {
    let world = world().await;
    let querier = world.querier();
    for sql in [
        "SELECT usageUser FROM cpu",
        "select USAGEUSER from CPU",
        "SELECT \"usageuser\" FROM \"Cpu\"",
        "SELECT c.UsageUser FROM MyDB.Cpu AS c",
        "SELECT Cpu.usageuser FROM cpu WHERE HOST = 'a'",
        "SELECT public.mydb.cpu.usageUser FROM public.mydb.cpu",
        "WITH X AS (SELECT usageuser FROM cpu) SELECT USAGEUSER FROM x",
        "SELECT usageUser FROM (SELECT * FROM Cpu) sub ORDER BY TIME",
    ] {
        let answer = ask(&querier, sql).await;
        assert_eq!(answer[1], "1.0", "{sql}");
        assert_eq!(answer[0], "usageUser", "{sql}");
    }
}

#[tokio::test]
async fn an_exact_match_wins_and_an_ambiguous_name_lists_the_candidates() {
    let world = world().await;
    let querier = world.querier();
    assert_eq!(ask(&querier, "SELECT Host, host, v FROM mixed").await[1], "a|b|2.0");
    let error = try_ask(&querier, "SELECT HOST FROM mixed").await.unwrap_err();
    assert!(error.to_string().contains("\"Host\"") && error.to_string().contains("\"host\""), "{error}");
}

#[tokio::test]
async fn a_table_and_its_column_may_share_a_name() {
    let world = world().await;
    assert_eq!(ask(&world.querier(), "SELECT cpu, usage_cpu FROM cpu WHERE cpu = 7").await[1], "7|8");
}

#[tokio::test]
async fn a_name_with_a_dot_is_found_quoted_and_not() {
    let world = world().await;
    let querier = world.querier();
    assert_eq!(ask(&querier, "SELECT load FROM \"system.cpu\"").await[1], "0.5");
    assert_eq!(ask(&querier, "SELECT cpu.load FROM system.cpu").await[1], "0.5");
    assert_eq!(ask(&querier, "SELECT count(*) FROM mydb.\"system.cpu\" WHERE hour = 0").await[1], "1");
}

#[tokio::test]
async fn tables_of_other_databases_can_be_joined() {
    let world = world().await;
    let sql = "SELECT c.usageUser, m.used FROM cpu c JOIN other.mem m ON c.host = m.host AND c.time = m.time";
    assert_eq!(ask(&world.querier(), sql).await[1], "1.0|9");
    let sql = "SELECT used FROM cpu JOIN other.mem USING (HOST)";
    assert_eq!(ask(&world.querier(), sql).await[1], "9");
}

#[tokio::test]
async fn an_unknown_table_is_named_with_those_that_exist() {
    let world = world().await;
    let error = try_ask(&world.querier(), "SELECT * FROM nope").await.unwrap_err();
    assert!(matches!(error, Error::NoSuchTable { .. }));
    assert!(error.to_string().contains("\"nope\"") && error.to_string().contains("cpu"), "{error}");
    let error = try_ask(&world.querier(), "SELECT nope FROM cpu").await.unwrap_err().to_string();
    assert!(error.contains("nope") && error.contains("usageUser"), "{error}");
}

#[tokio::test]
async fn a_common_table_expression_may_shadow_a_table() {
    let world = world().await;
    let sql = "WITH cpu AS (SELECT usageUser * 2 AS twice FROM cpu) SELECT twice FROM cpu";
    assert_eq!(ask(&world.querier(), sql).await[1], "2.0");
}

#[tokio::test]
async fn a_common_table_expression_is_found_wherever_it_is_seen() {
    let world = world().await;
    let querier = world.querier();
    for (sql, expected) in [
        ("WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n WHERE a < 3) SELECT sum(a) FROM n", "6"),
        ("WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM N WHERE a < 3) SELECT sum(a) FROM n", "6"),
        ("WITH x AS (SELECT host FROM cpu) SELECT cpu FROM cpu WHERE host IN (SELECT host FROM x)", "7"),
        (
            "WITH x AS (SELECT host FROM cpu) SELECT cpu FROM cpu WHERE EXISTS (SELECT 1 FROM x WHERE host = cpu.host)",
            "7",
        ),
        (
            "WITH x AS (SELECT cpu FROM cpu), y AS (SELECT cpu + 1 AS cpu FROM X) SELECT max(cpu) FROM (SELECT * FROM x UNION ALL SELECT * FROM y)",
            "8",
        ),
        ("SELECT cpu FROM (WITH x AS (SELECT cpu FROM cpu) SELECT cpu FROM x) AS inside", "7"),
        ("WITH y AS (WITH x AS (SELECT cpu FROM cpu) SELECT cpu FROM x) SELECT cpu FROM y", "7"),
        // A table of its name in another case does not come before it.
        ("WITH mixed AS (SELECT cpu FROM cpu) SELECT cpu FROM mixed", "7"),
    ] {
        assert_eq!(ask(&querier, sql).await[1], expected, "{sql}");
    }
    let error = try_ask(&querier, "SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x) AS a, x").await.unwrap_err();
    assert_eq!(error.kind(), gigapi_model::ErrorKind::Invalid, "{error:?}");
}

#[tokio::test]
async fn the_information_schema_lists_databases_as_schemas_and_the_current_one_as_iox() {
    let world = world().await;
    let querier = world.querier();
    let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'iox' ORDER BY table_name";
    assert_eq!(ask(&querier, sql).await[1..], ["Mixed", "cpu", "system.cpu"]);
    let sql = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'iox' AND table_name = 'cpu' ORDER BY column_name";
    let answer = ask(&querier, sql).await;
    assert_eq!(answer[1..4], ["cpu|Int64", "host|Utf8", "time|Timestamp(Nanosecond, None)"]);
    let sql = "SELECT DISTINCT TABLE_SCHEMA from information_schema.TABLES where TABLE_TYPE != 'SYSTEM VIEW' ORDER BY TABLE_SCHEMA";
    assert_eq!(ask(&querier, sql).await[1..], ["information_schema", "iox", "mydb", "other"]);
    assert_eq!(ask(&querier, "SELECT usageUser FROM iox.cpu").await[1], "1.0");
}

#[tokio::test]
async fn letter_case_does_not_matter_in_any_clause() {
    let world = world().await;
    let querier = world.querier();
    for (sql, expected) in [
        ("SELECT C.* EXCLUDE (TIME, CPU, usage_CPU, USAGEUSER) FROM Cpu c", "a"),
        ("SELECT * EXCLUDE (TIME, CPU, usage_CPU, USAGEUSER) FROM Cpu", "a"),
        ("SELECT usageuser FROM (SELECT * REPLACE (usageUser * 2 AS USAGEUSER) FROM cpu)", "2.0"),
        ("SELECT sum(USAGEUSER) OVER W FROM cpu WINDOW w AS (PARTITION BY HOST)", "1.0"),
        ("SELECT sum(usageuser) OVER (W ROWS UNBOUNDED PRECEDING) FROM cpu WINDOW w AS (ORDER BY TIME)", "1.0"),
        ("SELECT HOST AS Where_ FROM cpu ORDER BY WHERE_", "a"),
        ("SELECT count(*) FROM cpu GROUP BY HOST HAVING max(USAGEUSER) > 0", "1"),
        ("SELECT DISTINCT ON (HOST) Cpu FROM cpu ORDER BY Host, Time DESC", "7"),
        ("SELECT cpu FROM cpu QUALIFY row_number() OVER (PARTITION BY Host ORDER BY TIME) = 1", "7"),
        ("SELECT list_transform([1], x -> x + CPU) FROM cpu", "[8]"),
        ("SELECT array_agg(CPU ORDER BY TIME) FILTER (WHERE HOST = 'a') FROM cpu", "[7]"),
        ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY USAGEUSER) FROM cpu", "1.0"),
        ("WITH One AS (SELECT USAGEUSER AS U FROM cpu), two AS (SELECT u FROM ONE) SELECT U FROM Two", "1.0"),
        ("SELECT X.u FROM (SELECT USAGEUSER AS U FROM cpu) AS x", "1.0"),
        ("SELECT a.CPU FROM cpu A JOIN Cpu b USING (Host, TIME)", "7"),
        ("SELECT (SELECT max(USED) FROM OTHER.MEM m WHERE M.Host = C.Host) FROM CPU c", "9"),
        (
            "SELECT TABLE_NAME FROM Information_Schema.Tables WHERE Table_Schema = 'mydb' ORDER BY TABLE_NAME LIMIT 1",
            "Mixed",
        ),
        ("SELECT CASE HOST WHEN 'a' THEN CPU END FROM cpu", "7"),
        ("SELECT CPU::VARCHAR || HOST FROM cpu", "7a"),
    ] {
        assert_eq!(ask(&querier, sql).await[1], expected, "{sql}");
    }
}

#[tokio::test]
async fn one_query_sees_one_version_of_a_table_that_it_names_twice() {
    let world = World::new().await;
    let rows = [(DAY, vec![("x", Float(1.0))])];
    let table = world.define("mydb", "t", &rows, TableKey::Tags).await;
    world.commit_next(&table, &rows).await;
    let sql = "SELECT (SELECT count(*) FROM t) - (SELECT count(*) FROM mydb.T) AS difference, count(*) FROM t";
    assert_eq!(ask(&world.querier(), sql).await[1], "0|1");
}
