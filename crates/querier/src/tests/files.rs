//! Files of any age and shape give one table.

use std::sync::Arc;

use gigapi_model::TableKey;
use object_store::ObjectStoreExt;

use super::world::*;
use crate::Error;

#[tokio::test]
async fn every_type_comes_back_as_it_was_written() {
    let world = World::new().await;
    let values = vec![
        ("host", Tag("a b,ü")),
        ("f", Float(1.5)),
        ("i", Integer(i64::MIN)),
        ("u", Unsigned(u64::MAX)),
        ("b", Boolean(true)),
        ("s", Text("x\"y\nz")),
    ];
    world.flush("mydb", "types", &[(DAY + 1, values), (DAY + 2, vec![("host", Tag("b"))])]).await;
    let querier = world.querier();
    let answer = ask(&querier, "SELECT time, host, f, i, u, b, s FROM types ORDER BY time").await;
    assert_eq!(
        answer[1],
        "2025-04-24T00:00:00.000000001|a b,ü|1.5|-9223372036854775808|18446744073709551615|true|x\"y\nz"
    );
    assert_eq!(answer[2], "2025-04-24T00:00:00.000000002|b|NULL|NULL|NULL|NULL|NULL");
    assert_eq!(
        ask(&querier, "SELECT max(u), min(i), max(f) FROM types").await[1],
        "18446744073709551615|-9223372036854775808|1.5"
    );
}

#[tokio::test]
async fn a_file_without_a_column_is_null_there() {
    let world = World::new().await;
    world.flush("mydb", "t", &[(DAY, vec![("a", Float(1.0))])]).await;
    world.flush("mydb", "t", &[(DAY + HOUR, vec![("host", Tag("x")), ("b", Integer(2))])]).await;
    world.flush("mydb", "t", &[(DAY + 2 * HOUR, vec![("host", Tag("y")), ("a", Float(3.0)), ("c", Text("z"))])]).await;
    let querier = world.querier();
    let answer = ask(&querier, "SELECT host, a, b, c FROM t ORDER BY time").await;
    assert_eq!(answer[1..], ["NULL|1.0|NULL|NULL", "x|NULL|2|NULL", "y|3.0|NULL|z"]);
    assert_eq!(
        ask(&querier, "SELECT count(a), count(b), count(c), count(host), count(*) FROM t").await[1],
        "2|1|1|2|3"
    );
    assert_eq!(ask(&querier, "SELECT count(*) FROM t WHERE host IS NULL").await[1], "1");
    assert_eq!(ask(&querier, "SELECT sum(a) FROM t WHERE host = 'y'").await[1], "3.0");
}

#[tokio::test]
async fn statistics_rule_out_files_by_tags_and_fields() {
    let world = World::new().await;
    for hour in 0..4 {
        let host = ["a", "b", "c", "d"][hour as usize];
        world.flush("mydb", "t", &[(DAY + hour * HOUR, vec![("host", Tag(host)), ("v", Integer(hour))])]).await;
    }
    let querier = world.querier();
    assert_eq!(files_planned(&querier, "SELECT sum(v) FROM t WHERE host = 'c'").await, 1);
    assert_eq!(files_planned(&querier, "SELECT sum(v) FROM t WHERE host IN ('a', 'd')").await, 2);
    assert_eq!(files_planned(&querier, "SELECT count(host) FROM t WHERE v > 1").await, 2);
}

