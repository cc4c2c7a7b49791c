//! An installation with one table, whose rows are known.

use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int64Array, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use gigapi_catalog::{CommitOutcome, Definition, Limits, MemoryCatalog};
use gigapi_model::{
    Actor, Bucket, BucketSpan, Change, ColumnName, ColumnRole, ColumnType, Commit, CommitId, DatabaseName, Level,
    ManualClock, NewColumn, NewFile, SystemIds, TableKey, TableName, Timestamp, WriterId,
};
use gigapi_storage::faulty::{Faults, FaultyStore};
use gigapi_storage::{FileFacts, FilePath, Layer, LayerSettings, Origin, Source, StoredRows, encode_file};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use uuid::Uuid;

use super::super::*;
use crate::metrics::Metrics;
use crate::planner::{Planner, Scope};
use crate::policy::MergeSettings;
use crate::schedule::Schedule;

/// 2025-04-10T07:00:00Z.
pub(super) const START: Timestamp = Timestamp::from_millis(1_744_268_400_000);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// An installation with one table, whose rows are known.
pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) clock: Arc<ManualClock>,
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) layers: Arc<Layers>,
    /// Set where the first layer is not a folder.
    pub(super) faults: Option<Arc<Faults>>,
    pub(super) table: Arc<TableDef>,
    pub(super) writer: WriterId,
    pub(super) epoch: u64,
    pub(super) flushed: u64,
}

pub(super) type Row = (Option<String>, i64, Option<i64>);

pub(super) fn layer_name(text: &str) -> LayerName {
    LayerName::new(text).expect("a plain name")
}

pub(super) fn new_column(name: &str, role: ColumnRole, column_type: ColumnType) -> NewColumn {
    NewColumn { name: ColumnName::new(name).expect("a plain name"), column_type, role }
}

impl World {
    /// Two folders, the first with a ttl if one is given.
    pub(super) async fn new(key: TableKey, ttl: Option<Duration>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let layer = |name: &str| LayerSettings::folder(layer_name(name), &folder.path().join(name));
        let (hot, cold) = (LayerSettings { ttl, ..layer("hot") }, layer("cold"));
        let layers = Layers::open(&[hot, cold], &SystemIds).expect("two folders");
        Self::over(folder, layers, None, key).await
    }

    /// One layer elsewhere, which fails on demand.
    pub(super) async fn elsewhere(key: TableKey) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let faults = Faults::new();
        let store = Arc::new(FaultyStore::new(Arc::new(InMemory::new()), Arc::clone(&faults)));
        let layers = Layers::new(vec![Layer::over(layer_name("hot"), store)]).expect("one layer");
        Self::over(folder, layers, Some(faults), key).await
    }

    pub(super) async fn over(
        folder: tempfile::TempDir,
        layers: Layers,
        faults: Option<Arc<Faults>>,
        key: TableKey,
    ) -> Self {
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
    pub(super) async fn flush(&mut self, rows: &[(&str, i64, Option<i64>)]) -> DataFile {
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
        let file = encoded.data_file(SystemIds.file_id(created_at), Level::FLUSHED, &self.layers.first().name, &facts);
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

    pub(super) fn worker(&self) -> Arc<Worker> {
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

    pub(super) fn schedule(&self) -> Schedule {
        let registry = gigapi_service::Metrics::new(self.clock.clone());
        let (catalog, layers) = (Arc::clone(&self.catalog), Arc::clone(&self.layers));
        let planner = Planner::new(catalog, layers, Some(MergeSettings::new(10 * SECOND)), Scope::default());
        Schedule::new(planner, self.worker(), Metrics::register(&registry), 2)
    }

    pub(super) async fn live(&self) -> Vec<Arc<DataFile>> {
        let snapshot = self.catalog.snapshot(self.table.id, TimeRange::ALL).await.expect("a table");
        snapshot.files.iter().cloned().collect()
    }

    /// All rows of live files, which are compared with what the catalog says of them.
    pub(super) async fn rows(&self) -> Vec<Row> {
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
