//! Measures how columns of metrics are best encoded, and what a file costs.
//!
//! Prints three tables: size and speed of every encoding (all with zstd level 1) on five kinds of values, the crate's
//! encoder against the library's writer on a file as a benchmark of hosts makes it, and the cost of a file of one row.
//! `cargo run --release -p gigapi-storage --example encodings`. The figures in
//! `docs/decisions/0002-parquet-encodings.md` come from here.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use gigapi_model::{
    Bucket, BucketSpan, CatalogId, ColumnName, ColumnRole, ColumnType, DatabaseName, NewColumn, TableDef, TableId,
    TableKey, TableName, Timestamp, WriterId,
};
use gigapi_storage::{EncodedFile, FileEncoder, FileFacts, Origin};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::time::Instant;
use uuid::Uuid;

const ROWS: usize = 850_000;
const HOSTS: usize = 1000;
const START: i64 = 1_744_268_400_000_000_000;
const RUNS: usize = 5;

type Error = Box<dyn std::error::Error>;

/// A small generator, so that every run measures the same values.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Per host a walk from a start, one step a row, as rows sorted by host and time hold it.
fn walk(seed: u64, step: f64, low: f64, high: f64) -> Vec<f64> {
    let mut random = Random(seed);
    let mut at = 0.0;
    let rows = 0..ROWS;
    rows.map(|row| {
        if row % (ROWS / HOSTS) == 0 {
            at = low + random.unit() * (high - low);
        }
        at = (at + (random.unit() * 2.0 - 1.0) * step).clamp(low, high);
        at
    })
    .collect()
}

fn values() -> Vec<(&'static str, ArrayRef)> {
    let ints = |values: Vec<f64>| values.into_iter().map(|value| value as i64).collect::<Vec<_>>();
    let mut random = Random(99);
    let noise: Vec<f64> = (0..ROWS).map(|_| random.unit() * 100.0).collect();
    let mut total = 0_i64;
    let counter: Vec<i64> = (0..ROWS)
        .map(|row| {
            total = if row % (ROWS / HOSTS) == 0 { 0 } else { total + (random.next() % 1000) as i64 };
            total
        })
        .collect();
    let gauge: Vec<f64> = walk(3, 0.2, -10.0, 35.0).into_iter().map(|value| (value * 100.0).round() / 100.0).collect();
    vec![
        ("int walk 0..100", Arc::new(Int64Array::from(ints(walk(1, 1.5, 0.0, 100.0))))),
        ("int counter", Arc::new(Int64Array::from(counter))),
        ("float 2 decimals", Arc::new(Float64Array::from(gauge))),
        ("float walk", Arc::new(Float64Array::from(walk(5, 1.0, 0.0, 100.0)))),
        ("float noise", Arc::new(Float64Array::from(noise))),
    ]
}

fn zstd() -> Result<Compression, Error> {
    Ok(Compression::ZSTD(ZstdLevel::try_new(1)?))
}

/// The library's writer with one encoding for all columns; a dictionary if there is none.
fn library(batch: &RecordBatch, encoding: Option<Encoding>) -> Result<Bytes, Error> {
    let mut settings = WriterProperties::builder().set_compression(zstd()?).set_data_page_row_count_limit(20_000);
    settings = match encoding {
        Some(encoding) => settings.set_dictionary_enabled(false).set_encoding(encoding),
        None => settings.set_dictionary_enabled(true),
    };
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(settings.build()))?;
    writer.write(batch)?;
    writer.close()?;
    Ok(out.into())
}

/// The shortest of several runs, and what the last one gave.
fn shortest<T>(runs: usize, mut work: impl FnMut() -> Result<T, Error>) -> Result<(Duration, T), Error> {
    let mut best = Duration::MAX;
    let mut last = None;
    for _ in 0..runs {
        let start = Instant::now();
        last = Some(work()?);
        best = best.min(start.elapsed());
    }
    Ok((best, last.ok_or("no run")?))
}

fn read(file: &Bytes) -> Result<usize, Error> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone())?.with_batch_size(8192).build()?;
    let mut rows = 0;
    for batch in reader {
        rows += batch?.num_rows();
    }
    Ok(rows)
}

fn print_row(values: &str, how: &str, written: Duration, file: &Bytes) -> Result<(), Error> {
    let (taken, _) = shortest(RUNS, || read(file))?;
    let speed = |taken: Duration| ROWS as f64 / taken.as_secs_f64() / 1e6;
    println!(
        "| {values:17} | {how:19} | {:6.2} | {:6.2} | {:7.1} | {:7.1} |",
        file.len() as f64 / 1e6,
        file.len() as f64 / ROWS as f64,
        speed(written),
        speed(taken)
    );
    Ok(())
}

fn table(columns: &[NewColumn]) -> Result<Arc<TableDef>, Error> {
    let (database, name) = (DatabaseName::new("db")?, TableName::new("cpu")?);
    let table = TableDef::new(TableId::from_uuid(Uuid::from_u128(1)), database, name, TableKey::Tags)?;
    Ok(Arc::new(table.with_columns(columns, 100)?))
}

