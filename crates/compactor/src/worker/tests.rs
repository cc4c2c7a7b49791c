use std::collections::BTreeMap;

use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int64Array, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use gigapi_catalog::{ClaimRequest, CommitOutcome, Definition, Limits, MemoryCatalog};
use gigapi_model::{
    Actor, Bucket, BucketSpan, Change, ColumnName, ColumnRole, ColumnType, Commit, CommitId, DatabaseName, ErrorKind,
    Level, ManualClock, NewColumn, NewFile, SequenceRange, SystemIds, TableKey, TableName, Timestamp, WriterId,
};
use gigapi_recovery::quarantined_files;
use gigapi_storage::faulty::{Action, Fault, Faults, FaultyStore, Operation};
use gigapi_storage::{FileFacts, FilePath, Layer, LayerSettings, Origin, Source, StoredRows, encode_file};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use uuid::Uuid;

use super::*;
use crate::metrics::Metrics;
use crate::planner::{Planner, Scope};
use crate::policy::MergeSettings;
use crate::schedule::Schedule;

/// 2025-04-10T07:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_744_268_400_000);
const SECOND: Duration = Duration::from_secs(1);

/// An installation with one table, whose rows are known.
struct World {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    catalog: Arc<dyn Catalog>,
    layers: Arc<Layers>,
    /// Set where the first layer is not a folder.
    faults: Option<Arc<Faults>>,
    table: Arc<TableDef>,
    writer: WriterId,
    epoch: u64,
    flushed: u64,
}

type Row = (Option<String>, i64, Option<i64>);

fn layer_name(text: &str) -> LayerName {
    LayerName::new(text).expect("a plain name")
}

fn new_column(name: &str, role: ColumnRole, column_type: ColumnType) -> NewColumn {
    NewColumn { name: ColumnName::new(name).expect("a plain name"), column_type, role }
}

impl World {
    /// Two folders, the first with a ttl if one is given.
    async fn new(key: TableKey, ttl: Option<Duration>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let layer = |name: &str| LayerSettings::folder(layer_name(name), &folder.path().join(name));
        let (hot, cold) = (LayerSettings { ttl, ..layer("hot") }, layer("cold"));
        let layers = Layers::open(&[hot, cold], &SystemIds).expect("two folders");
        Self::over(folder, layers, None, key).await
    }

