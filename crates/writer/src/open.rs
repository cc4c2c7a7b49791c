//! From a folder and a catalog to a running writer, and its end.
//!
//! Opening decides whether this process may write at all: alone on its folder, with the log that the
//! catalog remembers, under a new epoch that fences every earlier holder. What the log still holds above
//! the watermarks is in the buffer again before the first request is taken.

mod replayed;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use gigapi_catalog::{Catalog, WriterSession};
use gigapi_model::{Clock, ErrorKind, Ids, TableId, TableKey, WriterId};
use gigapi_service::settings::{DefaultKey, Durability, Limits, WriterSettings};
use gigapi_service::{Block, Metrics as Registry, Phase, Readiness, Shutdown};
use gigapi_storage::Layers;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::admin::Admin;
use crate::buffer::{ApplyToBuffer, Buffer};
use crate::definitions::Definitions;
use crate::flush::{Flusher, FlusherParts, Session};
use crate::idempotency::Keys;
use crate::ingest::{Ingest, IngestOptions, Outcome, WriteError, WriteRequest};
use crate::metrics::Metrics;
use crate::publish::Publisher;
use crate::tables::Tables;
use crate::wal::{Disk, Folder, FolderError, LocalDisk, Log, LogStatus};
use replayed::Replayed;

/// How often gauges are brought up to date.
const GAUGE_INTERVAL: Duration = Duration::from_secs(1);

/// What a writer works with.
#[derive(Debug, Clone)]
pub struct WriterComponents {
    /// The catalog.
    pub catalog: Arc<dyn Catalog>,
    /// The layers; new files go to the first.
    pub layers: Arc<Layers>,
    /// Tells the present.
    pub clock: Arc<dyn Clock>,
    /// Mints identities.
    pub ids: Arc<dyn Ids>,
    /// The process's metrics.
    pub metrics: Registry,
    /// Whether the process should get traffic.
    pub readiness: Readiness,
}

/// How a writer is run.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// The folder of the write-ahead log.
    pub wal: PathBuf,
    /// The place's name where several writers share the catalog: by it, a log that is gone is told from a new
    /// writer. None where there is one writer.
    pub place: Option<String>,
    /// Where processes that share the catalog reach this one.
    pub address: String,
    /// The writer's settings.
    pub settings: WriterSettings,
    /// Limits on what clients send.
    pub limits: Limits,
}

/// Why a writer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log's folder cannot be had.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The log is gone while the catalog remembers a writer.
    #[error(
        "the write-ahead log in {0} is gone: acknowledged rows may be lost. Bring the volume back, or accept the loss with GIGAPI_ACCEPT_WAL_LOSS=true. Several writers on one host need a GIGAPI_WRITER_NAME each"
    )]
    WalLost(PathBuf),
    /// Another process opened this log later.
    #[error("another process took over the write-ahead log in {0}; this one stops, its rows are in the log")]
    Fenced(PathBuf),
    /// The catalog is behind what the log knows to have been committed: it was rolled back.
    #[error(
        "the catalog has rows of table {table} up to {found}, the log remembers commits up to {known}: the catalog was rolled back, or data files are gone; rebuild it with `gigapi catalog rebuild --from-layers`, bring the files back, or accept the loss with GIGAPI_ACCEPT_WAL_LOSS=true"
    )]
    CatalogBehind {
        /// The table.
        table: TableId,
        /// The last sequence that was committed, as the log remembers it.
        known: u64,
        /// The table's watermark in the catalog.
        found: u64,
    },
    /// The log cannot be read.
    #[error("the write-ahead log in {path} cannot be read: {source}")]
    Replay {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The catalog said no.
    #[error("the writer cannot be registered: {0}")]
    Catalog(#[from] gigapi_catalog::Error),
    /// The first layer said no.
    #[error("the layer cannot be used: {0}")]
    Layer(#[from] gigapi_storage::Error),
    /// What lies on a layer could not be looked at.
    #[error(transparent)]
    Recovery(#[from] gigapi_recovery::Error),
    /// A thread or task could not be started or ended by a panic.
    #[error("the writer cannot be started: {0}")]
    Start(String),
}

impl OpenError {
    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Folder(_) | Self::WalLost(_) | Self::Fenced(_) => ErrorKind::Conflict,
            Self::Replay { .. } | Self::CatalogBehind { .. } => ErrorKind::Corrupt,
            Self::Catalog(error) => error.kind(),
            Self::Layer(error) => error.kind(),
            Self::Recovery(error) => error.kind(),
            Self::Start(_) => ErrorKind::Internal,
        }
    }
}

/// A running writer.
#[derive(Debug)]
pub struct Writer {
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) metrics: Metrics,
    id: WriterId,
    layers: Arc<Layers>,
    pub(crate) flusher: Flusher,
    publisher: Publisher,
    interval: Duration,
    fenced: watch::Receiver<bool>,
    /// Damage that an operator has to accept.
    _damaged: Option<Block>,
    /// Holds the lock on the folder.
    _folder: Folder,
}

