//! From an object back to what the catalog knew about it.
//!
//! Rebuilding and verifying read whole objects: the checksum of the whole file and those of its chunks can only be
//! had that way. Whoever asks only whose a file is and what it was made of reads its tail. Queries never come here; they
//! read footers and pages through their engine.

use bytes::Bytes;
use gigapi_model::{DataFile, LayerName};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::{FileFacts, FileStatistics, StoredFacts};
use crate::{Error, FilePath, Result, checksum, verify_object};

/// Re-makes the catalog's record of an object from the object alone.
///
/// Reads the whole object and compares every chunk with its checksum. `path` is below the layer; the record's id
/// and level come from it, the rest from the footer. An object that is no data file of ours is
/// [`Error::NotOurs`], a damaged one [`Error::Corrupt`].
pub async fn read_facts(
    store: &dyn ObjectStore,
    layer: &LayerName,
    path: &Path,
) -> Result<(StoredFacts, DataFile, FileStatistics)> {
    let not_ours = |reason: &str| Error::NotOurs { path: path.to_string(), reason: reason.to_owned() };
    let place = FilePath::parse(path).ok_or_else(|| not_ours("its path is not that of a data file"))?;
    let failed = |error| Error::from_store("reading", &format!("layer {layer}"), path.as_ref(), error);
    let object = store.get(path).await.map_err(failed)?.bytes().await.map_err(failed)?;
    let name = path.to_string();
    let work = move || {
        let (facts, tail_bytes) = verified(&name, &object)?;
        Ok((facts, tail_bytes, object.len() as u64, checksum(&object)))
    };
    let done: Result<(StoredFacts, u32, u64, u64)> =
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted { operation: "verifying" })?;
    let (facts, tail_bytes, bytes, checksum) = done?;
    if facts.facts.bucket != place.bucket {
        let what = format!("the footer of {path}");
        return Err(Error::Corrupt { what, reason: format!("it names bucket {}", facts.facts.bucket) });
    }
    let file = DataFile {
        id: place.id,
        level: place.level,
        layer: layer.clone(),
        bucket: place.bucket,
        rows: facts.rows,
        bytes,
        time: facts.time,
        sequence: facts.facts.origin.sequence(),
        checksum,
        tail_bytes,
    };
    let statistics = facts.statistics.clone();
    Ok((facts, file, statistics))
}

/// Read of a tail first: the footers of all but the widest tables fit.
const TAIL_BYTES: u64 = 64 << 10;

/// What the footer of an object of that size says, from its tail alone.
///
/// Costs one small read as a rule, two for a long footer. Nothing else of the object is looked at: it may be damaged
/// elsewhere. An object that is no data file of ours is [`Error::NotOurs`], one whose footer cannot be read
/// [`Error::Corrupt`].
pub async fn read_tail_facts(
    store: &dyn ObjectStore,
    layer: &LayerName,
    path: &Path,
    size: u64,
) -> Result<StoredFacts> {
    let not_ours = |reason: &str| Error::NotOurs { path: path.to_string(), reason: reason.to_owned() };
    let place = FilePath::parse(path).ok_or_else(|| not_ours("its path is not that of a data file"))?;
    let corrupt = |reason: String| Error::Corrupt { what: format!("the footer of {path}"), reason };
    let mut wanted = TAIL_BYTES.min(size);
    // Twice: the first read tells how long the footer is.
    for _ in 0..2 {
        let failed = |error| Error::from_store("reading", &format!("layer {layer}"), path.as_ref(), error);
        let tail = store.get_range(path, size - wanted..size).await.map_err(failed)?;
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
        match reader.try_parse_sized(&tail, size) {
            Ok(()) => {
                let metadata = reader.finish().map_err(|error| corrupt(error.to_string()))?;
                let facts = FileFacts::read(path.as_ref(), metadata.file_metadata())?;
                return match facts.facts.bucket == place.bucket {
                    true => Ok(facts),
                    false => Err(corrupt(format!("it names bucket {}", facts.facts.bucket))),
                };
            }
            Err(ParquetError::NeedMoreData(more)) => wanted = (more as u64).min(size),
            Err(error) => return Err(corrupt(format!("it cannot be read: {error}"))),
        }
    }
    Err(corrupt("its length is not what it says".to_owned()))
}

/// Compares every column chunk with its checksum in the footer. CPU-bound.
pub fn verify_chunks(path: &str, object: &Bytes) -> Result<StoredFacts> {
    verified(path, object).map(|(facts, _)| facts)
}

fn verified(path: &str, object: &Bytes) -> Result<(StoredFacts, u32)> {
    let corrupt = |reason: String| Error::Corrupt { what: path.to_owned(), reason };
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Skip)
        .parse_and_finish(object)
        .map_err(|error| corrupt(format!("its footer cannot be read: {error}")))?;
    let facts = FileFacts::read(path, metadata.file_metadata())?;
    let rows: i64 = metadata.row_groups().iter().map(|group| group.num_rows()).sum();
    if u64::try_from(rows).ok() != Some(facts.rows) {
        return Err(corrupt(format!("its row groups hold {rows} rows, its facts say {}", facts.rows)));
    }
    let shape = metadata.row_groups().iter().map(|group| group.columns().len());
    if !facts.chunk_checksums.iter().map(Vec::len).eq(shape) {
        return Err(corrupt("its list of checksums does not fit its chunks".to_owned()));
    }
    for (group, expected) in metadata.row_groups().iter().zip(&facts.chunk_checksums) {
        for (chunk, expected) in group.columns().iter().zip(expected) {
            let column = chunk.column_path();
            let bytes = slice(object, chunk.byte_range())
                .ok_or_else(|| corrupt(format!("column {column} lies outside the object")))?;
            verify_object(&format!("column {column} of {path}"), bytes, *expected)?;
        }
    }
    let tail_bytes =
        tail_bytes(object, &metadata).ok_or_else(|| corrupt("its chunks overlap its footer".to_owned()))?;
    Ok((facts, tail_bytes))
}

fn slice(object: &Bytes, (start, length): (u64, u64)) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    object.get(start..end)
}

/// Everything after the last chunk.
fn tail_bytes(object: &Bytes, metadata: &ParquetMetaData) -> Option<u32> {
    let ends = metadata.row_groups().iter().flat_map(|group| group.columns()).map(|chunk| {
        let (start, length) = chunk.byte_range();
        start.saturating_add(length)
    });
    let data_end = ends.max().unwrap_or(4);
    u32::try_from((object.len() as u64).checked_sub(data_end)?).ok()
}
