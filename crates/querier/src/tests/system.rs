//! `system` and `information_schema`.

use std::collections::BTreeSet;
use std::time::Duration;

use gigapi_catalog::ClaimRequest;
use gigapi_model::{ErrorKind, TimeRange};

use super::world::*;
use crate::Habits;

async fn world() -> World {
    let world = World::new().await;
    let cpu = |hour: i64, host, usage| (DAY + hour * HOUR, vec![("host", Tag(host)), ("usage", Float(usage))]);
    world.flush("mydb", "cpu", &[cpu(0, "a", 1.0), cpu(0, "b", 2.0)]).await;
    world.flush("mydb", "cpu", &[cpu(1, "a", 3.0)]).await;
    world.flush("other", "mem", &[(DAY, vec![("used", Integer(9))])]).await;
    world
}

#[tokio::test]
async fn tables_are_listed_with_what_their_files_hold() {
    let world = world().await;
    let querier = world.querier();
    let sql = "SELECT database, \"table\", key, columns, rows, files, min_time, max_time, ttl_s FROM system.tables ORDER BY 1, 2";
    assert_eq!(
        ask(&querier, sql).await[1..],
        [
            "mydb|cpu|tags|3|3|2|2025-04-24T00:00:00|2025-04-24T01:00:00|NULL",
            "other|mem|tags|2|1|1|2025-04-24T00:00:00|2025-04-24T00:00:00|NULL"
        ]
    );
    assert_eq!(ask(&querier, "SELECT sum(rows), sum(bytes) > 0 FROM SYSTEM.Tables").await[1], "4|true");
    let sql = "SELECT t.\"table\", count(*) FROM system.tables t JOIN system.files f USING (database, \"table\") GROUP BY 1 ORDER BY 1";
    assert_eq!(ask(&querier, sql).await[1..], ["cpu|2", "mem|1"]);
}

#[tokio::test]
async fn columns_are_listed_with_roles_and_types() {
    let world = world().await;
    let sql = "SELECT \"column\", position, role, type, field_id FROM system.columns WHERE database = 'mydb' AND \"table\" = 'cpu' ORDER BY position";
    let answer = ask(&world.querier(), sql).await;
    assert_eq!(answer[1..], ["time|1|time|TIMESTAMP_NS|1", "host|2|tag|VARCHAR|2", "usage|3|field|DOUBLE|3"]);
}

#[tokio::test]
async fn files_are_listed_as_the_catalog_knows_them() {
    let world = world().await;
    let querier = world.querier();
    let sql = "SELECT layer, level, bucket, rows, min_time, max_time, min_sequence, max_sequence, created FROM system.files WHERE \"table\" = 'cpu' ORDER BY min_time";
    let answer = ask(&querier, sql).await;
    assert_eq!(
        answer[1],
        "default|1|date=2025-04-24/hour=00|2|2025-04-24T00:00:00|2025-04-24T00:00:00|2|2|2025-04-24T00:00:00"
    );
    assert_eq!(answer.len(), 3);
    let paths = ask(&querier, "SELECT layer || '/' || path FROM system.files").await;
    let mut stored = BTreeSet::new();
    for database in world.catalog.databases().await.unwrap() {
        for table in world.catalog.tables(&database).await.unwrap() {
            let snapshot = world.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
            stored.extend(snapshot.files.iter().map(|file| object_path(&table, file).to_string()));
        }
    }
    assert_eq!(paths[1..].iter().cloned().collect::<BTreeSet<_>>(), stored);
}

#[tokio::test]
async fn files_that_somebody_merges_are_listed() {
    let world = world().await;
    let querier = world.querier();
    assert_eq!(ask(&querier, "SELECT count(*) FROM system.merges").await[1], "0");
    let database = gigapi_model::DatabaseName::new("mydb").unwrap();
    let table = world.catalog.tables(&database).await.unwrap().remove(0);
    let snapshot = world.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
    let inputs = snapshot.files.iter().map(|file| file.id).collect();
    let claim = ClaimRequest { table: table.id, inputs, lease: Duration::from_secs(60) };
    let claim = world.catalog.claim(claim).await.unwrap();
    let sql = "SELECT database, \"table\", count(*), sum(rows) FROM system.merges GROUP BY ALL";
    assert_eq!(ask(&querier, sql).await[1..], ["mydb|cpu|2|3"]);
    world.catalog.release(table.id, claim).await.unwrap();
    assert_eq!(ask(&querier, "SELECT count(*) FROM system.merges").await[1], "0");
}

