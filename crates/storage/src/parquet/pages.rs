//! Values of column chunks where they lie in pages, for scans that fold them and need no rows.
//!
//! A sorted file stores a tag as a few long runs, and a fold wants just those; numbers it wants a page at a time, in
//! memory that stays in the processor's cache. The `parquet` crate finds, checks and decompresses pages; values are
//! decoded here. Only what this project's own writer makes is decoded: whatever else a file holds is
//! [`PageError::Unsupported`], which a caller meets by reading the file with the engine. Nothing here fetches bytes.

mod numbers;
mod reader;
mod texts;

use std::ops::Range;

use parquet::errors::ParquetError;

pub use numbers::{NumberPage, NumberReader, Numbers};
pub use reader::{Chunk, ChunkBytes};
pub use texts::{TextRun, TextRuns};

/// Why values cannot be had this way.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The bytes are fine, but of a kind that is not decoded here.
    #[error("{0} is not decoded page by page")]
    Unsupported(String),
    /// The bytes are no pages.
    #[error("its pages cannot be decoded: {0}")]
    Damaged(String),
}

impl From<ParquetError> for PageError {
    fn from(error: ParquetError) -> Self {
        Self::Damaged(error.to_string())
    }
}

type PageResult<T> = Result<T, PageError>;

fn damaged<T>(what: impl Into<String>) -> PageResult<T> {
    Err(PageError::Damaged(what.into()))
}

/// Whether some range of `wanted`, which are ascending and apart, holds a row of `rows`.
fn is_wanted(wanted: &[Range<usize>], rows: &Range<usize>) -> bool {
    let first = wanted.partition_point(|range| range.end <= rows.start);
    wanted.get(first).is_some_and(|range| range.start < rows.end)
}

#[cfg(test)]
mod tests;
