use std::collections::HashMap;
use std::time::Duration;

use datafusion::physical_plan::collect;
use gigapi_catalog::{DirectReader, Snapshot};
use gigapi_model::{FileId, TableId, WriterId};
use parking_lot::Mutex as Lock;

use super::super::{Engine, QueryCatalog};
use super::*;
use crate::tests::world::*;
use crate::{Habits, QueryOptions};

/// Notes what is asked.
#[derive(Debug)]
struct Asked {
    inner: DirectReader,
    calls: Arc<Lock<Vec<String>>>,
}

#[async_trait]
impl Reader for Asked {
    async fn databases(&self) -> gigapi_catalog::Result<Vec<DatabaseName>> {
        self.calls.lock().push("databases".to_owned());
        self.inner.databases().await
    }

    async fn tables(&self, database: &DatabaseName) -> gigapi_catalog::Result<Vec<Arc<TableDef>>> {
        self.calls.lock().push(format!("tables {database}"));
        self.inner.tables(database).await
    }

    async fn table_names(&self, database: &DatabaseName) -> gigapi_catalog::Result<Vec<TableName>> {
        self.calls.lock().push(format!("names {database}"));
        self.inner.table_names(database).await
    }

    async fn table(&self, database: &DatabaseName, table: &TableName) -> gigapi_catalog::Result<Option<Arc<TableDef>>> {
        self.calls.lock().push(format!("table {database}.{table}"));
        self.inner.table(database, table).await
    }

    async fn snapshot(&self, table: TableId, floor: &[(WriterId, u64)]) -> gigapi_catalog::Result<Arc<Snapshot>> {
        self.calls.lock().push("snapshot".to_owned());
        self.inner.snapshot(table, floor).await
    }

    async fn statistics(&self, table: TableId, files: &[FileId]) -> gigapi_catalog::Result<HashMap<FileId, Arc<[u8]>>> {
        self.inner.statistics(table, files).await
    }

    fn stale(&self) -> Option<Duration> {
        None
    }
}

async fn world() -> World {
    let world = World::new().await;
    for (database, table) in [("mydb", "cpu"), ("mydb", "disk"), ("other", "mem")] {
        world.flush(database, table, &[(DAY, vec![("x", Float(1.0))])]).await;
    }
    world
}

/// What a statement over these tables asks of the catalog, and how many rows it gives.
async fn asked(world: &World, sql: &str) -> (Vec<String>, usize) {
    let calls = Arc::new(Lock::new(Vec::new()));
    let options = QueryOptions::default();
    let engine = Engine::new(&options, world.store.clone()).unwrap();
    let context = Arc::new(ScanContext {
        catalog: Arc::new(Asked { inner: DirectReader(world.catalog.clone()), calls: Arc::clone(&calls) }),
        store: world.store.clone(),
        metadata: Arc::clone(&engine.metadata),
        statistics: Arc::default(),
        counters: Arc::default(),
        memory: Arc::clone(&engine.memory),
    });
    let sources = Arc::new(Sources::new(context, world.catalog.clone(), Vec::new(), "mydb"));
    let own = [INFORMATION_SCHEMA, SYSTEM].into_iter().flat_map(|schema| {
        let table = |name| OwnTable::named(schema, name, &sources).unwrap();
        names(schema)
            .into_iter()
            .map(move |name| (schema.to_owned(), name.to_owned(), Arc::new(table(name)) as Arc<dyn TableProvider>))
            .collect::<Vec<_>>()
    });
    let state = engine.session(QueryCatalog::new(own.collect()), "mydb", Habits::DuckDb).unwrap();
    let plan = state.create_logical_plan(sql).await.unwrap();
    let plan = state.create_physical_plan(&plan).await.unwrap();
    let rows = collect(plan, state.task_ctx()).await.unwrap();
    let calls = calls.lock().clone();
    (calls, rows.iter().map(|batch| batch.num_rows()).sum())
}

#[tokio::test]
async fn a_condition_on_a_table_asks_for_that_table_alone() {
    let world = world().await;
    for sql in [
        "SELECT * FROM system.files WHERE database = 'mydb' AND \"table\" = 'cpu'",
        "SELECT path FROM system.files WHERE \"table\" IN ('cpu') AND database IN ('mydb', 'nope')",
        "SELECT rows FROM system.tables WHERE 'cpu' = \"table\" AND database = 'mydb' AND rows > 0",
    ] {
        let (calls, rows) = asked(&world, sql).await;
        assert_eq!(calls, ["databases", "table mydb.cpu", "snapshot"], "{sql}");
        assert_eq!(rows, 1, "{sql}");
    }
}

#[tokio::test]
async fn a_condition_on_a_database_asks_for_that_database_alone() {
    let world = world().await;
    let cases = [
        ("SELECT * FROM information_schema.columns WHERE table_schema = 'other'", vec!["databases", "tables other"]),
        ("SELECT * FROM information_schema.tables WHERE table_schema = 'other'", vec!["databases", "names other"]),
        ("SELECT * FROM system.columns WHERE database = 'other'", vec!["databases", "tables other"]),
        ("SELECT * FROM system.merges WHERE database = 'nope'", vec!["databases"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(asked(&world, sql).await.0, expected, "{sql}");
    }
}

#[tokio::test]
async fn figures_of_files_are_looked_up_only_where_they_are_shown() {
    let world = world().await;
    let (calls, rows) = asked(&world, "SELECT database, \"table\", columns FROM system.tables").await;
    assert_eq!(calls, ["databases", "tables mydb", "tables other"]);
    assert_eq!(rows, 3);
    let (calls, _) = asked(&world, "SELECT sum(rows) FROM system.tables").await;
    assert_eq!(calls.iter().filter(|call| *call == "snapshot").count(), 3);
    let (calls, rows) = asked(&world, "SELECT schema_name FROM information_schema.schemata").await;
    assert_eq!(calls, ["databases"]);
    assert_eq!(rows, 5);
}

#[tokio::test]
async fn definitions_are_asked_for_once_in_a_query() {
    let world = world().await;
    let sql = "SELECT count(*) FROM system.columns a JOIN system.columns b USING (database, \"table\") JOIN information_schema.columns c ON c.table_name = a.\"table\"";
    let (calls, _) = asked(&world, sql).await;
    assert_eq!(calls.iter().filter(|call| *call == "tables mydb").count(), 1, "{calls:?}");
    assert_eq!(calls.iter().filter(|call| *call == "tables other").count(), 1, "{calls:?}");
}
