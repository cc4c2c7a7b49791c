//! What names cost, and what is known of them where Redis cannot be asked.

use super::*;
use crate::Freshness;

const TABLES: [&str; 4] = ["Cpu", "cpu", "disk", "mem"];

/// A server with some tables, none of which this process has read.
async fn scene() -> (TestServer, Arc<RedisCatalog>) {
    let server = TestServer::start(&[]);
    let catalog = server.catalog(Limits::default(), None).await;
    for table in TABLES {
        catalog.define(conformance::definition("db", table, &[])).await.unwrap();
    }
    let other = Arc::new(server.open(Limits::default(), None).await);
    (server, other)
}

fn reader(catalog: &Arc<RedisCatalog>) -> Arc<dyn Reader> {
    Arc::clone(catalog).reader(Freshness::default())
}

fn database() -> DatabaseName {
    DatabaseName::new("db").unwrap()
}

fn texts(names: &[TableName]) -> Vec<&str> {
    names.iter().map(TableName::as_str).collect()
}

#[tokio::test]
async fn names_are_one_question_however_many_tables_there_are() {
    let (_server, catalog) = scene().await;
    // The first look reads them.
    assert_eq!(reader(&catalog).known_databases().await.unwrap(), [database()]);
    let before = catalog.round_trips();
    let reader = reader(&catalog);
    assert_eq!(texts(&reader.table_names(&database()).await.unwrap()), TABLES);
    assert_eq!(reader.databases().await.unwrap(), [database()]);
    assert_eq!(catalog.round_trips() - before, 1);
    assert_eq!(reader.known_databases().await.unwrap(), [database()]);
    assert_eq!(catalog.round_trips() - before, 1, "what was heard of is not asked for");
    assert_eq!(reader.tables(&database()).await.unwrap().len(), TABLES.len());
    assert_eq!(catalog.round_trips() - before, 1 + TABLES.len() as u64);
}

#[tokio::test]
async fn without_redis_names_are_as_old_as_they_are() {
    let (server, catalog) = scene().await;
    let read = TableName::new("cpu").unwrap();
    assert!(reader(&catalog).table(&database(), &read).await.unwrap().is_some());
    drop(server);
    let reader = reader(&catalog);
    let tables = reader.tables(&database()).await.unwrap();
    assert_eq!(
        tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(),
        ["cpu"],
        "the others were never read"
    );
    let age = reader.stale().unwrap();
    assert!(age < Duration::from_secs(3600), "{age:?}");
    assert_eq!(texts(&reader.table_names(&database()).await.unwrap()), TABLES);
    assert_eq!(reader.known_databases().await.unwrap(), [database()]);
}
