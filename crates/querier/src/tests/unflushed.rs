//! Rows of a writer beside files: none missing, none twice, whatever is flushed meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use async_trait::async_trait;
use gigapi_model::{FieldId, TableDef, TableId, TableKey, TimeRange, Timestamp, WriterId};
use gigapi_service::settings::Consistency;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;

use super::world::*;
use crate::unflushed::{Produce, RowsWanted, Unflushed, UnflushedError, UnflushedPart, UnflushedView};
use crate::{Error, QueryOptions, QueryRequest};

#[derive(Debug)]
struct Part {
    sequence: u64,
    rows: Vec<Row>,
}

impl UnflushedPart for Part {
    fn sequences(&self) -> (u64, u64) {
        (self.sequence, self.sequence)
    }

    fn time_range(&self) -> TimeRange {
        let times = || self.rows.iter().map(|row| Timestamp::from_nanos(row.0));
        TimeRange::new(times().min().unwrap(), times().max().unwrap())
    }

    fn rows(&self) -> usize {
        self.rows.len()
    }
}

/// A writer's buffer of one table.
#[derive(Debug)]
struct Buffer {
    table: TableId,
    writer: WriterId,
    held: Mutex<(u64, Vec<Arc<Part>>)>,
    calls: Arc<AtomicU64>,
    /// How often rows are asked for in vain, because they were flushed meanwhile.
    overtaken: AtomicU64,
    /// Whether it tells what it holds, and then does not answer any more.
    falls_silent: bool,
}

impl Buffer {
    fn new(world: &World, table: &TableDef) -> Arc<Self> {
        Arc::new(Self {
            table: table.id,
            writer: world.writer,
            held: Mutex::default(),
            calls: Arc::default(),
            overtaken: AtomicU64::new(0),
            falls_silent: false,
        })
    }

    fn push(&self, sequence: u64, rows: &[Row]) {
        self.held.lock().1.push(Arc::new(Part { sequence, rows: rows.to_vec() }));
    }

    /// Commits everything that is held and forgets it afterwards, as a flush does.
    async fn flush(&self, world: &World, table: &Arc<TableDef>) {
        let parts = self.held.lock().1.clone();
        let rows: Vec<Row> = parts.iter().flat_map(|part| part.rows.clone()).collect();
        let floor = self.held.lock().0;
        let hi = parts.last().unwrap().sequence;
        world.commit(table, &rows, (floor + 1, hi)).await;
        let mut held = self.held.lock();
        held.0 = hi;
        held.1.retain(|part| part.sequence > hi);
    }
}

#[async_trait]
impl Unflushed for Buffer {
    fn writer(&self) -> WriterId {
        self.writer
    }

    async fn view(&self, table: TableId) -> crate::Result<UnflushedView> {
        assert_eq!(table, self.table);
        let held = self.held.lock();
        let parts = held.1.iter().map(|part| Arc::clone(part) as Arc<dyn UnflushedPart>).collect();
        Ok(UnflushedView { floor: held.0, parts })
    }

    async fn rows(&self, wanted: RowsWanted) -> crate::Result<Produce> {
        let RowsWanted { parts, table, columns, range, .. } = wanted;
        if self.falls_silent {
            let (address, reason) = ("writer:1".to_owned(), "it is gone".to_owned());
            return Err(Error::WriterAway { writer: self.writer, address, reason });
        }
        let left = self.overtaken.load(Ordering::SeqCst);
        if left > 0 {
            self.overtaken.store(left - 1, Ordering::SeqCst);
            return Err(Error::Overtaken { writer: self.writer });
        }
        let calls = Arc::clone(&self.calls);
        Ok(Arc::new(move || {
            calls.fetch_add(1, Ordering::SeqCst);
            batches(&parts, &table, &columns, range)
        }))
    }
}

