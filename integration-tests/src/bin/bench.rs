//! `make bench`: starts the release server, loads it from this process, prints figures with their units.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gigapi_catalog::{Catalog, Definition, EmbeddedCatalog, Limits};
use gigapi_model::{
    Actor, Bucket, BucketSpan, Change, Clock, ColumnName, ColumnRole, ColumnType, Commit, CommitId, DataFile,
    DatabaseName, Ids, LayerName, Level, NewColumn, NewFile, SequenceRange, SystemClock, SystemIds, TableKey,
    TableName, TimeRange, Timestamp, WriterId,
};
use integration_tests::{Server, ServerOptions};
use tokio::time::Instant;

const HOSTS: usize = 1_000;
const LINES_PER_BODY: usize = 10_000;
/// 2026-01-01T00:00:00Z.
const START_NANOS: u64 = 1_767_225_600_000_000_000;
const STEP_NANOS: u64 = 10_000_000_000;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|each| each == name);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        if runs("ingest") {
            ingest().await?;
        }
        if runs("single") {
            single_lines().await?;
        }
        if runs("tables") {
            many_tables().await?;
        }
        if runs("start") {
            idle().await?;
        }
        Ok(())
    })
}

async fn server(folder: &Path) -> Result<Server> {
    ServerOptions::new(&folder.join("data")).set("LOGLEVEL", "warn").start().await
}

/// Bodies of the TSBS cpu-only shape, with the places of their timestamps.
struct Bodies {
    texts: Vec<Vec<u8>>,
    stamps: Vec<Vec<usize>>,
}

fn bodies(count: usize) -> Bodies {
    let fields = ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
    let regions = ["us-east-1", "us-west-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1", "sa-east-1"];
    let mut values = vec![[50_i64; 10]; HOSTS];
    let mut seed = 42_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    let tags: Vec<String> = (0..HOSTS)
        .map(|host| {
            let region = regions[host % regions.len()];
            format!(
                "cpu,hostname=host_{host},region={region},datacenter={region}{},rack={},os=Ubuntu16.04LTS,arch=x64,team=SF,service={},service_version=1,service_environment=production",
                ["a", "b", "c"][host % 3], host % 100, host % 20
            )
        })
        .collect();
    let mut all = Bodies { texts: Vec::new(), stamps: Vec::new() };
    for _ in 0..count {
        let mut text = Vec::with_capacity(LINES_PER_BODY * 350);
        let mut stamps = Vec::with_capacity(LINES_PER_BODY);
        for line in 0..LINES_PER_BODY {
            let host = line % HOSTS;
            text.extend_from_slice(tags[host].as_bytes());
            text.push(b' ');
            for (index, field) in fields.iter().enumerate() {
                let value = &mut values[host][index];
                *value = (*value + i64::try_from(random() % 3).unwrap_or(0) - 1).clamp(0, 100);
                if index > 0 {
                    text.push(b',');
                }
                text.extend_from_slice(format!("usage_{field}={value}i").as_bytes());
            }
            text.push(b' ');
            stamps.push(text.len());
            text.extend_from_slice(START_NANOS.to_string().as_bytes());
            text.push(b'\n');
        }
        all.texts.push(text);
        all.stamps.push(stamps);
    }
    all
}

/// Sends one request and reads its answer; the status comes back.
fn exchange(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> Result<u16> {
    stream.write_all(head)?;
    stream.write_all(body)?;
    let mut answer = Vec::with_capacity(512);
    let mut piece = [0_u8; 1024];
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        answer.extend_from_slice(&piece[..read]);
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let length =
                head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
            let length: usize = length.unwrap_or(0);
            if answer.len() >= end + 4 + length {
                return head.split(' ').nth(1).context("no status")?.parse().context("no status");
            }
        }
    }
}

fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).map_or(0.0, |each| each.as_secs_f64() * 1e3)
}

type Loader = std::thread::JoinHandle<Result<Vec<Duration>>>;

/// One connection that sends bodies until `requests` were sent by all; answers how long each took.
fn load(mut bodies: Bodies, port: u16, requests: u64, sent: Arc<AtomicU64>, bytes: Arc<AtomicU64>) -> Loader {
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut times = Vec::new();
        loop {
            let number = sent.fetch_add(1, Ordering::Relaxed);
            if number >= requests {
                return Ok(times);
            }
            let index = usize::try_from(number)? % bodies.texts.len();
            let (text, stamps) = (&mut bodies.texts[index], &bodies.stamps[index]);
            for (line, &at) in stamps.iter().enumerate() {
                let step = number * (LINES_PER_BODY / HOSTS) as u64 + (line / HOSTS) as u64;
                let stamp = (START_NANOS + step * STEP_NANOS).to_string();
                text[at..at + stamp.len()].copy_from_slice(stamp.as_bytes());
            }
            let head =
                format!("POST /write?db=bench HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", text.len());
            let asked = Instant::now();
            let status = exchange(&mut stream, head.as_bytes(), text)?;
            times.push(asked.elapsed());
            if status != 204 {
                bail!("a write was answered {status}");
            }
            bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        }
    })
}

