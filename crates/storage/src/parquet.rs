//! Parquet as this project writes and reads it.
//!
//! [`FileEncoder`] turns sorted rows into one object with the facts that a rebuild of the catalog needs
//! ([`FileFacts`]) and gives back statistics for the catalog ([`FileStatistics`]); [`read_facts`] reads both from
//! an object again. Encoding is CPU-bound and synchronous: callers run it on a blocking thread. Which rows a
//! file holds and what happens to it afterwards is decided elsewhere.

mod chunk;
mod column;
mod encoded_file;
mod encoder;
mod encoders;
mod encoding;
mod facts;
mod pages;
mod reader;
mod schema;
mod statistics;
mod stored_rows;

pub use encoded_file::{EncodedFile, FinishedFile};
pub use encoder::{FileEncoder, FileWriter, ROW_GROUP_ROWS_MAX, encode_file};
pub use encoders::FileEncoders;
pub use facts::{FileFacts, MergeSource, Origin, StoredFacts};
pub use pages::{Chunk, ChunkBytes, NumberPage, NumberReader, Numbers, PageError, TextRun, TextRuns};
pub use reader::{read_facts, read_tail_facts, verify_chunks};
pub use statistics::{ColumnStatistics, FileStatistics, STATISTICS_STRING_BYTES_MAX, Scalar};
pub use stored_rows::{RowBatches, Source, StoredRows};
