//! The order of the next rows of a merge: which rows of which input stand where, and their keys.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;
use gigapi_model::TimeRange;
use gigapi_model::Timestamp;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::cursor::Cursor;
use super::keys::NULL;

/// Consecutive rows of an input that stand together in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) input: u32,
    /// Counted from the input's first row in the window.
    pub(super) start: u32,
    pub(super) len: u32,
}

/// The distinct values of a tag, in order of first use.
#[derive(Debug, Default)]
struct Dictionary {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    numbers: HashTable<i32>,
    hasher: DefaultHashBuilder,
}

impl Dictionary {
    fn bytes_of(bytes: &[u8], ends: &[i32], number: i32) -> Range<usize> {
        let end = ends[number as usize] as usize;
        let start = if number == 0 { 0 } else { ends[number as usize - 1] as usize };
        debug_assert!(end <= bytes.len());
        start..end
    }

    fn number(&mut self, text: &str) -> i32 {
        let Self { bytes, ends, numbers, hasher } = self;
        let hash = hasher.hash_one(text.as_bytes());
        if let Some(number) =
            numbers.find(hash, |number| bytes[Self::bytes_of(bytes, ends, *number)] == *text.as_bytes())
        {
            return *number;
        }
        bytes.extend_from_slice(text.as_bytes());
        ends.push(bytes.len() as i32);
        let number = ends.len() as i32 - 1;
        numbers.insert_unique(hash, number, |number| hasher.hash_one(&bytes[Self::bytes_of(bytes, ends, *number)]));
        number
    }

    fn array(&self) -> Result<StringArray, ArrowError> {
        let offsets: Vec<i32> = std::iter::once(0).chain(self.ends.iter().copied()).collect();
        StringArray::try_new(OffsetBuffer::new(offsets.into()), self.bytes.clone().into(), None)
    }
}

/// The order of some rows of a merge.
#[derive(Debug)]
pub struct Window {
    pub(super) spans: Vec<Span>,
    time: Vec<i64>,
    /// Where each series ends.
    series_ends: Vec<u32>,
    /// Per tag and series, the number of its value.
    tags: Vec<Vec<i32>>,
    dictionaries: Vec<Dictionary>,
    /// Per input, the rows that the window takes.
    ranges: Vec<Range<u64>>,
    /// Rows that were written more than once: `(row, start, end)` into `older`, by ascending row.
    pub(super) overwritten: Vec<(u32, u32, u32)>,
    /// Earlier writes of one row as input and row, from new to old.
    pub(super) older: Vec<(u32, u32)>,
}

impl Window {
    pub(super) fn new(tags: usize, starts: impl Iterator<Item = u64>) -> Self {
        Self {
            spans: Vec::new(),
            time: Vec::new(),
            series_ends: Vec::new(),
            tags: vec![Vec::new(); tags],
            dictionaries: (0..tags).map(|_| Dictionary::default()).collect(),
            ranges: starts.map(|start| start..start).collect(),
            overwritten: Vec::new(),
            older: Vec::new(),
        }
    }

    pub(super) fn close(&mut self, ends: impl Iterator<Item = u64>) {
        for (range, end) in self.ranges.iter_mut().zip(ends) {
            range.end = end;
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// Rows that later ones took the place of.
    pub fn overwritten_rows(&self) -> usize {
        self.older.len()
    }

    /// Per input, the rows that the window takes.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// First and last time.
    pub fn time_range(&self) -> TimeRange {
        let (min, max) =
            self.time.iter().fold((i64::MAX, i64::MIN), |(min, max), time| (min.min(*time), max.max(*time)));
        TimeRange::new(Timestamp::from_nanos(min), Timestamp::from_nanos(max))
    }

    /// The time column, as 64-bit integers.
    pub fn time(&self) -> ArrayRef {
        Arc::new(Int64Array::from(self.time.clone()))
    }

    /// A tag, counted in the table's order.
    pub fn tag(&self, tag: usize) -> Result<ArrayRef, ArrowError> {
        let numbers = &self.tags[tag];
        let mut keys: Vec<i32> = Vec::with_capacity(self.rows());
        for (&number, &end) in numbers.iter().zip(&self.series_ends) {
            keys.resize(end as usize, number);
        }
        let nulls = numbers.contains(&NULL).then(|| NullBuffer::from_iter(keys.iter().map(|key| *key != NULL)));
        if nulls.is_some() {
            keys.iter_mut().for_each(|key| *key = (*key).max(0));
        }
        let keys = Int32Array::try_new(ScalarBuffer::from(keys), nulls)?;
        let values = Arc::new(self.dictionaries[tag].array()?);
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values)?))
    }

    /// The rows that follow belong to the series that the cursor stands at.
    pub(super) fn begin_series(&mut self, cursor: &mut Cursor) {
        let mut is_new = self.series_ends.is_empty();
        for (tag, (numbers, dictionary)) in self.tags.iter_mut().zip(&mut self.dictionaries).enumerate() {
            let number = cursor.entry(tag, |text| dictionary.number(text));
            is_new |= numbers.last() != Some(&number);
            numbers.push(number);
        }
        let end = self.rows() as u32;
        if is_new {
            self.series_ends.push(end);
        } else {
            self.tags.iter_mut().for_each(|numbers| numbers.truncate(numbers.len() - 1));
        }
    }

    /// Adds rows of an input; `row` counts from its first row.
    pub(super) fn push(&mut self, input: usize, row: u64, times: &[i64]) {
        let start = (row - self.ranges[input].start) as u32;
        let (input, len) = (input as u32, times.len() as u32);
        match self.spans.last_mut() {
            Some(last) if last.input == input && last.start + last.len == start => last.len += len,
            _ => self.spans.push(Span { input, start, len }),
        }
        self.time.extend_from_slice(times);
        let end = self.time.len() as u32;
        if let Some(last) = self.series_ends.last_mut() {
            *last = end;
        }
    }

    /// The last row was written before by this row of that input; called from new to old.
    pub(super) fn push_older(&mut self, input: usize, row: u64) {
        let at = self.rows() as u32 - 1;
        self.older.push((input as u32, (row - self.ranges[input].start) as u32));
        let end = self.older.len() as u32;
        match self.overwritten.last_mut() {
            Some(last) if last.0 == at => last.2 = end,
            _ => self.overwritten.push((at, end - 1, end)),
        }
    }
}
