//! Merging: its speed on one core, the size of what it makes, and a backlog of many small files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use gigapi_catalog::{Catalog, CommitOutcome, Definition, EmbeddedCatalog, Limits};
use gigapi_compactor::Progress;
use gigapi_compactor::merge::Work;
use gigapi_model::{
    Actor, Bucket, BucketSpan, CatalogId, Change, Clock, ColumnName, ColumnRole, ColumnType, Commit, CommitId,
    DataFile, DatabaseName, Ids, LayerName, Level, ManualClock, NewColumn, NewFile, SequenceRange, SystemIds, TableDef,
    TableId, TableKey, TableName, TimeRange, Timestamp, WriterId,
};
use gigapi_storage::{
    EncodedFile, FileEncoders, FileFacts, FilePath, LayerSettings, Layers, Origin, Source, StoredRows, encode_file,
};
use integration_tests::binary_named;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{START_NANOS, mib};

const HOSTS: usize = 1_000;
const SECOND: i64 = 1_000_000_000;
/// A measurement on Linux reads `VmHWM`.
const POLL: Duration = Duration::from_millis(20);

/// Ten tags and ten integers, as TSBS's cpu-only data has them.
fn columns() -> Result<Vec<NewColumn>> {
    let tags = [
        "hostname",
        "region",
        "datacenter",
        "rack",
        "os",
        "arch",
        "team",
        "service",
        "service_version",
        "service_environment",
    ];
    let fields = ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
    let tags = tags.iter().map(|name| ((*name).to_owned(), ColumnRole::Tag, ColumnType::String));
    let fields = fields.iter().map(|name| (format!("usage_{name}"), ColumnRole::Field, ColumnType::Integer));
    let column = |(name, role, column_type): (String, ColumnRole, ColumnType)| {
        Ok(NewColumn { name: ColumnName::new(&name)?, column_type, role })
    };
    tags.chain(fields).map(column).collect()
}

fn table() -> Result<Arc<TableDef>> {
    let (database, name) = (DatabaseName::new("bench")?, TableName::new("cpu")?);
    let empty = TableDef::new(TableId::from_uuid(Uuid::from_u128(1)), database, name, TableKey::Tags)?;
    Ok(Arc::new(empty.with_columns(&columns()?, 100)?))
}

fn tag(number: usize, host: usize) -> String {
    let regions = ["us-east-1", "us-west-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1", "sa-east-1"];
    match number {
        0 => format!("host_{host}"),
        1 => regions[host % 7].to_owned(),
        2 => format!("{}{}", regions[host % 7], ["a", "b", "c"][host % 3]),
        3 => (host % 100).to_string(),
        4 => "Ubuntu16.04LTS".to_owned(),
        5 => "x64".to_owned(),
        6 => "SF".to_owned(),
        7 => (host % 20).to_string(),
        8 => "1".to_owned(),
        _ => "production".to_owned(),
    }
}

/// Walks of all hosts' fields, one step per row.
struct Walks {
    values: Vec<[i64; 10]>,
    random: fastrand::Rng,
    /// Hosts in the order of their names.
    order: Vec<usize>,
}

impl Walks {
    fn new(hosts: usize) -> Self {
        let mut order: Vec<usize> = (0..hosts).collect();
        order.sort_by_key(|host| tag(0, *host));
        Self { values: vec![[50; 10]; hosts], random: fastrand::Rng::with_seed(42), order }
    }

    /// Rows of all hosts at these times, sorted by host and time.
    fn batch(&mut self, times: &[i64]) -> Result<RecordBatch> {
        let mut fields: Vec<Vec<i64>> = vec![Vec::new(); 10];
        for &host in &self.order {
            for _ in times {
                for (value, column) in self.values[host].iter_mut().zip(&mut fields) {
                    *value = (*value + self.random.i64(-1..=1)).clamp(0, 100);
                    column.push(*value);
                }
            }
        }
        let time: Int64Array = self.order.iter().flat_map(|_| times.iter().copied()).collect();
        let mut columns: Vec<(String, ArrayRef)> = vec![("time".to_owned(), Arc::new(time))];
        let all = crate::merge::columns()?;
        for (number, column) in all.iter().take(10).enumerate() {
            let values: StringArray = self.order.iter().map(|host| Some(tag(number, *host))).collect();
            let keys: Int32Array =
                (0..self.order.len()).flat_map(|host| times.iter().map(move |_| Some(host as i32))).collect();
            let tags = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))?;
            columns.push((column.name.to_string(), Arc::new(tags)));
        }
        let names = all.iter().skip(10).map(|column| column.name.to_string());
        columns.extend(names.zip(fields).map(|(name, values)| (name, Arc::new(Int64Array::from(values)) as ArrayRef)));
        Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| {
            let nullable = name != "time";
            (name, array, nullable)
        }))?)
    }
}

fn facts(bucket: Bucket, origin: Origin, catalog: CatalogId, now: Timestamp) -> FileFacts {
    FileFacts { catalog, catalog_epoch: 1, bucket, created_at: now, origin }
}

fn flush_of(writer: WriterId, writer_epoch: u64, number: u64) -> Origin {
    Origin::Flush { writer, writer_epoch, lo: number, hi: number, part: 0, parts: 1 }
}

/// One merge on this thread, best of some runs.
pub(crate) fn speed() -> Result<()> {
    println!("merging on one core, 16 files, 10 tags, 10 integers, {HOSTS} hosts");
    // As the levels have them: seconds of rows, minutes, an hour.
    for (what, steps) in [("10 rows of each host a file", 10), ("64", 64), ("512", 512)] {
        one_speed(what, steps)?;
    }
    Ok(())
}