fn batches(
    parts: &[Arc<dyn UnflushedPart>],
    table: &TableDef,
    columns: &[FieldId],
    range: TimeRange,
) -> Result<Vec<RecordBatch>, UnflushedError> {
    let mut rows: Vec<Row> = Vec::new();
    for part in parts {
        let part: &dyn std::any::Any = part.as_ref();
        rows.extend(part.downcast_ref::<Part>().ok_or("not a part of this buffer")?.rows.clone());
    }
    rows.retain(|row| range.contains(Timestamp::from_nanos(row.0)));
    let key = |row: &Row| {
        let tags = row.1.iter().filter_map(|(_, value)| if let Tag(text) = value { Some(*text) } else { None });
        (tags.collect::<Vec<_>>(), row.0)
    };
    if table.key == TableKey::Tags {
        rows = rows.iter().map(|row| (key(row), row.clone())).collect::<BTreeMap<_, _>>().into_values().collect();
    }
    rows.sort_by_key(key);
    let made = batch(table, &rows);
    let schema = gigapi_rows::table_schema(table);
    let indices: Vec<usize> =
        columns.iter().map(|id| table.columns.iter().position(|column| column.field_id == *id).unwrap()).collect();
    let arrays: Vec<ArrayRef> = indices
        .iter()
        .map(|&index| {
            let field = schema.field(index);
            match made.column_by_name(field.name()) {
                Some(array) => cast(array, field.data_type()).unwrap(),
                None => new_null_array(field.data_type(), rows.len()),
            }
        })
        .collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let projected = Arc::new(schema.project(&indices)?);
    Ok(vec![RecordBatch::try_new_with_options(projected, arrays, &options)?])
}

fn row(time: i64, host: &'static str, x: i64) -> Row {
    (DAY + time, vec![("host", Tag(host)), ("x", Integer(x))])
}

#[tokio::test]
async fn files_and_unflushed_rows_are_one_table() {
    let world = World::new().await;
    let rows = [row(0, "a", 1), row(1, "b", 2)];
    let table = world.define("mydb", "t", &rows, TableKey::Tags).await;
    world.commit(&table, &rows, (1, 1)).await;
    let buffer = Buffer::new(&world, &table);
    buffer.held.lock().0 = 1;
    buffer.push(2, &[row(10, "a", 3)]);
    let querier = world.querier_with(QueryOptions::default(), Some(buffer.clone()));
    assert_eq!(
        ask(&querier, "SELECT count(*), sum(x), max(time) FROM t").await[1],
        "3|6|2025-04-24T00:00:00.000000010"
    );
    assert_eq!(ask(&querier, "SELECT x FROM t WHERE host = 'a' ORDER BY time").await[1..], ["1", "3"]);
    let calls = buffer.calls.load(Ordering::SeqCst);
    let before = format!("SELECT count(*) FROM t WHERE time < {}", DAY + 5);
    assert_eq!(ask(&querier, &before).await[1], "2");
    assert_eq!(ask(&querier, "EXPLAIN SELECT * FROM t").await.len(), 3);
    assert_eq!(buffer.calls.load(Ordering::SeqCst), calls, "rows were read that the query did not need");
}

#[tokio::test]
async fn unflushed_rows_overwrite_files_field_by_field() {
    let world = World::new().await;
    let full = (DAY, vec![("host", Tag("a")), ("x", Integer(1)), ("y", Float(1.0))]);
    let table = world.define("mydb", "t", std::slice::from_ref(&full), TableKey::Tags).await;
    world.commit(&table, &[full, row(9, "b", 5)], (1, 1)).await;
    let buffer = Buffer::new(&world, &table);
    buffer.held.lock().0 = 1;
    buffer.push(2, &[row(0, "a", 2)]);
    buffer.push(3, &[row(3, "c", 7)]);
    let querier = world.querier_with(QueryOptions::default(), Some(buffer));
    let answer = ask(&querier, "SELECT host, x, y FROM t ORDER BY time").await;
    assert_eq!(answer[1..], ["a|2|1.0", "c|7|NULL", "b|5|NULL"]);
    assert_eq!(ask(&querier, "SELECT count(*) FROM t WHERE x = 1").await[1], "0");
}