    /// One layer elsewhere, which fails on demand.
    async fn elsewhere(key: TableKey) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let faults = Faults::new();
        let store = Arc::new(FaultyStore::new(Arc::new(InMemory::new()), Arc::clone(&faults)));
        let layers = Layers::new(vec![Layer::over(layer_name("hot"), store)]).expect("one layer");
        Self::over(folder, layers, Some(faults), key).await
    }

    async fn over(folder: tempfile::TempDir, layers: Layers, faults: Option<Arc<Faults>>, key: TableKey) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let catalog: Arc<dyn Catalog> =
            Arc::new(MemoryCatalog::new(clock.clone(), Arc::new(SystemIds), Limits::default()));
        layers.claim(catalog.epochs().await.expect("it serves").catalog).await.expect("layers of nobody");
        let (database, table) = (DatabaseName::new("db").expect("plain"), TableName::new("cpu").expect("plain"));
        let columns = vec![
            new_column("host", ColumnRole::Tag, ColumnType::String),
            new_column("value", ColumnRole::Field, ColumnType::Integer),
        ];
        let table = catalog.define(Definition { database, table, columns, key }).await.expect("a new table");
        let writer = WriterId::from_uuid(Uuid::from_u128(9));
        let epoch = catalog.open_writer(writer).await.expect("a new log").epoch;
        Self { folder, clock, catalog, layers: Arc::new(layers), faults, table, writer, epoch, flushed: 0 }
    }

    /// Commits a file of these rows, with times in seconds after the start; one key once.
    async fn flush(&mut self, rows: &[(&str, i64, Option<i64>)]) -> DataFile {
        self.clock.advance(Duration::from_millis(10));
        self.flushed += 1;
        let mut rows = rows.to_vec();
        rows.sort_by_key(|(host, time, _)| (*host, *time));
        let at = |seconds: i64| START.nanos() + seconds * 1_000_000_000;
        let hosts: DictionaryArray<Int32Type> = rows.iter().map(|row| Some(row.0)).collect();
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("time", Arc::new(rows.iter().map(|row| Some(at(row.1))).collect::<Int64Array>()), false),
            ("host", Arc::new(hosts), true),
            ("value", Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()), true),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
        let epochs = self.catalog.epochs().await.expect("it serves");
        let first = rows.iter().map(|row| row.1).min().expect("a row");
        let bucket = Bucket::containing(Timestamp::from_nanos(at(first)), BucketSpan::Hour);
        let (lo, hi) = (self.flushed, self.flushed);
        let origin = Origin::Flush { writer: self.writer, writer_epoch: self.epoch, lo, hi, part: 0, parts: 1 };
        let created_at = self.catalog.now().await.expect("a clock");
        let facts = FileFacts { catalog: epochs.catalog, catalog_epoch: epochs.epoch, bucket, created_at, origin };
        let encoded = encode_file(&self.table, &[batch], &facts).expect("rows in order");
        let file = DataFile {
            id: SystemIds.file_id(created_at),
            level: Level::FLUSHED,
            layer: self.layers.first().name.clone(),
            bucket,
            rows: encoded.rows,
            bytes: encoded.bytes.len() as u64,
            time: encoded.time,
            sequence: SequenceRange { lo: 0, hi: 0 },
            checksum: encoded.checksum,
            tail_bytes: encoded.tail_bytes,
        };
        let path = FilePath::of(&self.table, &file).object_path();
        self.layers.first().upload(&path, encoded.bytes).await.expect("an upload");
        let added = vec![NewFile { file: file.clone(), statistics: encoded.statistics.to_bytes() }];
        let commit = Commit {
            table: self.table.id,
            catalog_epoch: epochs.epoch,
            id: CommitId::from_uuid(SystemIds.random()),
            actor: Actor::Writer { writer: self.writer, epoch: self.epoch, lo, hi },
            change: Change { added, removed: Vec::new() },
            idempotency: Vec::new(),
        };
        let answer = self.catalog.commit(vec![commit]).await.pop().expect("an answer");
        assert!(matches!(answer, Ok(CommitOutcome::Committed { .. })), "{answer:?}");
        file
    }

    fn worker(&self) -> Arc<Worker> {
        let staging = Staging::open(&self.folder.path().join("staging"), &SystemIds).expect("a folder");
        Arc::new(Worker {
            catalog: Arc::clone(&self.catalog),
            layers: Arc::clone(&self.layers),
            ids: Arc::new(SystemIds),
            staging: Arc::new(staging),
            encoders: Arc::new(FileEncoders::default()),
            memory: Memory::new(256 << 20),
            throttle: Arc::new(Throttle::new(None)),
            lease: Duration::from_secs(60),
            threads: Threads::start(2).unwrap(),
            fetches: Semaphore::new(FETCHES_AT_ONCE),
            small: SmallFiles::default(),
            under_way: UnderWay::default(),
        })
    }

    fn schedule(&self) -> Schedule {
        let registry = gigapi_service::Metrics::new(self.clock.clone());
        let (catalog, layers) = (Arc::clone(&self.catalog), Arc::clone(&self.layers));
        let planner = Planner::new(catalog, layers, Some(MergeSettings::new(10 * SECOND)), Scope::default());
        Schedule::new(planner, self.worker(), Metrics::register(&registry), 2)
    }

    async fn live(&self) -> Vec<Arc<DataFile>> {
        let snapshot = self.catalog.snapshot(self.table.id, TimeRange::ALL).await.expect("a table");
        snapshot.files.iter().cloned().collect()
    }

    /// All rows of live files, which are compared with what the catalog says of them.
    async fn rows(&self) -> Vec<Row> {
        let mut all = Vec::new();
        for file in self.live().await {
            let layer = self.layers.get(&file.layer).expect("a known layer");
            let object = layer.store.get(&FilePath::of(&self.table, &file).object_path()).await.expect("I3");
            let bytes = object.bytes().await.expect("its bytes");
            assert_eq!((bytes.len() as u64, gigapi_storage::checksum(&bytes)), (file.bytes, file.checksum), "I3");
            let opened = StoredRows::open("file", Source::Memory(bytes), &self.table).expect("a data file");
            assert_eq!(opened.rows(), file.rows);
            let column = |name: &str| {
                let id = self.table.column(name).expect("a column").field_id;
                opened.column(id, 0..opened.rows()).expect("readable").expect("held")
            };
            let host = arrow::compute::cast(&column("host"), &arrow::datatypes::DataType::Utf8).expect("strings");
            let (time, value) = (column("time"), column("value"));
            for row in 0..time.len() {
                all.push((
                    host.is_valid(row).then(|| host.as_string::<i32>().value(row).to_owned()),
                    (time.as_primitive::<Int64Type>().value(row) - START.nanos()) / 1_000_000_000,
                    value.is_valid(row).then(|| value.as_primitive::<Int64Type>().value(row)),
                ));
            }
        }
        all.sort();
        all
    }
}

