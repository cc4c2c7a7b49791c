//! What a statement must not reach.

use gigapi_model::ErrorKind;

use super::world::*;

#[tokio::test]
async fn nothing_outside_the_catalog_can_be_read_or_written() {
    let world = World::new().await;
    world.flush("mydb", "t", &[(DAY, vec![("x", Float(1.0))])]).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.csv");
    std::fs::write(&secret, "a\ncanary\n").unwrap();
    let file = secret.display();
    let attempts = [
        format!("COPY t TO '{file}.parquet'"),
        format!("COPY (SELECT 1) TO '{file}.csv' STORED AS CSV"),
        format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{file}'"),
        "CREATE TABLE x AS SELECT 1".to_owned(),
        "CREATE VIEW x AS SELECT 1".to_owned(),
        "INSERT INTO t VALUES (1)".to_owned(),
        "INSERT INTO t SELECT * FROM t".to_owned(),
        "UPDATE t SET x = 1".to_owned(),
        "DELETE FROM t".to_owned(),
        "DROP TABLE t".to_owned(),
        "TRUNCATE TABLE t".to_owned(),
        format!("SELECT * FROM '{file}'"),
        format!("SELECT * FROM \"{file}\""),
        format!("SELECT * FROM 'file://{file}'"),
        format!("SELECT * FROM read_csv('{file}')"),
        format!("SELECT * FROM read_parquet('{file}')"),
        format!("SELECT * FROM parquet_metadata('{file}')"),
        "SET datafusion.execution.target_partitions = 1000".to_owned(),
        "RESET datafusion.execution.target_partitions".to_owned(),
        "SHOW ALL".to_owned(),
        "SHOW datafusion.execution.batch_size".to_owned(),
        "SELECT * FROM information_schema.df_settings".to_owned(),
        "SELECT * FROM information_schema.routines".to_owned(),
        "ATTACH 'x.db' AS x".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "EXECUTE p".to_owned(),
        "BEGIN".to_owned(),
        "EXPLAIN COPY t TO 'x.parquet'".to_owned(),
        "EXPLAIN ANALYZE INSERT INTO t VALUES (1)".to_owned(),
        "DESCRIBE INSERT INTO t VALUES (1)".to_owned(),
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x".to_owned(),
    ];
    let querier = world.querier();
    for sql in attempts {
        let error = try_ask(&querier, &sql).await.expect_err(&sql);
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound), "{sql}: {error:?}");
        assert!(!error.to_string().contains("canary"), "{sql}: {error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(ask(&querier, "SELECT count(*), sum(x) FROM t").await[1], "1|1.0");
}

#[tokio::test]
async fn settings_that_clients_make_when_they_connect_are_taken_as_made() {
    let world = World::new().await;
    assert_eq!(ask(&world.querier(), "SET TimeZone = 'UTC'").await, [""]);
}
