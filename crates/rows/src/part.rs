//! Rows of one table in the table's own terms: what the write-ahead log stores and the buffer holds.
//!
//! Immutable once made. Tags are stored once per series in a canonical form (by field id), so equal tag
//! sets are equal bytes, whatever order a client named them in.

mod codec;

use gigapi_model::{FieldId, TimeRange, Timestamp};

use crate::column::Column;

pub use codec::PartError;

/// Distinct tag sets, each as `field id, length, bytes` per tag by ascending field id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesSet {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl SeriesSet {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends a tag set; `tags` is sorted by field id.
    pub fn push(&mut self, tags: &[(FieldId, &[u8])]) {
        for &(field_id, value) in tags {
            self.bytes.extend_from_slice(&field_id.to_le_bytes());
            self.bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
            self.bytes.extend_from_slice(value);
        }
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// The canonical bytes of one tag set.
    pub fn key(&self, series: usize) -> &[u8] {
        let start = series.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(series).copied().unwrap_or(start);
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The tags of canonical bytes; stops at the first that is cut short.
    pub fn tags(key: &[u8]) -> impl Iterator<Item = (FieldId, &[u8])> {
        let mut rest = key;
        std::iter::from_fn(move || {
            let (field_id, after) = rest.split_first_chunk::<4>()?;
            let (len, after) = after.split_first_chunk::<4>()?;
            let (value, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            rest = after;
            Some((u32::from_le_bytes(*field_id), value))
        })
    }
}

/// One field of a part.
#[derive(Debug)]
pub struct PartField {
    /// Which column of the table.
    pub field_id: FieldId,
    /// One value per row of the part.
    pub column: Column,
}

/// Rows of one table.
#[derive(Debug)]
pub struct Part {
    series: SeriesSet,
    series_of_row: Vec<u32>,
    time: Vec<i64>,
    fields: Vec<PartField>,
    range: TimeRange,
}

impl Part {
    /// A part from its columns; all have one entry per row.
    pub(crate) fn new(series: SeriesSet, series_of_row: Vec<u32>, time: Vec<i64>, fields: Vec<PartField>) -> Self {
        let (min, max) = time.iter().fold((i64::MAX, i64::MIN), |(min, max), &t| (min.min(t), max.max(t)));
        let range = TimeRange::new(Timestamp::from_nanos(min), Timestamp::from_nanos(max));
        Self { series, series_of_row, time, fields, range }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// From the earliest to the latest row; empty if there are none.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// The tag sets.
    pub fn series(&self) -> &SeriesSet {
        &self.series
    }

    /// Per row, its tag set.
    pub fn series_of_row(&self) -> &[u32] {
        &self.series_of_row
    }

    /// Per row, nanoseconds since the Unix epoch.
    pub fn time(&self) -> &[i64] {
        &self.time
    }

    /// The fields.
    pub fn fields(&self) -> &[PartField] {
        &self.fields
    }

    /// Memory that the part takes, roughly.
    pub fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|field| field.column.bytes() + 64).sum();
        self.series.bytes.len() + self.series.ends.len() * 4 + self.rows() * 12 + fields + 256
    }

    pub(crate) fn filter(&self, keep: &[usize]) -> Self {
        let fields = self
            .fields
            .iter()
            .map(|field| PartField { field_id: field.field_id, column: field.column.filter(keep) })
            .collect();
        let series_of_row = keep.iter().map(|&row| self.series_of_row[row]).collect();
        let time = keep.iter().map(|&row| self.time[row]).collect();
        Self::new(self.series.clone(), series_of_row, time, fields)
    }
}
