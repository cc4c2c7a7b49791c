//! A catalog, a store and a querier, with a writer that flushes what a test says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::Schema;
use bytes::Bytes;
use futures::TryStreamExt;
use gigapi_catalog::{Catalog, CommitOutcome, Definition, Limits, MemoryCatalog};
use gigapi_model::{
    Actor, Bucket, BucketSpan, Change, Clock, ColumnName, ColumnRole, ColumnType, Commit, CommitId, DataFile,
    DatabaseName, FileId, Ids, LayerName, Level, ManualClock, NewColumn, NewFile, SystemIds, TableDef, TableKey,
    TableName, TimeRange, Timestamp, WriterId,
};
use gigapi_storage::{FileFacts, FilePath, Origin, encode_file};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use prometheus_client::registry::Registry;

use crate::unflushed::Unflushed;
use crate::{Answer, Habits, Querier, QuerierComponents, QueryOptions, QueryRequest, Result};

pub(crate) const HOUR: i64 = 3_600_000_000_000;
/// 2025-04-24T00:00:00Z.
pub(crate) const DAY: i64 = 1_745_452_800_000_000_000;

/// A value of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    Tag(&'static str),
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    Text(&'static str),
}

pub(crate) use Value::{Boolean, Float, Integer, Tag, Text, Unsigned};

/// A row: its time and what it holds.
pub(crate) type Row = (i64, Vec<(&'static str, Value)>);

pub(crate) struct World {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) store: Arc<InMemory>,
    pub(crate) writer: WriterId,
    epoch: u64,
    sequence: AtomicU64,
    pub(crate) clock: Arc<ManualClock>,
    ids: SystemIds,
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(DAY)));
        let catalog = Arc::new(MemoryCatalog::new(clock.clone(), Arc::new(SystemIds), Limits::default()));
        Self::over(catalog, clock).await
    }

    /// A world around that catalog.
    pub(crate) async fn over(catalog: Arc<dyn Catalog>, clock: Arc<ManualClock>) -> Self {
        let writer = WriterId::from_uuid(SystemIds.random());
        let session = catalog.open_writer(writer).await.unwrap();
        let store = Arc::new(InMemory::new());
        Self { catalog, store, writer, epoch: session.epoch, sequence: AtomicU64::new(0), clock, ids: SystemIds }
    }

    pub(crate) fn querier(&self) -> Querier {
        self.querier_with(QueryOptions::default(), None)
    }

    pub(crate) fn querier_with(&self, options: QueryOptions, unflushed: Option<Arc<dyn Unflushed>>) -> Querier {
        self.querier_over(self.store.clone(), options, unflushed)
    }

    pub(crate) fn querier_over(
        &self,
        store: Arc<dyn ObjectStore>,
        options: QueryOptions,
        unflushed: Option<Arc<dyn Unflushed>>,
    ) -> Querier {
        Querier::new(self.components(store, options, unflushed), &mut Registry::default()).unwrap()
    }

    /// A querier of another process, which has a handle of its own on the catalog.
    pub(crate) fn querier_of(&self, catalog: Arc<dyn Catalog>, options: QueryOptions) -> Querier {
        let components = QuerierComponents { catalog, ..self.components(self.store.clone(), options, None) };
        Querier::new(components, &mut Registry::default()).unwrap()
    }

    pub(crate) fn registered_querier(&self, registry: &mut Registry) -> Querier {
        self.querier_counted(registry, None)
    }

    pub(crate) fn querier_counted(&self, registry: &mut Registry, unflushed: Option<Arc<dyn Unflushed>>) -> Querier {
        let components = self.components(self.store.clone(), QueryOptions::default(), unflushed);
        Querier::new(components, registry).unwrap()
    }

    fn components(
        &self,
        store: Arc<dyn ObjectStore>,
        options: QueryOptions,
        unflushed: Option<Arc<dyn Unflushed>>,
    ) -> QuerierComponents {
        QuerierComponents {
            catalog: self.catalog.clone(),
            store,
            unflushed,
            authorization: None,
            clock: self.clock.clone(),
            ids: Arc::new(SystemIds),
            options,
            runtime: tokio::runtime::Handle::current(),
        }
    }

    pub(crate) async fn define(&self, database: &str, table: &str, rows: &[Row], key: TableKey) -> Arc<TableDef> {
        let mut columns: BTreeMap<&str, NewColumn> = BTreeMap::new();
        for (name, value) in rows.iter().flat_map(|row| &row.1) {
            let (column_type, role) = match value {
                Tag(_) => (ColumnType::String, ColumnRole::Tag),
                Float(_) => (ColumnType::Float, ColumnRole::Field),
                Integer(_) => (ColumnType::Integer, ColumnRole::Field),
                Unsigned(_) => (ColumnType::Unsigned, ColumnRole::Field),
                Boolean(_) => (ColumnType::Boolean, ColumnRole::Field),
                Text(_) => (ColumnType::String, ColumnRole::Field),
            };
            columns.insert(name, NewColumn { name: ColumnName::new(name).unwrap(), column_type, role });
        }
        let definition = Definition {
            database: DatabaseName::new(database).unwrap(),
            table: TableName::new(table).unwrap(),
            columns: columns.into_values().collect(),
            key,
        };
        self.catalog.define(definition).await.unwrap()
    }

    fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Writes the rows as one file and commits it; keys are the tags.
    pub(crate) async fn flush(&self, database: &str, table: &str, rows: &[Row]) -> Arc<TableDef> {
        let table = self.define(database, table, rows, TableKey::Tags).await;
        self.commit_next(&table, rows).await;
        table
    }

    /// Commits the rows as the writer's sequences from the table's watermark on.
    pub(crate) async fn commit_next(&self, table: &Arc<TableDef>, rows: &[Row]) -> DataFile {
        let snapshot = self.catalog.snapshot(table.id, TimeRange::ALL).await.unwrap();
        let lo = snapshot.watermarks.get(&self.writer).copied().unwrap_or(0) + 1;
        self.commit(table, rows, (lo, self.next_sequence())).await
    }

    /// Commits the rows as the writer's sequences from `lo` to `hi`.
    pub(crate) async fn commit(&self, table: &Arc<TableDef>, rows: &[Row], interval: (u64, u64)) -> DataFile {
        self.commit_as(table, rows, interval, |bytes| bytes).await
    }

    /// The same, in a file that another program wrote again.
    pub(crate) async fn commit_as(
        &self,
        table: &Arc<TableDef>,
        rows: &[Row],
        (lo, hi): (u64, u64),
        written_again: impl Fn(Bytes) -> Bytes,
    ) -> DataFile {
        let mut rows = rows.to_vec();
        let tags: Vec<&str> = table.tags().map(|tag| tag.name.as_str()).collect();
        rows.sort_by_key(|row| (tags.iter().map(|tag| tag_of(row, tag)).collect::<Vec<_>>(), row.0));
        let times = || rows.iter().map(|row| row.0);
        let first = Timestamp::from_nanos(times().min().unwrap());
        let last = Timestamp::from_nanos(times().max().unwrap());
        let spans = BucketSpan::ALL.map(|span| Bucket::containing(first, span));
        let bucket = spans.into_iter().find(|bucket| bucket.range().contains(last)).unwrap();
        let epochs = self.catalog.epochs().await.unwrap();
        let facts = FileFacts {
            catalog: epochs.catalog,
            catalog_epoch: epochs.epoch,
            bucket,
            created_at: self.clock.now(),
            origin: Origin::Flush { writer: self.writer, writer_epoch: self.epoch, lo, hi, part: 0, parts: 1 },
        };
        let mut encoded = encode_file(table, &[batch(table, &rows)], &facts).unwrap();
        encoded.bytes = written_again(encoded.bytes);
        let id = FileId::from_uuid(self.ids.timed(self.clock.now()));
        let layer = LayerName::new("default").unwrap();
        let file = encoded.data_file(id, Level::FLUSHED, &layer, &facts);
        self.store.put(&object_path(table, &file), encoded.bytes.clone().into()).await.unwrap();
        let change = Change {
            added: vec![NewFile { file: file.clone(), statistics: encoded.statistics.to_bytes() }],
            removed: Vec::new(),
        };
        let commit = Commit {
            table: table.id,
            catalog_epoch: epochs.epoch,
            id: CommitId::from_uuid(self.ids.random()),
            actor: Actor::Writer { writer: self.writer, epoch: self.epoch, lo, hi },
            change,
            idempotency: Vec::new(),
        };
        let outcome = self.catalog.commit(vec![commit]).await.remove(0).unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
        file
    }
}

