//! How a table's files and watermarks moved in one change, as catalogs log it for readers that hold the files in
//! memory. Tagged by a version; what comes back from a store is checked and never trusted.

use std::sync::Arc;

use gigapi_model::{DataFile, FileId, NewFile, WriterId};

use crate::Result;
use crate::record::{Reader, damaged, decode_file, encode_file};

const VERSION: u8 = 1;

/// How a table's files and watermarks moved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delta {
    pub(crate) watermark: Option<(WriterId, u64)>,
    pub(crate) added: Vec<Arc<DataFile>>,
    pub(crate) removed: Vec<FileId>,
}

/// A delta, little-endian: version, flag and watermark (writer, sequence), count of added files, each with its
/// length and record, then removed ids to the end.
pub(crate) fn encode(watermark: Option<(WriterId, u64)>, added: &[NewFile], removed: &[Arc<DataFile>]) -> Vec<u8> {
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
pub(crate) fn decode(entry: &[u8]) -> Result<Delta> {
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

#[cfg(test)]
mod tests;