fn row(host: &str, time: i64, value: Option<i64>) -> Row {
    (Some(host.to_owned()), time, value)
}

#[tokio::test]
async fn small_files_become_one_and_the_last_write_wins() {
    let mut world = World::new(TableKey::Tags, None).await;
    let mut expected = BTreeMap::new();
    for number in 0..50 {
        let rows = [("a", number % 7, Some(number)), ("b", number, None), ("c", 0, (number < 3).then_some(number))];
        world.flush(&rows).await;
        expected.insert(("a", number % 7), Some(number));
        expected.insert(("b", number), None);
    }
    expected.insert(("c", 0), Some(2));
    let expected: Vec<Row> = expected.into_iter().map(|((host, time), value)| row(host, time, value)).collect();
    world.clock.advance(11 * SECOND);
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("nothing is in the way");
    assert_eq!(schedule.summary.failures, Vec::<String>::new());
    assert_eq!(world.live().await.len(), 2, "50 files are more than one merge takes");
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(2 * 3600));
        schedule.until_done().await.expect("nothing is in the way");
    }
    let live = world.live().await;
    // The first version made the table.
    assert_eq!((live.len(), live[0].sequence, live[0].level), (1, SequenceRange { lo: 2, hi: 51 }, Level::FINAL));
    assert_eq!(world.rows().await, expected);
    let graves = world.catalog.graveyard().await.expect("a graveyard");
    assert_eq!(graves.len(), 52, "all inputs are buried");
}

#[tokio::test]
async fn a_damaged_file_is_marked_and_the_others_are_merged() {
    let mut world = World::new(TableKey::None, None).await;
    let mut files = Vec::new();
    for number in 0..6 {
        files.push(world.flush(&[("a", number, Some(number))]).await);
    }
    let path = FilePath::of(&world.table, &files[3]).object_path();
    let store = &world.layers.first().store;
    let mut bytes = store.get(&path).await.expect("a file").bytes().await.expect("its bytes").to_vec();
    bytes[30] ^= 1;
    store.put(&path, bytes.into()).await.expect("damage");
    world.clock.advance(11 * SECOND);
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    let live = world.live().await;
    assert!(live.iter().any(|file| file.id == files[3].id), "it stays live: somebody may restore it");
    assert_eq!(live.len(), 3, "two before it, two after it, and itself: {live:?}");
    assert_eq!(schedule.summary.failures.len(), 1);
    let told = &schedule.summary.failures[0];
    assert!(told.contains(&files[3].id.to_string()) && told.contains("checksum"), "{told}");
    assert_eq!(quarantined_files(&world.layers).await.expect("a list"), [files[3].id].into());
    // A compactor that starts anew leaves it out from the beginning.
    let mut next = world.schedule();
    next.until_done().await.expect("a plan");
    assert_eq!(next.summary, crate::Summary::default());
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_is_tried_again() {
    let mut world = World::elsewhere(TableKey::None).await;
    for number in 0..5 {
        world.flush(&[("a", number, Some(number))]).await;
    }
    let before = world.live().await;
    world.clock.advance(11 * SECOND);
    let faults = world.faults.clone().expect("a layer that fails on demand");
    faults.add(Fault::always(Operation::Put, Action::DiskFull));
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    assert!(schedule.summary.failures[0].contains("no space left"), "{:?}", schedule.summary);
    assert_eq!(world.live().await, before);
    assert_eq!(world.catalog.claimed(world.table.id).await.expect("claims").len(), 0, "the claim was given back");
    faults.clear();
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await, before, "its files rest for a while");
    world.clock.advance(61 * SECOND);
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 1);
    assert_eq!(world.rows().await.len(), 5);
}

#[tokio::test]
async fn who_sleeps_through_its_lease_changes_nothing() {
    let mut world = World::new(TableKey::None, None).await;
    for number in 0..4 {
        world.flush(&[("a", number, Some(number))]).await;
    }
    world.clock.advance(11 * SECOND);
    let worker = world.worker();
    let live = world.live().await;
    let inputs: Vec<FileId> = live.iter().map(|file| file.id).collect();
    let lease = crate::lease::Lease::take(&world.catalog, world.table.id, inputs.clone(), worker.lease);
    let lease = lease.await.expect("free files");
    let other = world.catalog.claim(ClaimRequest { table: world.table.id, inputs: inputs.clone(), lease: SECOND });
    assert_eq!(other.await.expect_err("they are claimed").kind(), ErrorKind::Conflict);
    // Nobody else does anything, and still the right has lapsed.
    world.clock.advance(61 * SECOND);
    let epochs = world.catalog.epochs().await.expect("it serves");
    let change = Change { added: Vec::new(), removed: inputs };
    let refused = worker.commit(world.table.id, epochs, &lease, change).await.expect_err("the lease is over");
    assert!(matches!(refused, Error::Catalog(gigapi_catalog::Error::ClaimLost)), "{refused}");
    assert_eq!(world.live().await, live);
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 1, "whoever comes next may work");
}

