use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use gigapi_model::{
    Bucket, BucketSpan, CatalogId, ColumnName, DatabaseName, NewColumn, TableId, TableKey, TableName, Timestamp,
    WriterId,
};
use gigapi_storage::{Origin, Source, encode_file};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// 2025-04-10T07:00:00Z.
const HOUR: i64 = 1_744_268_400_000_000_000;

fn table(key: TableKey, fields: &[(&str, ColumnType)]) -> Arc<TableDef> {
    let column = |name: &str, role, column_type| NewColumn {
        name: ColumnName::new(name).expect("a plain name"),
        column_type,
        role,
    };
    let (database, name) = (DatabaseName::new("db").expect("plain"), TableName::new("cpu").expect("plain"));
    let empty = TableDef::new(TableId::from_uuid(Uuid::from_u128(1)), database, name, key).expect("plain names");
    let mut columns = vec![column("host", ColumnRole::Tag, ColumnType::String)];
    columns.extend(fields.iter().map(|(name, column_type)| column(name, ColumnRole::Field, *column_type)));
    Arc::new(empty.with_columns(&columns, 100).expect("new columns"))
}

fn facts() -> FileFacts {
    FileFacts {
        catalog: CatalogId::from_uuid(Uuid::from_u128(2)),
        catalog_epoch: 3,
        bucket: Bucket::containing(Timestamp::from_nanos(HOUR), BucketSpan::Hour),
        created_at: Timestamp::from_nanos(HOUR),
        origin: Origin::Flush {
            writer: WriterId::from_uuid(Uuid::from_u128(4)),
            writer_epoch: 5,
            lo: 6,
            hi: 7,
            part: 0,
            parts: 1,
        },
    }
}

type Row = (Option<String>, i64, Option<f64>, Option<String>);
type Key = (Option<String>, i64);
type Fields = (Option<f64>, Option<String>);

/// A file of rows in any order; of a keyed table the last of equal keys stays.
fn file(table: &Arc<TableDef>, rows: &[Row]) -> Option<(Arc<StoredRows>, gigapi_storage::EncodedFile)> {
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    if table.key == TableKey::Tags {
        rows.dedup_by(|a, b| (&a.0, a.1) == (&b.0, b.1));
    }
    if rows.is_empty() {
        return None;
    }
    let hosts: DictionaryArray<Int32Type> = rows.iter().map(|row| row.0.as_deref()).collect();
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(rows.iter().map(|row| Some(HOUR + row.1)).collect::<Int64Array>())),
        ("host", Arc::new(hosts)),
        ("value", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
    ];
    if table.column("note").is_some() {
        columns.push(("note", Arc::new(rows.iter().map(|row| row.3.as_deref()).collect::<StringArray>())));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, name != "time")),
    );
    let encoded = encode_file(table, &[batch.expect("columns of one length")], &facts()).expect("a file");
    let source = Source::Memory(encoded.bytes.clone());
    Some((Arc::new(StoredRows::open("file", source, table).expect("what was written can be read")), encoded))
}

/// Merges, checks as a worker does, and reads everything back.
fn merged(table: &Arc<TableDef>, files: &[(Arc<StoredRows>, gigapi_storage::EncodedFile)]) -> Vec<Row> {
    let inputs: Vec<Arc<StoredRows>> = files.iter().map(|(file, _)| Arc::clone(file)).collect();
    let (facts, encoders) = (facts(), FileEncoders::default());
    let work =
        Work { table, inputs, facts: &facts, encoders: &encoders, column_bytes_max: 8 << 20, between: &|_| Ok(()) };
    let mut object = Vec::new();
    let done = work.run(&mut |bytes| {
        object.extend_from_slice(&bytes);
        Ok(())
    });
    let done = done.expect("a merge");
    let output = StoredRows::open("output", Source::Memory(object.into()), table).expect("what was merged");
    let output = Arc::new(output);
    let time = files.iter().map(|(_, encoded)| encoded.time);
    let time = time.reduce(|a, b| TimeRange::new(a.min.min(b.min), a.max.max(b.max))).expect("a file");
    check_output(table, Arc::clone(&output), Expected { rows: done.rows, time }, &|| Ok(()))
        .expect("an output in order");
    let statistics: Vec<_> = files.iter().map(|(_, encoded)| (encoded.rows, encoded.statistics.clone())).collect();
    check_statistics(table, &statistics, &done.statistics, done.overwritten).expect("statistics that fit");
    rows_of(&output, table)
}

fn rows_of(file: &Arc<StoredRows>, table: &TableDef) -> Vec<Row> {
    let column = |name: &str| {
        let id = table.column(name).map(|column| column.field_id)?;
        file.column(id, 0..file.rows()).expect("a readable column")
    };
    let (time, host) = (column("time").expect("time"), column("host").expect("a tag"));
    let host = arrow::compute::cast(&host, &DataType::Utf8).expect("strings");
    let (value, note) = (column("value"), column("note"));
    let rows = 0..time.len();
    rows.map(|row| {
        let float = value.as_ref().filter(|value| value.is_valid(row));
        let text = note.as_ref().filter(|note| note.is_valid(row));
        (
            host.is_valid(row).then(|| host.as_string::<i32>().value(row).to_owned()),
            time.as_primitive::<Int64Type>().value(row) - HOUR,
            float.map(|value| value.as_primitive::<Float64Type>().value(row)),
            text.map(|note| note.as_string_view().value(row).to_owned()),
        )
    })
    .collect()
}