impl Writer {
    /// Opens the log, replays it, and is ready to take requests.
    pub async fn open(components: WriterComponents, options: WriterOptions) -> Result<Self, OpenError> {
        let starting = components.readiness.block("starting", "the write-ahead log is being replayed");
        let folder = Folder::open(&options.wal, components.ids.as_ref())?;
        let catalog = Arc::clone(&components.catalog);
        let (epoch, session) = open_session(catalog.as_ref(), &components.layers, &folder, &options).await?;
        let metrics = Metrics::new();
        let keys = Arc::new(Keys::new(Arc::clone(&components.clock)));
        catalog.idempotency_records().await?.into_iter().for_each(|record| keys.remember(record, None));
        let buffer = Arc::new(Buffer::new(session.watermarks.clone()));
        let disk: Arc<dyn Disk> = Arc::new(LocalDisk::new(options.wal.clone()));
        let mut replayed = Replayed::read(&disk, folder.writer(), &buffer, &keys, &options.wal).await?;
        replayed.check_committed(catalog.as_ref(), &session, &options, disk.as_ref()).await?;
        let definitions = Definitions::open(Arc::clone(&catalog), Arc::clone(components.layers.first())).await?;
        definitions.restore(replayed.definitions.values()).await?;
        let damaged = replayed.report_damage(&options, &components.readiness, &metrics);
        let flush_now = Arc::new(Notify::new());
        let apply =
            ApplyToBuffer { buffer: Arc::clone(&buffer), keys: Arc::clone(&keys), flush_now: Arc::clone(&flush_now) };
        let status = Arc::new(LogStatus::new(metrics.wal_sync_seconds.clone()));
        let log_options = replayed.log_options(folder.writer(), &session, options.settings.wal_bytes_max);
        let log = Log::start(disk, log_options, replayed.replay, status, Box::new(apply))
            .map_err(|error| OpenError::Start(error.to_string()))?;
        let tables = Arc::new(Tables::new(Arc::clone(&catalog), definitions, epoch, replayed.definitions));
        let publisher = match &options.place {
            None => Publisher::open(Arc::clone(&catalog), Arc::clone(components.layers.first())).await?,
            Some(_) => Publisher::off(),
        };
        let (fenced, is_fenced) = watch::channel(false);
        let flusher = Flusher::new(FlusherParts {
            catalog,
            layers: Arc::clone(&components.layers),
            ids: components.ids,
            buffer: Arc::clone(&buffer),
            tables: Arc::clone(&tables),
            log: log.clone(),
            publisher: publisher.clone(),
            metrics: metrics.clone(),
            readiness: components.readiness.clone(),
            writer: folder.writer(),
            session: standing(epoch, &session, &options),
            keys: Arc::clone(&keys),
            flush_now: Arc::clone(&flush_now),
            fenced,
        });
        let ingest = Ingest {
            options: ingest_options(&options),
            clock: components.clock,
            tables,
            buffer,
            keys,
            log,
            flush_now,
            cpu: metrics.cpu_seconds.clone(),
        };
        // From here on nothing can fail, so an opening that is tried again does not register them twice.
        components.metrics.register(|registry| metrics.register(registry));
        drop(starting);
        Ok(Self {
            ingest: Arc::new(ingest),
            metrics,
            id: folder.writer(),
            layers: components.layers,
            flusher,
            publisher,
            interval: options.settings.save_timeout,
            fenced: is_fenced,
            _damaged: damaged,
            _folder: folder,
        })
    }

