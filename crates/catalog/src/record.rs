//! Stored records: the core of a data file in at most 150 bytes, and a table's definition.
//!
//! Both are tagged by a version and have golden forms in the tests, because stores outlive programs. A
//! decoder takes foreign bytes: it answers an error for anything that no encoder writes, and never panics.

use gigapi_model::{
    Bucket, BucketSpan, DataFile, FileId, LayerName, Level, SequenceRange, TableDef, TimeRange, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Result};

/// First byte of a data file's record.
const FILE_VERSION: u8 = 1;
const DEFINITION_VERSION: u32 = 1;
/// Everything in front of the layer's name.
const FIXED_BYTES: usize = 84;
const NANOS_PER_HOUR: i64 = 3_600_000_000_000;

/// The core of a data file, little-endian:
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 1 | version, 1 |
/// | 1 | 16 | id |
/// | 17 | 1 | level, 1 to 4 |
/// | 18 | 1 | span of the bucket: 0 hour, 1 day, 2 month, 3 year |
/// | 19 | 4 | the hour since 1970 that the bucket starts in, signed |
/// | 23 | 8 + 8 | rows, bytes |
/// | 39 | 8 + 8 | first and last time, signed |
/// | 55 | 8 + 8 | lowest and highest sequence |
/// | 71 | 8 | checksum |
/// | 79 | 4 | bytes of the tail |
/// | 83 | 1 | length of the layer's name |
/// | 84 | ≤ 64 | the layer's name |
pub(crate) fn encode_file(file: &DataFile) -> Vec<u8> {
    let layer = file.layer.as_str().as_bytes();
    let mut record = Vec::with_capacity(FIXED_BYTES + layer.len());
    record.push(FILE_VERSION);
    record.extend_from_slice(file.id.uuid().as_bytes());
    record.push(file.level.number());
    record.push(match file.bucket.span() {
        BucketSpan::Hour => 0,
        BucketSpan::Day => 1,
        BucketSpan::Month => 2,
        BucketSpan::Year => 3,
    });
    // All of time is 5.2 million hours long, so an hour's number always fits.
    let hour = i32::try_from(file.bucket.start().nanos().div_euclid(NANOS_PER_HOUR)).unwrap_or(i32::MIN);
    record.extend_from_slice(&hour.to_le_bytes());
    record.extend_from_slice(&file.rows.to_le_bytes());
    record.extend_from_slice(&file.bytes.to_le_bytes());
    record.extend_from_slice(&file.time.min.nanos().to_le_bytes());
    record.extend_from_slice(&file.time.max.nanos().to_le_bytes());
    record.extend_from_slice(&file.sequence.lo.to_le_bytes());
    record.extend_from_slice(&file.sequence.hi.to_le_bytes());
    record.extend_from_slice(&file.checksum.to_le_bytes());
    record.extend_from_slice(&file.tail_bytes.to_le_bytes());
    // A layer's name is at most 64 bytes by its own rule.
    record.push(u8::try_from(layer.len()).unwrap_or(u8::MAX));
    record.extend_from_slice(layer);
    record
}

/// Reads what [`encode_file`] wrote.
pub(crate) fn decode_file(record: &[u8]) -> Result<DataFile> {
    let mut reader = Reader(record);
    let version = reader.byte()?;
    if version != FILE_VERSION {
        return Err(damaged(format!("data file record of version {version}, this program reads {FILE_VERSION}")));
    }
    let id = FileId::from_uuid(Uuid::from_bytes(reader.take()?));
    let level = reader.byte()?;
    let level = Level::new(level).ok_or_else(|| damaged(format!("data file {id} has level {level}")))?;
    let span = match reader.byte()? {
        0 => BucketSpan::Hour,
        1 => BucketSpan::Day,
        2 => BucketSpan::Month,
        3 => BucketSpan::Year,
        other => return Err(damaged(format!("data file {id} has a bucket of span {other}"))),
    };
    let hour = i64::from(i32::from_le_bytes(reader.take()?));
    let bucket = Bucket::containing(Timestamp::from_nanos(hour.saturating_mul(NANOS_PER_HOUR)), span);
    let (rows, bytes) = (reader.number()?, reader.number()?);
    let min = Timestamp::from_nanos(i64::from_le_bytes(reader.take()?));
    let max = Timestamp::from_nanos(i64::from_le_bytes(reader.take()?));
    let sequence = SequenceRange { lo: reader.number()?, hi: reader.number()? };
    let checksum = reader.number()?;
    let tail_bytes = u32::from_le_bytes(reader.take()?);
    let length = usize::from(reader.byte()?);
    if reader.0.len() != length {
        return Err(damaged(format!("data file {id} names its layer in {} bytes, not {length}", reader.0.len())));
    }
    let layer = std::str::from_utf8(reader.0).map_err(|error| damaged(format!("data file {id}: {error}")))?;
    let layer = LayerName::new(layer).map_err(|error| damaged(format!("data file {id}: {error}")))?;
    Ok(DataFile {
        id,
        level,
        layer,
        bucket,
        rows,
        bytes,
        time: TimeRange::new(min, max),
        sequence,
        checksum,
        tail_bytes,
    })
}

#[derive(Serialize)]
struct DefinitionOut<'a> {
    v: u32,
    table: &'a TableDef,
}

#[derive(Deserialize)]
struct DefinitionIn {
    v: u32,
    table: serde_json::Value,
}

/// A table's definition as versioned JSON.
pub(crate) fn encode_definition(table: &TableDef) -> Result<String> {
    serde_json::to_string(&DefinitionOut { v: DEFINITION_VERSION, table })
        .map_err(|error| damaged(format!("the definition of table {} cannot be written: {error}", table.id)))
}

/// Reads what [`encode_definition`] wrote.
pub(crate) fn decode_definition(text: &str) -> Result<TableDef> {
    let refused = |error: serde_json::Error| damaged(format!("a table's definition: {error}"));
    let record: DefinitionIn = serde_json::from_str(text).map_err(refused)?;
    if record.v != DEFINITION_VERSION {
        let version = record.v;
        return Err(damaged(format!("definition of version {version}, this program reads {DEFINITION_VERSION}")));
    }
    let table: TableDef = serde_json::from_value(record.table).map_err(refused)?;
    let ascending = table.columns.windows(2).all(|pair| pair[0].field_id < pair[1].field_id);
    if ascending { Ok(table) } else { Err(damaged(format!("table {} has field ids out of order", table.id))) }
}

pub(crate) fn damaged(reason: String) -> Error {
    Error::Corrupt { reason }
}

/// Takes little-endian numbers from the front of a record.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| damaged("a record is cut off".to_owned()))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        let [byte] = self.take()?;
        Ok(byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid> {
        Ok(Uuid::from_bytes(self.take()?))
    }

    pub(crate) fn slice(&mut self, length: usize) -> Result<&[u8]> {
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("a record is cut off".to_owned()))?;
        self.0 = rest;
        Ok(head)
    }
}

#[cfg(test)]
pub(crate) mod tests;
