//! Flushes against a catalog in memory and a store that fails when told to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use gigapi_catalog::{Catalog, Limits as CatalogLimits, MemoryCatalog, TableState};
use gigapi_model::{
    Clock, DatabaseName, Ids, LayerName, SystemClock, SystemIds, TableDef, TableKey, TableName, TimeRange,
};
use gigapi_service::settings::{Durability, Settings};
use gigapi_service::{Metrics, Readiness, Shutdown};
use gigapi_storage::faulty::{Action, Fault, Faults, FaultyStore, Operation};
use gigapi_storage::{FilePath, Layer, Layers, Origin, read_facts};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::line_protocol::Precision;
use crate::{OpenError, Outcome, WriteError, WriteRequest, Writer, WriterComponents, WriterOptions};

struct World {
    catalog: Arc<MemoryCatalog>,
    layers: Arc<Layers>,
    faults: Arc<Faults>,
    readiness: Readiness,
    folder: tempfile::TempDir,
    /// Where several writers share the catalog.
    place: Option<String>,
}

impl World {
    fn new() -> Self {
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(SystemIds));
        let faults = Faults::new();
        let store = FaultyStore::new(Arc::new(InMemory::new()), Arc::clone(&faults));
        let layer = Layer::over(LayerName::new("test").unwrap(), Arc::new(store));
        Self {
            catalog: Arc::new(MemoryCatalog::new(clock, ids, CatalogLimits::default())),
            layers: Arc::new(Layers::new(vec![layer]).unwrap()),
            faults,
            readiness: Readiness::new(),
            folder: tempfile::tempdir().unwrap(),
            place: None,
        }
    }

    async fn writer(&self) -> Writer {
        self.try_writer().await.unwrap()
    }

    async fn try_writer(&self) -> Result<Writer, OpenError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let components = WriterComponents {
            catalog: Arc::clone(&self.catalog) as Arc<dyn Catalog>,
            layers: Arc::clone(&self.layers),
            clock: Arc::clone(&clock),
            ids: Arc::new(SystemIds),
            metrics: Metrics::new(clock),
            readiness: self.readiness.clone(),
        };
        let settings = Settings::defaults();
        let mut options = WriterOptions {
            wal: self.folder.path().join("wal"),
            place: self.place.clone(),
            settings: settings.writer,
            limits: settings.limits,
        };
        options.settings.save_timeout = Duration::from_millis(5);
        Writer::open(components, options).await
    }

    /// The same log and the same layers under a catalog that has forgotten everything.
    fn forgetful(self) -> Self {
        Self { folder: self.folder, layers: self.layers, faults: self.faults, ..Self::new() }
    }

    /// First and last sequence of every flush whose files lie on the layer.
    async fn flushes(&self) -> Vec<(u64, u64)> {
        let layer = self.layers.first();
        let mut found = Vec::new();
        let objects: Vec<_> = layer.store.list(None).try_collect().await.unwrap();
        for object in objects.iter().filter(|object| object.location.extension() == Some("parquet")) {
            let (stored, ..) = read_facts(layer.store.as_ref(), &layer.name, &object.location).await.unwrap();
            if let Origin::Flush { lo, hi, .. } = stored.facts.origin {
                found.push((lo, hi));
            }
        }
        found.sort_unstable();
        found
    }

    async fn table(&self, name: &str) -> Arc<TableDef> {
        let database = DatabaseName::new("db").unwrap();
        self.catalog.table(&database, &TableName::new(name).unwrap()).await.unwrap().expect("the table exists")
    }

    /// Rows of the table's committed files, checked against the objects.
    async fn committed_rows(&self, name: &str) -> u64 {
        let table = self.table(name).await;
        let snapshot = self.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
        for file in &snapshot.files {
            let path = FilePath::of(&table, file).object_path();
            let bytes = self.layers.first().store.get(&path).await.unwrap().bytes().await.unwrap();
            assert_eq!(bytes.len() as u64, file.bytes);
            assert_eq!(gigapi_storage::checksum(&bytes), file.checksum, "I3: {path}");
        }
        snapshot.files.iter().map(|file| file.rows).sum()
    }
}

fn request(lines: &str, durability: Durability) -> WriteRequest {
    WriteRequest {
        database: DatabaseName::new("db").unwrap(),
        body: Bytes::copy_from_slice(lines.as_bytes()),
        precision: Precision::Nanosecond,
        accept_partial: true,
        key: None,
        durability: Some(durability),
        idempotency_key: None,
    }
}

async fn write(writer: &Writer, lines: &str) -> Result<Outcome, WriteError> {
    writer.write(request(lines, Durability::Wal)).await
}

