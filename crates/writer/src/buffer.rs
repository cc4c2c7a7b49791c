//! Rows that are in the log and not yet in committed files.
//!
//! A table's rows lie in chunks by sequence; the newest chunk grows, the others wait for their flush. At
//! most one chunk of a table is frozen at a time, so that its commits happen in order, and it stays
//! readable until the commit's watermark covers it: a query that takes its rows here first and its
//! snapshot second sees each row once. One lock guards it all; under it, only pointers move.

mod view;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gigapi_model::{IdempotencyRecord, Invariant, TableId, check_invariant};
use gigapi_rows::Part;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::idempotency::{Keys, Stored};
use crate::wal::{Applied, Apply, Interval};

pub use view::{View, ViewChunk};

/// A chunk that reaches this many bytes is followed by a new one: about 1.2 million rows of ten integers.
/// A flush works on one chunk, so this bounds its memory.
const CHUNK_BYTES_MAX: usize = 128 << 20;

/// Rows of one request.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The request's sequence.
    pub sequence: u64,
    /// Its rows of this table.
    pub part: Arc<Part>,
    /// Its idempotency key.
    pub idempotency: Option<Arc<IdempotencyRecord>>,
}

/// Rows of one table that are flushed together.
#[derive(Debug)]
pub struct Frozen {
    /// The table.
    pub table: TableId,
    /// First sequence covered: the watermark plus one.
    pub lo: u64,
    /// Last sequence covered.
    pub hi: u64,
    /// The rows, by sequence.
    pub entries: Vec<Entry>,
    bytes: usize,
}

impl Frozen {
    /// What it covers.
    pub(crate) fn interval(&self) -> Interval {
        Interval { table: self.table, lo: self.lo, hi: self.hi }
    }
}

#[derive(Debug)]
struct Chunk {
    entries: Vec<Entry>,
    bytes: usize,
    since: Instant,
    /// Where it ends, if that is settled: no later rows come to it.
    end: Option<u64>,
}

impl Chunk {
    fn new(since: Instant) -> Self {
        Self { entries: Vec::new(), bytes: 0, since, end: None }
    }

    fn is_full(&self) -> bool {
        self.bytes >= CHUNK_BYTES_MAX || self.end.is_some()
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += entry.part.bytes();
        self.entries.push(entry);
    }
}

#[derive(Debug, Default)]
struct Table {
    chunks: VecDeque<Chunk>,
    frozen: Option<Arc<Frozen>>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    last_applied: u64,
    tables: HashMap<TableId, Table>,
    watermarks: HashMap<TableId, u64>,
}

/// The buffer.
#[derive(Debug)]
pub struct Buffer {
    state: Mutex<State>,
    bytes: AtomicUsize,
    rows: AtomicU64,
    /// Whether flushes fail, so that nothing will leave soon.
    stalled: AtomicBool,
    /// Counts releases and changes of `stalled`.
    changed: watch::Sender<u64>,
}

