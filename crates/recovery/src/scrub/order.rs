//! Which files are read next, and what is remembered of those that were.
//!
//! Files are read in rounds, in the order of their ids. An id holds the moment when its file was written, and whoever
//! wrote it has compared it then: so a file younger than the round waits for the next one, and within a round the file
//! that was read longest ago comes first, as it did in the round before. A round is two numbers however many files there
//! are; a time for each file would be a large object that is written again with every pass.

use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::Files;
use gigapi_model::{DataFile, FileId, Timestamp};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// How far a reading of all files has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// When it began, by the catalog's clock. Files that were minted later belong to the next one.
    began: Timestamp,
    /// The last file that was read.
    read: Option<FileId>,
    /// Whether all were.
    is_over: bool,
}

#[derive(Serialize, Deserialize)]
struct Record {
    v: u32,
    #[serde(flatten)]
    round: Round,
}

impl Round {
    /// A round that begins now.
    pub fn first(now: Timestamp) -> Self {
        Self { began: now, read: None, is_over: false }
    }

    /// The round that goes on now: the next one, once this is over and its time has passed.
    #[must_use]
    pub fn at(self, now: Timestamp, period: Duration) -> Self {
        if self.is_over && now.since(self.began) >= period { Self::first(now) } else { self }
    }

    /// Whether all files have been read.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn read_up_to(&mut self, file: FileId) {
        self.read = Some(file);
    }

    pub(super) fn end(&mut self) {
        self.is_over = true;
    }

    fn wants(&self, file: &DataFile) -> bool {
        !self.is_over && self.read.is_none_or(|read| file.id > read) && file.id.minted_at() <= self.began
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Three plain values: there is nothing that cannot be written.
        serde_json::to_vec(&Record { v: VERSION, round: *self }).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let record: Record = serde_json::from_slice(bytes).ok()?;
        (record.v == VERSION).then_some(record.round)
    }
}

/// The first `files_max` of these live files that the round has yet to read, in order.
pub fn next_files(round: Round, files_max: usize, files: &Files) -> Vec<Arc<DataFile>> {
    let mut wanted: Vec<&Arc<DataFile>> = files.iter().filter(|file| round.wants(file)).collect();
    keep_first(&mut wanted, files_max, |file| file.id);
    wanted.into_iter().cloned().collect()
}

/// Keeps the first ones by id, in order.
pub(super) fn keep_first<T>(files: &mut Vec<T>, files_max: usize, id: impl Fn(&T) -> FileId) {
    if files.len() > files_max {
        files.select_nth_unstable_by_key(files_max, &id);
        files.truncate(files_max);
    }
    files.sort_unstable_by_key(id);
}

#[cfg(test)]
mod tests;
