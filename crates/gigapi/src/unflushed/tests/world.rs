//! Two writers, the queriers in their processes, one without a writer, and a compactor, around one catalog and its
//! layers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType};
use bytes::Bytes;
use futures::TryStreamExt;
use gigapi_catalog::{Catalog, Limits, MemoryCatalog};
use gigapi_compactor::{Scope, once};
use gigapi_model::{DatabaseName, LayerName, ManualClock, SystemIds, Timestamp};
use gigapi_querier::{Habits, Querier, QuerierComponents, QueryOptions, QueryRequest, Unflushed};
use gigapi_service::Components;
use gigapi_service::settings::{Consistency, Durability, Settings};
use gigapi_storage::faulty::{Action, Fault, Faults, FaultyStore, Operation};
use gigapi_storage::{Layer, Layers};
use gigapi_writer::line_protocol::Precision;
use gigapi_writer::{WriteRequest, Writer, WriterComponents, WriterOptions};
use object_store::memory::InMemory;
use tokio::task::JoinHandle;

use super::model::{FIELDS, Flush, TAGS};
use crate::unflushed::WriterRows;

/// Rows as lines of text, which are easy to compare and to read.
pub(super) type Lines = Vec<String>;

struct Process {
    writer: Writer,
    querier: Querier,
    /// Its port, for queriers in other processes.
    serving: JoinHandle<std::io::Result<()>>,
}

/// Who is asked, which decides whose buffer is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The querier in the process of that writer.
    Beside(usize),
    /// The querier without a writer.
    Bystander,
    /// The same, for everything that the writers hold.
    Tail,
    /// The querier in the process of that writer, for what the other holds too.
    TailBeside(usize),
}

impl Asked {
    pub(super) const ALL: [Self; 6] =
        [Self::Beside(0), Self::Beside(1), Self::Bystander, Self::Tail, Self::TailBeside(0), Self::TailBeside(1)];
}

pub(super) struct World {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    catalog: Arc<dyn Catalog>,
    layers: Arc<Layers>,
    faults: Arc<Faults>,
    settings: Settings,
    /// None while it is down.
    processes: [Option<Process>; 2],
    bystander: Querier,
}

impl World {
    /// With a ttl, older files move to a second layer.
    pub(super) async fn new(start: Timestamp, ttl: Option<Duration>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(start));
        let catalog: Arc<dyn Catalog> =
            Arc::new(MemoryCatalog::new(clock.clone(), Arc::new(SystemIds), Limits::default()));
        let faults = Faults::new();
        let faulty = Arc::new(FaultyStore::new(Arc::new(InMemory::new()), Arc::clone(&faults)));
        let mut layers = vec![Layer { ttl, ..Layer::over(LayerName::new("hot").unwrap(), faulty) }];
        if ttl.is_some() {
            layers.push(Layer::over(LayerName::new("cold").unwrap(), Arc::new(InMemory::new())));
        }
        let layers = Arc::new(Layers::new(layers).unwrap());
        layers.claim(catalog.epochs().await.unwrap().catalog).await.unwrap();
        let settings = Settings { root: folder.path().to_owned(), ..Settings::defaults() };
        let components = components(&catalog, &layers, &clock);
        let bystander = querier(&components, None);
        let mut world = Self { folder, clock, catalog, layers, faults, settings, processes: [None, None], bystander };
        for writer in 0..world.processes.len() {
            world.start(writer).await;
        }
        world
    }

    async fn start(&mut self, writer: usize) {
        let components = components(&self.catalog, &self.layers, &self.clock);
        let place = format!("writer-{writer}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = WriterOptions {
            wal: self.folder.path().join(&place),
            address: listener.local_addr().unwrap().to_string(),
            place: Some(place),
            settings: self.settings.writer.clone(),
            limits: self.settings.limits,
        };
        let parts = WriterComponents {
            catalog: Arc::clone(&components.catalog),
            layers: Arc::clone(&components.layers),
            clock: Arc::clone(&components.clock),
            ids: Arc::clone(&components.ids),
            metrics: components.metrics.clone(),
            readiness: components.readiness.clone(),
        };
        let opened = Writer::open(parts, options).await.unwrap();
        let unflushed = WriterRows { writer: opened.id(), buffer: opened.buffer() };
        let serving = tokio::spawn(axum::serve(listener, opened.routes()).into_future());
        let querier = querier(&components, Some(Arc::new(unflushed)));
        self.processes[writer] = Some(Process { writer: opened, querier, serving });
    }

    fn process(&mut self, writer: usize) -> &mut Process {
        self.processes[writer].as_mut().expect("it is up")
    }

    /// Kills the process and starts it again on what its log holds.
    pub(super) async fn restart(&mut self, writer: usize) {
        let Process { writer: killed, querier, serving } = self.processes[writer].take().expect("it is up");
        drop(querier);
        serving.abort();
        killed.kill();
        self.start(writer).await;
    }

    /// Sends lines; answers how many were taken.
    pub(super) async fn write(&mut self, writer: usize, lines: &str) -> u64 {
        let request = WriteRequest {
            database: DatabaseName::new("db").unwrap(),
            body: Bytes::copy_from_slice(lines.as_bytes()),
            precision: Precision::Nanosecond,
            accept_partial: true,
            key: None,
            durability: Some(Durability::Wal),
            idempotency_key: None,
        };
        let outcome = self.process(writer).writer.write(request).await;
        outcome.unwrap_or_else(|error| panic!("{error:?}: {lines}")).accepted
    }

    pub(super) async fn flush(&mut self, writer: usize, flush: Flush, although_stored: bool) {
        match flush {
            Flush::Committed => {}
            Flush::NotUploaded => {
                let action = if although_stored { Action::ErrorAfter } else { Action::ErrorBefore };
                self.faults.add(Fault::always(Operation::Put, action).on("parquet"));
            }
            // The commit counts only if no rebuild has taken a later epoch, and that cannot be seen.
            Flush::Unanswered => {
                self.faults.add(Fault::always(Operation::Get, Action::ErrorBefore).on("epochs"));
            }
        }
        self.process(writer).writer.flush_once().await;
        self.faults.clear();
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Merges and moves files until nothing is due.
    pub(super) async fn compact(&self) -> u64 {
        let components = components(&self.catalog, &self.layers, &self.clock);
        let summary = once(&self.settings, &components, Scope::default()).await.unwrap();
        // Orphans of failed uploads may be many, which is none of a merge's business.
        let is_job = |failure: &&String| failure.starts_with("merge") || failure.starts_with("relocate");
        assert_eq!(summary.failures.iter().find(is_job), None);
        summary.merges
    }

    /// The writers by their ids, in which order their buffers are read.
    pub(super) fn order(&self) -> [usize; 2] {
        let id = |writer: usize| self.processes[writer].as_ref().expect("it is up").writer.id();
        if id(0) < id(1) { [0, 1] } else { [1, 0] }
    }

    pub(super) async fn ask(&self, asked: Asked, sql: &str) -> Vec<RecordBatch> {
        let beside = |writer: usize| &self.processes[writer].as_ref().expect("it is up").querier;
        let (querier, consistency) = match asked {
            Asked::Beside(writer) => (beside(writer), None),
            Asked::Bystander => (&self.bystander, Some(Consistency::Committed)),
            Asked::Tail => (&self.bystander, Some(Consistency::Tail)),
            Asked::TailBeside(writer) => (beside(writer), Some(Consistency::Tail)),
        };
        let request = QueryRequest {
            id: None,
            sql: sql.to_owned(),
            database: "db".to_owned(),
            show_virtual: false,
            habits: Habits::Engine,
            parameters: None,
            consistency,
        };
        let failed = |error: gigapi_querier::Error| -> Vec<RecordBatch> { panic!("{sql}: {error} ({error:?})") };
        match querier.query(request).await {
            Ok(answer) => answer.try_collect().await.unwrap_or_else(failed),
            Err(error) => failed(error),
        }
    }
}