async fn ingest() -> Result<()> {
    let rows_wanted: u64 = std::env::var("BENCH_ROWS").ok().map_or(Ok(10_000_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let server = server(folder.path()).await?;
    let port = server.port();
    let cpu_before = server.cpu_seconds()?;
    let sent = Arc::new(AtomicU64::new(0));
    let bytes = Arc::new(AtomicU64::new(0));
    let requests = rows_wanted / LINES_PER_BODY as u64;
    let made: Vec<Bodies> = (0..4).map(|_| bodies(5)).collect();
    let started = Instant::now();
    let threads: Vec<_> =
        made.into_iter().map(|bodies| load(bodies, port, requests, Arc::clone(&sent), Arc::clone(&bytes))).collect();
    let watched = watch_memory(&server, &threads).await?;
    let mut times = Vec::new();
    for thread in threads {
        times.extend(thread.join().map_err(|_| anyhow::anyhow!("a loader panicked"))??);
    }
    let seconds = started.elapsed().as_secs_f64();
    times.sort();
    let client = server.client();
    let millions = rows_wanted as f64 / 1e6;
    println!("ingest: {rows_wanted} rows of 10 tags and 10 integers, 4 connections, durability wal");
    println!(
        "  {:>12.0} rows/s  {:.0} MB/s of line protocol",
        rows_wanted as f64 / seconds,
        bytes.load(Ordering::Relaxed) as f64 / 1e6 / seconds
    );
    println!("  {:>12.2} ms ack p50  {:.2} ms p99", percentile(&times, 0.5), percentile(&times, 0.99));
    println!("  {:>12.2} CPU s per million rows (server)", (server.cpu_seconds()? - cpu_before) / millions);
    println!("  {:>12.0} MiB resident at most", watched as f64 / f64::from(1 << 20));
    let counted = client.number("bench", "SELECT count(*) FROM cpu").await?;
    println!("  {counted:>12.0} rows counted by SQL right after the last acknowledgement");
    for work in ["Parse", "Conform", "Sort", "Encode"] {
        let cpu = client.metric(&format!("gigapi_writer_cpu_seconds_total{{work=\"{work}\"}}")).await?;
        println!("  {:>12.3} of them: {}", cpu / millions, work.to_lowercase());
    }
    for (name, metric) in [
        ("log syncs", "gigapi_wal_sync_seconds_sum"),
        ("making files durable", "gigapi_flush_upload_seconds_sum"),
        ("catalog commits", "gigapi_flush_commit_seconds_sum"),
    ] {
        println!("  {:>12.3} s per million rows waiting for {name}", client.metric(metric).await? / millions);
    }
    server.stop().await?;
    let on_disk = folder_bytes(&folder.path().join("data/bench"))?;
    println!("  {:>12.1} bytes on disk per row", on_disk as f64 / rows_wanted as f64);
    Ok(())
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

async fn single_lines() -> Result<()> {
    const CONNECTIONS: usize = 256;
    const SECONDS: u64 = 10;
    let folder = tempfile::tempdir()?;
    let server = server(folder.path()).await?;
    let port = server.port();
    let deadline = Instant::now() + Duration::from_secs(SECONDS);
    let started = Instant::now();
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                let mut times = Vec::new();
                let mut piece = [0_u8; 1024];
                let mut number = 0_u64;
                while Instant::now() < deadline {
                    let line = format!("m,host=h{connection} v={number}i {}\n", START_NANOS + number);
                    let request = format!(
                        "POST /write?db=bench HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{line}",
                        line.len()
                    );
                    let asked = Instant::now();
                    stream.write_all(request.as_bytes()).await?;
                    let read = stream.read(&mut piece).await?;
                    times.push(asked.elapsed());
                    if !piece[..read].starts_with(b"HTTP/1.1 204") {
                        bail!("answered {}", String::from_utf8_lossy(&piece[..read]));
                    }
                    number += 1;
                }
                Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    times.sort();
    println!("single lines: 256 connections, durability wal, {SECONDS} s");
    println!("  {:>12.0} requests/s", times.len() as f64 / seconds);
    println!("  {:>12.2} ms ack p50  {:.2} ms p99", percentile(&times, 0.5), percentile(&times, 0.99));
    println!("  {:>12.0} MiB resident", server.resident_bytes()? as f64 / f64::from(1 << 20));
    let counted = server.client().number("bench", "SELECT count(*) FROM m").await?;
    if counted as usize != times.len() {
        bail!("{} rows were acknowledged, SQL counts {counted}", times.len());
    }
    server.stop().await?;
    Ok(())
}

async fn many_tables() -> Result<()> {
    const TABLES: usize = 1_000;
    const SECONDS: u64 = 20;
    let folder = tempfile::tempdir()?;
    let server = server(folder.path()).await?;
    let client = server.client();
    let send = async |second: u64| {
        // In tenths, as a thousand independent clients would spread over a second.
        for tenth in 0..10_usize {
            let begun = Instant::now();
            let lines: String = (tenth * TABLES / 10..(tenth + 1) * TABLES / 10)
                .map(|table| format!("t{table},host=a value={second}i {}\n", START_NANOS + second * 1_000_000_000))
                .collect();
            client.must_write("bench", lines).await?;
            tokio::time::sleep(Duration::from_millis(100).saturating_sub(begun.elapsed())).await;
        }
        anyhow::Ok(())
    };
    send(0).await?;
    send(1).await?;
    let syncs = async || -> Result<f64> {
        Ok(client.metric("gigapi_wal_disk_syncs").await? + client.metric("gigapi_layer_disk_syncs").await?)
    };
    let (cpu, synced, started) = (server.cpu_seconds()?, syncs().await?, Instant::now());
    for second in 2..2 + SECONDS {
        send(second).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("many tables: {TABLES} tables, one row each per second, {SECONDS} s");
    println!("  {:>12.1} % of one core", (server.cpu_seconds()? - cpu) / seconds * 100.0);
    println!("  {:>12.1} disk syncs/s of log and layer", (syncs().await? - synced) / seconds);
    println!("  {:>12.0} MiB resident", server.resident_bytes()? as f64 / f64::from(1 << 20));
    server.stop().await?;
    Ok(())
}

async fn idle() -> Result<()> {
    const FILES: u64 = 100_000;
    let folder = tempfile::tempdir()?;
    let started = Instant::now();
    let fresh = server(folder.path()).await?;
    println!("start");
    println!("  {:>12.0} ms to ready on an empty folder", started.elapsed().as_secs_f64() * 1e3);
    println!("  {:>12.0} MiB resident when idle", fresh.resident_bytes()? as f64 / f64::from(1 << 20));
    fresh.stop().await?;
    fill_catalog(&folder.path().join("data/_gigapi/catalog"), FILES).await?;
    let started = Instant::now();
    let full = server(folder.path()).await?;
    println!("  {:>12.0} ms to ready with {FILES} files in the catalog", started.elapsed().as_secs_f64() * 1e3);
    println!("  {:>12.0} MiB resident when idle", full.resident_bytes()? as f64 / f64::from(1 << 20));
    full.stop().await?;
    Ok(())
}

/// Commits file records, as a year of flushes would leave them; the objects themselves are not needed to start.
async fn fill_catalog(folder: &Path, files: u64) -> Result<()> {
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(SystemIds));
    let catalog = EmbeddedCatalog::open(folder, Arc::clone(&clock), Arc::clone(&ids), Limits::default())?;
    let writer = WriterId::from_uuid(ids.random());
    let session = catalog.open_writer(writer).await?;
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
    let table = catalog.define(definition).await?;
    let epoch = catalog.epochs().await?.epoch;
    let layer = LayerName::new("default")?;
    const PER_COMMIT: u64 = 1_000;
    for number in 0..files / PER_COMMIT {
        let file = |index: u64| {
            let min = START_NANOS + (number * PER_COMMIT + index) * 300_000_000_000;
            let min = Timestamp::from_nanos(i64::try_from(min).unwrap_or(i64::MAX));
            let max = min.plus(Duration::from_secs(299));
            let file = DataFile {
                id: ids.file_id(clock.now()),
                level: Level::FLUSHED,
                layer: layer.clone(),
                bucket: Bucket::containing(min, BucketSpan::Hour),
                rows: 1_000,
                bytes: 30_000,
                time: TimeRange::new(min, max),
                sequence: SequenceRange { lo: 0, hi: 0 },
                checksum: index,
                tail_bytes: 2_000,
            };
            NewFile { file, statistics: vec![0; 80] }
        };
        let commit = Commit {
            table: table.id,
            catalog_epoch: epoch,
            id: CommitId::from_uuid(ids.random()),
            actor: Actor::Writer { writer, epoch: session.epoch, lo: number + 1, hi: number + 1 },
            change: Change { added: (0..PER_COMMIT).map(file).collect(), removed: Vec::new() },
            idempotency: Vec::new(),
        };
        for outcome in catalog.commit(vec![commit]).await {
            outcome?;
        }
    }
    Ok(())
}
