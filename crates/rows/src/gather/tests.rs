use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampNanosecondType};
use gigapi_model::{ColumnName, ColumnType, DatabaseName, NewColumn, TableId, TableName};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::column::{Column as Values1, Values};
use crate::part::{PartField, SeriesSet};
use crate::schema::table_schema;

const HOST: u32 = 2;
const REGION: u32 = 3;
const A: u32 = 4;
const B: u32 = 5;

fn table(key: TableKey) -> TableDef {
    let id = TableId::from_uuid(Uuid::from_u128(1));
    let empty = TableDef::new(id, DatabaseName::new("d").unwrap(), TableName::new("m").unwrap(), key).unwrap();
    let new = |name: &str, column_type, role| NewColumn { name: ColumnName::new(name).unwrap(), column_type, role };
    let columns = [
        new("host", ColumnType::String, ColumnRole::Tag),
        new("region", ColumnType::String, ColumnRole::Tag),
        new("a", ColumnType::Integer, ColumnRole::Field),
        new("b", ColumnType::Float, ColumnRole::Field),
    ];
    empty.with_columns(&columns, 10).unwrap()
}

/// `(host, region, time, a, b)`; an absent tag is a null.
type Row = (Option<&'static str>, Option<&'static str>, i64, Option<i64>, Option<f64>);

fn part(rows: &[Row]) -> Arc<Part> {
    let mut series = SeriesSet::default();
    let mut a = Values1::new(Values::Integer(vec![]));
    let mut b = Values1::new(Values::Float(vec![]));
    for (index, row) in rows.iter().enumerate() {
        let mut tags: Vec<(u32, &[u8])> = Vec::new();
        tags.extend(row.0.map(|host| (HOST, host.as_bytes())));
        tags.extend(row.1.map(|region| (REGION, region.as_bytes())));
        series.push(&tags);
        if let Some(value) = row.3 {
            a.set_integer(index, value);
        }
        if let Some(value) = row.4 {
            b.set_float(index, value);
        }
    }
    a.pad(rows.len());
    b.pad(rows.len());
    let series_of_row = (0..u32::try_from(rows.len()).unwrap()).collect();
    let time = rows.iter().map(|row| row.2).collect();
    let fields = vec![PartField { field_id: A, column: a }, PartField { field_id: B, column: b }];
    Arc::new(Part::new(series, series_of_row, time, fields))
}

type Read = Vec<(Option<String>, Option<String>, i64, Option<i64>, Option<f64>)>;

fn read(gather: &Gather<'_>, table: &TableDef) -> Read {
    let columns: Vec<_> = table.columns.iter().collect();
    let batch = gather.sql_batch(&columns, table_schema(table)).unwrap();
    let disk = gather.disk_batch().unwrap();
    assert_eq!(disk.num_rows(), batch.num_rows());
    let time = batch.column(0).as_primitive::<TimestampNanosecondType>();
    let (host, region) = (batch.column(1).as_string_view(), batch.column(2).as_string_view());
    let (a, b) = (batch.column(3).as_primitive::<Int64Type>(), batch.column(4).as_primitive::<Float64Type>());
    if let Some(on_disk) = disk.column_by_name("host") {
        let texts = on_disk
            .as_dictionary::<arrow::datatypes::Int32Type>()
            .downcast_dict::<arrow::array::StringArray>()
            .unwrap();
        let texts: Vec<Option<&str>> = texts.into_iter().collect();
        assert_eq!(texts, host.iter().collect::<Vec<_>>());
    }
    assert_eq!(disk.column_by_name("time").unwrap().as_primitive::<Int64Type>().values(), time.values());
    let text =
        |array: &arrow::array::StringViewArray, row: usize| array.is_valid(row).then(|| array.value(row).to_owned());
    let at = |row: usize| {
        let a = a.is_valid(row).then(|| a.value(row));
        let b = b.is_valid(row).then(|| b.value(row));
        (text(host, row), text(region, row), time.value(row), a, b)
    };
    (0..batch.num_rows()).map(at).collect()
}

#[test]
fn rows_are_sorted_by_tags_then_time_with_null_first() {
    let table = table(TableKey::None);
    let parts = [
        part(&[
            (Some("b"), None, 2, Some(1), None),
            (Some("a"), Some("x"), 9, Some(2), None),
            (None, Some("x"), 5, Some(3), None),
        ]),
        part(&[(Some("a"), Some("x"), 1, Some(4), None), (Some("a"), None, 7, Some(5), None)]),
    ];
    let order: Vec<_> =
        read(&Gather::new(&parts, &table, GatherOptions::default()), &table).iter().map(|row| row.3.unwrap()).collect();
    assert_eq!(order, [3, 5, 4, 2, 1]);
}