    /// Whose rows these are in watermarks.
    pub fn id(&self) -> WriterId {
        self.id
    }

    /// The rows that are not in committed files.
    pub fn buffer(&self) -> Arc<Buffer> {
        Arc::clone(&self.ingest.buffer)
    }

    /// Takes a request without HTTP.
    pub async fn write(&self, request: WriteRequest) -> Result<Outcome, WriteError> {
        self.ingest.write(request).await
    }

    /// The endpoints.
    pub fn routes(&self) -> Router {
        let ingest = &self.ingest;
        let admin = Admin {
            catalog: Arc::clone(ingest.tables.catalog()),
            layers: Arc::clone(&self.layers),
            tables: Arc::clone(&ingest.tables),
            publisher: self.publisher.clone(),
            flush_now: Arc::clone(&ingest.flush_now),
            databases_max: ingest.options.limits.databases_max,
        };
        let for_queriers = crate::flight::routes(self.id, self.buffer());
        crate::http::routes(Arc::clone(ingest), self.metrics.clone(), Arc::new(admin)).merge(for_queriers)
    }

    /// Flushes until the shutdown reaches its flush phase, then drains the buffer and closes the log. Ends
    /// early, with an error, when another process took the log over.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), OpenError> {
        let participant = shutdown.join(Phase::Flush, "writer: flush");
        let Self { id, ingest, metrics, layers, flusher, publisher, interval, mut fenced, _folder, _damaged } = self;
        let stopped = {
            let shutdown = shutdown.clone();
            async move { shutdown.reached(Phase::Flush).await }
        };
        let publishing = tokio::spawn({
            let shutdown = shutdown.clone();
            publisher.run(async move { shutdown.reached(Phase::Flush).await })
        });
        let gauges = tokio::spawn(keep_gauges(Arc::clone(&ingest), layers, metrics));
        let flushing: JoinHandle<bool> = tokio::spawn(flusher.run(interval, stopped));
        let outcome = tokio::select! {
            flushed = flushing => match flushed {
                Ok(all) => Ok(all),
                Err(panic) => Err(OpenError::Start(format!("flushing ended by a panic: {panic}"))),
            },
            // A flusher that ended drops its sender, which is no fence.
            Ok(_) = fenced.wait_for(|fenced| *fenced) => Err(OpenError::Fenced(_folder.path().to_owned())),
        };
        match &outcome {
            Ok(true) => withdraw(ingest.tables.catalog().as_ref(), id).await,
            Ok(false) => {
                tracing::warn!("not all rows are committed; the write-ahead log keeps them for the next start");
            }
            Err(_) => {}
        }
        publishing.abort();
        gauges.abort();
        let log = ingest.log.clone();
        if tokio::task::spawn_blocking(move || log.close()).await.is_err() {
            tracing::error!("closing the write-ahead log ended by a panic");
        }
        drop(participant);
        outcome.map(drop)
    }
}

/// Refuses watermarks that a rebuild may not have seen: see [`gigapi_recovery::overtaking`].
async fn refuse_overtaken(catalog: &dyn Catalog, layers: &Layers, epoch: u64) -> Result<(), OpenError> {
    let Some(taken) = gigapi_recovery::overtaking(layers, epoch).await? else { return Ok(()) };
    catalog.overtaken(taken).await?;
    let reason = format!("a rebuild has taken epoch {taken}");
    Err(OpenError::Catalog(gigapi_catalog::Error::Recovering { reason }))
}

