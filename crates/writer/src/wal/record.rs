//! One record: a request's rows, a definition that later records rely on, or the intervals of a flush.
//!
//! ```text
//! length u32 │ crc32c u32 │ sequence u64 │ synced u64 │ epoch u64 │ kind u8 │ payload
//!              over all that follows it; length counts the same bytes
//! ```
//!
//! `synced` is the last sequence that was known to be on the disk when the record was written. It tells a
//! torn tail, which nobody was promised, from damage: bytes that are unreadable below a later record's
//! `synced` had been promised.

use gigapi_model::{IdempotencyRecord, TableDef, TableId, Timestamp};
use gigapi_rows::Part;
use uuid::Uuid;

/// Bytes before the payload.
pub(super) const OVERHEAD: usize = 8 + PREFIX;
const PREFIX: usize = 25;
const KIND_WRITE: u8 = 1;
const KIND_DEFINITION: u8 = 2;
const KIND_INTERVALS: u8 = 3;

/// Rows of one table, in its own terms.
#[derive(Debug)]
pub struct TablePart {
    /// The table.
    pub table: TableId,
    /// Its rows.
    pub part: Part,
}

/// A request's rows.
#[derive(Debug)]
pub struct WriteRecord {
    /// The request's idempotency key with the answer it gets.
    pub idempotency: Option<IdempotencyRecord>,
    /// Its rows by table.
    pub tables: Vec<TablePart>,
}

/// Rows of one table that are flushed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The table.
    pub table: TableId,
    /// First sequence covered: all before it was committed when the flush began.
    pub lo: u64,
    /// Last sequence covered.
    pub hi: u64,
}

/// What a record holds.
#[derive(Debug)]
pub enum Record {
    /// Rows.
    Write(WriteRecord),
    /// A definition, written once per segment before the first rows that rely on it, so that a log can be
    /// replayed over a catalog that lost the table.
    Definition(Box<TableDef>),
    /// Flushes whose commits are about to be sent. A process that dies meanwhile cannot know what became of them, so
    /// the next one cuts the same intervals: a flush that is made again is then the same flush.
    Intervals(Vec<Interval>),
}

/// A record as it lies in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) sequence: u64,
    pub(super) synced: u64,
    pub(super) payload: &'a [u8],
    kind: u8,
    /// Bytes from the record's first to its last.
    pub(super) len: usize,
}

impl<'a> Frame<'a> {
    /// The record that starts at the first byte, if it is whole and undamaged.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len) as usize;
        let body = rest.get(..len)?;
        let (sequence, after) = body.split_first_chunk::<8>()?;
        let (synced, after) = after.split_first_chunk::<8>()?;
        let (_epoch, after) = after.split_first_chunk::<8>()?;
        let (&kind, payload) = after.split_first()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (sequence, synced) = (u64::from_le_bytes(*sequence), u64::from_le_bytes(*synced));
        Some(Self { sequence, synced, payload, kind, len: 8 + len })
    }

    /// What the record holds; the text says why it cannot be told.
    pub(super) fn decode(&self) -> Result<Record, String> {
        match self.kind {
            KIND_WRITE => decode_write(self.payload).map(Record::Write),
            KIND_DEFINITION => serde_json::from_slice(self.payload)
                .map(|definition| Record::Definition(Box::new(definition)))
                .map_err(|error| format!("a definition cannot be read: {error}")),
            KIND_INTERVALS => decode_intervals(self.payload).map(Record::Intervals),
            other => Err(format!("record kind {other} is unknown to this version")),
        }
    }
}

/// Appends a record with a write's payload.
pub(super) fn put_write(out: &mut Vec<u8>, sequence: u64, synced: u64, epoch: u64, payload: &[u8]) {
    put(out, sequence, synced, epoch, KIND_WRITE, payload);
}

/// Appends a definition.
pub(super) fn put_definition(out: &mut Vec<u8>, sequence: u64, synced: u64, epoch: u64, definition: &[u8]) {
    put(out, sequence, synced, epoch, KIND_DEFINITION, definition);
}

