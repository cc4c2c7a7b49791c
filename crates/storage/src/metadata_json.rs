//! `metadata.json`: the files of one bucket, for readers in other languages.
//!
//! The format is the original GigAPI's, key by key and in its order; its reader stalls on any further top-level
//! key. Nothing of ours reads it. Rendering is pure; when to publish, and that no older version
//! replaces a newer one, is the caller's to see to.

use bytes::Bytes;
use gigapi_model::{Bucket, BucketSpan, DataFile, FileId, LayerName, Level, TableDef, Timestamp};
use object_store::path::Path;
use serde::Serialize;

use crate::{Error, FilePath, Result, bucket_folder};

/// A file that was removed from the table and is still on the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Where it lies below its layer.
    pub path: FilePath,
    /// Its layer.
    pub layer: LayerName,
    /// Not deleted before this.
    pub delete_after: Timestamp,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    table: &'a str,
    parquet_size_bytes: u64,
    row_count: u64,
    min_time: i64,
    max_time: i64,
    wal_sequence: u64,
    drop_queue: Vec<DropEntry<'a>>,
    files: Vec<FileEntry<'a>>,
}

#[derive(Serialize)]
struct DropEntry<'a> {
    id: usize,
    writer_id: &'a str,
    layer: &'a str,
    database: &'a str,
    table: &'a str,
    path: String,
    time_s: i64,
}

#[derive(Serialize)]
struct FileEntry<'a> {
    layer: &'a str,
    database: &'a str,
    table: &'a str,
    path: String,
    size_bytes: u64,
    row_count: u64,
    chunk_time: i64,
    /// The original fills these with `null` or an empty object and never reads them.
    min: Option<()>,
    max: Option<()>,
    min_time: i64,
    max_time: i64,
    writer_id: &'a str,
    id: usize,
    range: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

/// Where the document of a bucket lies below its layer.
pub fn path(table: &TableDef, bucket: Bucket) -> Path {
    bucket_folder(&table.database, &table.name, bucket).join("metadata.json")
}

/// The document of one bucket: its live files and those that wait to be deleted, in any order.
///
/// Equal input in another order renders equal bytes. The writer ids are empty, as the original's are.
pub fn render(table: &TableDef, bucket: Bucket, files: &[DataFile], dropped: &[Dropped]) -> Result<Bytes> {
    let mut files: Vec<&DataFile> = files.iter().collect();
    files.sort_by_key(|file| (file.time.min, file.id));
    let mut dropped: Vec<&Dropped> = dropped.iter().collect();
    dropped.sort_by_key(|dropped| (dropped.delete_after, dropped.path.id));
    let (database, name) = (table.database.as_str(), table.name.as_str());
    let document = Document {
        table: name,
        parquet_size_bytes: files.iter().map(|file| file.bytes).sum(),
        row_count: files.iter().map(|file| file.rows).sum(),
        min_time: files.iter().map(|file| file.time.min.nanos()).min().unwrap_or(0),
        max_time: files.iter().map(|file| file.time.max.nanos()).max().unwrap_or(0),
        wal_sequence: 0,
        drop_queue: (1..)
            .zip(&dropped)
            .map(|(id, dropped)| DropEntry {
                id,
                writer_id: "",
                layer: dropped.layer.as_str(),
                database,
                table: name,
                path: relative(dropped.path.bucket, dropped.path.id, dropped.path.level),
                time_s: dropped.delete_after.nanos().div_euclid(1_000_000_000),
            })
            .collect(),
        files: (1..)
            .zip(&files)
            .map(|(id, file)| FileEntry {
                layer: file.layer.as_str(),
                database,
                table: name,
                path: relative(file.bucket, file.id, file.level),
                size_bytes: file.bytes,
                row_count: file.rows,
                chunk_time: file.id.minted_at().nanos(),
                min: None,
                max: None,
                min_time: file.time.min.nanos(),
                max_time: file.time.max.nanos(),
                writer_id: "",
                id,
                range: range(bucket),
                kind: "compacted",
            })
            .collect(),
    };
    serde_json::to_vec(&document).map(Bytes::from).map_err(|error| Error::Input {
        table: name.to_owned(),
        reason: format!("its metadata.json cannot be rendered: {error}"),
    })
}

/// The path below the table, which is what the original's readers expect.
fn relative(bucket: Bucket, id: FileId, level: Level) -> String {
    format!("{bucket}/{id}.{level}.parquet")
}

/// The length of the bucket as a Go duration; the original only ever has hours.
fn range(bucket: Bucket) -> &'static str {
    match bucket.span() {
        BucketSpan::Hour => "1h",
        BucketSpan::Day => "24h",
        BucketSpan::Month => "720h",
        BucketSpan::Year => "8760h",
    }
}

#[cfg(test)]
mod tests;
