use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Float64Array, StringViewArray, UInt64Array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, UInt64Type};
use gigapi_model::{
    ColumnName, ColumnRole, ColumnType, DatabaseName, NewColumn, TableDef, TableId, TableKey, TableName,
};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::{KeyBatch, Merge, MergeError, SortedInput};

#[derive(Debug, Clone, PartialEq)]
struct Row {
    tags: [Option<String>; 2],
    time: i64,
    float: Option<f64>,
    text: Option<String>,
    count: Option<u64>,
    flag: Option<bool>,
}

type Key = ([Option<String>; 2], i64);

impl Row {
    fn key(&self) -> Key {
        (self.tags.clone(), self.time)
    }
}

/// Rows in batches of a given size, each with a dictionary of its own.
#[derive(Debug)]
struct Rows {
    rows: Vec<Row>,
    batch: usize,
    at: usize,
    /// Whether the input lacks the columns `text`, `count` and `flag`, and the second tag.
    narrow: bool,
}

fn tag(rows: &[Row], tag: usize) -> DictionaryArray<Int32Type> {
    rows.iter().map(|row| row.tags[tag].as_deref()).collect()
}

impl SortedInput for Rows {
    type Error = MergeError;

    fn next_keys(&mut self) -> Result<Option<KeyBatch>, MergeError> {
        let rows = &self.rows[self.at..(self.at + self.batch).min(self.rows.len())];
        self.at += rows.len();
        if rows.is_empty() {
            return Ok(None);
        }
        let second = (!self.narrow).then(|| tag(rows, 1));
        let time: ScalarBuffer<i64> = rows.iter().map(|row| row.time).collect();
        Ok(Some(KeyBatch::new(vec![Some(tag(rows, 0)), second], time).expect("tags as long as times")))
    }

    fn column(&mut self, column: &gigapi_model::Column, rows: Range<u64>) -> Result<Option<ArrayRef>, MergeError> {
        let rows = &self.rows[rows.start as usize..rows.end as usize];
        Ok(match column.name.as_str() {
            "float" => Some(Arc::new(rows.iter().map(|row| row.float).collect::<Float64Array>())),
            _ if self.narrow => None,
            "text" => Some(Arc::new(rows.iter().map(|row| row.text.as_deref()).collect::<StringViewArray>())),
            "count" => Some(Arc::new(rows.iter().map(|row| row.count).collect::<UInt64Array>())),
            _ => Some(Arc::new(rows.iter().map(|row| row.flag).collect::<arrow::array::BooleanArray>())),
        })
    }
}

fn table(key: TableKey) -> TableDef {
    let name = |text: &str| ColumnName::new(text).expect("a plain name");
    let column = |text: &str, role, column_type| NewColumn { name: name(text), column_type, role };
    let (database, table) = (DatabaseName::new("db").expect("plain"), TableName::new("t").expect("plain"));
    let empty = TableDef::new(TableId::from_uuid(Uuid::nil()), database, table, key).expect("plain names");
    let columns = [
        column("a", ColumnRole::Tag, ColumnType::String),
        column("b", ColumnRole::Tag, ColumnType::String),
        column("float", ColumnRole::Field, ColumnType::Float),
        column("text", ColumnRole::Field, ColumnType::String),
        column("count", ColumnRole::Field, ColumnType::Unsigned),
        column("flag", ColumnRole::Field, ColumnType::Boolean),
    ];
    empty.with_columns(&columns, 100).expect("columns of a new table")
}