/// Appends a flush's intervals.
pub(super) fn put_intervals(out: &mut Vec<u8>, sequence: u64, synced: u64, epoch: u64, payload: &[u8]) {
    put(out, sequence, synced, epoch, KIND_INTERVALS, payload);
}

fn put(out: &mut Vec<u8>, sequence: u64, synced: u64, epoch: u64, kind: u8, payload: &[u8]) {
    let len = u32::try_from(PREFIX + payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    let crc_at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&synced.to_le_bytes());
    out.extend_from_slice(&epoch.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(payload);
    let crc = crc32c::crc32c(&out[crc_at + 4..]);
    out[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
}

impl WriteRecord {
    /// The payload: key length and, if there is one, key, receive time and answer; then tables.
    pub(crate) fn encode<'a>(
        idempotency: Option<&IdempotencyRecord>,
        tables: impl ExactSizeIterator<Item = (TableId, &'a Part)>,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let key = idempotency.map_or(&[][..], |record| record.key.as_bytes());
        put_len(&mut out, key.len());
        if let Some(record) = idempotency {
            out.extend_from_slice(key);
            out.extend_from_slice(&record.received_at.nanos().to_le_bytes());
            put_len(&mut out, record.answer.len());
            out.extend_from_slice(&record.answer);
        }
        put_len(&mut out, tables.len());
        for (table, part) in tables {
            out.extend_from_slice(table.uuid().as_bytes());
            let len_at = out.len();
            put_len(&mut out, 0);
            part.encode(&mut out);
            let len = u32::try_from(out.len() - len_at - 4).unwrap_or(u32::MAX);
            out[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
        }
        out
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// The payload of a flush's intervals: their number, then table, first and last sequence of each.
pub(super) fn encode_intervals(intervals: &[Interval]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + 32 * intervals.len());
    put_len(&mut out, intervals.len());
    for Interval { table, lo, hi } in intervals {
        out.extend_from_slice(table.uuid().as_bytes());
        out.extend_from_slice(&lo.to_le_bytes());
        out.extend_from_slice(&hi.to_le_bytes());
    }
    out
}

fn decode_intervals(payload: &[u8]) -> Result<Vec<Interval>, String> {
    let mut rest = payload;
    let count = u32::from_le_bytes(take_array(&mut rest)?);
    let mut intervals = Vec::new();
    for _ in 0..count {
        let table = TableId::from_uuid(Uuid::from_bytes(take_array(&mut rest)?));
        let (lo, hi) = (u64::from_le_bytes(take_array(&mut rest)?), u64::from_le_bytes(take_array(&mut rest)?));
        if lo == 0 || lo > hi {
            return Err(format!("a flush of sequences {lo} to {hi} makes no sense"));
        }
        intervals.push(Interval { table, lo, hi });
    }
    if rest.is_empty() { Ok(intervals) } else { Err("bytes are left over".to_owned()) }
}

fn decode_write(payload: &[u8]) -> Result<WriteRecord, String> {
    let mut rest = payload;
    let idempotency = match take_block(&mut rest)? {
        [] => None,
        key => {
            let key = std::str::from_utf8(key).map_err(|_| "an idempotency key is not UTF-8".to_owned())?.to_owned();
            let received_at = Timestamp::from_nanos(i64::from_le_bytes(take_array(&mut rest)?));
            Some(IdempotencyRecord { key, received_at, answer: take_block(&mut rest)?.to_vec() })
        }
    };
    let count = u32::from_le_bytes(take_array(&mut rest)?);
    let mut tables = Vec::new();
    for _ in 0..count {
        let table = TableId::from_uuid(Uuid::from_bytes(take_array(&mut rest)?));
        let part = Part::decode(take_block(&mut rest)?).map_err(|error| error.to_string())?;
        tables.push(TablePart { table, part });
    }
    if rest.is_empty() { Ok(WriteRecord { idempotency, tables }) } else { Err("bytes are left over".to_owned()) }
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], String> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or("the record is cut short")?;
    *rest = after;
    Ok(*taken)
}

fn take_block<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let len = u32::from_le_bytes(take_array(rest)?) as usize;
    let (taken, after) = rest.split_at_checked(len).ok_or("the record is cut short")?;
    *rest = after;
    Ok(taken)
}
