//! The buffer as queries see it: what a table has above its watermark, at one moment.
//!
//! Reading never waits for a flush and never copies a row; what a view holds stays there although the buffer lets go of
//! it.

use std::sync::Arc;

use gigapi_model::{TableId, TimeRange};
use gigapi_rows::Part;

use super::{Buffer, Entry};

/// Rows of one table as a query gets them; never split between two flushes.
#[derive(Debug, Clone)]
pub struct ViewChunk {
    /// First sequence that may be inside.
    pub lo: u64,
    /// Last sequence inside.
    pub hi: u64,
    /// The rows, in order of arrival.
    pub parts: Vec<Arc<Part>>,
}

impl ViewChunk {
    /// From the earliest to the latest row.
    pub fn range(&self) -> TimeRange {
        let ranges = self.parts.iter().map(|part| part.range());
        ranges
            .reduce(|a, b| TimeRange::new(a.min.min(b.min), a.max.max(b.max)))
            .unwrap_or(TimeRange::new(gigapi_model::Timestamp::MAX, gigapi_model::Timestamp::MIN))
    }
}

/// Everything of one table that is not committed, at one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Every sequence up to here is in committed files.
    pub floor: u64,
    /// What is above, by ascending sequence.
    pub chunks: Vec<ViewChunk>,
}

impl Buffer {
    /// What a query adds to its snapshot.
    pub fn view(&self, table: TableId) -> View {
        let state = self.lock();
        let floor = state.watermarks.get(&table).copied().unwrap_or(0);
        let Some(table) = state.tables.get(&table) else { return View { floor, chunks: Vec::new() } };
        let mut chunks = Vec::new();
        let mut lo = floor + 1;
        let parts = |entries: &[Entry]| entries.iter().map(|entry| Arc::clone(&entry.part)).collect();
        if let Some(frozen) = &table.frozen {
            chunks.push(ViewChunk { lo: frozen.lo, hi: frozen.hi, parts: parts(&frozen.entries) });
            lo = frozen.hi + 1;
        }
        for chunk in &table.chunks {
            let hi = chunk.entries.last().map_or(lo, |entry| entry.sequence);
            chunks.push(ViewChunk { lo, hi, parts: parts(&chunk.entries) });
            lo = hi + 1;
        }
        View { floor, chunks }
    }

    /// The rows of these chunks of a view, by their first and last sequences. `None` if rows above `above` have left
    /// the buffer meanwhile: they are in files that a snapshot with that watermark lacks.
    pub fn rows_of(&self, table: TableId, above: u64, chunks: &[(u64, u64)]) -> Option<Vec<Arc<Part>>> {
        let state = self.lock();
        if state.watermarks.get(&table).is_some_and(|watermark| *watermark > above) {
            return None;
        }
        let table = state.tables.get(&table)?;
        let frozen = table.frozen.iter().flat_map(|frozen| &frozen.entries);
        let entries = frozen.chain(table.chunks.iter().flat_map(|chunk| &chunk.entries));
        let wanted = |entry: &&Entry| chunks.iter().any(|(lo, hi)| (*lo..=*hi).contains(&entry.sequence));
        Some(entries.filter(wanted).map(|entry| Arc::clone(&entry.part)).collect())
    }
}
