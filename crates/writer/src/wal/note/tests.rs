use std::path::PathBuf;

use uuid::Uuid;

use super::*;
use crate::wal::LocalDisk;

fn table(number: u128) -> TableId {
    TableId::from_uuid(Uuid::from_u128(number))
}

fn names(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn note(committed: &[(u128, u64)]) -> Note {
    Note { committed: committed.iter().map(|(number, last)| (table(*number), *last)).collect(), ..Note::default() }
}

#[test]
fn the_newest_whole_note_counts() {
    let folder = tempfile::tempdir().unwrap();
    let disk = LocalDisk::new(folder.path().to_owned());
    assert_eq!(read(&disk).unwrap(), Note::default());
    let mut first = note(&[(1, 5), (2, 7)]);
    first.add_gap(3, 9);
    first.intervals.push(Interval { table: table(1), lo: 6, hi: 8 });
    first.accepted.insert(table(2), 7);
    write(&disk, &first).unwrap();
    assert_eq!(read(&disk).unwrap(), first);
    // Cut off while it was written: the one before counts.
    std::fs::write(folder.path().join(file_name(2)), b"{\"v\":2,\"tables\"").unwrap();
    assert_eq!(read(&disk).unwrap(), first);
    // A later one is the only one afterwards.
    let second = note(&[(1, 9), (2, 7)]);
    write(&disk, &second).unwrap();
    assert_eq!(read(&disk).unwrap(), second);
    assert_eq!(names(&folder).len(), 1);
    // A flipped bit makes it none.
    let path = names(&folder).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read(&disk).unwrap(), Note::default());
}

#[test]
fn a_note_of_the_first_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let record = format!("{{\"v\":1,\"tables\":{{\"{}\":5}}}}", table(1));
    let text = format!("{record}\n{:08x}\n", crc32c::crc32c(record.as_bytes()));
    std::fs::write(folder.path().join(file_name(7)), text).unwrap();
    let disk = LocalDisk::new(folder.path().to_owned());
    assert_eq!(read(&disk).unwrap(), note(&[(1, 5)]));
}

#[test]
fn gaps_that_touch_are_one() {
    let mut note = Note::default();
    for (first, last) in [(10, 12), (20, 20), (13, 15), (5, 4), (21, 30), (11, 14)] {
        note.add_gap(first, last);
    }
    assert_eq!(note.gaps, [(10, 15), (20, 30)]);
    assert!(note.covers(10, 15) && note.covers(21, 22) && !note.covers(15, 20) && !note.covers(9, 10));
    assert_eq!(
        [9, 10, 11, 16, 21, 31].map(|first| note.gap_from(first)),
        [Some(10), Some(10), Some(11), Some(20), Some(21), None]
    );
}
