//! A table's live files in memory.
//!
//! Files are looked up by id and by time range. A range lookup starts no earlier than the longest file
//! could reach, so a query for the last hour touches the files of about that hour, however many there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{DataFile, FileId, TimeRange, Timestamp};

use crate::Files;

/// Live files in their order and by id.
#[derive(Debug, Default, Clone)]
pub(crate) struct FileSet {
    files: Files,
    starts: HashMap<FileId, Timestamp>,
    /// The longest span of any file that was ever in the set.
    longest: Duration,
}

impl FileSet {
    pub(crate) fn insert(&mut self, file: Arc<DataFile>) {
        self.longest = self.longest.max(file.time.max.since(file.time.min));
        let start = file.time.min;
        if let Some(previous) = self.starts.insert(file.id, start) {
            self.files.remove((previous, file.id));
        }
        self.files.insert(file);
    }

    pub(crate) fn remove(&mut self, id: FileId) -> Option<Arc<DataFile>> {
        let start = self.starts.remove(&id)?;
        self.files.remove((start, id))
    }

    pub(crate) fn get(&self, id: FileId) -> Option<&Arc<DataFile>> {
        let start = self.starts.get(&id)?;
        self.files.get((*start, id))
    }

    /// All files by ascending `(time.min, id)`.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<DataFile>> {
        self.files.iter()
    }

    /// All files; the copy shares them.
    pub(crate) fn all(&self) -> Files {
        self.files.clone()
    }

    /// Files that overlap `range`, as a snapshot lists them.
    pub(crate) fn within(&self, range: TimeRange) -> Files {
        if range == TimeRange::ALL { self.all() } else { self.overlapping(range).cloned().collect() }
    }

    /// Files that overlap `range`, by ascending `(time.min, id)`.
    pub(crate) fn overlapping(&self, range: TimeRange) -> impl Iterator<Item = &Arc<DataFile>> {
        let span = u64::try_from(self.longest.as_nanos()).unwrap_or(u64::MAX);
        let first = Timestamp::from_nanos(range.min.nanos().saturating_sub_unsigned(span));
        let last = range.max;
        self.files
            .iter_from((first, FileId::from_uuid(uuid::Uuid::nil())))
            .take_while(move |file| file.time.min <= last)
            .filter(move |file| file.time.overlaps(range))
    }
}

#[cfg(test)]
mod tests;
