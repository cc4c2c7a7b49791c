//! What the catalog knows about one immutable Parquet object.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bucket, FileId, LayerName, Timestamp};

/// The first and the last point of a span of time; both ends are inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// The first point inside.
    pub min: Timestamp,
    /// The last point inside.
    pub max: Timestamp,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { min: Timestamp::MIN, max: Timestamp::MAX };

    /// The span from `min` to `max`; empty where they are the other way round.
    pub const fn new(min: Timestamp, max: Timestamp) -> Self {
        Self { min, max }
    }

    /// Whether no point lies inside.
    pub fn is_empty(self) -> bool {
        self.min > self.max
    }

    /// Whether `at` lies inside.
    pub fn contains(self, at: Timestamp) -> bool {
        self.min <= at && at <= self.max
    }

    /// Whether some point lies in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }

    /// The points that lie in both.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self { min: self.min.max(other.min), max: self.max.min(other.max) }
    }
}

/// Merge generation of a file: 1 is what a flush writes, 4 is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(u8);

impl Level {
    /// What a flush writes.
    pub const FLUSHED: Self = Self(1);
    /// What is merged no further.
    pub const FINAL: Self = Self(4);

    /// The level `number`, if there is one: 1 to 4.
    pub fn new(number: u8) -> Option<Self> {
        (1..=4).contains(&number).then_some(Self(number))
    }

    /// The level's number, 1 to 4.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The lowest and the highest commit of the table whose rows a file holds.
///
/// A commit's sequence is the table's version that it made. Later sequences overwrite earlier ones where
/// the table has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SequenceRange {
    /// The lowest.
    pub lo: u64,
    /// The highest; equal to `lo` for what a flush wrote.
    pub hi: u64,
}

/// One immutable Parquet object of a table.
///
/// Its object path follows from the table's name, the bucket, the id and the level. Statistics of its
/// columns are kept beside it, so that this record stays small enough to hold for every file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Never reused.
    pub id: FileId,
    /// Merge generation.
    pub level: Level,
    /// Where the object lies.
    pub layer: LayerName,
    /// The bucket that every row lies in.
    pub bucket: Bucket,
    /// Number of rows.
    pub rows: u64,
    /// Size of the object in bytes.
    pub bytes: u64,
    /// Exact range of the rows' times.
    pub time: TimeRange,
    /// Which commits' rows it holds. A flush leaves it at zero; the commit fills it in.
    pub sequence: SequenceRange,
    /// XXH3-64 over the whole object.
    pub checksum: u64,
    /// Bytes at the object's end that hold page indexes and footer: one read fetches all metadata.
    pub tail_bytes: u32,
}