/// What is merged, read back as rows; `window` rows at a time, of at most as many rows of inputs and a few more.
fn merged(key: TableKey, inputs: Vec<Rows>, window: usize) -> Result<Vec<Row>, MergeError> {
    let table = table(key);
    let column = |name: &str| table.column(name).expect("a column of the table").clone();
    let mut merge = Merge::new(&table, inputs);
    let mut all = Vec::new();
    let mut expected_starts: Option<Vec<u64>> = None;
    while let Some(found) = merge.next_window(window, window * 2)? {
        if let Some(starts) = &expected_starts {
            assert_eq!(*starts, found.ranges().iter().map(|range| range.start).collect::<Vec<_>>());
        }
        expected_starts = Some(found.ranges().iter().map(|range| range.end).collect());
        let tags =
            [found.tag(0)?, found.tag(1)?].map(|tag| arrow::compute::cast(&tag, &arrow::datatypes::DataType::Utf8));
        let [a, b] = tags.map(|tag| tag.expect("a dictionary of strings"));
        let [float, text, count, flag] =
            ["float", "text", "count", "flag"].map(|name| merge.column(&found, &column(name)));
        let (float, text, count, flag) = (float?, text?, count?, flag?);
        let time = found.time();
        for row in 0..found.rows() {
            let string = |array: &ArrayRef| array.is_valid(row).then(|| array.as_string::<i32>().value(row).to_owned());
            all.push(Row {
                tags: [string(&a), string(&b)],
                time: time.as_primitive::<Int64Type>().value(row),
                float: float.is_valid(row).then(|| float.as_primitive::<Float64Type>().value(row)),
                text: text.is_valid(row).then(|| text.as_string_view().value(row).to_owned()),
                count: count.is_valid(row).then(|| count.as_primitive::<UInt64Type>().value(row)),
                flag: flag.is_valid(row).then(|| flag.as_boolean().value(row)),
            });
        }
    }
    Ok(all)
}

fn row(tag: &str, time: i64, float: f64) -> Row {
    let tags = [Some(tag.to_owned()), None];
    Row { tags, time, float: Some(float), text: None, count: None, flag: None }
}

fn input(rows: Vec<Row>) -> Rows {
    Rows { rows, batch: 3, at: 0, narrow: false }
}

#[test]
fn files_that_follow_each_other_become_one_series() {
    let inputs = vec![input(vec![row("x", 1, 1.0), row("x", 2, 2.0)]), input(vec![row("x", 3, 3.0), row("y", 1, 4.0)])];
    let all = merged(TableKey::Tags, inputs, 100).expect("a merge");
    assert_eq!(all, [row("x", 1, 1.0), row("x", 2, 2.0), row("x", 3, 3.0), row("y", 1, 4.0)]);
}

#[test]
fn an_input_out_of_order_is_refused_and_named() {
    let inputs = vec![input(vec![row("x", 1, 1.0)]), input(vec![row("x", 1, 1.0), row("x", 5, 1.0), row("x", 4, 1.0)])];
    let error = merged(TableKey::Tags, inputs, 100).expect_err("row 2 is before row 1");
    assert!(matches!(error, MergeError::Order { input: 1, row: 2 }), "{error}");
    let twice = vec![input(vec![row("x", 1, 1.0), row("x", 1, 2.0)])];
    assert!(matches!(merged(TableKey::Tags, twice, 9), Err(MergeError::Order { input: 0, row: 1 })));
    let across = vec![input(vec![row("x", 1, 1.0), row("y", 1, 2.0), row("y", 2, 2.0), row("x", 9, 1.0)])];
    assert!(matches!(merged(TableKey::None, across, 9), Err(MergeError::Order { input: 0, row: 3 })));
}

#[test]
fn rows_that_overwrite_each_other_do_not_make_a_window_long() {
    let table = table(TableKey::Tags);
    let of_input = |index: u32| input((0..600).map(|time| row("x", time, f64::from(index))).collect());
    let mut merge = Merge::new(&table, (0..20).map(of_input).collect());
    let mut rows = 0;
    while let Some(window) = merge.next_window(500, 1000).expect("inputs in order") {
        rows += window.rows();
        let taken: u64 = window.ranges().iter().map(|range| range.end - range.start).sum();
        assert_eq!(taken, (window.rows() + window.overwritten_rows()) as u64);
        assert!(taken <= 1000 + 20 * 3, "{taken} rows are taken at once");
        let float = merge.column(&window, table.column("float").expect("a field")).expect("floats");
        assert!(float.as_primitive::<Float64Type>().values().iter().all(|value| *value == 19.0), "the last write");
    }
    assert_eq!(rows, 600);
}

