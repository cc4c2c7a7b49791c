//! A small installation in a folder: real files on real layers, committed to a real catalog.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use futures::TryStreamExt;
use gigapi_catalog::{Catalog, ClaimRequest, CommitOutcome, Definition, EmbeddedCatalog, Limits};
use gigapi_model::{
    Actor, Bucket, BucketSpan, Change, Clock, ColumnName, ColumnRole, ColumnType, Commit, CommitId, DataFile,
    DatabaseName, FileId, Ids, LayerName, Level, ManualClock, NewColumn, NewFile, SystemIds, TableDef, TableId,
    TableKey, TableName, TimeRange, Timestamp, WriterId,
};
use gigapi_storage::{FileFacts, FilePath, LayerSettings, Layers, Origin, encode_file};
use object_store::ObjectStoreExt;
use uuid::Uuid;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_744_268_400_000);

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) layers: Layers,
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Seconds after the start of every row that was put into a file.
    pub(crate) rows: HashMap<FileId, Vec<i64>>,
    catalogs: usize,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let settings =
            ["hot", "cold"].map(|name| LayerSettings::folder(LayerName::new(name).unwrap(), &folder.path().join(name)));
        let layers = Layers::open(&settings, &SystemIds).unwrap();
        let catalog = Self::open(&folder, &clock, 0);
        let world = Self { folder, clock, layers, catalog, rows: HashMap::new(), catalogs: 1 };
        let id = world.catalog.epochs().await.unwrap().catalog;
        world.layers.claim(id).await.unwrap();
        world
    }

    fn open(folder: &tempfile::TempDir, clock: &Arc<ManualClock>, number: usize) -> Arc<dyn Catalog> {
        let path = folder.path().join(format!("catalog{number}"));
        Arc::new(EmbeddedCatalog::open(&path, clock.clone(), Arc::new(SystemIds), Limits::default()).unwrap())
    }

    /// The catalog is gone; an empty one takes its place.
    pub(crate) fn lose_catalog(&mut self) {
        self.catalog = Self::open(&self.folder, &self.clock, self.catalogs);
        self.catalogs += 1;
    }

    /// A copy of the catalog's file as it is now.
    pub(crate) fn copy_catalog(&mut self) -> usize {
        let folder = |number: usize| self.folder.path().join(format!("catalog{number}"));
        std::fs::create_dir(folder(self.catalogs)).unwrap();
        for entry in std::fs::read_dir(folder(self.catalogs - 1)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, folder(self.catalogs).join(path.file_name().unwrap())).unwrap();
        }
        self.catalogs += 1;
        self.catalogs - 1
    }

    /// Removes every object but our own.
    pub(crate) async fn lose_all_files(&self) {
        for layer in self.layers.iter() {
            let all: Vec<_> = layer.store.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap();
            for path in all.iter().filter(|path| !path.as_ref().starts_with("_gigapi")) {
                layer.store.delete(path).await.unwrap();
            }
        }
    }

    /// A copy takes the catalog's place.
    pub(crate) fn use_catalog(&mut self, number: usize) {
        self.catalog = Self::open(&self.folder, &self.clock, number);
    }

    pub(crate) async fn table(&self, name: &str) -> Arc<TableDef> {
        self.table_of(name, "v").await
    }

    /// Makes the table with the column, or adds the column to it.
    pub(crate) async fn table_of(&self, name: &str, column: &str) -> Arc<TableDef> {
        let columns = vec![NewColumn {
            name: ColumnName::new(column).unwrap(),
            column_type: ColumnType::Integer,
            role: ColumnRole::Field,
        }];
        let (database, table) = (DatabaseName::new("db").unwrap(), TableName::new(name).unwrap());
        self.catalog.define(Definition { database, table, columns, key: TableKey::None }).await.unwrap()
    }

    /// Writes one object with a row at each of these seconds.
    pub(crate) async fn upload(&mut self, table: &Arc<TableDef>, origin: Origin, seconds: &[i64]) -> NewFile {
        self.upload_at(table, origin, seconds, 1).await
    }

    /// As [`Self::upload`], as a file of that level.
    pub(crate) async fn upload_at(
        &mut self,
        table: &Arc<TableDef>,
        origin: Origin,
        seconds: &[i64],
        level: u8,
    ) -> NewFile {
        self.clock.advance(Duration::from_millis(10));
        let times: Vec<i64> = seconds.iter().map(|second| START.nanos() + second * 1_000_000_000).collect();
        let epochs = self.catalog.epochs().await.unwrap();
        let bucket = Bucket::containing(Timestamp::from_nanos(times[0]), BucketSpan::Hour);
        let facts = FileFacts {
            catalog: epochs.catalog,
            catalog_epoch: epochs.epoch,
            bucket,
            created_at: self.clock.now(),
            origin,
        };
        let schema =
            Schema::new(vec![Field::new("time", DataType::Int64, false), Field::new("v", DataType::Int64, true)]);
        let (time, v) = (Int64Array::from(times), Int64Array::from(seconds.to_vec()));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(time), Arc::new(v)]).unwrap();
        let encoded = encode_file(table, &[batch], &facts).unwrap();
        let file = encoded.data_file(
            SystemIds.file_id(self.clock.now()),
            Level::new(level).unwrap(),
            &self.layers.first().name,
            &facts,
        );
        let path = FilePath::of(table, &file).object_path();
        self.layers.first().store.put(&path, encoded.bytes.into()).await.unwrap();
        self.rows.insert(file.id, seconds.to_vec());
        NewFile { file, statistics: encoded.statistics.to_bytes() }
    }

    /// Uploads a flush with one file per entry of `parts`.
    pub(crate) async fn upload_flush(
        &mut self,
        table: &Arc<TableDef>,
        log: &Log,
        (lo, hi): (u64, u64),
        parts: &[&[i64]],
    ) -> Vec<NewFile> {
        let mut files = Vec::new();
        let count = u32::try_from(parts.len()).unwrap();
        for (part, seconds) in (0..count).zip(parts) {
            let origin = Origin::Flush { writer: log.writer, writer_epoch: log.epoch, lo, hi, part, parts: count };
            files.push(self.upload(table, origin, seconds).await);
        }
        files
    }

    pub(crate) async fn open_log(&self, number: u128) -> Log {
        let writer = WriterId::from_uuid(Uuid::from_u128(number));
        let session = self.catalog.open_writer(writer).await.unwrap();
        Log { writer, epoch: session.epoch, watermarks: session.watermarks }
    }

    /// Uploads and commits a flush.
    pub(crate) async fn flush(
        &mut self,
        table: &Arc<TableDef>,
        log: &Log,
        interval: (u64, u64),
        parts: &[&[i64]],
    ) -> Vec<NewFile> {
        self.try_flush(table, log, interval, parts).await.unwrap()
    }

    /// As [`Self::flush`]; the catalog may refuse the commit.
    pub(crate) async fn try_flush(
        &mut self,
        table: &Arc<TableDef>,
        log: &Log,
        interval: (u64, u64),
        parts: &[&[i64]],
    ) -> gigapi_catalog::Result<Vec<NewFile>> {
        let files = self.upload_flush(table, log, interval, parts).await;
        let commit = self.change(table.id, log, interval, Change { added: files.clone(), removed: Vec::new() }).await;
        let outcome = self.catalog.commit(vec![commit]).await.remove(0)?;
        assert!(matches!(outcome, CommitOutcome::Committed { .. }));
        Ok(files)
    }

    /// Takes a file out of its table.
    pub(crate) async fn remove(&self, table: &TableDef, log: &Log, interval: (u64, u64), file: FileId) {
        let commit = self.change(table.id, log, interval, Change { added: Vec::new(), removed: vec![file] }).await;
        self.catalog.commit(vec![commit]).await.remove(0).unwrap();
    }

    /// Copies a live file to another layer and has it live there.
    pub(crate) async fn relocate(&self, table: &TableDef, file: &DataFile, layer: &str) -> DataFile {
        let live = async || {
            let snapshot = self.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
            snapshot.files.iter().find(|live| live.id == file.id).unwrap().as_ref().clone()
        };
        let moved = DataFile { layer: LayerName::new(layer).unwrap(), ..live().await };
        let path = FilePath::of(table, file).object_path();
        let bytes = self.layers.get(&file.layer).unwrap().store.get(&path).await.unwrap().bytes().await.unwrap();
        self.layers.get(&moved.layer).unwrap().store.put(&path, bytes.into()).await.unwrap();
        let lease = Duration::from_secs(60);
        let claim = ClaimRequest { table: table.id, inputs: vec![file.id], lease };
        let claim = self.catalog.claim(claim).await.unwrap();
        let added = vec![NewFile { file: moved.clone(), statistics: Vec::new() }];
        let commit = Commit {
            table: table.id,
            catalog_epoch: self.catalog.epochs().await.unwrap().epoch,
            id: CommitId::from_uuid(SystemIds.random()),
            actor: Actor::Claim { claim: claim.id, token: claim.token },
            change: Change { added, removed: vec![file.id] },
            idempotency: Vec::new(),
        };
        self.catalog.commit(vec![commit]).await.remove(0).unwrap();
        live().await
    }

    async fn change(&self, table: TableId, log: &Log, (lo, hi): (u64, u64), change: Change) -> Commit {
        Commit {
            table,
            catalog_epoch: self.catalog.epochs().await.unwrap().epoch,
            id: CommitId::from_uuid(SystemIds.random()),
            actor: Actor::Writer { writer: log.writer, epoch: log.epoch, lo, hi },
            change,
            idempotency: Vec::new(),
        }
    }

    /// Seconds of all live rows, sorted; every live file has its object.
    pub(crate) async fn live_rows(&self, table: TableId) -> Vec<i64> {
        let snapshot = self.catalog.snapshot(table, TimeRange::ALL).await.unwrap();
        let mut rows = Vec::new();
        for file in &snapshot.files {
            let path = FilePath::of(&snapshot.table, file).object_path();
            let object = self.layers.get(&file.layer).unwrap().store.head(&path).await.unwrap();
            assert_eq!(object.size, file.bytes);
            rows.extend(&self.rows[&file.id]);
        }
        rows.sort_unstable();
        rows
    }
}

/// An open write-ahead log.
pub(crate) struct Log {
    pub(crate) writer: WriterId,
    pub(crate) epoch: u64,
    pub(crate) watermarks: HashMap<TableId, u64>,
}
