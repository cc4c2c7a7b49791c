//! What plans are made of: which files are merged while they are read, and which cost nothing of the kind.

use std::sync::Arc;

use gigapi_model::{DataFile, TableDef, TableKey};

use crate::tests::world::*;
use crate::{Querier, QueryOptions};

const MERGE: &str = "LastWriteExec";
const SCAN: &str = "DataSourceExec";

async fn plan(querier: &Querier, sql: &str) -> String {
    let answer = ask(querier, &format!("EXPLAIN {sql}")).await;
    answer.into_iter().find(|line| line.starts_with("physical_plan")).unwrap()
}

fn row(time: i64, x: i64) -> Row {
    (DAY + time, vec![("host", Tag("a")), ("x", Integer(x))])
}

async fn table(world: &World) -> Arc<TableDef> {
    world.define("mydb", "t", &[row(0, 0)], TableKey::Tags).await
}

/// Whether the plan names the file; what is merged while it is read is not named.
fn names(plan: &str, file: &DataFile) -> bool {
    plan.contains(&file.id.to_string())
}

#[tokio::test]
async fn rows_in_order_are_not_merged_and_counted_from_statistics() {
    let world = World::new().await;
    let table = table(&world).await;
    // Two of one hour, one behind the other, and one of the next.
    for rows in [[row(0, 1), row(5, 2)], [row(6, 3), row(9, 4)], [row(HOUR, 5), row(HOUR + 1, 6)]] {
        world.commit_next(&table, &rows).await;
    }
    let counting = Arc::new(Counting::new(world.store.clone()));
    let querier = world.querier_over(counting.clone(), QueryOptions::default(), None);
    for sql in ["SELECT * FROM t", "SELECT x FROM t WHERE x > 2", "SELECT x FROM t WHERE host = 'a'"] {
        let plan = plan(&querier, sql).await;
        assert!(plan.contains(SCAN) && !plan.contains(MERGE), "{sql}: {plan}");
    }
    let bounded = format!("SELECT count(*) FROM t WHERE time >= {}", DAY + HOUR);
    for (sql, expected) in [
        ("SELECT count(*) FROM t", "6"),
        (bounded.as_str(), "2"),
        ("SELECT count(*), count(x), min(x), max(x) FROM t", "6|6|1|6"),
    ] {
        let plan = plan(&querier, sql).await;
        assert!(!plan.contains(SCAN) && !plan.contains(MERGE), "{sql}: {plan}");
        assert_eq!(ask(&querier, sql).await[1], expected);
    }
    assert_eq!(counting.reads(), 0, "a file was opened to count its rows");
}

#[tokio::test]
async fn one_plan_merges_what_overlaps_and_reads_the_rest_plainly() {
    let world = World::new().await;
    let table = table(&world).await;
    let older = world.commit_next(&table, &[row(0, 1), row(5, 2)]).await;
    let newer = world.commit_next(&table, &[row(5, 3), row(9, 4)]).await;
    let alone = world.commit_next(&table, &[row(10, 5)]).await;
    let later = world.commit_next(&table, &[row(HOUR, 6), row(HOUR + 9, 7)]).await;
    let querier = world.querier();
    let mixed = plan(&querier, "SELECT * FROM t").await;
    assert!(mixed.contains("LastWriteExec: clusters=1, inputs=2"), "{mixed}");
    assert!(names(&mixed, &alone) && names(&mixed, &later), "{mixed}");
    assert!(!names(&mixed, &older) && !names(&mixed, &newer), "{mixed}");
    assert_eq!(ask(&querier, "SELECT x FROM t ORDER BY time").await[1..], ["1", "3", "4", "5", "6", "7"]);
    assert_eq!(ask(&querier, "SELECT count(*), sum(x) FROM t").await[1], "6|26");
    assert_eq!(ask(&querier, "SELECT count(*) FROM t WHERE x = 2").await[1], "0");

    // A span of time in which nothing overlaps.
    let after = format!("FROM t WHERE time >= {}", DAY + 10);
    let plain = plan(&querier, &format!("SELECT * {after}")).await;
    assert!(names(&plain, &alone) && names(&plain, &later) && !plain.contains(MERGE), "{plain}");
    let counted = plan(&querier, &format!("SELECT count(*) {after}")).await;
    assert!(!counted.contains(SCAN) && !counted.contains(MERGE), "{counted}");
    assert_eq!(ask(&querier, &format!("SELECT count(*) {after}")).await[1], "3");
}
