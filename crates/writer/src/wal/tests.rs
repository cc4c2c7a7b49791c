//! The log on a disk that loses power, fails to write and fails to sync.

mod behind;
mod random;
mod simulated;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gigapi_model::{
    ColumnName, ColumnRole, ColumnType, DatabaseName, IdempotencyRecord, NewColumn, TableDef, TableId, TableKey,
    TableName, Timestamp, WriterId,
};
use gigapi_rows::{Draft, Part, Values, conform};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::*;
use simulated::SimulatedDisk;

/// Rows that were applied: sequence to the value of the record's only row.
type Seen = Arc<Mutex<BTreeMap<u64, i64>>>;

struct Collect(Seen);

impl Apply for Collect {
    fn apply(&mut self, sequence: u64, applied: Applied) {
        // Intervals bring no rows.
        let Some((_, part)) = applied.tables.first() else { return };
        let before = self.0.lock().unwrap().insert(sequence, value_of(part));
        assert_eq!(before, None, "sequence {sequence} was applied twice");
    }
}

fn writer() -> WriterId {
    WriterId::from_uuid(Uuid::from_u128(77))
}

fn table() -> Arc<TableDef> {
    table_of(1)
}

fn table_of(number: u128) -> Arc<TableDef> {
    let id = TableId::from_uuid(Uuid::from_u128(number));
    let empty = TableDef::new(id, DatabaseName::new("d").unwrap(), TableName::new("m").unwrap(), TableKey::None);
    let value =
        NewColumn { name: ColumnName::new("v").unwrap(), column_type: ColumnType::Integer, role: ColumnRole::Field };
    Arc::new(empty.unwrap().with_columns(&[value], 10).unwrap())
}

fn part(value: i64) -> Arc<Part> {
    let mut draft = Draft::default();
    let series = draft.finish_series();
    let field = draft.add_field("v".to_owned(), Values::Integer(vec![]));
    assert!(draft.fields[field].column.set_integer(0, value));
    draft.finish_row(series, value, 0);
    Arc::new(conform(draft, &table()).unwrap().part)
}

fn value_of(part: &Part) -> i64 {
    match part.fields()[0].column.values() {
        Values::Integer(values) => values[0],
        other => panic!("{other:?}"),
    }
}

fn append(value: i64) -> (Append, oneshot::Receiver<Result<u64, LogError>>) {
    append_to(1, value)
}

fn append_to(number: u128, value: i64) -> (Append, oneshot::Receiver<Result<u64, LogError>>) {
    let (done, told) = oneshot::channel();
    let tables = vec![(table_of(number).id, part(value))];
    let payload = WriteRecord::encode(None, tables.iter().map(|(id, part)| (*id, part.as_ref())));
    let applied = Applied { tables, idempotency: None, ticket: None };
    (Append { payload: Payload::Rows(payload), definitions: vec![table_of(number)], applied, done: Some(done) }, told)
}

fn start(disk: &Arc<SimulatedDisk>, seen: &Seen, segment_bytes: u64) -> (Log, Replay, BTreeMap<u64, i64>) {
    start_within(disk, seen, segment_bytes, u64::MAX)
}

fn start_within(
    disk: &Arc<SimulatedDisk>,
    seen: &Seen,
    segment_bytes: u64,
    bytes_max: u64,
) -> (Log, Replay, BTreeMap<u64, i64>) {
    let mut replayed = BTreeMap::new();
    let found = replay(disk.as_ref(), writer(), &mut |sequence, record| {
        if let Record::Write(write) = record {
            replayed.insert(sequence, value_of(&write.tables[0].part));
        }
    })
    .unwrap();
    let kept = Replay {
        note: found.note.clone(),
        segments: found.segments.clone(),
        last_sequence: found.last_sequence,
        next_segment: found.next_segment,
        damage: found.damage.clone(),
    };
    let options = LogOptions { writer: writer(), epoch: 1, first_sequence: 1, segment_bytes, bytes_max };
    let status = Arc::new(LogStatus::new(Histogram::new(exponential_buckets(0.001, 2.0, 5))));
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    let log = Log::start(disk, options, found, status, Box::new(Collect(Arc::clone(seen)))).unwrap();
    (log, kept, replayed)
}

