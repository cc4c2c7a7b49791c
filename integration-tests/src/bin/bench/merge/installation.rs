//! A folder with a catalog and one table, filled as a writer fills it: file by file, commit by commit.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use arrow::array::RecordBatch;
use gigapi_catalog::{Catalog, CommitOutcome, Definition, EmbeddedCatalog, Epochs, Limits};
use gigapi_model::{
    Actor, Bucket, BucketSpan, Change, Clock, Commit, CommitId, DatabaseName, Ids, LayerName, Level, ManualClock,
    NewColumn, NewFile, SystemClock, SystemIds, TableDef, TableKey, TableName, TimeRange, Timestamp, WriterId,
};
use gigapi_storage::{FileFacts, FilePath, LayerSettings, Layers, encode_file};
use integration_tests::binary_named;
use tokio::time::Instant;

use super::flush_of;

const COMMITS_AT_ONCE: usize = 1_000;
/// A measurement on Linux reads `VmHWM`.
const POLL: Duration = Duration::from_millis(20);

/// Files of one table, under way to their catalog.
pub(super) struct Installation {
    root: PathBuf,
    clock: Arc<ManualClock>,
    catalog: EmbeddedCatalog,
    epochs: Epochs,
    layer: LayerName,
    table: Arc<TableDef>,
    writer: WriterId,
    epoch: u64,
    number: u64,
    commits: Vec<Commit>,
    /// Of all files.
    pub(super) bytes: u64,
}

impl Installation {
    /// An empty one, whose clock stands there.
    pub(super) async fn new(root: &Path, now: Timestamp, columns: Vec<NewColumn>) -> Result<Self> {
        let clock = Arc::new(ManualClock::new(now));
        let layer = LayerName::new("default")?;
        let layers = Layers::open(&[LayerSettings::folder(layer.clone(), root)], &SystemIds)?;
        let path = catalog_path(root);
        std::fs::create_dir_all(&path)?;
        let catalog = EmbeddedCatalog::open(&path, clock.clone(), Arc::new(SystemIds), Limits::default())?;
        let epochs = catalog.epochs().await?;
        layers.claim(epochs.catalog).await?;
        let (database, name) = (DatabaseName::new("bench")?, TableName::new("cpu")?);
        let definition = Definition { database, table: name, columns, key: TableKey::Tags };
        let table = catalog.define(definition).await?;
        let writer = WriterId::from_uuid(SystemIds.random());
        let epoch = catalog.open_writer(writer).await?.epoch;
        let (root, commits) = (root.to_owned(), Vec::new());
        Ok(Self { root, clock, catalog, epochs, layer, table, writer, epoch, number: 0, commits, bytes: 0 })
    }

    /// Lets time pass.
    pub(super) fn advance(&self, time: Duration) -> Timestamp {
        self.clock.advance(time);
        self.clock.now()
    }

    /// Rows become a file of the hour they begin in.
    pub(super) async fn flush(&mut self, rows: RecordBatch, first: Timestamp) -> Result<()> {
        self.number += 1;
        let now = self.clock.now();
        let bucket = Bucket::containing(first, BucketSpan::Hour);
        let facts = FileFacts {
            catalog: self.epochs.catalog,
            catalog_epoch: self.epochs.epoch,
            bucket,
            created_at: now,
            origin: flush_of(self.writer, self.epoch, self.number),
        };
        let encoded = encode_file(&self.table, &[rows], &facts)?;
        let file = encoded.data_file(SystemIds.file_id(now), Level::FLUSHED, &self.layer, &facts);
        self.bytes += file.bytes;
        let place = self.root.join(FilePath::of(&self.table, &file).object_path().as_ref());
        std::fs::create_dir_all(place.parent().context("a file has a folder")?)?;
        std::fs::write(place, &encoded.bytes)?;
        let (writer, epoch, lo, hi) = (self.writer, self.epoch, self.number, self.number);
        self.commits.push(Commit {
            table: self.table.id,
            catalog_epoch: self.epochs.epoch,
            id: CommitId::from_uuid(SystemIds.random()),
            actor: Actor::Writer { writer, epoch, lo, hi },
            change: Change {
                added: vec![NewFile { file, statistics: encoded.statistics.to_bytes() }],
                removed: Vec::new(),
            },
            idempotency: Vec::new(),
        });
        if self.commits.len() >= COMMITS_AT_ONCE { self.commit().await } else { Ok(()) }
    }

    async fn commit(&mut self) -> Result<()> {
        for answer in self.catalog.commit(std::mem::take(&mut self.commits)).await {
            if !matches!(answer?, CommitOutcome::Committed { .. }) {
                bail!("a commit was made twice");
            }
        }
        Ok(())
    }

    /// All files are committed; the catalog is free for others. Answers the files' bytes.
    pub(super) async fn close(mut self) -> Result<u64> {
        self.commit().await?;
        Ok(self.bytes)
    }
}

/// What one run of the scheduled job came to.
pub(super) struct Compacted {
    pub(super) files: usize,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// Resident at most.
    pub(super) peak: u64,
    pub(super) summary: String,
}

/// `gigapi-compactor --once`, measured from outside.
pub(super) async fn compacted(root: &Path) -> Result<Compacted> {
    let begun = Instant::now();
    let mut compactor = std::process::Command::new(binary_named("gigapi-compactor")?)
        .arg("--once")
        .env("GIGAPI_ROOT", root)
        .env("LOGLEVEL", "warn")
        .env_remove("GIGAPI_BIN")
        .stdout(Stdio::piped())
        .spawn()
        .context("starting gigapi-compactor")?;
    let mut peak = 0;
    let status = loop {
        if let Ok(found) = peak_bytes(compactor.id()) {
            peak = found.max(peak);
        }
        if let Some(status) = compactor.try_wait()? {
            break status;
        }
        tokio::time::sleep(POLL).await;
    };
    let seconds = begun.elapsed().as_secs_f64();
    let summary = String::from_utf8_lossy(&compactor.wait_with_output()?.stdout).into_owned();
    ensure!(status.success(), "the compactor ended with {status}: {summary}");
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
    let catalog = EmbeddedCatalog::open(&catalog_path(root), clock, ids, Limits::default())?;
    let table = catalog.live_tables().await?.pop().context("the table is gone")?;
    let snapshot = catalog.snapshot(table.id, TimeRange::ALL).await?;
    let rows = snapshot.files.iter().map(|file| file.rows).sum();
    let bytes = snapshot.files.iter().map(|file| file.bytes).sum();
    Ok(Compacted { files: snapshot.files.len(), rows, bytes, seconds, peak, summary })
}

fn catalog_path(root: &Path) -> PathBuf {
    root.join("_gigapi/catalog")
}

fn peak_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    let kibibytes: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kibibytes * 1024)
}
