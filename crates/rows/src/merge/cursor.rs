//! Where a merge stands in one input: the run of one series that comes next.
//!
//! A cursor holds the batch that it reads and the one after it, so that it knows whether a run that reaches the end
//! of its batch goes on. It refuses an input whose rows are not in order.

use std::cmp::Ordering;

use arrow::array::Array;

use super::keys::{KeyBatch, NULL};
use super::{MergeError, SortedInput};

/// An entry of a dictionary that the window has not met.
const UNKNOWN: i32 = -2;

#[derive(Debug)]
pub(super) struct Cursor {
    /// Which input it reads.
    index: usize,
    batch: Option<KeyBatch>,
    next: Option<KeyBatch>,
    /// The input's row at which the batch starts.
    base: u64,
    /// The row in the batch.
    position: usize,
    /// Which run of the batch it is in.
    run: usize,
    /// Per tag and entry of the batch's dictionary, its number in the window.
    entries: Vec<Vec<i32>>,
}

impl Cursor {
    pub(super) fn new(index: usize, tags: usize) -> Self {
        Self { index, batch: None, next: None, base: 0, position: 0, run: 0, entries: vec![Vec::new(); tags] }
    }

    /// Reads the first batches.
    pub(super) fn fill<I: SortedInput>(&mut self, input: &mut I, keyed: bool) -> Result<(), I::Error> {
        self.batch = input.next_keys()?;
        if let Some(batch) = &self.batch {
            self.check(batch, None, 0, keyed)?;
        }
        self.look_ahead(input, keyed)
    }

    fn look_ahead<I: SortedInput>(&mut self, input: &mut I, keyed: bool) -> Result<(), I::Error> {
        let Some(batch) = &self.batch else { return Ok(()) };
        self.next = input.next_keys()?;
        if let Some(next) = &self.next {
            self.check(next, Some(batch), self.base + batch.rows() as u64, keyed)?;
        }
        Ok(())
    }

    /// Whether a batch is in order in itself and after the one before.
    fn check(&self, batch: &KeyBatch, before: Option<&KeyBatch>, base: u64, keyed: bool) -> Result<(), MergeError> {
        let refused = |row: usize| Err(MergeError::Order { input: self.index, row: base + row as u64 });
        if batch.tags.len() != self.entries.len() {
            let reason = format!("{} tags instead of {}", batch.tags.len(), self.entries.len());
            return Err(MergeError::Shape { input: self.index, reason });
        }
        let in_order = |before: i64, after: i64| if keyed { before < after } else { before <= after };
        let mut start = 0;
        for &end in &batch.run_ends {
            let end = end as usize;
            let times = &batch.time[start..end];
            let follows = |at: usize| in_order(times[at - 1], times[at]);
            if let Some(at) = (1..times.len()).find(|at| !follows(*at)) {
                return refused(start + at);
            }
            let last = match start.checked_sub(1) {
                Some(last) => Some((batch, last)),
                None => before.map(|before| (before, before.rows() - 1)),
            };
            if let Some((from, last)) = last {
                match compare(from, last, batch, start) {
                    Ordering::Greater => return refused(start),
                    Ordering::Equal if !in_order(from.time[last], times[0]) => return refused(start),
                    _ => {}
                }
            }
            start = end;
        }
        Ok(())
    }

    /// The input's row that comes next.
    pub(super) fn row(&self) -> u64 {
        self.base + self.position as u64
    }

    pub(super) fn is_done(&self) -> bool {
        self.batch.is_none()
    }

    /// The times of the run that comes next, from here on.
    pub(super) fn times(&self) -> &[i64] {
        self.batch.as_ref().map_or(&[], |batch| &batch.time[self.position..batch.run_ends[self.run] as usize])
    }

    /// Whether the run goes on in the next batch.
    pub(super) fn run_goes_on(&self) -> bool {
        let (Some(batch), Some(next)) = (&self.batch, &self.next) else { return false };
        self.run + 1 == batch.run_ends.len() && compare(batch, batch.rows() - 1, next, 0) == Ordering::Equal
    }

    /// Compares the series that come next.
    pub(super) fn compare_series(&self, other: &Self) -> Ordering {
        match (&self.batch, &other.batch) {
            (Some(batch), Some(others)) => compare(batch, self.position, others, other.position),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        }
    }

    /// The number of the series' tag in a window; `number` gives one to a value that has none yet.
    pub(super) fn entry(&mut self, tag: usize, number: impl FnOnce(&str) -> i32) -> i32 {
        let Some(keys) = self.batch.as_ref().and_then(|batch| batch.tags[tag].as_ref()) else { return NULL };
        let key = keys.keys[self.position];
        if key == NULL {
            return NULL;
        }
        let known = &mut self.entries[tag];
        if known.is_empty() {
            known.resize(keys.entries.len(), UNKNOWN);
        }
        let slot = &mut known[key as usize];
        if *slot == UNKNOWN {
            *slot = number(keys.entries.value(key as usize));
        }
        *slot
    }

    /// Numbers of one window mean nothing in the next.
    pub(super) fn forget_entries(&mut self) {
        self.entries.iter_mut().for_each(Vec::clear);
    }

    /// Goes on by `rows` of the run.
    pub(super) fn advance<I: SortedInput>(&mut self, rows: usize, input: &mut I, keyed: bool) -> Result<(), I::Error> {
        let Some(batch) = &self.batch else { return Ok(()) };
        self.position += rows;
        if self.position < batch.run_ends[self.run] as usize {
            return Ok(());
        }
        self.run += 1;
        if self.run < batch.run_ends.len() {
            return Ok(());
        }
        self.base += batch.rows() as u64;
        (self.position, self.run) = (0, 0);
        let next = self.next.take();
        let same = |tag: usize| match (&batch.tags[tag], next.as_ref().and_then(|next| next.tags[tag].as_ref())) {
            (Some(before), Some(after)) => {
                before.entries.value_data().as_ptr() == after.entries.value_data().as_ptr()
                    && before.entries.len() == after.entries.len()
            }
            _ => false,
        };
        let stale: Vec<usize> = (0..self.entries.len()).filter(|tag| !same(*tag)).collect();
        for tag in stale {
            self.entries[tag].clear();
        }
        self.batch = next;
        self.look_ahead(input, keyed)
    }
}

/// Compares the series of two rows: tag by tag, null first.
fn compare(a: &KeyBatch, row: usize, b: &KeyBatch, other: usize) -> Ordering {
    for tag in 0..a.tags.len() {
        match a.text(tag, row).cmp(&b.text(tag, other)) {
            Ordering::Equal => {}
            different => return different,
        }
    }
    Ordering::Equal
}
