//! The catalog alone: what a commit, a snapshot and a delta cost in Redis.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use gigapi_catalog::{Catalog, Definition, Freshness, Limits, RedisCatalog, RedisOptions};
use gigapi_model::{
    Actor, Bucket, BucketSpan, Change, ColumnName, ColumnRole, ColumnType, Commit, CommitId, DataFile, DatabaseName,
    Ids, LayerName, Level, NewColumn, NewFile, SequenceRange, SystemIds, TableDef, TableKey, TableName, TimeRange,
    Timestamp, WriterId,
};
use integration_tests::Redis;
use tokio::time::Instant;

use crate::START_NANOS;
use crate::load::percentile;

/// Deltas that are measured.
const DELTAS: usize = 500;

/// Queries that run at the same time.
const QUERIES: usize = 10;

/// Files in a commit that fills a catalog.
const PER_COMMIT: u64 = 1_000;

/// A writer that commits to one table.
pub(crate) struct Filler {
    table: Arc<TableDef>,
    writer: WriterId,
    writer_epoch: u64,
    catalog_epoch: u64,
    sequence: u64,
}

impl Filler {
    async fn open(catalog: &dyn Catalog) -> Result<Self> {
        let column =
            |name: &str, column_type, role| anyhow::Ok(NewColumn { name: ColumnName::new(name)?, column_type, role });
        let definition = Definition {
            database: DatabaseName::new("bench")?,
            table: TableName::new("many")?,
            columns: vec![
                column("host", ColumnType::String, ColumnRole::Tag)?,
                column("v", ColumnType::Float, ColumnRole::Field)?,
            ],
            key: TableKey::Tags,
        };
        let writer = WriterId::from_uuid(SystemIds.random());
        let session = catalog.open_writer(writer).await?;
        Ok(Self {
            table: catalog.define(definition).await?,
            writer,
            writer_epoch: session.epoch,
            catalog_epoch: catalog.epochs().await?.epoch,
            sequence: 0,
        })
    }

    async fn commit(&mut self, catalog: &dyn Catalog, files: u64) -> Result<Duration> {
        let (now, first) = (catalog.now().await?, self.sequence * PER_COMMIT);
        self.sequence += 1;
        let commit = Commit {
            table: self.table.id,
            catalog_epoch: self.catalog_epoch,
            id: CommitId::from_uuid(SystemIds.random()),
            actor: Actor::Writer {
                writer: self.writer,
                epoch: self.writer_epoch,
                lo: self.sequence,
                hi: self.sequence,
            },
            change: Change {
                added: (first..first + files).map(|number| file(number, now)).collect::<Result<_>>()?,
                removed: Vec::new(),
            },
            idempotency: Vec::new(),
        };
        let started = Instant::now();
        catalog.commit(vec![commit]).await.pop().context("no answer")??;
        Ok(started.elapsed())
    }
}

/// A file of five minutes of a year.
fn file(number: u64, now: Timestamp) -> Result<NewFile> {
    let min = Timestamp::from_nanos(i64::try_from(START_NANOS + number * 300_000_000_000)?);
    let file = DataFile {
        id: SystemIds.file_id(now),
        level: Level::FLUSHED,
        layer: LayerName::new("default")?,
        bucket: Bucket::containing(min, BucketSpan::Hour),
        rows: 1_000,
        bytes: 30_000,
        time: TimeRange::new(min, min.plus(Duration::from_secs(299))),
        sequence: SequenceRange { lo: 0, hi: 0 },
        checksum: number,
        tail_bytes: 2_000,
    };
    Ok(NewFile { file, statistics: vec![0; 80] })
}

/// Commits file records; the objects themselves are not needed.
pub(crate) async fn fill(catalog: &dyn Catalog, files: u64) -> Result<Filler> {
    let mut filler = Filler::open(catalog).await?;
    for _ in 0..files / PER_COMMIT {
        filler.commit(catalog, PER_COMMIT).await?;
    }
    Ok(filler)
}

async fn open(redis: &Redis) -> Result<RedisCatalog> {
    let (options, ids) = (RedisOptions::default(), Arc::new(SystemIds));
    Ok(RedisCatalog::open(&redis.url(), &options, ids, Limits::default()).await?)
}

/// What Redis itself takes to make one small write durable, and what a commit takes; then readers of many files.
pub(crate) async fn redis() -> Result<()> {
    const FILES: u64 = 100_000;
    const COMMITS: usize = 200;
    let redis = Redis::start().await?;
    let mut plain = Vec::new();
    for _ in 0..COMMITS {
        let started = Instant::now();
        redis.command(&["SET", "bench", "x"])?;
        plain.push(started.elapsed());
    }
    plain.sort();
    let catalog = open(&redis).await?;
    catalog.found().await?;
    let mut filler = Filler::open(&catalog).await?;
    filler.commit(&catalog, 1).await?;
    let (mut commits, before) = (Vec::new(), catalog.round_trips());
    for _ in 0..COMMITS {
        commits.push(filler.commit(&catalog, 1).await?);
    }
    commits.sort();
    // Each asks for the time first, which is not part of the commit.
    let trips = (catalog.round_trips() - before) as f64 / COMMITS as f64 - 1.0;
    println!("catalog in Redis (appendfsync always)");
    println!("  {:>12.2} ms p50  {:.2} ms p99 for one SET", percentile(&plain, 0.5), percentile(&plain, 0.99));
    println!(
        "  {:>12.2} ms p50  {:.2} ms p99 for a commit of one file",
        percentile(&commits, 0.5),
        percentile(&commits, 0.99)
    );
    println!("  {trips:>12.2} round trips for a commit");
    for _ in 0..FILES / PER_COMMIT {
        filler.commit(&catalog, PER_COMMIT).await?;
    }
    let cold = Arc::new(open(&redis).await?);
    let started = Instant::now();
    let snapshot = Arc::clone(&cold).reader(Freshness::default()).snapshot(filler.table.id, &[]).await?;
    println!("  {:>12.0} ms for a cold snapshot of {} files", millis(started), snapshot.files.len());
    let mut deltas = Vec::new();
    // Queries that go on for a while hold what they began with.
    let mut held = VecDeque::from([snapshot]);
    for _ in 0..DELTAS {
        filler.commit(&catalog, 1).await?;
        let started = Instant::now();
        let snapshot = Arc::clone(&cold).reader(Freshness::default()).snapshot(filler.table.id, &[]).await?;
        deltas.push(started.elapsed());
        held.push_back(snapshot);
        if held.len() > QUERIES {
            held.pop_front();
        }
    }
    deltas.sort();
    println!(
        "  {:>12.2} ms p50  {:.2} ms p99 for a warm one after one more commit",
        percentile(&deltas, 0.5),
        percentile(&deltas, 0.99)
    );
    Ok(())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
