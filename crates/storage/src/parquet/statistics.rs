//! Statistics of a file's columns, as the catalog keeps them beside its records.
//!
//! Queries prune files by them and answer `min`, `max`, `count` and sums without opening a file, so every
//! value says whether it is exact. They are opaque bytes to the catalog: this file alone knows the encoding, which
//! starts with a version. Values are bounds under the total order of floats; a column that holds a NaN has none.

use std::cmp::Ordering;

use gigapi_model::FieldId;

use crate::Result;

mod codec;
mod collect;

pub(crate) use collect::{Summary, cut, successor};

/// Bounds of strings are cut to this many bytes and are inexact then.
pub const STATISTICS_STRING_BYTES_MAX: usize = 64;

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Integer and time columns.
    Integer(i64),
    /// Unsigned columns.
    Unsigned(u64),
    /// Float columns; never NaN.
    Float(f64),
    /// Boolean columns.
    Boolean(bool),
    /// String columns and tags; at most [`STATISTICS_STRING_BYTES_MAX`] bytes.
    String(String),
}

impl Scalar {
    /// The order that bounds follow. Values of one column have one type; of different types neither is less.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Unsigned(a), Self::Unsigned(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }
}

/// Statistics of one column of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnStatistics {
    /// The column.
    pub field_id: FieldId,
    /// Rows without a value; exact.
    pub null_count: u64,
    /// No value is less. Absent if there is no value or a NaN.
    pub min: Option<Scalar>,
    /// No value is greater. Absent if there is no value or a NaN, or a cut string has no upper bound of its length.
    pub max: Option<Scalar>,
    /// Whether `min` is a value of the column.
    pub min_exact: bool,
    /// Whether `max` is a value of the column.
    pub max_exact: bool,
    /// Exact sum of an integer or unsigned column's values.
    pub sum: Option<i128>,
    /// How many distinct values there are, where that is known without counting: tags.
    pub distinct: Option<u64>,
}

/// Statistics of the columns that a file holds, by ascending field id.
///
/// A column of the table that is absent here is absent from the file: every row is null there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileStatistics {
    /// By ascending field id.
    pub columns: Vec<ColumnStatistics>,
}

impl FileStatistics {
    /// The column's statistics, if the file holds the column.
    pub fn column(&self, field_id: FieldId) -> Option<&ColumnStatistics> {
        let index = self.columns.binary_search_by_key(&field_id, |column| column.field_id).ok()?;
        self.columns.get(index)
    }

    /// The bytes that the catalog keeps.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads [`Self::to_bytes`]; damaged bytes and unknown versions are `Corrupt`, never a panic.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        codec::decode(bytes)
    }
}

#[cfg(test)]
mod tests;