#[tokio::test]
async fn parts_that_the_watermark_covers_are_dropped() {
    let world = World::new().await;
    let rows = [row(0, "a", 1)];
    let table = world.define("mydb", "log", &rows, TableKey::None).await;
    let buffer = Buffer::new(&world, &table);
    buffer.push(1, &rows);
    buffer.push(2, &[row(1, "a", 2)]);
    // Committed, but the buffer does not know yet.
    world.commit(&table, &rows, (1, 1)).await;
    let querier = world.querier_with(QueryOptions::default(), Some(buffer));
    assert_eq!(ask(&querier, "SELECT count(*), sum(x) FROM log").await[1], "2|3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_rows_are_flushed_each_is_seen_once() {
    for key in [TableKey::None, TableKey::Tags] {
        let world = Arc::new(World::new().await);
        let table = world.define("mydb", "t", &[row(0, "a", 0)], key).await;
        let buffer = Buffer::new(&world, &table);
        let querier = world.querier_with(QueryOptions::default(), Some(buffer.clone()));
        let written = Arc::new(AtomicU64::new(0));
        let writer = {
            let (world, buffer, written) = (world.clone(), buffer.clone(), written.clone());
            tokio::spawn(async move {
                for sequence in 1..=120_u64 {
                    let time = i64::try_from(sequence).unwrap();
                    buffer.push(sequence, &[row(time, "a", 1)]);
                    written.store(sequence, Ordering::SeqCst);
                    if sequence % 7 == 0 {
                        buffer.flush(&world, &table).await;
                    }
                    tokio::task::yield_now().await;
                }
            })
        };
        while !writer.is_finished() {
            let before = written.load(Ordering::SeqCst);
            let seen: u64 = ask(&querier, "SELECT count(x) FROM t").await[1].parse().unwrap();
            let after = written.load(Ordering::SeqCst) + 1;
            assert!(before <= seen && seen <= after, "{seen} rows seen, {before} to {after} were written");
        }
        writer.await.unwrap();
        assert_eq!(ask(&querier, "SELECT count(*), sum(x) FROM t").await[1], "120|120");
    }
}

#[tokio::test]
async fn a_query_whose_rows_were_flushed_meanwhile_is_planned_again() {
    let world = World::new().await;
    let table = world.define("mydb", "t", &[row(0, "a", 0)], TableKey::Tags).await;
    let buffer = Buffer::new(&world, &table);
    buffer.push(1, &[row(0, "a", 1)]);
    let querier = world.querier_with(QueryOptions::default(), Some(buffer.clone()));
    buffer.overtaken.store(5, Ordering::SeqCst);
    assert_eq!(ask(&querier, "SELECT sum(x) FROM t").await[1], "1");
    assert_eq!(buffer.overtaken.load(Ordering::SeqCst), 0);
    // Not for ever.
    buffer.overtaken.store(u64::MAX, Ordering::SeqCst);
    let error = try_ask(&querier, "SELECT sum(x) FROM t").await.unwrap_err();
    assert!(matches!(error, Error::Overtaken { .. }), "{error:?}");
}

#[tokio::test]
async fn a_writer_that_falls_silent_is_an_error_or_left_out_as_a_whole() {
    let world = World::new().await;
    let rows = [row(0, "a", 1)];
    let table = world.define("mydb", "t", &rows, TableKey::Tags).await;
    world.commit(&table, &rows, (1, 1)).await;
    let mut buffer = Arc::into_inner(Buffer::new(&world, &table)).unwrap();
    buffer.falls_silent = true;
    buffer.held.lock().0 = 1;
    buffer.push(2, &[row(5, "b", 2)]);
    let mut registry = Registry::default();
    let querier = world.querier_counted(&mut registry, Some(Arc::new(buffer)));
    let asked = |consistency| {
        let sql = "SELECT count(*) FROM t AS a JOIN t AS b ON a.host = b.host";
        querier.query(QueryRequest { consistency: Some(consistency), ..request(sql) })
    };
    let error = asked(Consistency::Tail).await.unwrap_err();
    assert!(error.to_string().contains("writer:1"), "{error}");
    let answer = asked(Consistency::TailBestEffort).await.unwrap();
    assert_eq!(answer.writers_away(), [format!("{}@writer:1", world.writer)]);
    assert_eq!(lines(answer).await.unwrap()[1], "1");
    let mut told = String::new();
    prometheus_client::encoding::text::encode(&mut told, &registry).unwrap();
    assert!(told.contains("query_writers_away_total 2"), "{told}");
}
