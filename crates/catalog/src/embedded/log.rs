//! The change log: what readers apply to the files that they hold in memory, instead of reading all again.
//!
//! One row per change of a table, over all tables, in the order of commits. It is bounded; a reader that
//! fell behind its end starts afresh. Nothing but readers' memory depends on it.

use std::sync::Arc;

use gigapi_model::{DataFile, FileId, NewFile, WriterId};
use rusqlite::{Connection, params};

use super::sql::run;
use crate::Result;
use crate::record::{Reader, damaged, decode_file, encode_file};

/// A row of 250 bytes each makes this 8 MiB at most in common use.
const ENTRIES_MAX: i64 = 32_768;
const VERSION: u8 = 1;

/// The table's files changed.
pub(super) const FILES: i64 = 1;
/// The table was made, extended or dropped.
pub(super) const DEFINITION: i64 = 2;
/// The whole catalog was restored.
pub(super) const RESET: i64 = 3;

/// How a table's files and watermarks moved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) watermark: Option<(WriterId, u64)>,
    pub(super) added: Vec<Arc<DataFile>>,
    pub(super) removed: Vec<FileId>,
}

/// A delta, little-endian: version, flag and watermark (writer, sequence), count of added files, each with its
/// length and record, then removed ids to the end.
pub(super) fn encode(watermark: Option<(WriterId, u64)>, added: &[NewFile], removed: &[Arc<DataFile>]) -> Vec<u8> {
    let mut entry = Vec::with_capacity(32 + added.len() * 110 + removed.len() * 16);
    entry.push(VERSION);
    match watermark {
        None => entry.push(0),
        Some((writer, seq)) => {
            entry.push(1);
            entry.extend_from_slice(writer.uuid().as_bytes());
            entry.extend_from_slice(&seq.to_le_bytes());
        }
    }
    entry.extend_from_slice(&u64::try_from(added.len()).unwrap_or(u64::MAX).to_le_bytes());
    for new in added {
        let record = encode_file(&new.file);
        // A record is at most 150 bytes.
        entry.push(u8::try_from(record.len()).unwrap_or(u8::MAX));
        entry.extend_from_slice(&record);
    }
    for file in removed {
        entry.extend_from_slice(file.id.uuid().as_bytes());
    }
    entry
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(entry: &[u8]) -> Result<Delta> {
    let mut reader = Reader(entry);
    let version = reader.byte()?;
    if version != VERSION {
        return Err(damaged(format!("change log entry of version {version}, this program reads {VERSION}")));
    }
    let watermark = match reader.byte()? {
        0 => None,
        _ => Some((WriterId::from_uuid(reader.uuid()?), reader.number()?)),
    };
    let mut added = Vec::new();
    for _ in 0..reader.number()? {
        let length = usize::from(reader.byte()?);
        added.push(Arc::new(decode_file(reader.slice(length)?)?));
    }
    let mut removed = Vec::new();
    while !reader.0.is_empty() {
        removed.push(FileId::from_uuid(reader.uuid()?));
    }
    Ok(Delta { watermark, added, removed })
}

/// Appends one row.
pub(super) fn append(connection: &Connection, table: i64, kind: i64, version: u64, entry: &[u8]) -> Result<()> {
    let sql = "INSERT INTO log(table_key, kind, version, entry) VALUES (?1, ?2, ?3, ?4)";
    run(connection, sql, params![table, kind, version.cast_signed(), entry]).map(drop)
}

/// Forgets the rows beyond the bound; the newest always stays, so numbers are never given twice.
pub(super) fn trim(connection: &Connection) -> Result<()> {
    run(connection, "DELETE FROM log WHERE seq <= (SELECT max(seq) FROM log) - ?1", [ENTRIES_MAX]).map(drop)
}

#[cfg(test)]
mod tests;
