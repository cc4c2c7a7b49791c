//! The largest merge that there is, of a table as wide as they get: what it takes in memory.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use gigapi_model::{
    Bucket, BucketSpan, Clock, ColumnName, ColumnRole, ColumnType, NewColumn, SystemClock, TimeRange, Timestamp,
};

use super::installation::{Installation, compacted};
use crate::mib;

const FILES: usize = 11;
const SERIES: usize = 500;
const TAGS: usize = 10;
const FLOATS: usize = 180;
/// Nine are short, one is long.
const STRINGS: usize = 10;
const LONG: usize = 2_000;
const SHORT: usize = 16;
/// Of one file.
const ROWS: usize = 125_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn columns() -> Result<Vec<NewColumn>> {
    let of = |name: &str, count: usize, role: ColumnRole, column_type: ColumnType| {
        let name = name.to_owned();
        (0..count).map(move |number| {
            Ok(NewColumn { name: ColumnName::new(&format!("{name}{number:03}"))?, column_type, role })
        })
    };
    let tags = of("tag", TAGS, ColumnRole::Tag, ColumnType::String);
    let floats = of("float", FLOATS, ColumnRole::Field, ColumnType::Float);
    let strings = of("string", STRINGS, ColumnRole::Field, ColumnType::String);
    tags.chain(floats).chain(strings).collect()
}

/// Values that nothing can compress: all that a file holds has to be carried.
fn batch(random: &mut fastrand::Rng, first: Timestamp, file: usize) -> Result<RecordBatch> {
    let of_series = ROWS / SERIES;
    // Files lie between each other in time, so that no row keeps its place.
    let time = |row: usize| first.nanos() + ((row % of_series * FILES + file) as i64) * 1_000_000;
    let mut made: Vec<(String, ArrayRef, bool)> =
        vec![("time".to_owned(), Arc::new(Int64Array::from_iter_values((0..ROWS).map(time))), false)];
    let names = columns()?;
    for (number, column) in names.iter().enumerate() {
        let mut text = |length: usize| -> String { (0..length).map(|_| random.alphanumeric()).collect() };
        let values: ArrayRef = match (column.role, column.column_type) {
            (ColumnRole::Tag, _) => {
                let values = (0..SERIES).map(|series| format!("value_{number}_{series:05}"));
                let values = Arc::new(StringArray::from_iter_values(values));
                let keys = Int32Array::from_iter_values((0..ROWS).map(|row| (row / of_series) as i32));
                Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values)?)
            }
            (_, ColumnType::String) => {
                let length = if number + 1 == names.len() { LONG } else { SHORT };
                Arc::new(StringArray::from_iter_values((0..ROWS).map(|_| text(length))))
            }
            _ => Arc::new(Float64Array::from_iter_values((0..ROWS).map(|_| random.f64()))),
        };
        made.push((column.name.to_string(), values, true));
    }
    Ok(RecordBatch::try_from_iter_with_nullable(made)?)
}

pub(super) async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("data");
    let yesterday = SystemClock.now().nanos() - i64::try_from(DAY.as_nanos())?;
    let hour = Bucket::containing(Timestamp::from_nanos(yesterday), BucketSpan::Hour);
    let first: TimeRange = hour.range();
    let mut installation = Installation::new(&root, Timestamp::from_nanos(yesterday), columns()?).await?;
    let mut random = fastrand::Rng::with_seed(42);
    for file in 0..FILES {
        installation.advance(Duration::from_secs(1));
        installation.flush(batch(&mut random, first.min, file)?, first.min).await?;
    }
    let before = installation.close().await?;
    let done = compacted(&root).await?;
    ensure!(done.files == 1, "{} files are left of {FILES}", done.files);
    ensure!(done.rows == (FILES * ROWS) as u64, "{} rows of {}", done.rows, FILES * ROWS);
    println!("wide: {FILES} files of {} columns become one; values that nothing compresses", TAGS + FLOATS + STRINGS);
    println!("  {:>12.0} MiB resident at most", mib(done.peak));
    println!("  {:>12.1} s for {:.0} MiB in and {:.0} MiB out", done.seconds, mib(before), mib(done.bytes));
    Ok(())
}