fn column(name: &str, column_type: ColumnType, role: ColumnRole) -> Result<NewColumn, Error> {
    Ok(NewColumn { name: ColumnName::new(name)?, column_type, role })
}

fn facts() -> FileFacts {
    let origin = Origin::Flush {
        writer: WriterId::from_uuid(Uuid::from_u128(2)),
        writer_epoch: 1,
        lo: 1,
        hi: 2,
        part: 0,
        parts: 1,
    };
    let bucket = Bucket::containing(Timestamp::from_nanos(START), BucketSpan::Year);
    let catalog = CatalogId::from_uuid(Uuid::from_u128(3));
    FileFacts { catalog, catalog_epoch: 1, bucket, created_at: Timestamp::from_nanos(START), origin }
}

fn compare_encodings() -> Result<(), Error> {
    println!("| values            | encoding + zstd-1   |     MB |  B/row | write M/s | read M/s |");
    println!("|---|---|---|---|---|---|");
    for (name, array) in values() {
        let batch = RecordBatch::try_from_iter([("v", Arc::clone(&array))])?;
        let is_float = array.data_type().is_floating();
        let last = if is_float { Encoding::BYTE_STREAM_SPLIT } else { Encoding::DELTA_BINARY_PACKED };
        for encoding in [None, Some(Encoding::PLAIN), Some(last)] {
            let (taken, file) = shortest(RUNS, || library(&batch, encoding))?;
            let how = encoding.map_or_else(|| "DICTIONARY".to_owned(), |encoding| encoding.to_string());
            print_row(name, &how, taken, &file)?;
        }
        let column_type = if is_float { ColumnType::Float } else { ColumnType::Integer };
        let table = table(&[column("v", column_type, ColumnRole::Field)?])?;
        // A column alone is no file: time is constant here and next to nothing.
        let times: ArrayRef = Arc::new(Int64Array::from(vec![START; ROWS]));
        let batch = RecordBatch::try_from_iter([("time", times), ("v", array)])?;
        let encoder = Arc::new(FileEncoder::new(table, batch.schema_ref())?);
        let (taken, file) = shortest(RUNS, || Ok(encoder.encode(std::slice::from_ref(&batch), &facts())?))?;
        print_row(name, "this crate", taken, &file.bytes)?;
    }
    Ok(())
}

/// Ten tags, ten integers and time, as rows sorted by tags and time.
fn hosts(rows: usize) -> Result<(Arc<TableDef>, RecordBatch), Error> {
    let mut wanted = Vec::new();
    let mut arrays: Vec<(String, ArrayRef)> = Vec::new();
    let per_host = (ROWS / HOSTS).min(rows);
    let times = (0..rows).map(|row| START + (row % per_host) as i64 * 10_000_000_000);
    arrays.push(("time".to_owned(), Arc::new(Int64Array::from_iter_values(times))));
    for (tag, distinct) in [HOSTS, 9, 25, 100, 3, 4, 20, 2, 3, 20].into_iter().enumerate() {
        let name = format!("tag{tag}");
        let entries = StringArray::from_iter_values((0..distinct).map(|value| format!("{name}_value_{value}")));
        let keys = Int32Array::from_iter_values((0..rows).map(|row| ((row / per_host) % distinct) as i32));
        wanted.push(column(&name, ColumnType::String, ColumnRole::Tag)?);
        arrays.push((name, Arc::new(DictionaryArray::new(keys, Arc::new(entries)))));
    }
    for field in 0..10 {
        let name = format!("usage{field}");
        let values = walk(field + 1, 1.5, 0.0, 100.0);
        wanted.push(column(&name, ColumnType::Integer, ColumnRole::Field)?);
        arrays.push((name, Arc::new(Int64Array::from_iter_values(values[..rows].iter().map(|value| *value as i64)))));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(arrays.into_iter().map(|(name, array)| {
        let nullable = name != "time";
        (name, array, nullable)
    }))?;
    Ok((table(&wanted)?, batch))
}

fn compare_files() -> Result<(), Error> {
    println!("\n| file | writer | bytes | per file | M rows/s |");
    println!("|---|---|---|---|---|");
    for (rows, runs) in [(ROWS, RUNS), (10_000, 50), (100, 500), (1, 5000)] {
        let (table, batch) = hosts(rows)?;
        let encoder = Arc::new(FileEncoder::new(table, batch.schema_ref())?);
        let one = std::slice::from_ref(&batch);
        let (ours, file): (_, EncodedFile) = shortest(runs, || Ok(encoder.encode(one, &facts())?))?;
        let (theirs, other) = shortest(runs.min(200), || library(&batch, None))?;
        for (writer, taken, bytes) in [("this crate", ours, file.bytes.len()), ("library", theirs, other.len())] {
            let speed = rows as f64 / taken.as_secs_f64() / 1e6;
            println!("| {rows} rows, 10 tags, 10 integers | {writer} | {bytes} | {taken:.1?} | {speed:.2} |");
        }
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    compare_encodings()?;
    compare_files()
}
