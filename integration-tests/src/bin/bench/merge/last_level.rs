//! An hour of many hosts becomes one file: a whole run of the compactor, from disk to disk.

use std::time::Duration;

use anyhow::{Result, ensure};
use gigapi_model::{Bucket, BucketSpan, Clock, SystemClock, Timestamp};

use super::SECOND;
use super::data::{Walks, columns};
use super::installation::{Installation, compacted};
use crate::mib;

const FILES: i64 = 20;
const HOSTS: usize = 6_000;
/// Of one file; one row of each host every second.
const STEPS: i64 = 180;
const DAY: i64 = 24 * 60 * 60;

pub(super) async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("data");
    let yesterday = Timestamp::from_nanos(SystemClock.now().nanos() - DAY * SECOND);
    let first = Bucket::containing(yesterday, BucketSpan::Hour).start();
    let mut installation = Installation::new(&root, yesterday, columns()?).await?;
    let mut walks = Walks::new(HOSTS);
    for file in 0..FILES {
        installation.advance(Duration::from_secs(1));
        let time = |step: i64| first.nanos() + (file * STEPS + step) * SECOND;
        let times: Vec<i64> = (0..STEPS).map(time).collect();
        installation.flush(walks.batch(&times)?, first).await?;
    }
    let before = installation.close().await?;
    let done = compacted(&root).await?;
    let rows = FILES as u64 * STEPS as u64 * HOSTS as u64;
    ensure!((done.files, done.rows) == (1, rows), "{} files of {} rows, not one of {rows}", done.files, done.rows);
    println!("an hour: {rows} rows of {HOSTS} hosts in {FILES} files become one, one run of `gigapi-compactor --once`");
    println!("  {:>12.2} bytes per row, {:.2} before", done.bytes as f64 / rows as f64, before as f64 / rows as f64);
    println!("  {:>12.2} M rows/s, start and check included", rows as f64 / done.seconds / 1e6);
    println!("  {:>12.0} MiB resident at most", mib(done.peak));
    Ok(())
}
