//! Where data files lie and what is inside them.
//!
//! Layers become object stores here, local disks become durable, Parquet files are written with the project's
//! settings and read back with the facts that a rebuild of the catalog needs. It knows tables and files as
//! vocabulary only: which files are live is the catalog's business, and this crate never asks it.

mod cache;
mod error;
mod layers;
mod local;
pub mod metadata_json;
pub mod parquet;
mod path;
mod verify;

#[cfg(any(test, feature = "test-util"))]
pub mod faulty;
#[cfg(test)]
mod s3_servers;
#[cfg(test)]
mod suite;

pub use cache::{CacheCounts, CacheSettings, ReadCache, tallied};
pub use error::{Error, Result};
pub use layers::{
    AwsEnvironment, HiddenText, Layer, LayerKind, LayerSettings, LayeredStore, Layers, NotFetched, OriginalData,
    RequestCounts, S3Credentials, S3Location, S3Settings, S3Timing, Staged, Staging, Uploaded, UrlStyle,
};
pub use local::{DurableLocalStore, ProcessFolder, SyncCounter};
pub use parquet::{
    Chunk, ChunkBytes, ColumnStatistics, EncodedFile, FileEncoder, FileEncoders, FileFacts, FileStatistics, FileWriter,
    FinishedFile, MergeSource, NumberPage, NumberReader, Numbers, Origin, PageError, ROW_GROUP_ROWS_MAX, RowBatches,
    Scalar, Source, StoredFacts, StoredRows, TextRun, TextRuns, encode_file, read_facts, read_tail_facts,
};
pub use path::{FilePath, OWN_FOLDER, bucket_folder, own_path, table_folder};
pub use verify::{ExpectedObject, ExpectedObjects, VerifyingStore, checksum, measure_object, verify_object};
