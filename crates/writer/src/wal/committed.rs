//! What the log remembers of segments that are gone: per table, the last sequence that the catalog had committed.
//!
//! A segment goes once its rows are in committed files. A catalog that knows less afterwards was rolled back, and
//! without this note nobody could tell: the rows would be taken for rows that never were. The note is written and
//! synced before a segment is unlinked; a new one takes the place of the one before, and never changes in place.

use std::collections::{BTreeMap, HashMap};
use std::io;

use gigapi_model::TableId;
use serde::{Deserialize, Serialize};

use super::disk::Disk;

const EXTENSION: &str = ".committed";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Note {
    v: u32,
    tables: BTreeMap<TableId, u64>,
}

/// Named by the newest segment that it speaks of.
fn file_name(number: u64) -> String {
    format!("{number:020}{EXTENSION}")
}

fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(EXTENSION)?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

fn numbers(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = disk.list()?.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Writes the note; when it returns, the note survives and is the only one.
pub(super) fn write(disk: &dyn Disk, number: u64, committed: &HashMap<TableId, u64>) -> io::Result<()> {
    let note = Note { v: VERSION, tables: committed.iter().map(|(table, last)| (*table, *last)).collect() };
    let mut bytes = serde_json::to_vec(&note)?;
    bytes.extend_from_slice(format!("\n{:08x}\n", crc32c::crc32c(&bytes)).as_bytes());
    let name = file_name(number);
    if disk.list()?.contains(&name) {
        // Left by a process that died before it unlinked the segments.
        disk.remove(&name)?;
    }
    let mut file = disk.create(&name)?;
    file.append(&bytes)?;
    file.sync()?;
    disk.sync_names()?;
    for older in numbers(disk)?.into_iter().filter(|older| *older < number) {
        disk.remove(&file_name(older))?;
    }
    Ok(())
}

/// The newest note that is whole; empty if there is none. One that was being written when the process died is
/// followed by the segments that it speaks of, so passing it over loses nothing.
pub(super) fn read(disk: &dyn Disk) -> io::Result<HashMap<TableId, u64>> {
    for number in numbers(disk)?.into_iter().rev() {
        if let Some(note) = decode(&disk.read(&file_name(number))?) {
            return Ok(note.tables.into_iter().collect());
        }
    }
    Ok(HashMap::new())
}

fn decode(bytes: &[u8]) -> Option<Note> {
    let split = bytes.iter().position(|byte| *byte == b'\n')?;
    let (record, trailer) = bytes.split_at(split);
    if trailer != format!("\n{:08x}\n", crc32c::crc32c(record)).as_bytes() {
        return None;
    }
    serde_json::from_slice::<Note>(record).ok().filter(|note| note.v == VERSION)
}

#[cfg(test)]
mod tests;
