//! The rows of one table as a request named and typed them, before they meet a definition.
//!
//! Parsers write here, so the shape serves them: tags are stored once per distinct set (a *series*), a
//! row holds its series' number, and a field that came with two types in one request simply is two
//! columns. Deciding whether that is allowed belongs to [`crate::resolve`], never to a parser.

use crate::column::{Column, Values};

/// One tag of a series: which name, and where its value lies in the draft's tag bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagPair {
    /// Index into [`Draft::tag_names`].
    pub name: u16,
    /// First byte of the value.
    pub start: u32,
    /// Bytes of the value.
    pub len: u32,
}

/// One field of one type.
#[derive(Debug)]
pub struct DraftField {
    /// Its name, unescaped.
    pub name: String,
    /// Its values; may be shorter than the draft, which means missing.
    pub column: Column,
}

/// Rows of one table.
#[derive(Debug, Default)]
pub struct Draft {
    /// Distinct tag names, unescaped, in order of appearance.
    pub tag_names: Vec<String>,
    /// Where each series ends in `series_pairs`.
    pub series_ends: Vec<u32>,
    /// The tags of all series; within a series in the order of the line, names distinct, values not empty.
    pub series_pairs: Vec<TagPair>,
    /// The values of all tags, UTF-8, unescaped.
    pub tag_bytes: Vec<u8>,
    /// Per row, its series.
    pub series_of_row: Vec<u32>,
    /// Per row, nanoseconds since the Unix epoch.
    pub time: Vec<i64>,
    /// Per row, where it began in the request: a byte offset or a record's number, as the parser likes.
    pub origin: Vec<u32>,
    /// Fields, distinct by name and type.
    pub fields: Vec<DraftField>,
}

impl Draft {
    /// Finished rows, which is also the index of the row that is being built.
    #[inline]
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// How many distinct tag sets there are.
    pub fn series_count(&self) -> usize {
        self.series_ends.len()
    }

    /// The tags of series `series`.
    pub fn series(&self, series: usize) -> &[TagPair] {
        let start = series.checked_sub(1).and_then(|before| self.series_ends.get(before)).copied().unwrap_or(0);
        let end = self.series_ends.get(series).copied().unwrap_or(start);
        self.series_pairs.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The value of a tag.
    pub fn tag_value(&self, pair: TagPair) -> &[u8] {
        let start = pair.start as usize;
        self.tag_bytes.get(start..start + pair.len as usize).unwrap_or_default()
    }

    /// Closes a series whose pairs were pushed to `series_pairs`; its number comes back.
    pub fn finish_series(&mut self) -> u32 {
        let series = u32::try_from(self.series_ends.len()).unwrap_or(u32::MAX);
        self.series_ends.push(u32::try_from(self.series_pairs.len()).unwrap_or(u32::MAX));
        series
    }

    /// Adds a field column and returns its index.
    pub fn add_field(&mut self, name: String, empty: Values) -> usize {
        self.fields.push(DraftField { name, column: Column::new(empty) });
        self.fields.len() - 1
    }

    /// Closes the row that is being built.
    #[inline]
    pub fn finish_row(&mut self, series: u32, time: i64, origin: u32) {
        self.series_of_row.push(series);
        self.time.push(time);
        self.origin.push(origin);
    }

    /// Forgets the fields of the row that is being built.
    pub fn abandon_row(&mut self) {
        let rows = self.rows();
        for field in &mut self.fields {
            field.column.truncate(rows);
        }
    }
}