/// What the flusher commits as.
fn standing(catalog_epoch: u64, session: &WriterSession, options: &WriterOptions) -> Session {
    let (place, address) = (options.place.clone(), options.address.clone());
    Session { catalog_epoch, writer_epoch: session.epoch, place, address }
}

fn ingest_options(options: &WriterOptions) -> IngestOptions {
    IngestOptions {
        durability: options.settings.durability,
        default_key: match options.settings.default_key {
            DefaultKey::Tags => TableKey::Tags,
            DefaultKey::None => TableKey::None,
        },
        limits: options.limits,
        buffer_bytes_max: options.settings.buffer_bytes_max,
        wal_bytes_max: options.settings.wal_bytes_max,
    }
}

/// Registers the writer, unless its log is gone; the catalog's epoch, and what it knows of the writer.
async fn open_session(
    catalog: &dyn Catalog,
    layers: &Layers,
    folder: &Folder,
    options: &WriterOptions,
) -> Result<(u64, WriterSession), OpenError> {
    // Asked before the session is opened: should a rebuild come in between, the first flush finds a later epoch and
    // opens the session anew.
    let epoch = catalog.epochs().await?.epoch;
    let mut lost: Vec<WriterId> = Vec::new();
    if folder.is_fresh() {
        // One that is known by this very identity was opened by a process that died right afterwards.
        let known = match &options.place {
            None => catalog.writers().await?,
            Some(place) => catalog.writer_at(place).await?.into_iter().collect(),
        };
        if !known.contains(&folder.writer()) {
            lost.extend(known);
        }
        if !lost.is_empty() && !options.settings.accept_wal_loss {
            return Err(OpenError::WalLost(options.wal.clone()));
        }
    }
    let session = catalog.open_writer(folder.writer()).await?;
    if let Some(place) = &options.place {
        catalog.place_writer(folder.writer(), place).await?;
    }
    // Before the first request is taken: rows that nobody can ask for are not acknowledged.
    catalog.register_writer(folder.writer(), &options.address).await?;
    for lost in lost {
        catalog.withdraw_writer(lost).await?;
    }
    folder.registered()?;
    refuse_overtaken(catalog, layers, epoch).await?;
    Ok((epoch, session))
}

/// Nothing is left that a query could miss. A catalog that cannot be told goes on counting on this writer, and queries
/// that want its rows fail until it is up again.
async fn withdraw(catalog: &dyn Catalog, writer: WriterId) {
    if let Err(error) = catalog.withdraw_writer(writer).await {
        tracing::warn!(
            %error,
            %writer,
            "the catalog could not be told that this writer has no rows left: queries with consistency=tail fail until it \
             starts again, or is forgotten with `gigapi catalog writers --forget`"
        );
    }
}

/// Gauges that follow what others count.
async fn keep_gauges(ingest: Arc<Ingest>, layers: Arc<Layers>, metrics: Metrics) {
    let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    loop {
        let status = ingest.log.status();
        metrics.wal_bytes.set(gauge(status.bytes.load(Ordering::Relaxed)));
        metrics.wal_segments.set(gauge(status.segments.load(Ordering::Relaxed)));
        metrics.wal_syncs.set(gauge(status.syncs.load(Ordering::Relaxed)));
        metrics.layer_syncs.set(gauge(layers.disk_syncs()));
        metrics.wal_failing.set(i64::from(status.failing.load(Ordering::Relaxed)));
        metrics.buffer_bytes.set(gauge(ingest.buffer.bytes() as u64));
        metrics.buffer_rows.set(gauge(ingest.buffer.rows()));
        metrics.buffer_oldest_seconds.set(ingest.buffer.oldest().map_or(0.0, |since| since.elapsed().as_secs_f64()));
        tokio::time::sleep(GAUGE_INTERVAL).await;
    }
}

/// What a write has survived when it is acknowledged, as a request names it.
pub(crate) fn durability_of(text: &str) -> Option<Durability> {
    text.parse().ok()
}
