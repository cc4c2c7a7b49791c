use gigapi_model::{ColumnName, ColumnRole, ColumnType, DatabaseName, NewColumn, TableDef, TableKey, TableName};
use gigapi_rows::{Draft, Values, conform};
use uuid::Uuid;

use super::*;

fn table(number: u128) -> TableId {
    TableId::from_uuid(Uuid::from_u128(number))
}

fn part(value: i64) -> Arc<Part> {
    let column =
        NewColumn { name: ColumnName::new("v").unwrap(), column_type: ColumnType::Integer, role: ColumnRole::Field };
    let empty = TableDef::new(table(1), DatabaseName::new("d").unwrap(), TableName::new("m").unwrap(), TableKey::Tags);
    let definition = empty.unwrap().with_columns(&[column], 10).unwrap();
    let mut draft = Draft::default();
    let series = draft.finish_series();
    let field = draft.add_field("v".to_owned(), Values::Integer(vec![]));
    assert!(draft.fields[field].column.set_integer(0, value));
    draft.finish_row(series, value, 0);
    Arc::new(conform(draft, &definition).unwrap().part)
}

fn push(buffer: &Buffer, sequence: u64, tables: &[u128]) {
    let value = i64::try_from(sequence).unwrap();
    let tables = tables.iter().map(|number| (table(*number), part(value))).collect();
    buffer.push(sequence, Applied { tables, idempotency: None, ticket: None });
}

fn sequences(view: &View) -> Vec<(u64, u64, usize)> {
    view.chunks.iter().map(|chunk| (chunk.lo, chunk.hi, chunk.parts.len())).collect()
}

#[test]
fn a_flush_covers_everything_since_the_last_one_whatever_table_it_was_for() {
    let buffer = Buffer::new(HashMap::new());
    push(&buffer, 1, &[1]);
    push(&buffer, 2, &[2]);
    push(&buffer, 3, &[1]);
    push(&buffer, 4, &[2]);
    let mut frozen = buffer.freeze();
    frozen.sort_by_key(|frozen| frozen.table);
    let intervals: Vec<_> = frozen.iter().map(|frozen| (frozen.lo, frozen.hi, frozen.entries.len())).collect();
    assert_eq!(intervals, [(1, 4, 2), (1, 4, 2)]);
    buffer.release(&frozen[0]);
    push(&buffer, 5, &[1]);
    let next = buffer.freeze();
    assert_eq!(next.len(), 1, "a table whose chunk is being flushed was frozen again");
    assert_eq!((next[0].lo, next[0].hi), (5, 5));
}

#[test]
fn rows_stay_in_view_until_their_commit_and_the_floor_follows() {
    let buffer = Buffer::new(HashMap::from([(table(1), 10)]));
    push(&buffer, 11, &[1]);
    assert_eq!((buffer.view(table(1)).floor, sequences(&buffer.view(table(1)))), (10, vec![(11, 11, 1)]));
    let frozen = buffer.freeze().remove(0);
    push(&buffer, 12, &[1]);
    assert_eq!(sequences(&buffer.view(table(1))), [(11, 11, 1), (12, 12, 1)]);
    buffer.release(&frozen);
    let view = buffer.view(table(1));
    assert_eq!((view.floor, sequences(&view)), (11, vec![(12, 12, 1)]));
    assert_eq!(buffer.rows(), 1);
}

#[test]
fn an_emptied_buffer_holds_no_bytes() {
    let buffer = Buffer::new(HashMap::new());
    push(&buffer, 1, &[1, 2, 3]);
    assert!(buffer.bytes() > 0 && buffer.table_bytes(table(1)) > 0);
    for frozen in buffer.freeze() {
        buffer.release(&frozen);
    }
    assert_eq!((buffer.bytes(), buffer.rows(), buffer.is_empty()), (0, 0, true));
    assert_eq!(buffer.watermark(table(2)), 1);
}

#[test]
fn a_partly_committed_interval_is_cut_at_the_watermark() {
    let buffer = Buffer::new(HashMap::new());
    for sequence in 1..=4 {
        push(&buffer, sequence, &[1]);
    }
    let frozen = buffer.freeze().remove(0);
    let rest = buffer.recut(&frozen, 2).expect("two rows are left");
    assert_eq!((rest.lo, rest.hi, rest.entries.len()), (3, 4, 2));
    assert_eq!(sequences(&buffer.view(table(1))), [(3, 4, 2)]);
    buffer.release(&rest);
    assert_eq!((buffer.bytes(), buffer.watermark(table(1))), (0, 4));
}

#[tokio::test]
async fn whoever_waits_for_a_commit_is_told() {
    let buffer = Arc::new(Buffer::new(HashMap::new()));
    push(&buffer, 1, &[1, 2]);
    let waiting = tokio::spawn({
        let buffer = Arc::clone(&buffer);
        async move { buffer.until_committed(1, &[table(1), table(2)]).await }
    });
    let frozen = buffer.freeze();
    buffer.release(&frozen[0]);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "one of two tables is not enough");
    buffer.release(&frozen[1]);
    waiting.await.unwrap();
}

#[test]
fn what_was_read_back_is_cut_where_it_was_cut_before() {
    let buffer = Buffer::new(HashMap::from([(table(1), 2)]));
    for sequence in 3..=9 {
        push(&buffer, sequence, &[1]);
    }
    buffer.skip_to(14);
    let interval = |lo, hi| Interval { table: table(1), lo, hi };
    // One that is committed, two whose fate is unknown, the first of them tried twice, and one of another table.
    let other = Interval { table: table(2), lo: 1, hi: 4 };
    buffer.cut(&[interval(1, 2), interval(3, 5), interval(3, 5), interval(6, 8), other]);
    push(&buffer, 15, &[1]);
    let mut seen = Vec::new();
    while let Some(frozen) = buffer.freeze().pop() {
        seen.push((frozen.lo, frozen.hi, frozen.entries.len()));
        buffer.release(&frozen);
    }
    assert_eq!(seen, [(3, 5, 3), (6, 8, 3), (9, 15, 2)]);
    assert!(buffer.is_empty());
}

#[test]
fn an_interval_ends_where_it_ended_before_whatever_came_to_other_tables_since() {
    let buffer = Buffer::new(HashMap::new());
    push(&buffer, 1, &[1]);
    push(&buffer, 2, &[2]);
    push(&buffer, 6, &[2]);
    buffer.cut(&[Interval { table: table(1), lo: 1, hi: 4 }]);
    push(&buffer, 7, &[1]);
    let of_first = |buffer: &Buffer| {
        let frozen = buffer.freeze().into_iter().find(|frozen| frozen.table == table(1)).unwrap();
        buffer.release(&frozen);
        (frozen.lo, frozen.hi)
    };
    assert_eq!([of_first(&buffer), of_first(&buffer)], [(1, 4), (5, 7)]);
}
