//! A table that cannot be committed keeps its own rows, and not those of all others.

use super::*;

/// Each record in a segment of its own, and never room enough.
fn start_scarce(disk: &Arc<SimulatedDisk>) -> (Log, Replay, BTreeMap<u64, i64>) {
    start_within(disk, &Seen::default(), 1, 1_000)
}

fn write_to(log: &Log, number: u128, value: i64) -> u64 {
    let (append, told) = append_to(number, value);
    log.append(append).unwrap();
    told.blocking_recv().unwrap().unwrap()
}

/// Rows of one table around those of another.
fn write_around(log: &Log) {
    write_to(log, 2, 100);
    for value in 0..4 {
        write_to(log, 1, value);
    }
    write_to(log, 2, 101);
}

/// Waits until what was sent before is done.
fn settle(log: &Log) {
    futures::executor::block_on(log.note(&[])).unwrap();
}

#[test]
fn segments_behind_it_go_and_it_takes_no_more_rows() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start_scarce(&disk);
    let (stuck, others) = (table_of(2).id, table_of(1).id);
    let first = write_to(&log, 2, 100);
    let interval = Interval { table: stuck, lo: 1, hi: first };
    futures::executor::block_on(log.note(&[interval])).unwrap();
    for value in 0..10 {
        write_to(&log, 1, value);
    }
    let second = write_to(&log, 2, 101);
    let last = write_to(&log, 1, 10);
    // Nothing of anybody can be committed: that is no table's fault.
    log.release(|_, _| false);
    settle(&log);
    assert!(!log.is_lagging(stuck) && !log.is_lagging(others));
    let before = segments(&disk);
    log.release(move |table, _| table == others);
    settle(&log);
    assert!(log.is_lagging(stuck) && !log.is_lagging(others));
    assert!(segments(&disk) <= before - 9, "{} of {before} are left", segments(&disk));
    write_to(&log, 1, 11);
    log.close();
    assert_eq!(noted(&disk), [interval], "what was noted in a segment that went is still known");
    let (log, found, replayed) = start_scarce(&disk);
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    let of_stuck: BTreeMap<u64, i64> = replayed.into_iter().filter(|(_, value)| *value >= 100).collect();
    assert_eq!(of_stuck, BTreeMap::from([(first, 100), (second, 101)]));
    // It is committed at last.
    log.release(move |_, sequence| sequence <= last);
    settle(&log);
    assert!(!log.is_lagging(stuck));
    log.close();
    let (_log, found, replayed) = start_scarce(&disk);
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    assert_eq!(replayed.into_values().collect::<Vec<_>>(), [11]);
    assert!(noted(&disk).is_empty());
}

#[test]
fn a_segment_that_went_without_being_noted_is_still_damage() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start_scarce(&disk);
    let others = table_of(1).id;
    write_around(&log);
    log.release(move |table, _| table == others);
    settle(&log);
    for value in 4..8 {
        write_to(&log, 1, value);
    }
    log.close();
    let newest_but_one = {
        let mut names = disk.list().unwrap();
        names.retain(|name| name.ends_with(".wal"));
        names.sort();
        names[names.len() - 2].clone()
    };
    disk.remove(&newest_but_one).unwrap();
    let (_log, found, _) = start_scarce(&disk);
    assert_eq!(found.damage.len(), 1, "{:?}", found.damage);
    assert!(found.damage[0].contains("are missing before it"), "{:?}", found.damage);
}

#[test]
fn on_a_disk_that_takes_no_note_all_of_them_stay() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _, _) = start_scarce(&disk);
    let others = table_of(1).id;
    write_around(&log);
    let before = segments(&disk);
    disk.fail_next_append();
    log.release(move |table, _| table == others);
    log.close();
    assert_eq!(segments(&disk), before);
    let (_log, found, replayed) = start_scarce(&disk);
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    assert_eq!(replayed.len(), 6);
}