fn one_speed(what: &str, steps: usize) -> Result<()> {
    let table = table()?;
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
    let (encoders, cancelled) = (FileEncoders::default(), AtomicBool::new(false));
    let (mut best, mut bytes, mut rows) = (Duration::MAX, 0, 0);
    for _ in 0..5 {
        let begun = Instant::now();
        let open =
            |file: &EncodedFile| StoredRows::open("file", Source::Memory(file.bytes.clone()), &table).map(Arc::new);
        let inputs = files.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let progress = Progress::default();
        let (encoders, cancelled, progress) = (&encoders, &cancelled, &progress);
        let work = Work { table: &table, inputs, facts: &facts, encoders, cancelled, progress };
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

/// A table of 60,000 files of a second each, and one run of the compactor.
pub(crate) async fn backlog() -> Result<()> {
    const FILES: u64 = 60_000;
    const FILE_HOSTS: usize = 100;
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("data");
    let before = prepared(&root, FILES, FILE_HOSTS).await?;
    let begun = Instant::now();
    let mut compactor = std::process::Command::new(binary_named("gigapi-compactor")?)
        .arg("--once")
        .env("GIGAPI_ROOT", &root)
        .env("LOGLEVEL", "warn")
        .stdout(std::process::Stdio::piped())
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
    let output = compactor.wait_with_output()?;
    ensure!(status.success(), "the compactor ended with {status}: {}", String::from_utf8_lossy(&output.stdout));
    let catalog = EmbeddedCatalog::open(
        &root.join("_gigapi/catalog"),
        Arc::new(gigapi_model::SystemClock),
        Arc::new(SystemIds),
        Limits::default(),
    )?;
    let table = catalog.live_tables().await?.pop().context("the table is gone")?;
    let snapshot = catalog.snapshot(table.id, TimeRange::ALL).await?;
    let rows: u64 = snapshot.files.iter().map(|file| file.rows).sum();
    let bytes: u64 = snapshot.files.iter().map(|file| file.bytes).sum();
    ensure!(rows == FILES * FILE_HOSTS as u64, "{rows} rows of {}", FILES * FILE_HOSTS as u64);
    println!("backlog: {FILES} files of a second of {FILE_HOSTS} hosts, one run of `gigapi-compactor --once`");
    println!("  {:>12} files left", snapshot.files.len());
    println!("  {:>12.0} MiB resident at most", mib(peak));
    println!("  {seconds:>12.1} s; {:.1} MiB before, {:.1} MiB after", mib(before), mib(bytes));
    print!("  {}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

fn peak_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    let kibibytes: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kibibytes * 1024)
}

/// Writes the files and commits them as a writer did, second by second, until now; answers their bytes.
async fn prepared(root: &Path, files: u64, hosts: usize) -> Result<u64> {
    let end = gigapi_model::SystemClock.now();
    let begin = Timestamp::from_nanos((end.nanos() / SECOND - files as i64) * SECOND);
    let clock = Arc::new(ManualClock::new(begin));
    let layer = LayerName::new("default")?;
    let layers = Layers::open(&[LayerSettings::folder(layer.clone(), root)], &SystemIds)?;
    let path = root.join("_gigapi/catalog");
    std::fs::create_dir_all(&path)?;
    let catalog = EmbeddedCatalog::open(&path, clock.clone(), Arc::new(SystemIds), Limits::default())?;
    let epochs = catalog.epochs().await?;
    layers.claim(epochs.catalog).await?;
    let (database, name) = (DatabaseName::new("bench")?, TableName::new("cpu")?);
    let definition = Definition { database, table: name, columns: columns()?, key: TableKey::Tags };
    let table = catalog.define(definition).await?;
    let writer = WriterId::from_uuid(SystemIds.random());
    let epoch = catalog.open_writer(writer).await?.epoch;
    let (mut walks, mut total) = (Walks::new(hosts), 0);
    let mut commits = Vec::new();
    for number in 1..=files {
        clock.advance(Duration::from_secs(1));
        let now = clock.now();
        let bucket = Bucket::containing(now, BucketSpan::Hour);
        let facts = facts(bucket, flush_of(writer, epoch, number), epochs.catalog, now);
        let encoded = encode_file(&table, &[walks.batch(&[now.nanos()])?], &facts)?;
        let file = DataFile {
            id: SystemIds.file_id(now),
            level: Level::FLUSHED,
            layer: layer.clone(),
            bucket,
            rows: encoded.rows,
            bytes: encoded.bytes.len() as u64,
            time: encoded.time,
            sequence: SequenceRange { lo: 0, hi: 0 },
            checksum: encoded.checksum,
            tail_bytes: encoded.tail_bytes,
        };
        total += file.bytes;
        let place = root.join(FilePath::of(&table, &file).object_path().as_ref());
        std::fs::create_dir_all(place.parent().context("a file has a folder")?)?;
        std::fs::write(place, &encoded.bytes)?;
        commits.push(Commit {
            table: table.id,
            catalog_epoch: epochs.epoch,
            id: CommitId::from_uuid(SystemIds.random()),
            actor: Actor::Writer { writer, epoch, lo: number, hi: number },
            change: Change {
                added: vec![NewFile { file, statistics: encoded.statistics.to_bytes() }],
                removed: Vec::new(),
            },
            idempotency: Vec::new(),
        });
        if commits.len() == 1_000 || number == files {
            for answer in catalog.commit(std::mem::take(&mut commits)).await {
                if !matches!(answer?, CommitOutcome::Committed { .. }) {
                    bail!("a commit was made twice");
                }
            }
        }
    }
    Ok(total)
}
