use std::collections::BTreeMap;

use arrow::array::{Float64Array, Int64Array, StringViewArray};
use arrow::datatypes::{Field, Schema};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;

use super::*;

type Found = (Option<String>, i64, Option<f64>, Option<f64>);
type Key<'a> = (Option<&'a str>, i64);
type Row = (Option<&'static str>, i64, Option<f64>, Option<f64>);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Int64, false),
        Field::new("host", DataType::Utf8View, true),
        Field::new("a", DataType::Float64, true),
        Field::new("b", DataType::Float64, true),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.0).collect::<StringViewArray>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>()),
        ],
    )
    .unwrap()
}

fn rows(batches: &[RecordBatch]) -> Vec<Found> {
    let mut rows = Vec::new();
    for batch in batches {
        let time = batch.column(0).as_primitive::<arrow::datatypes::Int64Type>();
        let host = batch.column(1).as_string_view();
        let float = |column: usize, row: usize| {
            let array = batch.column(column).as_primitive::<arrow::datatypes::Float64Type>();
            array.is_valid(row).then(|| array.value(row))
        };
        for row in 0..batch.num_rows() {
            let host = host.is_valid(row).then(|| host.value(row).to_owned());
            rows.push((host, time.value(row), float(2, row), float(3, row)));
        }
    }
    rows
}

/// Merges clusters of inputs, each a list of batches sorted by host and time.
fn merged(clusters: Vec<Vec<Vec<RecordBatch>>>, batch_size: usize) -> Vec<RecordBatch> {
    let plans = clusters.into_iter().map(|cluster| {
        let plan = |batches: Vec<RecordBatch>| {
            MemorySourceConfig::try_new_exec(&[batches], schema(), None).unwrap() as Arc<dyn ExecutionPlan>
        };
        cluster.into_iter().map(plan).collect()
    });
    let plan = LastWriteExec::try_new(plans.collect(), vec![1, 0], vec![0, 1, 2, 3], 2).unwrap();
    let config = datafusion::prelude::SessionConfig::new().with_batch_size(batch_size);
    let context = SessionContext::new_with_config(config);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(collect(Arc::new(plan), context.task_ctx())).unwrap()
}

#[test]
fn the_last_value_of_each_field_wins_and_a_missing_one_keeps_the_earlier() {
    let old = batch(&[(Some("a"), 1, Some(1.0), Some(10.0)), (Some("b"), 1, Some(2.0), None)]);
    let new = batch(&[(None, 1, Some(7.0), None), (Some("a"), 1, None, Some(11.0)), (Some("a"), 2, Some(3.0), None)]);
    let found = rows(&merged(vec![vec![vec![old], vec![new]]], 8192));
    let expected = [
        (None, 1, Some(7.0), None),
        (Some("a".to_owned()), 1, Some(1.0), Some(11.0)),
        (Some("a".to_owned()), 2, Some(3.0), None),
        (Some("b".to_owned()), 1, Some(2.0), None),
    ];
    assert_eq!(found, expected);
}

#[test]
fn clusters_are_merged_each_by_itself() {
    let one = |value| vec![batch(&[(Some("a"), 1, Some(value), None)])];
    let found = rows(&merged(vec![vec![one(1.0), one(2.0)], vec![one(3.0), one(4.0)], vec![one(5.0), one(6.0)]], 8192));
    let mut values: Vec<_> = found.iter().map(|row| row.2.unwrap()).collect();
    values.sort_by(f64::total_cmp);
    assert_eq!(values, [2.0, 4.0, 6.0]);
}

proptest! {
    #[test]
    fn merging_equals_applying_the_writes_in_order(
        writes in prop::collection::vec(prop::collection::vec((0_usize..3, 0_i64..6, prop::option::of(0_i32..100), prop::option::of(0_i32..100)), 1..30), 2..5),
        batch_size in 1_usize..6,
    ) {
        let hosts = [None, Some("a"), Some("a-host-name-that-is-longer-than-twelve-bytes")];
        let mut expected: BTreeMap<Key<'_>, (Option<f64>, Option<f64>)> = BTreeMap::new();
        let mut inputs = Vec::new();
        for write in &writes {
            let mut sorted: BTreeMap<(Option<&'static str>, i64), Row> = BTreeMap::new();
            for &(host, time, a, b) in write {
                sorted.insert((hosts[host], time), (hosts[host], time, a.map(f64::from), b.map(f64::from)));
            }
            for (key, row) in &sorted {
                let slot = expected.entry(*key).or_default();
                *slot = (row.2.or(slot.0), row.3.or(slot.1));
            }
            let sorted: Vec<Row> = sorted.into_values().collect();
            inputs.push(sorted.chunks(batch_size).map(batch).collect::<Vec<_>>());
        }
        let found = rows(&merged(vec![inputs], batch_size));
        let expected: Vec<_> =
            expected.into_iter().map(|((host, time), (a, b))| (host.map(str::to_owned), time, a, b)).collect();
        prop_assert_eq!(found, expected);
    }
}