#[tokio::test(start_paused = true)]
async fn work_that_waits_ends_with_its_claim() {
    let mut world = World::new(TableKey::None, None).await;
    world.flush(&[("a", 0, Some(0))]).await;
    let inputs = world.live().await.iter().map(|file| file.id).collect();
    let lease = crate::lease::Lease::take(&world.catalog, world.table.id, inputs, SECOND).await.expect("free files");
    assert!(lease.while_held(async { Ok(7) }).await.is_ok_and(|seven| seven == 7));
    world.clock.advance(2 * SECOND);
    let ended = lease.while_held(std::future::pending::<crate::Result<()>>()).await;
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
}

#[tokio::test]
async fn what_a_dead_process_had_claimed_is_taken_up_once_the_claim_lapses() {
    let mut world = World::new(TableKey::None, None).await;
    for number in 0..4 {
        world.flush(&[("a", number, Some(number))]).await;
    }
    world.clock.advance(11 * SECOND);
    let inputs = world.live().await.iter().map(|file| file.id).collect();
    let claim = ClaimRequest { table: world.table.id, inputs, lease: 30 * SECOND };
    world.catalog.claim(claim).await.expect("free files");
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 4, "they are claimed");
    world.clock.advance(31 * SECOND);
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 1, "no version changed when the claim lapsed");
}

#[tokio::test]
async fn a_file_whose_mark_is_taken_away_is_merged() {
    let mut world = World::new(TableKey::None, None).await;
    let first = world.flush(&[("a", 0, Some(0))]).await;
    world.flush(&[("a", 1, Some(1))]).await;
    let mark = Quarantined::new(&world.table, &first, "as a test has it".to_owned(), "test", START);
    quarantine(&world.layers, &mark).await.expect("a mark");
    world.clock.advance(11 * SECOND);
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 2);
    let path = gigapi_storage::own_path(["quarantine", &format!("{}.json", first.id)]);
    world.layers.first().store.delete(&path).await.expect("a mark");
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await.len(), 1);
}

#[tokio::test]
async fn several_compactors_share_the_work_and_double_nothing() {
    let mut world = World::new(TableKey::None, None).await;
    for number in 0..200 {
        world.flush(&[("a", number, Some(number)), ("b", 7, Some(number))]).await;
    }
    world.clock.advance(11 * SECOND);
    let expected = world.rows().await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let mut schedule = world.schedule();
        running.spawn(async move {
            schedule.until_done().await.expect("a plan");
            schedule.summary
        });
    }
    let mut merges = 0;
    while let Some(done) = running.join_next().await {
        let done = done.expect("it ends");
        assert_eq!(done.failures, Vec::<String>::new());
        merges += done.merges;
    }
    assert_eq!(world.rows().await, expected);
    let live = world.live().await;
    assert_eq!(live.iter().map(|file| file.rows).sum::<u64>(), 400);
    assert!(merges >= 7 && live.len() <= 10, "{merges} merges, {} files", live.len());
}

#[tokio::test]
async fn files_move_to_the_next_layer_and_end_on_the_last() {
    let mut world = World::new(TableKey::Tags, Some(Duration::from_secs(3600))).await;
    for number in 0..3 {
        world.flush(&[("a", number, Some(number))]).await;
    }
    let expected = world.rows().await;
    world.clock.advance(Duration::from_secs(3605));
    let mut schedule = world.schedule();
    schedule.until_done().await.expect("a plan");
    let live = world.live().await;
    assert!(live.iter().all(|file| file.layer == layer_name("cold")), "{live:?}");
    assert_eq!(world.rows().await, expected);
    assert!(schedule.summary.relocated_files > 0 && schedule.summary.failures.is_empty());
    let ttl = gigapi_model::TableSettings {
        ttl: gigapi_model::Edit::Set(Duration::from_secs(2 * 3600)),
        ..gigapi_model::TableSettings::default()
    };
    world.catalog.configure(world.table.id, &ttl).await.expect("a ttl");
    world.clock.advance(Duration::from_secs(3600));
    schedule.until_done().await.expect("a plan");
    assert_eq!(world.live().await, []);
    assert_eq!(schedule.summary.failures, Vec::<String>::new());
}
