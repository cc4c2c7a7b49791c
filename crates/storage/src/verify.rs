//! Checksums of whole objects, and a store that compares them while reading.
//!
//! Parquet as arrow-rs writes it carries no page checksum, so most flipped bits would read back as other values.
//! What is fetched whole is compared with the checksum that the catalog keeps; parts of an object pass
//! unchecked, because one checksum cannot speak for a part. Expected values come from outside through
//! [`ExpectedObjects`]: this crate never asks the catalog.

use std::fmt;
use std::hash::Hasher;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
};

use crate::{Error, Result};

/// XXH3-64 with seed 0: what the catalog and the footer keep for objects and column chunks.
pub fn checksum(bytes: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot(bytes)
}

/// Refuses bytes that are not what was written. `what` names the object in the error.
pub fn verify_object(what: &str, bytes: &[u8], expected: u64) -> Result<()> {
    let found = checksum(bytes);
    if found == expected {
        return Ok(());
    }
    Err(Error::Corrupt {
        what: what.to_owned(),
        reason: format!("the checksum of its {} bytes is {found:016x}, not {expected:016x}", bytes.len()),
    })
}

/// What an object has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedObject {
    /// Size in bytes.
    pub bytes: u64,
    /// XXH3-64 over all of it.
    pub checksum: u64,
}

/// What an object is, read once through; holds one chunk of it at a time.
pub async fn measure_object(store: &dyn ObjectStore, path: &Path) -> object_store::Result<ExpectedObject> {
    let mut chunks = store.get(path).await?.into_stream();
    let (mut bytes, mut checksum) = (0, twox_hash::XxHash3_64::new());
    while let Some(chunk) = chunks.try_next().await? {
        bytes += chunk.len() as u64;
        checksum.write(&chunk);
    }
    Ok(ExpectedObject { bytes, checksum: checksum.finish() })
}

/// Tells what objects have to be; asked once per read, so it answers from memory.
pub trait ExpectedObjects: Send + Sync + fmt::Debug {
    /// What the object at `location` has to be, if that is known.
    fn expected(&self, location: &Path) -> Option<ExpectedObject>;
}

/// A store that refuses an object fetched whole if it is not what it has to be.
#[derive(Debug)]
pub struct VerifyingStore {
    inner: Arc<dyn ObjectStore>,
    expected: Arc<dyn ExpectedObjects>,
}

impl VerifyingStore {
    /// Reads through `inner` and compares with `expected`.
    pub fn new(inner: Arc<dyn ObjectStore>, expected: Arc<dyn ExpectedObjects>) -> Self {
        Self { inner, expected }
    }

    fn check(location: &Path, bytes: &[u8], expected: ExpectedObject) -> object_store::Result<()> {
        verify_object(location.as_ref(), bytes, expected.checksum)
            .map_err(|error| object_store::Error::Generic { store: "VerifyingStore", source: Box::new(error) })
    }
}

impl fmt::Display for VerifyingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for VerifyingStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let expected = if options.head { None } else { self.expected.expected(location) };
        let result = self.inner.get_opts(location, options).await?;
        let Some(expected) = expected else { return Ok(result) };
        // A length other than the expected one shows in the object's size, whatever part was asked for.
        let whole = result.range == (0..result.meta.size);
        if !whole && result.meta.size == expected.bytes {
            return Ok(result);
        }
        let (meta, range, attributes) = (result.meta.clone(), result.range.clone(), result.attributes.clone());
        let bytes = result.bytes().await?;
        Self::check(location, &bytes, expected)?;
        let payload = GetResultPayload::Stream(Box::pin(futures::stream::once(async move { Ok(bytes) })));
        Ok(GetResult { payload, meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        let fetched = self.inner.get_ranges(location, ranges).await?;
        if let Some(expected) = self.expected.expected(location)
            && let Some(index) = ranges.iter().position(|range| *range == (0..expected.bytes))
            && let Some(bytes) = fetched.get(index)
        {
            Self::check(location, bytes, expected)?;
        }
        Ok(fetched)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> object_store::Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests;
