//! How fast rows are taken, and what a million of them costs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use integration_tests::Server;
use tokio::time::Instant;

use crate::load::{LINES_PER_BODY, bodies, load, percentile};
use crate::{mib, server};

/// What one run came to.
pub(crate) struct Ingested {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) rows_per_second: f64,
}

/// One process, folders of its own.
pub(crate) async fn alone() -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path()).await?;
    println!("ingest: one process");
    let ingested = run(&server).await?;
    server.stop().await?;
    let on_disk = folder_bytes(&folder.path().join("data/bench"))?;
    println!("  {:>12.1} bytes on disk per row", on_disk as f64 / ingested.rows as f64);
    Ok(ingested.rows_per_second)
}

/// Four connections send until all rows are acknowledged.
pub(crate) async fn run(server: &Server) -> Result<Ingested> {
    let rows: u64 = std::env::var("BENCH_ROWS").ok().map_or(Ok(10_000_000), |text| text.parse())?;
    let cpu_before = server.cpu_seconds()?;
    let sent = Arc::new(AtomicU64::new(0));
    let bytes = Arc::new(AtomicU64::new(0));
    let (port, requests) = (server.port(), rows / LINES_PER_BODY as u64);
    let made: Vec<_> = (0..4).map(|_| bodies(5)).collect();
    let started = Instant::now();
    let threads: Vec<_> = made
        .into_iter()
        .map(|bodies| load(bodies, port, requests, Arc::clone(&sent), Arc::clone(&bytes), None))
        .collect();
    let watched = watch_memory(server, &threads).await?;
    let mut times = Vec::new();
    for thread in threads {
        times.extend(thread.join().map_err(|_| anyhow!("a loader panicked"))??);
    }
    let seconds = started.elapsed().as_secs_f64();
    times.sort();
    let (client, bytes) = (server.client(), bytes.load(Ordering::Relaxed));
    let millions = rows as f64 / 1e6;
    println!("  {rows:>12} rows of 10 tags and 10 integers, 4 connections, durability wal");
    println!("  {:>12.0} rows/s  {:.0} MB/s of line protocol", rows as f64 / seconds, bytes as f64 / 1e6 / seconds);
    println!("  {:>12.2} ms ack p50  {:.2} ms p99", percentile(&times, 0.5), percentile(&times, 0.99));
    println!("  {:>12.2} CPU s per million rows (server)", (server.cpu_seconds()? - cpu_before) / millions);
    println!("  {:>12.0} MiB resident at most", mib(watched));
    let counted = client.number("bench", "SELECT count(*) FROM cpu").await?;
    println!("  {counted:>12.0} rows counted by SQL right after the last acknowledgement");
    for work in ["parse", "conform", "sort", "encode"] {
        let cpu = client.metric(&format!("gigapi_writer_cpu_seconds_total{{work=\"{work}\"}}")).await?;
        println!("  {:>12.3} of them: {work}", cpu / millions);
    }
    for (name, metric) in [
        ("log syncs", "gigapi_wal_sync_seconds_sum"),
        ("making files durable", "gigapi_flush_upload_seconds_sum"),
        ("catalog commits", "gigapi_flush_commit_seconds_sum"),
    ] {
        println!("  {:>12.3} s per million rows waiting for {name}", client.metric(metric).await? / millions);
    }
    Ok(Ingested { rows, bytes, rows_per_second: rows as f64 / seconds })
}

/// The most memory that the server takes while the threads run.
async fn watch_memory<T>(server: &Server, threads: &[std::thread::JoinHandle<T>]) -> Result<u64> {
    let mut most = 0;
    while threads.iter().any(|thread| !thread.is_finished()) {
        most = most.max(server.resident_bytes()?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(most)
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        total += if meta.is_dir() { folder_bytes(&entry.path())? } else { meta.len() };
    }
    Ok(total)
}
