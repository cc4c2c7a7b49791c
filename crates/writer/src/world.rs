//! A writer over a catalog in memory and a store that fails when told to, for tests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use gigapi_catalog::{Catalog, Limits as CatalogLimits, MemoryCatalog};
use gigapi_model::{Clock, DatabaseName, Ids, LayerName, SystemClock, SystemIds, TableDef, TableName, TimeRange};
use gigapi_service::settings::{Durability, Settings};
use gigapi_service::{Metrics, Readiness, Shutdown};
use gigapi_storage::faulty::{Faults, FaultyStore};
use gigapi_storage::{FilePath, Layer, Layers, Origin, read_facts};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::line_protocol::Precision;
use crate::{OpenError, Outcome, WriteError, WriteRequest, Writer, WriterComponents, WriterOptions};

pub(crate) struct World {
    pub(crate) catalog: Arc<MemoryCatalog>,
    pub(crate) layers: Arc<Layers>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) readiness: Readiness,
    pub(crate) folder: tempfile::TempDir,
    /// Where several writers share the catalog.
    pub(crate) place: Option<String>,
    /// Whether whoever starts a writer accepts that rows are gone.
    pub(crate) accepts_loss: bool,
}

/// Where nobody listens.
const ADDRESS: &str = "writer:1";

impl World {
    pub(crate) fn new() -> Self {
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
            accepts_loss: false,
        }
    }

    pub(crate) async fn writer(&self) -> Writer {
        self.try_writer().await.unwrap()
    }

    pub(crate) async fn try_writer(&self) -> Result<Writer, OpenError> {
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
            address: ADDRESS.to_owned(),
            settings: settings.writer,
            limits: settings.limits,
        };
        options.settings.save_timeout = Duration::from_millis(5);
        options.settings.accept_wal_loss = self.accepts_loss;
        Writer::open(components, options).await
    }

    /// The same log and the same layers under a catalog that has forgotten everything.
    pub(crate) fn forgetful(self) -> Self {
        Self { folder: self.folder, layers: self.layers, faults: self.faults, ..Self::new() }
    }

    /// First and last sequence of every flush whose files lie on the layer.
    pub(crate) async fn flushes(&self) -> Vec<(u64, u64)> {
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

    pub(crate) async fn table(&self, name: &str) -> Arc<TableDef> {
        let database = DatabaseName::new("db").unwrap();
        self.catalog.table(&database, &TableName::new(name).unwrap()).await.unwrap().expect("the table exists")
    }

    /// Rows of the table's committed files, checked against the objects.
    pub(crate) async fn committed_rows(&self, name: &str) -> u64 {
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

pub(crate) fn request(lines: &str, durability: Durability) -> WriteRequest {
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

pub(crate) async fn write(writer: &Writer, lines: &str) -> Result<Outcome, WriteError> {
    writer.write(request(lines, Durability::Wal)).await
}

/// Runs the writer until everything is flushed, as a shutdown does.
pub(crate) async fn run_to_the_end(writer: Writer) {
    let shutdown = Shutdown::new();
    let running = tokio::spawn(writer.run(shutdown.clone()));
    shutdown.begin();
    shutdown.run().await;
    running.await.unwrap().unwrap();
}
