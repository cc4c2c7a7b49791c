//! The facts that a data file carries about itself in its footer.
//!
//! With them the catalog can be rebuilt from the layers alone: which catalog and table the file belongs to, whose
//! sequences or which files it holds, how many rows in which time, and a checksum per column chunk. They are
//! written as key-value metadata under `gigapi.` keys and carry a version. Nothing on the query path reads them.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use gigapi_model::{Bucket, CatalogId, FileId, SequenceRange, TableDef, TimeRange, Timestamp, WriterId};
use parquet::file::metadata::{FileMetaData, KeyValue};
use serde::{Deserialize, Serialize};

use crate::parquet::FileStatistics;
use crate::{Error, Result};

/// The version of everything below; another one is refused, not guessed.
const VERSION: u32 = 1;
const FACTS: &str = "gigapi.facts";
const TABLE: &str = "gigapi.table";
const CHUNKS: &str = "gigapi.chunks";
const STATISTICS: &str = "gigapi.statistics";

/// Where the rows of a file come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A flush of the interval `lo..=hi` of a writer's sequence.
    Flush {
        /// The writer.
        writer: WriterId,
        /// Its epoch.
        writer_epoch: u64,
        /// First sequence covered.
        lo: u64,
        /// Last sequence covered.
        hi: u64,
        /// Which of the flush's files this is, from 0.
        part: u32,
        /// How many files the flush made.
        parts: u32,
    },
    /// A merge of these files.
    Merge {
        /// The commits whose rows it holds.
        sequence: SequenceRange,
        /// The files, oldest first.
        sources: Vec<MergeSource>,
    },
}

impl Origin {
    /// The sequences as the catalog's record has them: a flush leaves them at zero, its commit fills them in.
    pub fn sequence(&self) -> SequenceRange {
        match self {
            Self::Flush { .. } => SequenceRange { lo: 0, hi: 0 },
            Self::Merge { sequence, .. } => *sequence,
        }
    }
}

/// A file that a merge read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeSource {
    /// The file.
    pub file: FileId,
    /// The commits whose rows it held: where nothing is left of the file, they tell what else holds its rows.
    pub sequence: SequenceRange,
}

/// What the caller of the encoder knows about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// The catalog that the file belongs to.
    pub catalog: CatalogId,
    /// The catalog's epoch when it was written.
    pub catalog_epoch: u64,
    /// The bucket that every row lies in.
    pub bucket: Bucket,
    /// When it was written, by the catalog's clock.
    pub created_at: Timestamp,
    /// Where its rows come from.
    pub origin: Origin,
}

/// What a footer says.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFacts {
    /// What the encoder was told.
    pub facts: FileFacts,
    /// The table as it was defined then, with its id and revision.
    pub table: Arc<TableDef>,
    /// Number of rows.
    pub rows: u64,
    /// Exact range of the rows' times.
    pub time: TimeRange,
    /// XXH3-64 of every column chunk: per row group, in column order.
    pub chunk_checksums: Vec<Vec<u64>>,
    /// Statistics as they were given to the catalog.
    pub statistics: FileStatistics,
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    #[serde(flatten)]
    facts: FileFacts,
    rows: u64,
    time: TimeRange,
}

impl FileFacts {
    /// Reads the facts from a footer. `path` names the object in errors.
    pub fn read(path: &str, footer: &FileMetaData) -> Result<StoredFacts> {
        let entries: HashMap<&str, &str> = footer
            .key_value_metadata()
            .into_iter()
            .flatten()
            .filter_map(|entry| Some((entry.key.as_str(), entry.value.as_deref()?)))
            .collect();
        let entry = |key: &str| {
            entries
                .get(key)
                .copied()
                .ok_or_else(|| Error::NotOurs { path: path.to_owned(), reason: format!("its footer has no {key}") })
        };
        let corrupt = |reason: String| Error::Corrupt { what: format!("the footer of {path}"), reason };
        let record: Record =
            serde_json::from_str(entry(FACTS)?).map_err(|error| corrupt(format!("{FACTS}: {error}")))?;
        if record.version != VERSION {
            return Err(Error::NotOurs {
                path: path.to_owned(),
                reason: format!(
                    "its facts have version {}, this program reads {VERSION}; use a newer one",
                    record.version
                ),
            });
        }
        let table: TableDef =
            serde_json::from_str(entry(TABLE)?).map_err(|error| corrupt(format!("{TABLE}: {error}")))?;
        let chunk_checksums = parse_checksums(entry(CHUNKS)?).ok_or_else(|| corrupt(format!("{CHUNKS} is no list")))?;
        let bytes =
            STANDARD_NO_PAD.decode(entry(STATISTICS)?).map_err(|error| corrupt(format!("{STATISTICS}: {error}")))?;
        let statistics = FileStatistics::from_bytes(&bytes)?;
        let StoredRecord { facts, rows, time } = record.into();
        Ok(StoredFacts { facts, table: Arc::new(table), rows, time, chunk_checksums, statistics })
    }

    /// The footer entries of a file.
    pub(crate) fn entries(
        &self,
        definition: &str,
        rows: u64,
        time: TimeRange,
        chunk_checksums: &[Vec<u64>],
        statistics: &[u8],
    ) -> Result<[KeyValue; 4]> {
        let record = Record { version: VERSION, facts: self.clone(), rows, time };
        let facts = serde_json::to_string(&record)
            .map_err(|error| Error::Input { table: "facts".to_owned(), reason: error.to_string() })?;
        Ok([
            KeyValue::new(FACTS.to_owned(), facts),
            KeyValue::new(TABLE.to_owned(), definition.to_owned()),
            KeyValue::new(CHUNKS.to_owned(), format_checksums(chunk_checksums)),
            KeyValue::new(STATISTICS.to_owned(), STANDARD_NO_PAD.encode(statistics)),
        ])
    }
}

struct StoredRecord {
    facts: FileFacts,
    rows: u64,
    time: TimeRange,
}

impl From<Record> for StoredRecord {
    fn from(record: Record) -> Self {
        Self { facts: record.facts, rows: record.rows, time: record.time }
    }
}

/// Row groups are separated by `;`, chunks take sixteen hexadecimal digits each.
fn format_checksums(groups: &[Vec<u64>]) -> String {
    use std::fmt::Write;
    let chunks: usize = groups.iter().map(Vec::len).sum();
    let mut text = String::with_capacity(chunks * 16 + groups.len());
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            text.push(';');
        }
        for chunk in group {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{chunk:016x}");
        }
    }
    text
}

fn parse_checksums(text: &str) -> Option<Vec<Vec<u64>>> {
    let group = |text: &str| -> Option<Vec<u64>> {
        if !text.len().is_multiple_of(16) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        (0..text.len()).step_by(16).map(|at| u64::from_str_radix(&text[at..at + 16], 16).ok()).collect()
    };
    text.split(';').map(group).collect()
}

#[cfg(test)]
mod tests;