const OLD: [(&str, ColumnType); 1] = [("value", ColumnType::Float)];
const NEW: [(&str, ColumnType); 2] = [("value", ColumnType::Float), ("note", ColumnType::String)];

fn row(host: &str, time: i64, value: Option<f64>, note: Option<&str>) -> Row {
    (Some(host.to_owned()), time, value, note.map(str::to_owned))
}

#[test]
fn a_file_from_before_a_column_takes_the_definition_of_now() {
    let (old, new) = (table(TableKey::Tags, &OLD), table(TableKey::Tags, &NEW));
    let first = file(&old, &[row("a", 1, Some(1.0), None), row("a", 2, Some(2.0), None)]).expect("rows");
    let first =
        (Arc::new(StoredRows::open("old", Source::Memory(first.1.bytes.clone()), &new).expect("open")), first.1);
    let second = file(&new, &[row("a", 2, None, Some("x")), row("b", 1, None, Some("y"))]).expect("rows");
    let expected = [row("a", 1, Some(1.0), None), row("a", 2, Some(2.0), Some("x")), row("b", 1, None, Some("y"))];
    assert_eq!(merged(&new, &[first, second]), expected);
}

#[test]
fn rows_in_another_order_than_the_tables_are_refused() {
    let table = table(TableKey::Tags, &OLD);
    let hosts: DictionaryArray<Int32Type> = [Some("b"), Some("a")].into_iter().collect();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("time", Arc::new(Int64Array::from(vec![HOUR, HOUR])), false),
        ("host", Arc::new(hosts), true),
        ("value", Arc::new(Float64Array::from(vec![1.0, 2.0])), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    let encoded = encode_file(&table, &[batch], &facts()).expect("the encoder trusts its caller");
    let opened = StoredRows::open("file", Source::Memory(encoded.bytes), &table).expect("a readable file");
    let expected = Expected { rows: 2, time: encoded.time };
    let error = check_output(&table, Arc::new(opened), expected, &|| Ok(())).expect_err("b comes before a");
    assert!(error.to_string().contains("order"), "{error}");
}

#[test]
fn an_output_with_other_rows_or_times_is_refused() {
    let table = table(TableKey::None, &OLD);
    let (opened, encoded) = file(&table, &[row("a", 1, None, None), row("a", 5, Some(1.0), None)]).expect("rows");
    let expected = Expected { rows: 2, time: encoded.time };
    check_output(&table, Arc::clone(&opened), expected, &|| Ok(())).expect("as written");
    let fewer =
        check_output(&table, Arc::clone(&opened), Expected { rows: 3, ..expected }, &|| Ok(())).expect_err("two rows");
    assert!(fewer.to_string().contains("2 rows, not 3"), "{fewer}");
    let later = TimeRange::new(encoded.time.min, Timestamp::from_nanos(HOUR + 6));
    assert!(check_output(&table, opened, Expected { time: later, ..expected }, &|| Ok(())).is_err());
    let of_input = vec![(2, encoded.statistics.clone())];
    let mut wrong = encoded.statistics.clone();
    wrong.columns[2].null_count = 0;
    assert!(check_statistics(&table, &of_input, &wrong, 0).is_err());
    let mut wrong = encoded.statistics.clone();
    wrong.columns[2].max = Some(gigapi_storage::Scalar::Float(2.0));
    assert!(check_statistics(&table, &of_input, &wrong, 0).is_err());
    let mut wrong = encoded.statistics;
    wrong.columns.pop();
    assert!(check_statistics(&table, &of_input, &wrong, 0).is_err());
}

fn some_row() -> impl Strategy<Value = Row> {
    let host = proptest::option::weighted(0.9, "[a-c]{0,2}");
    let note = proptest::option::of(prop_oneof!["[a-z]{0,3}".boxed(), "[a-z]{13,70}".boxed()]);
    (host, 0_i64..40, proptest::option::of(-5_i8..5).prop_map(|value| value.map(f64::from)), note)
}

proptest! {
    #[test]
    fn merging_keeps_the_last_write_of_every_field(files in vec(vec(some_row(), 1..40), 1..6)) {
        let table = table(TableKey::Tags, &NEW);
        let mut expected: BTreeMap<Key, Fields> = BTreeMap::new();
        let files: Vec<_> = files.iter().filter_map(|rows| file(&table, rows)).collect();
        for (opened, _) in &files {
            for (host, time, value, note) in rows_of(opened, &table) {
                let known = expected.entry((host, time)).or_default();
                known.0 = value.or(known.0);
                known.1 = note.or(known.1.take());
            }
        }
        let expected: Vec<Row> = expected.into_iter().map(|((host, time), (value, note))| (host, time, value, note)).collect();
        prop_assert_eq!(merged(&table, &files), expected);
    }

    #[test]
    fn merging_an_append_table_keeps_the_multiset(files in vec(vec(some_row(), 1..40), 1..6)) {
        let table = table(TableKey::None, &NEW);
        let mut expected: Vec<Row> = files.concat();
        let files: Vec<_> = files.iter().filter_map(|rows| file(&table, rows)).collect();
        let mut found = merged(&table, &files);
        found.sort_by_key(|row| format!("{row:?}"));
        expected.sort_by_key(|row| format!("{row:?}"));
        prop_assert_eq!(found, expected);
    }
}
