//! What the table has to hold: all writes applied in order, those of files in the order of their commits, then those
//! that buffers still hold which whoever is asked sees.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) const TAGS: [&str; 2] = ["h", "r"];
pub(super) const FIELDS: [&str; 4] = ["i", "f", "s", "b"];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Integer(i64),
    Float(f64),
    Text(&'static str),
    Flag(bool),
}

/// The two tags and the time in nanoseconds.
pub(super) type Key = ([Option<&'static str>; 2], i64);

/// Values in the order of [`FIELDS`].
pub(super) type Fields = [Option<Value>; 4];

pub(super) type Rows = BTreeMap<Key, Fields>;

/// What one line brings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub(super) key: Key,
    pub(super) fields: Fields,
}

/// What one flush commits.
#[derive(Debug, Default)]
struct Chunk {
    writes: Vec<Write>,
    /// A flush of it was begun, so later writes are not part of it.
    is_closed: bool,
}

/// What a writer holds.
#[derive(Debug, Default)]
struct Buffer {
    chunks: VecDeque<Chunk>,
    /// The last flush was committed, but the writer does not know: it asks again before it flushes anything else.
    is_unanswered: bool,
}

/// How a round of flushing ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    Committed,
    /// The files do not reach the layer, or the layer says so.
    NotUploaded,
    /// The commit is made and cannot be relied on yet.
    Unanswered,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    committed: Vec<Write>,
    buffers: [Buffer; 2],
    columns: BTreeSet<&'static str>,
}

impl Model {
    /// Whether the table has the column already.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.contains(column)
    }

    pub(super) fn has_table(&self) -> bool {
        !self.columns.is_empty()
    }

    pub(super) fn write(&mut self, writer: usize, writes: &[Write]) {
        if writes.is_empty() {
            return;
        }
        for Write { key, fields } in writes {
            let tags = TAGS.into_iter().zip(&key.0).filter(|(_, tag)| tag.is_some()).map(|(name, _)| name);
            let fields = FIELDS.into_iter().zip(fields).filter(|(_, field)| field.is_some()).map(|(name, _)| name);
            self.columns.extend(tags.chain(fields));
        }
        let chunks = &mut self.buffers[writer].chunks;
        if chunks.back().is_none_or(|chunk| chunk.is_closed) {
            chunks.push_back(Chunk::default());
        }
        let chunk = chunks.back_mut().expect("one was made");
        chunk.writes.extend_from_slice(writes);
    }

    pub(super) fn flush(&mut self, writer: usize, flush: Flush) {
        let Buffer { chunks, is_unanswered } = &mut self.buffers[writer];
        if *is_unanswered {
            *is_unanswered = flush == Flush::Unanswered;
            return;
        }
        let Some(first) = chunks.front_mut() else { return };
        first.is_closed = true;
        if flush != Flush::NotUploaded {
            self.committed.append(&mut first.writes);
            chunks.pop_front();
            *is_unanswered = flush == Flush::Unanswered;
        }
    }

    /// The writer's process died and another one has read its log.
    pub(super) fn restart(&mut self, writer: usize) {
        self.buffers[writer].is_unanswered = false;
    }

    /// All rows, as whoever sees the buffers of these writers sees them, the first one's below the second one's.
    pub(super) fn rows(&self, writers: &[usize]) -> Rows {
        let buffered = writers.iter().flat_map(|&writer| &self.buffers[writer].chunks).flat_map(|chunk| &chunk.writes);
        let mut rows = Rows::new();
        for Write { key, fields } in self.committed.iter().chain(buffered) {
            let row = rows.entry(*key).or_default();
            for (value, written) in row.iter_mut().zip(fields) {
                *value = written.or(*value);
            }
        }
        rows
    }
}
