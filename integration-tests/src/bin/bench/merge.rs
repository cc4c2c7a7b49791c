//! Merging: its speed on one core, the size of what it makes, a backlog of many small files, and the largest merge.

mod backlog;
mod data;
mod installation;
mod last_level;
mod wide;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use gigapi_compactor::merge::{COLUMN_BYTES_MAX, Work};
use gigapi_model::{
    Bucket, BucketSpan, CatalogId, DatabaseName, SequenceRange, TableDef, TableId, TableKey, TableName, Timestamp,
    WriterId,
};
use gigapi_storage::{EncodedFile, FileEncoders, FileFacts, Origin, Source, StoredRows, encode_file};
use tokio::time::Instant;
use uuid::Uuid;

use crate::START_NANOS;
use data::Walks;

const HOSTS: usize = 1_000;
const HOSTS_OF_SMALL_FILES: usize = 100;
const SECOND: i64 = 1_000_000_000;

pub(crate) async fn run() -> Result<()> {
    speed()?;
    last_level::run().await?;
    backlog::run().await?;
    wide::run().await
}

fn facts(bucket: Bucket, origin: Origin, catalog: CatalogId, now: Timestamp) -> FileFacts {
    FileFacts { catalog, catalog_epoch: 1, bucket, created_at: now, origin }
}

fn flush_of(writer: WriterId, writer_epoch: u64, number: u64) -> Origin {
    Origin::Flush { writer, writer_epoch, lo: number, hi: number, part: 0, parts: 1 }
}

/// One merge on this thread, best of some runs.
fn speed() -> Result<()> {
    println!("merging on one core, 16 files, 10 tags, 10 integers, {HOSTS} hosts");
    // As the levels have them: seconds of rows, minutes, an hour.
    for (what, steps) in [("10 rows of each host a file", 10), ("64", 64), ("512", 512)] {
        one_speed(what, steps)?;
    }
    Ok(())
}

fn one_speed(what: &str, steps: usize) -> Result<()> {
    let (database, name) = (DatabaseName::new("bench")?, TableName::new("cpu")?);
    let table = TableDef::new(TableId::from_uuid(Uuid::from_u128(1)), database, name, TableKey::Tags)?;
    let table = Arc::new(table.with_columns(&data::columns()?, 100)?);
    let bucket = Bucket::containing(Timestamp::from_nanos(START_NANOS.try_into()?), BucketSpan::Year);
    let (catalog, now) = (CatalogId::from_uuid(Uuid::from_u128(2)), bucket.start());
    let mut walks = Walks::new(HOSTS);
    let mut files: Vec<EncodedFile> = Vec::new();
    for file in 0..16 {
        let first = file * steps;
        let times: Vec<i64> =
            (first..first + steps).map(|step| bucket.start().nanos() + step as i64 * 10 * SECOND).collect();
        let origin = flush_of(WriterId::from_uuid(Uuid::from_u128(3)), 1, file as u64 + 1);
        files.push(encode_file(&table, &[walks.batch(&times)?], &facts(bucket, origin, catalog, now))?);
    }
    let sequence = SequenceRange { lo: 1, hi: 16 };
    let facts = facts(bucket, Origin::Merge { sequence, sources: Vec::new() }, catalog, now);
    let encoders = FileEncoders::default();
    let (mut best, mut bytes, mut rows) = (Duration::MAX, 0, 0);
    for _ in 0..5 {
        let begun = Instant::now();
        let open =
            |file: &EncodedFile| StoredRows::open("file", Source::Memory(file.bytes.clone()), &table).map(Arc::new);
        let inputs = files.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let (facts, encoders, column_bytes_max) = (&facts, &encoders, COLUMN_BYTES_MAX);
        let work = Work { table: &table, inputs, facts, encoders, column_bytes_max, between: &|_| Ok(()) };
        bytes = 0;
        let done = work.run(&mut |piece| {
            bytes += piece.len();
            Ok(())
        })?;
        best = best.min(begun.elapsed());
        rows = done.rows;
    }
    let in_bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    println!(
        "  {:>12.2} M rows/s of {rows} rows, {what}; {:.2} bytes/row in, {:.2} out",
        rows as f64 / best.as_secs_f64() / 1e6,
        in_bytes as f64 / rows as f64,
        bytes as f64 / rows as f64
    );
    Ok(())
}