fn components(catalog: &Arc<dyn Catalog>, layers: &Arc<Layers>, clock: &Arc<ManualClock>) -> Components {
    Components::new(Arc::clone(catalog), Arc::clone(layers), clock.clone(), Arc::new(SystemIds))
}

fn querier(components: &Components, unflushed: Option<Arc<dyn Unflushed>>) -> Querier {
    let parts = QuerierComponents {
        ids: Arc::new(SystemIds),
        catalog: Arc::clone(&components.catalog),
        store: components.front(),
        unflushed,
        authorization: None,
        clock: Arc::clone(&components.clock),
        options: QueryOptions::default(),
        runtime: tokio::runtime::Handle::current(),
    };
    components.metrics.register(|registry| Querier::new(parts, registry)).unwrap()
}

/// The rows of an answer to `SELECT *`, in the form of [`super::questions::lines`]; a column that the table does not
/// have is null.
pub(super) fn table_lines(batches: &[RecordBatch]) -> Lines {
    let mut lines = Lines::new();
    for batch in batches {
        let columns: BTreeMap<&str, Vec<String>> = TAGS
            .into_iter()
            .chain(["time"])
            .chain(FIELDS)
            .map(|name| (name, batch.column_by_name(name).map_or(vec!["-".to_owned(); batch.num_rows()], texts)))
            .collect();
        let row = |row: usize| {
            let names = TAGS.into_iter().chain(["time"]).chain(FIELDS);
            names.map(|name| columns[name][row].clone()).collect::<Vec<_>>().join(" ")
        };
        lines.extend((0..batch.num_rows()).map(row));
    }
    lines
}

/// All values of an answer, row by row.
pub(super) fn lines_of(batches: &[RecordBatch]) -> Lines {
    let mut lines = Lines::new();
    for batch in batches {
        let columns: Vec<Vec<String>> = batch.columns().iter().map(texts).collect();
        let row = |row: usize| columns.iter().map(|column| column[row].clone()).collect::<Vec<_>>().join(" ");
        lines.extend((0..batch.num_rows()).map(row));
    }
    lines
}

fn texts(array: &arrow::array::ArrayRef) -> Vec<String> {
    let text = |row: usize| match array.data_type() {
        _ if array.is_null(row) => "-".to_owned(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Timestamp(..) => array.as_primitive::<TimestampNanosecondType>().value(row).to_string(),
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Utf8View => format!("{:?}", array.as_string_view().value(row)),
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(row)),
        other => panic!("a column of type {other}"),
    };
    (0..array.len()).map(text).collect()
}