#[tokio::test]
async fn running_queries_are_listed() {
    let world = world().await;
    let sql = "SELECT sql, database, state, rows FROM system.queries";
    let answer = ask(&world.querier(), sql).await;
    assert!(answer[1..].contains(&format!("{sql}|mydb|planning|0")), "{answer:?}");
}

#[tokio::test]
async fn a_database_of_the_users_own_named_system_comes_first() {
    let world = world().await;
    world.flush("system", "queries", &[(DAY, vec![("load", Float(0.5))])]).await;
    world.flush("mydb", "system.files", &[(DAY, vec![("load", Float(0.7))])]).await;
    let querier = world.querier();
    assert_eq!(ask(&querier, "SELECT load FROM system.queries").await[1], "0.5");
    assert_eq!(ask(&querier, "SELECT load FROM system.files").await[1], "0.7");
    // What the database does not have is still told about the others.
    assert_eq!(ask(&querier, "SELECT count(*) FROM system.tables").await[1], "4");
    assert_eq!(ask(&querier, "SHOW TABLES FROM system").await[1..], ["queries"]);
}

#[tokio::test]
async fn unknown_tables_of_ours_are_named_with_those_that_exist() {
    let world = world().await;
    let querier = world.querier();
    for (sql, known) in [
        ("SELECT * FROM system.settings", "merges"),
        ("SELECT * FROM information_schema.df_settings", "schemata"),
        ("DESCRIBE system.nope", "queries"),
    ] {
        let error = try_ask(&querier, sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{sql}: {error:?}");
        assert!(error.to_string().contains(known), "{sql}: {error}");
    }
}

#[tokio::test]
async fn they_can_be_described_summarized_and_explained() {
    let world = world().await;
    let querier = world.querier();
    assert_eq!(ask(&querier, "DESCRIBE system.tables").await.len(), 11);
    assert_eq!(
        ask(&querier, "DESCRIBE information_schema.columns").await[1],
        "table_catalog|VARCHAR|YES|NULL|NULL|NULL"
    );
    assert_eq!(ask(&querier, "SUMMARIZE system.columns").await.len(), 8);
    ask(&querier, "EXPLAIN SELECT * FROM system.files WHERE database = 'mydb'").await;
    assert_eq!(ask(&querier, "FROM system.merges").await.len(), 1);
}

/// The three statements that Grafana sends, word for word.
#[tokio::test]
async fn grafana_finds_tables_and_columns() {
    let world = world().await;
    let querier = world.querier();
    for habits in [Habits::DuckDb, Habits::Engine] {
        let answer = async |sql: &str| {
            let mut asked = request(sql);
            asked.habits = habits;
            lines(querier.query(asked).await.unwrap()).await.unwrap()
        };
        let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'iox' ORDER BY table_name";
        assert_eq!(answer(sql).await, ["table_name", "cpu"]);
        let sql = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'iox' AND table_name = 'cpu' ORDER BY column_name";
        let expected = ["column_name|data_type", "host|Utf8", "time|Timestamp(Nanosecond, None)", "usage|Float64"];
        assert_eq!(answer(sql).await, expected);
        let sql = "SELECT DISTINCT TABLE_SCHEMA from information_schema.TABLES where TABLE_TYPE != 'SYSTEM VIEW' ORDER BY TABLE_SCHEMA";
        assert_eq!(answer(sql).await[1..], ["information_schema", "iox", "mydb", "other"]);
    }
}

#[tokio::test]
async fn tools_find_schemas_constraints_and_no_views() {
    let world = world().await;
    let querier = world.querier();
    let sql = "SELECT schema_name FROM information_schema.schemata ORDER BY 1";
    assert_eq!(ask(&querier, sql).await[1..], ["information_schema", "iox", "mydb", "other", "system"]);
    for table in ["views", "key_column_usage", "table_constraints", "referential_constraints"] {
        let sql = format!("SELECT count(*) FROM information_schema.{table} WHERE constraint_name = 'x'");
        let sql = if table == "views" { sql.replace("constraint_name", "table_name") } else { sql };
        assert_eq!(ask(&querier, &sql).await[1], "0", "{sql}");
    }
    let sql = "SELECT t.table_name, count(*) FROM information_schema.tables t JOIN information_schema.columns c ON t.table_schema = c.table_schema AND t.table_name = c.table_name WHERE t.table_type = 'BASE TABLE' AND t.table_schema <> 'iox' GROUP BY 1 ORDER BY 1";
    assert_eq!(ask(&querier, sql).await[1..], ["cpu|3", "mem|2"]);
}