#[tokio::test]
async fn the_last_write_wins_field_by_field_between_overlapping_files() {
    let world = World::new().await;
    let row = |time, values| (DAY + time, values);
    world
        .flush(
            "mydb",
            "t",
            &[
                row(0, vec![("host", Tag("a")), ("x", Float(1.0)), ("y", Float(10.0))]),
                row(5, vec![("host", Tag("b")), ("x", Float(2.0))]),
            ],
        )
        .await;
    world
        .flush(
            "mydb",
            "t",
            &[row(0, vec![("host", Tag("a")), ("x", Float(1.5))]), row(9, vec![("host", Tag("a")), ("x", Float(3.0))])],
        )
        .await;
    let querier = world.querier();
    let answer = ask(&querier, "SELECT host, x, y FROM t ORDER BY time").await;
    assert_eq!(answer[1..], ["a|1.5|10.0", "b|2.0|NULL", "a|3.0|NULL"]);
    assert_eq!(ask(&querier, "SELECT count(*), sum(x), min(x) FROM t").await[1], "3|6.5|1.5");
    // A value that was overwritten is not found, whichever file's statistics hold it.
    assert_eq!(ask(&querier, "SELECT count(*) FROM t WHERE x = 1.0").await[1], "0");
    assert_eq!(ask(&querier, "SELECT y FROM t WHERE x = 1.5 AND host = 'a'").await[1], "10.0");
    assert_eq!(ask(&querier, format!("SELECT count(*) FROM t WHERE time > {DAY}").as_str()).await[1], "2");
    assert_eq!(
        ask(&querier, "SELECT time FROM t ORDER BY time DESC LIMIT 1").await[1],
        "2025-04-24T00:00:00.000000009"
    );
}

#[tokio::test]
async fn a_table_without_a_key_keeps_every_row() {
    let world = World::new().await;
    let rows = [(DAY, vec![("host", Tag("a")), ("x", Float(1.0))])];
    let table = world.define("mydb", "log", &rows, TableKey::None).await;
    for _ in 0..3 {
        world.commit_next(&table, &rows).await;
    }
    let querier = world.querier();
    assert_eq!(ask(&querier, "SELECT count(*), sum(x) FROM log").await[1], "3|3.0");
    assert_eq!(files_planned(&querier, "SELECT count(*) FROM log").await, 0);
}

#[tokio::test]
async fn clusters_in_several_hours_are_each_merged() {
    let world = World::new().await;
    for version in 0..3 {
        for hour in 0..5 {
            let row = (DAY + hour * HOUR, vec![("host", Tag("a")), ("x", Integer(version * 100 + hour))]);
            world.flush("mydb", "t", &[row]).await;
        }
    }
    let answer = ask(&world.querier(), "SELECT x FROM t ORDER BY time").await;
    assert_eq!(answer[1..], ["200", "201", "202", "203", "204"]);
}

#[tokio::test]
async fn a_missing_live_file_is_an_error_and_not_fewer_rows() {
    let world = World::new().await;
    let rows = [(DAY, vec![("x", Float(1.0))])];
    let table = world.define("mydb", "t", &rows, TableKey::Tags).await;
    let file = world.commit_next(&table, &rows).await;
    world.store.delete(&object_path(&table, &file)).await.unwrap();
    let error = try_ask(&world.querier(), "SELECT avg(x) FROM t").await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    assert!(!error.to_string().contains("parquet"), "{error}");
}

#[tokio::test]
async fn a_file_that_was_replaced_while_planning_is_read_from_its_successor() {
    let world = World::new().await;
    let rows = [(DAY, vec![("x", Float(1.0))]), (DAY + 1, vec![("x", Float(2.0))])];
    let table = world.define("mydb", "t", &rows, TableKey::Tags).await;
    let file = world.commit_next(&table, &rows).await;
    let replaced = Arc::new(super::world::ReplacedOnce::new(&world, &table, &file));
    let querier = world.querier_over(replaced, crate::QueryOptions::default(), None);
    assert_eq!(ask(&querier, "SELECT sum(x) FROM t").await[1], "3.0");
}

#[tokio::test]
async fn a_tail_is_read_once_and_kept() {
    let world = World::new().await;
    let rows: Vec<Row> = (0..1000).map(|n| (DAY + n, vec![("x", Integer(n)), ("y", Float(n as f64))])).collect();
    world.flush("mydb", "t", &rows).await;
    let counting = Arc::new(Counting::new(world.store.clone()));
    let querier = world.querier_over(counting.clone(), crate::QueryOptions::default(), None);
    assert_eq!(ask(&querier, "SELECT sum(x) FROM t WHERE y > 10").await[1], "499445");
    let first = counting.reads();
    assert_eq!(ask(&querier, "SELECT sum(x) FROM t WHERE y > 10").await[1], "499445");
    let second = counting.reads() - first;
    assert_eq!(first - second, 1, "first {first}, then {second}");
}