fn some_row() -> impl Strategy<Value = Row> {
    let name = || proptest::option::weighted(0.8, prop_oneof!["", "a", "b", "host-00000000001", "host-00000000002"]);
    let text = prop_oneof!["", "short", "a text of more than twelve bytes", "another text, also long"];
    (name(), name(), 0_i64..12, any::<Option<i8>>(), proptest::option::of(text), any::<(Option<u8>, Option<bool>)>())
        .prop_map(|(a, b, time, float, text, (count, flag))| Row {
            tags: [a, b],
            time,
            float: float.map(f64::from),
            text,
            count: count.map(u64::from),
            flag,
        })
}

/// Rows of one file: in order, and of a keyed table each key once.
fn sorted(mut rows: Vec<Row>, keyed: bool) -> Vec<Row> {
    rows.sort_by_key(Row::key);
    if keyed {
        rows.dedup_by_key(|row| row.key());
    }
    rows
}

fn last_writes(inputs: &[Vec<Row>]) -> Vec<Row> {
    let mut all: BTreeMap<Key, Row> = BTreeMap::new();
    for row in inputs.iter().flatten() {
        let merged = all.entry(row.key()).or_insert_with(|| row.clone());
        merged.float = row.float.or(merged.float);
        merged.text = row.text.clone().or(merged.text.take());
        merged.count = row.count.or(merged.count);
        merged.flag = row.flag.or(merged.flag);
    }
    all.into_values().collect()
}

proptest! {
    #[test]
    fn the_last_write_of_every_field_wins(
        inputs in vec((vec(some_row(), 0..30), 1_usize..7, any::<bool>()), 1..6),
        window in 1_usize..20,
    ) {
        let inputs: Vec<_> = inputs.into_iter().map(|(rows, batch, narrow)| (sorted(narrowed(rows, narrow), true), batch, narrow)).collect();
        let rows: Vec<_> = inputs.iter().map(|(rows, ..)| rows.clone()).collect();
        let expected = last_writes(&rows);
        let inputs = inputs.into_iter().map(|(rows, batch, narrow)| Rows { rows, batch, at: 0, narrow }).collect();
        prop_assert_eq!(merged(TableKey::Tags, inputs, window).expect("a merge"), expected);
    }

    #[test]
    fn an_append_table_keeps_every_row(
        inputs in vec((vec(some_row(), 0..30), 1_usize..7, any::<bool>()), 1..6),
        window in 1_usize..20,
    ) {
        let inputs: Vec<_> = inputs.into_iter().map(|(rows, batch, narrow)| (sorted(narrowed(rows, narrow), false), batch, narrow)).collect();
        let mut expected: Vec<Row> = inputs.iter().flat_map(|(rows, ..)| rows.clone()).collect();
        let inputs = inputs.into_iter().map(|(rows, batch, narrow)| Rows { rows, batch, at: 0, narrow }).collect();
        let mut found = merged(TableKey::None, inputs, window).expect("a merge");
        let keys: Vec<Key> = found.iter().map(Row::key).collect();
        prop_assert!(keys.is_sorted());
        let all = |rows: &mut Vec<Row>| rows.sort_by_key(|row| format!("{row:?}"));
        all(&mut found);
        all(&mut expected);
        prop_assert_eq!(found, expected);
    }
}

/// The rows as an input holds them that lacks columns.
fn narrowed(mut rows: Vec<Row>, narrow: bool) -> Vec<Row> {
    if narrow {
        for row in &mut rows {
            (row.tags[1], row.text, row.count, row.flag) = (None, None, None, None);
        }
    }
    rows
}