impl Buffer {
    /// Empty, with the watermarks that the catalog knows.
    pub fn new(watermarks: HashMap<TableId, u64>) -> Self {
        let state = State { watermarks, ..State::default() };
        Self {
            state: Mutex::new(state),
            bytes: AtomicUsize::new(0),
            rows: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            changed: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory of all rows, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Number of rows, before the last write won.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Memory of one table's rows, roughly.
    pub fn table_bytes(&self, table: TableId) -> usize {
        self.lock().tables.get(&table).map_or(0, |table| table.bytes)
    }

    /// The last sequence of the table whose rows are in committed files.
    pub fn watermark(&self, table: TableId) -> u64 {
        self.lock().watermarks.get(&table).copied().unwrap_or(0)
    }

    /// Makes the rows of one request visible; tells whether a chunk became full by it. Sequences come in
    /// ascending order.
    pub fn push(&self, sequence: u64, applied: Applied) -> bool {
        let mut filled = false;
        let idempotency = applied.idempotency.map(Arc::new);
        let now = Instant::now();
        let mut state = self.lock();
        check_invariant!(
            Invariant::I1,
            sequence > state.last_applied,
            "sequence {sequence} was applied after {}",
            state.last_applied
        );
        state.last_applied = sequence;
        for (table, part) in applied.tables {
            let (bytes, rows) = (part.bytes(), part.rows() as u64);
            let table = state.tables.entry(table).or_default();
            table.bytes += bytes;
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.rows.fetch_add(rows, Ordering::Relaxed);
            if table.chunks.back().is_none_or(Chunk::is_full) {
                table.chunks.push_back(Chunk::new(now));
            }
            if let Some(chunk) = table.chunks.back_mut() {
                chunk.push(Entry { sequence, part, idempotency: idempotency.clone() });
                filled |= chunk.is_full();
            }
        }
        filled
    }

    /// Cuts what was read back from the log where it was cut before. A flush whose fate is unknown is made again as
    /// the same interval, so that files of both attempts hold the same rows: a rebuild of the catalog may find the
    /// first one committed in a past that was rolled back, and the second one after it.
    pub(crate) fn cut(&self, intervals: &[Interval]) {
        let mut state = self.lock();
        let State { tables, watermarks, .. } = &mut *state;
        let mut ends: HashMap<TableId, BTreeSet<u64>> = HashMap::new();
        for Interval { table, hi, .. } in intervals {
            if *hi > watermarks.get(table).copied().unwrap_or(0) {
                ends.entry(*table).or_default().insert(*hi);
            }
        }
        for (id, ends) in ends {
            let Some(table) = tables.get_mut(&id) else { continue };
            let Some(since) = table.chunks.front().map(|chunk| chunk.since) else { continue };
            let entries = std::mem::take(&mut table.chunks).into_iter().flat_map(|chunk| chunk.entries);
            table.chunks = cut_at(entries, &ends, since);
        }
    }

    /// Notes a sequence that brings no rows.
    pub fn skip_to(&self, sequence: u64) {
        let mut state = self.lock();
        state.last_applied = state.last_applied.max(sequence);
    }

    /// The oldest chunk of every table; a table whose last chunk is still being flushed is passed over.
    pub fn freeze(&self) -> Vec<Arc<Frozen>> {
        let mut state = self.lock();
        let State { last_applied, tables, watermarks } = &mut *state;
        let mut due = Vec::new();
        for (&id, table) in tables.iter_mut() {
            if table.frozen.is_some() {
                continue;
            }
            let Some(chunk) = table.chunks.pop_front() else { continue };
            let last = chunk.entries.last().map_or(0, |entry| entry.sequence);
            // Later rows of this table lie in later chunks, so where there is none, everything that was
            // applied so far is covered, whatever table it belongs to.
            let open_end = if table.chunks.is_empty() { *last_applied } else { last };
            let hi = chunk.end.unwrap_or(open_end);
            let lo = watermarks.get(&id).copied().unwrap_or(0) + 1;
            let frozen = Arc::new(Frozen { table: id, lo, hi, entries: chunk.entries, bytes: chunk.bytes });
            table.frozen = Some(Arc::clone(&frozen));
            due.push(frozen);
        }
        due
    }

    /// When the oldest rows that wait for a flush arrived.
    pub fn oldest(&self) -> Option<Instant> {
        let state = self.lock();
        state.tables.values().filter_map(|table| table.chunks.front()).map(|chunk| chunk.since).min()
    }

    /// Whether no rows wait or are being flushed.
    pub fn is_empty(&self) -> bool {
        self.lock().tables.is_empty()
    }

    /// The frozen chunk is in committed files, or its table is gone: its rows leave the buffer.
    pub fn release(&self, frozen: &Frozen) {
        self.forget(frozen.table, frozen.hi, frozen.bytes, &frozen.entries, None);
    }

    /// Part of the frozen chunk was committed before: what lies above `watermark` is frozen anew; `None` if
    /// nothing does.
    pub fn recut(&self, frozen: &Frozen, watermark: u64) -> Option<Arc<Frozen>> {
        let (above, below): (Vec<Entry>, Vec<Entry>) =
            frozen.entries.iter().cloned().partition(|entry| entry.sequence > watermark);
        let bytes = above.iter().map(|entry| entry.part.bytes()).sum();
        let rest = Frozen { table: frozen.table, lo: watermark + 1, hi: frozen.hi, bytes, entries: above };
        let rest = (!rest.entries.is_empty()).then(|| Arc::new(rest));
        let gone = frozen.bytes.saturating_sub(bytes);
        self.forget(frozen.table, watermark, gone, &below, rest.clone());
        rest
    }

    /// Rows leave the buffer and the watermark covers them, at one moment; `rest` stays frozen.
    fn forget(&self, id: TableId, watermark: u64, bytes: usize, entries: &[Entry], rest: Option<Arc<Frozen>>) {
        let mut state = self.lock();
        let known = state.watermarks.entry(id).or_default();
        *known = watermark.max(*known);
        if let Some(table) = state.tables.get_mut(&id) {
            table.frozen = rest;
            table.bytes = table.bytes.saturating_sub(bytes);
            if table.frozen.is_none() && table.chunks.is_empty() {
                state.tables.remove(&id);
            }
        }
        drop(state);
        let rows: usize = entries.iter().map(|entry| entry.part.rows()).sum();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.rows.fetch_sub(rows as u64, Ordering::Relaxed);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Waits until the rows of `sequence` in these tables are in committed files.
    pub async fn until_committed(&self, sequence: u64, tables: &[TableId]) {
        let mut changed = self.changed.subscribe();
        while tables.iter().any(|&table| self.watermark(table) < sequence) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits until fewer than `bytes` are buffered, or until waiting is in vain because flushes fail.
    pub async fn until_below(&self, bytes: usize) {
        let mut changed = self.changed.subscribe();
        while self.bytes() >= bytes && !self.stalled.load(Ordering::Relaxed) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Notes whether flushes fail.
    pub fn set_stalled(&self, stalled: bool) {
        if self.stalled.swap(stalled, Ordering::Relaxed) != stalled {
            self.changed.send_modify(|count| *count += 1);
        }
    }
}

/// Chunks that end at these sequences; what lies above them is one chunk, as long as it is not too large.
fn cut_at(entries: impl Iterator<Item = Entry>, ends: &BTreeSet<u64>, since: Instant) -> VecDeque<Chunk> {
    let mut chunks: VecDeque<Chunk> = VecDeque::new();
    for entry in entries {
        let end = ends.range(entry.sequence..).next().copied();
        let fits = |chunk: &&mut Chunk| chunk.end == end && (end.is_some() || !chunk.is_full());
        match chunks.back_mut().filter(fits) {
            Some(chunk) => chunk.push(entry),
            None => {
                let mut chunk = Chunk { end, ..Chunk::new(since) };
                chunk.push(entry);
                chunks.push_back(chunk);
            }
        }
    }
    chunks
}

/// The log's side of the buffer.
#[derive(Debug)]
pub(crate) struct ApplyToBuffer {
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) keys: Arc<Keys>,
    /// Wakes the flusher when a chunk is full.
    pub(crate) flush_now: Arc<Notify>,
}

impl Apply for ApplyToBuffer {
    fn apply(&mut self, sequence: u64, mut applied: Applied) {
        if let Some(record) = &applied.idempotency {
            let tables = applied.tables.iter().map(|(table, _)| *table).collect();
            self.keys.remember(record.clone(), Some(Stored { sequence, tables }));
        }
        // The key is known from here on.
        drop(applied.ticket.take());
        if self.buffer.push(sequence, applied) {
            self.flush_now.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