#[test]
fn the_last_write_wins_field_by_field() {
    let table = table(TableKey::Tags);
    let parts = [
        part(&[(Some("a"), None, 1, Some(1), Some(1.0)), (Some("a"), None, 1, None, Some(2.0))]),
        part(&[(Some("a"), None, 2, Some(9), None)]),
        part(&[(Some("a"), None, 1, Some(3), None)]),
    ];
    let rows = read(&Gather::new(&parts, &table, GatherOptions::default()), &table);
    let host = Some("a".to_owned());
    assert_eq!(rows, [(host.clone(), None, 1, Some(3), Some(2.0)), (host, None, 2, Some(9), None)]);
}

#[test]
fn an_append_table_keeps_every_row() {
    let table = table(TableKey::None);
    let parts = [part(&[(Some("a"), None, 1, Some(1), None), (Some("a"), None, 1, Some(1), None)])];
    assert_eq!(Gather::new(&parts, &table, GatherOptions::default()).rows(), 2);
}

#[test]
fn a_range_leaves_other_rows_out() {
    let table = table(TableKey::Tags);
    let parts = [part(&[
        (Some("a"), None, 1, Some(1), None),
        (Some("a"), None, 2, Some(2), None),
        (Some("b"), None, 3, Some(3), None),
    ])];
    let range = TimeRange::new(Timestamp::from_nanos(2), Timestamp::from_nanos(2));
    let rows = read(&Gather::new(&parts, &table, GatherOptions { range }), &table);
    assert_eq!(rows, [(Some("a".to_owned()), None, 2, Some(2), None)]);
}

#[test]
fn buckets_coarsen_until_they_are_few() {
    const HOUR: i64 = 3_600_000_000_000;
    let table = table(TableKey::Tags);
    let hours = |step: i64, count: i64| {
        let rows: Vec<Row> = (0..count).map(|i| (Some("a"), None, i * step, Some(i), None)).collect();
        let parts = [part(&rows)];
        let split = Gather::new(&parts, &table, GatherOptions::default()).by_bucket(16);
        split.iter().map(|(bucket, gather)| (bucket.path(), gather.rows())).collect::<Vec<_>>()
    };
    assert_eq!(
        hours(HOUR / 2, 4),
        [("date=1970-01-01/hour=00".to_owned(), 2), ("date=1970-01-01/hour=01".to_owned(), 2)]
    );
    assert_eq!(hours(HOUR, 17), [("date=1970-01-01/hour=all".to_owned(), 17)]);
    let months = hours(24 * HOUR, 59);
    assert_eq!(months, [("date=1970-01/hour=all".to_owned(), 31), ("date=1970-02/hour=all".to_owned(), 28)]);
    assert_eq!(hours(24 * HOUR, 365 * 30).len(), 30);
}

fn row_strategy() -> impl Strategy<Value = Row> {
    let host = prop::option::of(prop::sample::select(vec!["a", "b", "c"]));
    let region = prop::option::of(prop::sample::select(vec!["x", "y"]));
    let day = 86_400_000_000_000_i64;
    (
        host,
        region,
        (0_i64..6).prop_map(move |t| t * day / 3),
        prop::option::of(0_i64..99),
        prop::option::of((0_i32..9).prop_map(f64::from)),
    )
}

/// Tags, time, and what keeps the rows of an append table apart.
type Key = (Option<&'static str>, Option<&'static str>, i64, usize);

proptest! {
    #[test]
    fn gathering_equals_writing_one_row_after_the_other(
        parts in prop::collection::vec(prop::collection::vec(row_strategy(), 1..12), 1..6), keyed in any::<bool>(), files_max in 1_usize..8
    ) {
        let table = table(if keyed { TableKey::Tags } else { TableKey::None });
        let mut expected: BTreeMap<Key, (Option<i64>, Option<f64>)> = BTreeMap::new();
        for (index, row) in parts.iter().flatten().enumerate() {
            let slot = expected.entry((row.0, row.1, row.2, if keyed { 0 } else { index })).or_default();
            *slot = (row.3.or(slot.0), row.4.or(slot.1));
        }
        let expected: Read = expected.into_iter().map(|((host, region, time, _), (a, b))| (host.map(str::to_owned), region.map(str::to_owned), time, a, b)).collect();
        let parts: Vec<_> = parts.iter().map(|rows| part(rows)).collect();
        let whole = Gather::new(&parts, &table, GatherOptions::default());
        prop_assert_eq!(read(&whole, &table), expected.clone());
        let mut split: Read = Vec::new();
        for (bucket, gather) in whole.by_bucket(files_max) {
            for row in read(&gather, &table) {
                prop_assert!(bucket.range().contains(Timestamp::from_nanos(row.2)));
                split.push(row);
            }
        }
        split.sort_by(|x, y| (&x.0, &x.1, x.2).cmp(&(&y.0, &y.1, y.2)));
        let mut expected = expected;
        expected.sort_by(|x, y| (&x.0, &x.1, x.2).cmp(&(&y.0, &y.1, y.2)));
        prop_assert_eq!(split, expected);
    }
}
