//! What the log remembers of segments that are gone.
//!
//! A segment goes once its rows are in committed files. A catalog that knows less afterwards was rolled back, and
//! without this note nobody could tell: the rows would be taken for rows that never were. Nor could anybody tell a
//! segment that was removed from the middle from one that was lost. The note is written and synced before a segment is
//! unlinked; a new one takes the place of the one before, and never changes in place.

use std::collections::{BTreeMap, HashMap};
use std::io;

use gigapi_model::TableId;
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::record::Interval;

const EXTENSION: &str = ".committed";

/// The first version had the committed sequences alone.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=2;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// Per table, the last sequence that the catalog had committed.
    pub committed: HashMap<TableId, u64>,
    /// Sequences, first and last, of segments that were removed while older ones stayed; ascending, apart.
    pub gaps: Vec<(u64, u64)>,
    /// Intervals that such segments had noted and that may not be committed yet.
    pub intervals: Vec<Interval>,
    /// Per table, the last sequence of committed rows whose loss was accepted.
    pub accepted: HashMap<TableId, u64>,
}

impl Note {
    /// Takes in that these sequences are gone.
    pub(super) fn add_gap(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        self.gaps.push((first, last));
        self.gaps.sort_unstable();
        self.gaps.dedup_by(|next, before| {
            let joins = next.0 <= before.1 + 1;
            if joins {
                before.1 = before.1.max(next.1);
            }
            joins
        });
    }

    /// Whether all these sequences are known to be gone.
    pub(super) fn covers(&self, first: u64, last: u64) -> bool {
        self.gaps.iter().any(|gap| gap.0 <= first && last <= gap.1)
    }

    /// The first sequence that is gone, from `first` on.
    pub(super) fn gap_from(&self, first: u64) -> Option<u64> {
        self.gaps.iter().find(|gap| gap.1 >= first).map(|gap| gap.0.max(first))
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    tables: BTreeMap<TableId, u64>,
    #[serde(default)]
    gaps: Vec<(u64, u64)>,
    #[serde(default)]
    intervals: Vec<(TableId, u64, u64)>,
    #[serde(default)]
    accepted: BTreeMap<TableId, u64>,
}

/// Numbered in the order in which they were written.
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
pub(super) fn write(disk: &dyn Disk, note: &Note) -> io::Result<()> {
    let stored = Stored {
        v: *VERSIONS.end(),
        tables: note.committed.iter().map(|(table, last)| (*table, *last)).collect(),
        gaps: note.gaps.clone(),
        intervals: note.intervals.iter().map(|Interval { table, lo, hi }| (*table, *lo, *hi)).collect(),
        accepted: note.accepted.iter().map(|(table, last)| (*table, *last)).collect(),
    };
    let mut bytes = serde_json::to_vec(&stored)?;
    bytes.extend_from_slice(format!("\n{:08x}\n", crc32c::crc32c(&bytes)).as_bytes());
    let older = numbers(disk)?;
    let name = file_name(older.last().map_or(1, |last| last + 1));
    let mut file = disk.create(&name)?;
    if let Err(error) = file.append(&bytes).and_then(|()| file.sync()).and_then(|()| disk.sync_names()) {
        // The disk is full, as a rule: what was written of it takes no more room.
        let _ = disk.remove(&name);
        return Err(error);
    }
    for number in older {
        disk.remove(&file_name(number))?;
    }
    Ok(())
}

/// The newest note that is whole; nothing if there is none. One that was being written when the process died is
/// followed by the segments that it speaks of, so passing it over loses nothing.
pub(super) fn read(disk: &dyn Disk) -> io::Result<Note> {
    for number in numbers(disk)?.into_iter().rev() {
        if let Some(stored) = decode(&disk.read(&file_name(number))?) {
            let interval = |(table, lo, hi)| Interval { table, lo, hi };
            return Ok(Note {
                committed: stored.tables.into_iter().collect(),
                gaps: stored.gaps,
                intervals: stored.intervals.into_iter().map(interval).collect(),
                accepted: stored.accepted.into_iter().collect(),
            });
        }
    }
    Ok(Note::default())
}

fn decode(bytes: &[u8]) -> Option<Stored> {
    let split = bytes.iter().position(|byte| *byte == b'\n')?;
    let (record, trailer) = bytes.split_at(split);
    if trailer != format!("\n{:08x}\n", crc32c::crc32c(record)).as_bytes() {
        return None;
    }
    serde_json::from_slice::<Stored>(record).ok().filter(|note| VERSIONS.contains(&note.v))
}

#[cfg(test)]
mod tests;