/// Runs the writer until everything is flushed, as a shutdown does.
async fn run_to_the_end(writer: Writer) {
    let shutdown = Shutdown::new();
    let running = tokio::spawn(writer.run(shutdown.clone()));
    shutdown.begin();
    shutdown.run().await;
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_end_in_files_that_the_catalog_knows() {
    let world = World::new();
    let writer = world.writer().await;
    let outcome = write(&writer, "m,h=a v=1i 1\nm,h=b v=2i 2\nn v=1 1").await.unwrap();
    assert_eq!(outcome.accepted, 3);
    run_to_the_end(writer).await;
    assert_eq!((world.committed_rows("m").await, world.committed_rows("n").await), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_waited_for_where_it_was_asked_for() {
    let world = World::new();
    let writer = world.writer().await;
    let ingest = Arc::clone(&writer.ingest);
    let shutdown = Shutdown::new();
    let running = tokio::spawn(writer.run(shutdown.clone()));
    for row in 1..=5 {
        ingest.write(request(&format!("m v={row}i {row}"), Durability::Commit)).await.unwrap();
        assert_eq!(world.committed_rows("m").await, row);
    }
    shutdown.begin();
    shutdown.run().await;
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upload_is_tried_again_and_doubles_nothing() {
    let world = World::new();
    // Once the object is not there, once it is although the store says no.
    world.faults.add(Fault::next(Operation::Put, Action::ErrorBefore).on("parquet"));
    world.faults.add(Fault::next(Operation::Put, Action::ErrorAfter).on("parquet"));
    let writer = world.writer().await;
    let ingest = Arc::clone(&writer.ingest);
    let shutdown = Shutdown::new();
    let running = tokio::spawn(writer.run(shutdown.clone()));
    ingest.write(request("m v=1i 1", Durability::Commit)).await.unwrap();
    assert_eq!(world.committed_rows("m").await, 1);
    shutdown.begin();
    shutdown.run().await;
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_flushed_is_read_back_from_the_log() {
    let world = World::new();
    world.faults.add(Fault::always(Operation::Put, Action::DiskFull).on("parquet"));
    let writer = world.writer().await;
    write(&writer, "m,h=a v=1i 1\nm,h=b v=2i 2").await.unwrap();
    run_to_the_end(writer).await;
    assert_eq!(world.committed_rows("m").await, 0);
    world.faults.clear();
    let writer = world.writer().await;
    let view = writer.buffer().view(world.table("m").await.id);
    assert_eq!(view.chunks.iter().flat_map(|chunk| &chunk.parts).map(|part| part.rows()).sum::<usize>(), 2);
    run_to_the_end(writer).await;
    assert_eq!(world.committed_rows("m").await, 2);
    let writer = world.writer().await;
    assert!(writer.buffer().is_empty(), "committed rows came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_is_made_again_is_the_same_flush() {
    let world = World::new();
    let writer = world.writer().await;
    write(&writer, "m v=1i 1").await.unwrap();
    write(&writer, "n v=1i 1").await.unwrap();
    run_to_the_end(writer).await;
    let [m, n] = world.flushes().await.try_into().unwrap();
    // The catalog was rolled back to before the commits, which the log does not know to have been made.
    let world = world.forgetful();
    let writer = world.writer().await;
    write(&writer, "m v=2i 2\nn v=2i 2").await.unwrap();
    run_to_the_end(writer).await;
    let flushes = world.flushes().await;
    assert_eq!(flushes.iter().filter(|flush| **flush == m || **flush == n).count(), 4, "{flushes:?}");
    assert!(flushes.iter().all(|(lo, _)| *lo == 1 || *lo == m.1 + 1), "{flushes:?}");
    assert_eq!((world.committed_rows("m").await, world.committed_rows("n").await), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_has_forgotten_commits_is_refused() {
    let world = World::new();
    for value in 1..=2 {
        let writer = world.writer().await;
        write(&writer, &format!("m v={value}i {value}")).await.unwrap();
        run_to_the_end(writer).await;
    }
    let [first, _] = world.flushes().await.try_into().unwrap();
    let table = world.table("m").await.id;
    let refused = world.forgetful().try_writer().await.unwrap_err();
    // That the first flush was committed shows in where the second one began.
    let is_told = |known, found| (known, found) == (first.1, 0);
    assert!(
        matches!(refused, OpenError::CatalogBehind { table: of, known, found } if of == table && is_told(known, found)),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_dropped_table_go_and_a_new_one_of_its_name_has_none_of_them() {
    let world = World::new();
    let writer = world.writer().await;
    write(&writer, "m v=1i 1").await.unwrap();
    let dropped = world.table("m").await.id;
    world.catalog.drop_table(dropped).await.unwrap();
    run_to_the_end(writer).await;
    assert_eq!(world.catalog.table_state(dropped).await.unwrap(), TableState::Dropped);
    let writer = world.writer().await;
    write(&writer, "m v=\"now a text\" 1").await.unwrap();
    run_to_the_end(writer).await;
    assert_eq!(world.committed_rows("m").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_catalog_gets_the_tables_of_the_log_back() {
    let world = World::new();
    world.faults.add(Fault::always(Operation::Put, Action::DiskFull).on("parquet"));
    let writer = world.writer().await;
    write(&writer, "m,h=a v=1i 1").await.unwrap();
    let before = world.table("m").await;
    run_to_the_end(writer).await;
    let emptied = World { folder: world.folder, ..World::new() };
    let writer = emptied.writer().await;
    assert_eq!(emptied.table("m").await, before);
    run_to_the_end(writer).await;
    assert_eq!(emptied.committed_rows("m").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn years_of_daily_readings_end_in_a_handful_of_files() {
    let world = World::new();
    let writer = world.writer().await;
    const DAY: i64 = 86_400_000_000_000;
    let lines: String = (0..365 * 8).map(|day| format!("m v={day}i {}\n", day * DAY)).collect();
    write(&writer, &lines).await.unwrap();
    run_to_the_end(writer).await;
    let table = world.table("m").await;
    let snapshot = world.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
    assert_eq!(snapshot.files.len(), 8);
    assert!(snapshot.files.iter().all(|file| file.bucket.range().contains(file.time.min)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_writer_stops_and_commits_nothing() {
    let world = World::new();
    let writer = world.writer().await;
    write(&writer, "m v=1i 1").await.unwrap();
    // Another process opens the same log, as after a failover that the first one slept through.
    world.catalog.open_writer(writer.id()).await.unwrap();
    let outcome = writer.run(Shutdown::new()).await;
    assert!(outcome.is_err(), "a fenced writer went on");
    assert_eq!(world.committed_rows("m").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_on_one_folder_is_refused() {
    let world = World::new();
    let _first = world.writer().await;
    let second = crate::wal::Folder::open(Path::new(&world.folder.path().join("wal")), &SystemIds);
    assert!(matches!(second, Err(crate::wal::FolderError::Locked(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_lines_are_named_and_good_ones_kept() {
    let world = World::new();
    let writer = world.writer().await;
    let outcome = write(&writer, "m v=1i 1\n\nm v=\"x\" 2\nm v= 3\nm v=4i 4").await.unwrap();
    let lines: Vec<u64> = outcome.refused.iter().map(|line| line.line_number).collect();
    assert_eq!((outcome.accepted, outcome.refused_count, lines), (2, 2, vec![3, 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_all_or_nothing_defines_nothing_when_refused() {
    let world = World::new();
    let writer = world.writer().await;
    let all = WriteRequest { accept_partial: false, ..request("new v=1i 1\nnew v= 2", Durability::Wal) };
    let refused = writer.write(all).await.unwrap_err();
    assert_eq!(refused.refused.map(|outcome| outcome.refused_count), Some(1));
    let database = DatabaseName::new("db").unwrap();
    assert_eq!(world.catalog.table(&database, &TableName::new("new").unwrap()).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_table_keeps_equal_rows() {
    let world = World::new();
    let writer = world.writer().await;
    let append = WriteRequest { key: Some(TableKey::None), ..request("m v=1i 1\nm v=1i 1", Durability::Wal) };
    writer.write(append).await.unwrap();
    write(&writer, "keyed v=1i 1\nkeyed v=1i 1").await.unwrap();
    run_to_the_end(writer).await;
    assert_eq!((world.committed_rows("m").await, world.committed_rows("keyed").await), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_relies_on_a_definition_that_lies_nowhere() {
    let world = World::new();
    let writer = world.writer().await;
    world.faults.add(Fault::next(Operation::Put, Action::ErrorBefore).on("definitions"));
    // The catalog has it by now, and still no row is taken for it.
    assert!(write(&writer, "m v=1i 1").await.is_err());
    let names = async || gigapi_recovery::definition_names(world.layers.first()).await.unwrap();
    assert_eq!((world.table("m").await.revision, names().await), (1, Vec::new()));
    assert!(writer.buffer().is_empty());
    write(&writer, "m v=1i 1").await.unwrap();
    let revisions = async || names().await.iter().map(|name| name.revision).collect::<Vec<_>>();
    assert_eq!(revisions().await, [world.table("m").await.revision]);
    // A later revision takes the earlier one's place.
    write(&writer, "m v=1i,w=2i 2").await.unwrap();
    assert_eq!(revisions().await, [world.table("m").await.revision]);
    // What another writer defined is made sure of before it is used, and only once.
    let other = World { folder: tempfile::tempdir().unwrap(), place: Some("b".to_owned()), ..world };
    let second = other.writer().await;
    other.faults.take_calls();
    write(&second, "m v=3i 3").await.unwrap();
    let puts = other.faults.take_calls().into_iter().filter(|(operation, _)| *operation == Operation::Put);
    assert_eq!(puts.count(), 0, "it lay there when the writer was opened");
    write(&writer, "n v=1i 1").await.unwrap();
    write(&second, "n v=2i 2").await.unwrap();
    write(&second, "n v=3i 3").await.unwrap();
    let puts = other.faults.take_calls().into_iter().filter(|(operation, _)| *operation == Operation::Put);
    assert_eq!(puts.count(), 2, "once by each writer");
}