/// Appends one value and waits for the answer.
fn write(log: &Log, value: i64) -> Result<u64, LogError> {
    let (append, told) = append(value);
    log.append(append)?;
    told.blocking_recv().unwrap_or(Err(LogError::Closed))
}

#[test]
fn what_was_acknowledged_is_replayed_after_a_power_loss() {
    let disk = Arc::new(SimulatedDisk::default());
    let seen = Seen::default();
    let (log, _, _) = start(&disk, &seen, 64 << 20);
    for value in 0..10 {
        write(&log, value).unwrap();
    }
    log.close();
    disk.lose_power(7);
    let (_log, found, replayed) = start(&disk, &Seen::default(), 64 << 20);
    assert_eq!(found.damage, Vec::<String>::new());
    assert_eq!(replayed.values().copied().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_failed_write_is_cut_off_and_the_next_one_takes_its_place() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start(&disk, &Seen::default(), 64 << 20);
    write(&log, 1).unwrap();
    disk.fail_next_append();
    assert!(matches!(write(&log, 2), Err(LogError::Disk(_))));
    write(&log, 3).unwrap();
    log.close();
    let (_log, found, replayed) = start(&disk, &Seen::default(), 64 << 20);
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    assert_eq!(replayed.into_values().collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_failed_sync_gives_its_segment_up_and_its_sequences_are_given_again() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start(&disk, &Seen::default(), 64 << 20);
    let first = write(&log, 1).unwrap();
    disk.fail_next_sync();
    assert!(matches!(write(&log, 2), Err(LogError::Disk(_))));
    let second = write(&log, 3).unwrap();
    // The new segment starts with the definition, which takes a sequence of its own.
    assert_eq!(second, first + 2);
    log.close();
    let (_log, found, replayed) = start(&disk, &Seen::default(), 64 << 20);
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    assert_eq!(replayed.into_values().collect::<Vec<_>>(), [1, 3], "a record whose sync failed came back");
}

/// What a next process reads of intervals.
fn noted(disk: &SimulatedDisk) -> Vec<Interval> {
    let mut noted = Vec::new();
    replay(disk, writer(), &mut |_, record| {
        if let Record::Intervals(intervals) = record {
            noted.extend(intervals);
        }
    })
    .unwrap();
    noted
}

fn segments(disk: &SimulatedDisk) -> usize {
    disk.list().unwrap().iter().filter(|name| name.ends_with(".wal")).count()
}

#[test]
fn released_segments_go_but_the_sequence_stays() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start(&disk, &Seen::default(), 1);
    let mut last = 0;
    for value in 0..5 {
        last = write(&log, value).unwrap();
    }
    log.release(|_, _| true);
    log.close();
    assert_eq!(segments(&disk), 1);
    let (log, found, replayed) = start(&disk, &Seen::default(), 1);
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    // What went is remembered, up to the record before the segment that stayed.
    assert_eq!(found.note.committed.into_values().collect::<Vec<_>>(), [last - 2]);
    assert_eq!(found.last_sequence, last);
    assert_eq!(replayed.len(), 1);
    log.release(|_, _| true);
    assert!(write(&log, 9).unwrap() > last);
    log.close();
}

#[test]
fn a_spent_segment_goes_before_it_is_full_where_room_is_scarce() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start_within(&disk, &Seen::default(), 64 << 20, 2_000);
    let mut last = write(&log, 0).unwrap();
    log.release(|_, _| true);
    assert_eq!(write(&log, 1).unwrap(), last + 1, "a definition was written again: the segment went too early");
    for value in 2..50 {
        last = write(&log, value).unwrap();
    }
    log.release(|_, _| false);
    log.release(|_, _| true);
    assert_eq!(write(&log, 50).unwrap(), last + 2);
    assert_eq!(segments(&disk), 1);
    // The same for a small log on a disk that is full.
    disk.fail_next_append();
    assert!(matches!(write(&log, 51), Err(LogError::Disk(_))));
    // A few bytes find room where rows do not, and tell nothing.
    futures::executor::block_on(log.note(&[])).unwrap();
    assert!(log.status().failing.load(std::sync::atomic::Ordering::Relaxed));
    log.release(|_, _| true);
    last = write(&log, 52).unwrap();
    log.close();
    let (_log, found, replayed) = start(&disk, &Seen::default(), 64 << 20);
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    assert_eq!(replayed, BTreeMap::from([(last, 52)]));
}

