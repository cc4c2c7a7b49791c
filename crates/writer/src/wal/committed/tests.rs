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

#[test]
fn the_newest_whole_note_counts() {
    let folder = tempfile::tempdir().unwrap();
    let disk = LocalDisk::new(folder.path().to_owned());
    assert!(read(&disk).unwrap().is_empty());
    let first = HashMap::from([(table(1), 5), (table(2), 7)]);
    write(&disk, 3, &first).unwrap();
    assert_eq!(read(&disk).unwrap(), first);
    // Cut off while it was written: the one before counts.
    std::fs::write(folder.path().join(file_name(4)), b"{\"v\":1,\"tables\"").unwrap();
    assert_eq!(read(&disk).unwrap(), first);
    // Written again under the same name, and the only one afterwards.
    let second = HashMap::from([(table(1), 9), (table(2), 7)]);
    write(&disk, 4, &second).unwrap();
    assert_eq!(read(&disk).unwrap(), second);
    assert_eq!(names(&folder).len(), 1);
    // A flipped bit makes it none.
    let path = names(&folder).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(read(&disk).unwrap().is_empty());
}