pub(crate) fn object_path(table: &TableDef, file: &DataFile) -> Path {
    Path::parse(format!("{}/{}", file.layer, FilePath::of(table, file))).unwrap()
}

fn value_of(row: &Row, name: &str) -> Option<Value> {
    row.1.iter().find(|(column, _)| *column == name).map(|(_, value)| *value)
}

fn tag_of(row: &Row, name: &str) -> Option<&'static str> {
    match value_of(row, name) {
        Some(Tag(text)) => Some(text),
        _ => None,
    }
}

/// The rows in table order, as the encoder takes them; columns that no row has are left out.
pub(crate) fn batch(table: &TableDef, rows: &[Row]) -> RecordBatch {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for column in &table.columns {
        let name = column.name.as_str();
        let values = || rows.iter().map(|row| value_of(row, name));
        if column.role != ColumnRole::Time && values().all(|value| value.is_none()) {
            continue;
        }
        let array: ArrayRef = match column.column_type {
            ColumnType::Time => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
            ColumnType::Float => Arc::new(Float64Array::from_iter(
                values().map(|value| if let Some(Float(value)) = value { Some(value) } else { None }),
            )),
            ColumnType::Integer => Arc::new(Int64Array::from_iter(
                values().map(|value| if let Some(Integer(value)) = value { Some(value) } else { None }),
            )),
            ColumnType::Unsigned => Arc::new(UInt64Array::from_iter(
                values().map(|value| if let Some(Unsigned(value)) = value { Some(value) } else { None }),
            )),
            ColumnType::Boolean => Arc::new(BooleanArray::from_iter(
                values().map(|value| if let Some(Boolean(value)) = value { Some(value) } else { None }),
            )),
            ColumnType::String => Arc::new(StringArray::from_iter(
                values().map(|value| if let Some(Tag(text) | Text(text)) = value { Some(text) } else { None }),
            )),
        };
        let disk_type = gigapi_rows::disk_type(column);
        arrays.push(cast(&array, &disk_type).unwrap());
        fields.push(gigapi_rows::field(column, disk_type));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

pub(crate) fn request(sql: &str) -> QueryRequest {
    QueryRequest {
        id: None,
        sql: sql.to_owned(),
        database: "mydb".to_owned(),
        show_virtual: false,
        habits: Habits::DuckDb,
        parameters: None,
        consistency: None,
    }
}

pub(crate) async fn collect(answer: Answer) -> Result<Vec<RecordBatch>> {
    answer.try_collect().await
}

/// The answer as text: the columns' names, then one line per row, values separated by `|`.
pub(crate) async fn ask(querier: &Querier, sql: &str) -> Vec<String> {
    try_ask(querier, sql).await.unwrap_or_else(|error| panic!("{sql}: {error} ({:?})", error.detail()))
}

pub(crate) async fn try_ask(querier: &Querier, sql: &str) -> Result<Vec<String>> {
    lines(querier.query(request(sql)).await?).await
}

pub(crate) async fn lines(answer: Answer) -> Result<Vec<String>> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let names: Vec<String> = answer.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut lines = vec![names.join("|")];
    let options = FormatOptions::default().with_null("NULL");
    for batch in collect(answer).await? {
        let formatters: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(formatters.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    Ok(lines)
}

/// How many files the plan of a query reads.
pub(crate) async fn files_planned(querier: &Querier, sql: &str) -> usize {
    let plan = ask(querier, &format!("EXPLAIN {sql}")).await.join("\n");
    let physical = plan.split("physical_plan").nth(1).unwrap_or("");
    let mut files: Vec<&str> =
        physical.split([' ', '[', ']', ',', ':']).filter(|word| word.ends_with(".parquet")).collect();
    files.sort_unstable();
    files.dedup();
    files.len()
}

/// A store that answers "not found" for one object once, as if it had been replaced while a query was planned.
#[derive(Debug)]
pub(crate) struct ReplacedOnce {
    inner: Arc<dyn ObjectStore>,
    path: Path,
    gone: std::sync::atomic::AtomicBool,
}

impl ReplacedOnce {
    pub(crate) fn new(world: &World, table: &TableDef, file: &DataFile) -> Self {
        Self { inner: world.store.clone(), path: object_path(table, file), gone: false.into() }
    }
}

/// A store that counts reads.
#[derive(Debug)]
pub(crate) struct Counting {
    inner: Arc<dyn ObjectStore>,
    reads: AtomicU64,
}

impl Counting {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, reads: AtomicU64::new(0) }
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

macro_rules! read_only_store {
    ($name:ident, $before:expr) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self, f)
            }
        }

        #[async_trait::async_trait]
        impl ObjectStore for $name {
            async fn put_opts(
                &self,
                path: &Path,
                payload: object_store::PutPayload,
                options: object_store::PutOptions,
            ) -> object_store::Result<object_store::PutResult> {
                self.inner.put_opts(path, payload, options).await
            }

            async fn put_multipart_opts(
                &self,
                path: &Path,
                options: object_store::PutMultipartOptions,
            ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
                self.inner.put_multipart_opts(path, options).await
            }

            async fn get_opts(
                &self,
                path: &Path,
                options: object_store::GetOptions,
            ) -> object_store::Result<object_store::GetResult> {
                let before: fn(&Self, &Path) -> object_store::Result<()> = $before;
                before(self, path)?;
                self.inner.get_opts(path, options).await
            }

            fn delete_stream(
                &self,
                paths: futures::stream::BoxStream<'static, object_store::Result<Path>>,
            ) -> futures::stream::BoxStream<'static, object_store::Result<Path>> {
                self.inner.delete_stream(paths)
            }

            fn list(
                &self,
                prefix: Option<&Path>,
            ) -> futures::stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>> {
                self.inner.list(prefix)
            }

            async fn list_with_delimiter(
                &self,
                prefix: Option<&Path>,
            ) -> object_store::Result<object_store::ListResult> {
                self.inner.list_with_delimiter(prefix).await
            }

            async fn copy_opts(
                &self,
                from: &Path,
                to: &Path,
                options: object_store::CopyOptions,
            ) -> object_store::Result<()> {
                self.inner.copy_opts(from, to, options).await
            }
        }
    };
}

read_only_store!(ReplacedOnce, |store, path| {
    if *path == store.path && !store.gone.swap(true, Ordering::SeqCst) {
        return Err(object_store::Error::NotFound { path: path.to_string(), source: "replaced".into() });
    }
    Ok(())
});

read_only_store!(Counting, |store, _| {
    store.reads.fetch_add(1, Ordering::SeqCst);
    Ok(())
});