#[test]
fn a_segment_stays_until_every_table_in_it_has_passed() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start(&disk, &Seen::default(), 1);
    let sequences: Vec<u64> = (0..4).map(|value| write(&log, value).unwrap()).collect();
    let watermark = sequences[1];
    log.release(move |_, last| last <= watermark);
    log.close();
    let (_log, _, replayed) = start(&disk, &Seen::default(), 1);
    assert_eq!(replayed.into_keys().collect::<Vec<_>>(), sequences[2..]);
}

#[test]
fn damage_is_reported_and_later_records_are_salvaged() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start(&disk, &Seen::default(), 64 << 20);
    for value in 0..5 {
        write(&log, value).unwrap();
    }
    log.close();
    let name = disk.list().unwrap().remove(0);
    let at = disk.read(&name).unwrap().len() / 2;
    disk.flip(&name, at);
    let (_log, found, replayed) = start(&disk, &Seen::default(), 64 << 20);
    assert_eq!(found.damage.len(), 1, "{:?}", found.damage);
    assert!(found.damage[0].contains("cannot be read"), "{:?}", found.damage);
    assert_eq!(replayed.len(), 4);
    assert!(replayed.values().any(|value| *value == 4), "what lies behind the damage was not salvaged");
    assert_eq!(disk.quarantined(), [name]);
}

#[test]
fn a_missing_segment_is_damage() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start(&disk, &Seen::default(), 1);
    for value in 0..4 {
        write(&log, value).unwrap();
    }
    log.close();
    let mut names = disk.list().unwrap();
    names.sort();
    disk.remove(&names[1]).unwrap();
    let (_log, found, replayed) = start(&disk, &Seen::default(), 1);
    assert_eq!(found.damage.len(), 1, "{:?}", found.damage);
    assert_eq!(replayed.len(), 3);
}

#[test]
fn an_idempotency_key_survives_with_its_answer() {
    let record =
        IdempotencyRecord { key: "abc".to_owned(), received_at: Timestamp::from_nanos(5), answer: b"answer".to_vec() };
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start(&disk, &Seen::default(), 64 << 20);
    let (plain, told) = append(1);
    let tables = plain.applied.tables.iter().map(|(id, part)| (*id, part.as_ref()));
    let payload = WriteRecord::encode(Some(&record), tables.collect::<Vec<_>>().into_iter());
    log.append(Append { payload: Payload::Rows(payload), ..plain }).unwrap();
    told.blocking_recv().unwrap().unwrap();
    log.close();
    let mut keys = Vec::new();
    let mut definitions = Vec::new();
    replay(disk.as_ref(), writer(), &mut |_, record| match record {
        Record::Write(write) => keys.extend(write.idempotency),
        Record::Definition(table) => definitions.push(*table),
        Record::Intervals(intervals) => panic!("{intervals:?}"),
    })
    .unwrap();
    assert_eq!(keys, [record]);
    assert_eq!(definitions, [table().as_ref().clone()]);
}

#[tokio::test]
async fn intervals_survive_a_power_loss_and_take_a_sequence() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start(&disk, &Seen::default(), 64 << 20);
    let intervals = [(1, 7), (8, 8)].map(|(lo, hi)| Interval { table: table().id, lo, hi });
    log.note(&intervals).await.unwrap();
    let (append, told) = append(5);
    log.append(append).unwrap();
    // A definition lies between them.
    assert_eq!(told.await.unwrap(), Ok(3));
    disk.lose_power(1);
    let mut noted = Vec::new();
    replay(disk.as_ref(), writer(), &mut |sequence, record| {
        if let Record::Intervals(intervals) = record {
            noted.push((sequence, intervals));
        }
    })
    .unwrap();
    assert_eq!(noted, [(1, intervals.to_vec())]);
    log.close();
    assert_eq!(log.note(&intervals).await, Err(LogError::Closed));
}
