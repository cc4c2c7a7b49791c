//! A table's live files in memory, in the order in which snapshots list them.
//!
//! Files are looked up by id and by time range. A range lookup starts no earlier than the longest file
//! could reach, so a query for the last hour touches the files of about that hour, however many there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{DataFile, FileId, TimeRange, Timestamp};

/// Live files by `(time.min, id)` and by id.
#[derive(Debug, Default, Clone)]
pub(crate) struct FileSet {
    by_time: BTreeMap<(Timestamp, FileId), Arc<DataFile>>,
    starts: HashMap<FileId, Timestamp>,
    /// The longest span of any file that was ever in the set.
    longest: Duration,
}

impl FileSet {
    pub(crate) fn insert(&mut self, file: Arc<DataFile>) {
        self.longest = self.longest.max(file.time.max.since(file.time.min));
        let start = file.time.min;
        if let Some(previous) = self.starts.insert(file.id, start) {
            self.by_time.remove(&(previous, file.id));
        }
        self.by_time.insert((start, file.id), file);
    }

    pub(crate) fn remove(&mut self, id: FileId) -> Option<Arc<DataFile>> {
        let start = self.starts.remove(&id)?;
        self.by_time.remove(&(start, id))
    }

    pub(crate) fn get(&self, id: FileId) -> Option<&Arc<DataFile>> {
        let start = self.starts.get(&id)?;
        self.by_time.get(&(*start, id))
    }

    /// All files by ascending `(time.min, id)`.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<DataFile>> {
        self.by_time.values()
    }

    /// Files that overlap `range`, by ascending `(time.min, id)`.
    pub(crate) fn overlapping(&self, range: TimeRange) -> impl Iterator<Item = &Arc<DataFile>> {
        let span = u64::try_from(self.longest.as_nanos()).unwrap_or(u64::MAX);
        let first = Timestamp::from_nanos(range.min.nanos().saturating_sub_unsigned(span));
        let last = range.max;
        self.by_time
            .range((first, FileId::from_uuid(uuid::Uuid::nil()))..)
            .take_while(move |((start, _), _)| *start <= last)
            .map(|(_, file)| file)
            .filter(move |file| file.time.overlaps(range))
    }
}

#[cfg(test)]
mod tests;
