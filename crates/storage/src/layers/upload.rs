//! Data files on their way to a layer.
//!
//! What is small goes as one request; what is large goes in parts of one size, a few at once, so that memory stays
//! bounded however large the file is. A failed upload leaves nothing: its parts are given up, also if the caller goes
//! away. The name must be the file's own: a request is repeated where its answer was lost, and a file of that
//! name and size that is there already counts as this one.

use std::hash::Hasher;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use twox_hash::XxHash3_64;

use super::Layer;
use crate::{Error, Result};

/// Up to this size a file is one request.
const WHOLE_BYTES_MAX: usize = 16 << 20;

/// Parts but the last have this size. S3 takes parts of 5 MiB and more and 10,000 of them, which makes 80 GB; some
/// servers want them all of one size.
const PART_BYTES: usize = 8 << 20;

/// Parts under way at once.
const PARTS_AT_ONCE: usize = 4;

/// What a layer holds after an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// Size in bytes.
    pub bytes: u64,
    /// XXH3-64 over all of it.
    pub checksum: u64,
}

impl Layer {
    /// Stores a file that is at hand, under a name that no other file ever has.
    pub async fn upload(&self, path: &Path, bytes: Bytes) -> Result<Uploaded> {
        let pieces = (0..bytes.len()).step_by(PART_BYTES).map(|start| {
            let end = bytes.len().min(start + PART_BYTES);
            Ok::<_, Error>(bytes.slice(start..end))
        });
        self.upload_stream(path, futures::stream::iter(pieces)).await
    }

    /// Stores a file that is being made, under a name that no other file ever has.
    ///
    /// Holds at most about 56 MiB of it and takes no more chunks while it does. An error of `chunks` ends the upload.
    pub async fn upload_stream<S, E>(&self, path: &Path, chunks: S) -> std::result::Result<Uploaded, E>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send,
        E: From<Error>,
    {
        let mut chunks = std::pin::pin!(chunks);
        let mut held = Held::default();
        let mut parts: Option<Parts> = None;
        while let Some(chunk) = chunks.next().await {
            held.push(chunk?);
            if parts.is_none() && held.bytes > WHOLE_BYTES_MAX {
                parts = Some(Parts::start(self, path).await.map_err(|error| self.failed(path, error))?);
            }
            if let Some(parts) = &mut parts {
                while held.bytes >= PART_BYTES {
                    parts.put(held.take(PART_BYTES)).await.map_err(|error| self.failed(path, error))?;
                }
            }
        }
        let uploaded = held.uploaded();
        let rest = held.take(held.bytes);
        let done = match parts {
            None => self.store.put(path, rest).await.map(drop),
            Some(parts) => self.finish(parts, path, rest, uploaded.bytes).await,
        };
        done.map_err(|error| self.failed(path, error))?;
        Ok(uploaded)
    }

    async fn finish(&self, mut parts: Parts, path: &Path, rest: PutPayload, bytes: u64) -> object_store::Result<()> {
        if rest.content_length() > 0 {
            parts.put(rest).await?;
        }
        let Err(error) = parts.complete().await else { return Ok(()) };
        // If the answer was lost, a second request finds no upload of that id, but the file is there.
        match self.store.head(path).await {
            Ok(found) if found.size == bytes => {
                parts.ended();
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn failed(&self, path: &Path, error: object_store::Error) -> Error {
        self.error("uploading", path, error)
    }
}

/// Bytes that are not under way yet, and what is known of all bytes so far.
#[derive(Default)]
struct Held {
    chunks: Vec<Bytes>,
    bytes: usize,
    total: u64,
    checksum: XxHash3_64,
}

impl Held {
    fn push(&mut self, chunk: Bytes) {
        self.checksum.write(&chunk);
        self.bytes += chunk.len();
        self.total += chunk.len() as u64;
        self.chunks.push(chunk);
    }

    /// The first `bytes` of what is held; copies nothing.
    fn take(&mut self, bytes: usize) -> PutPayload {
        let mut left = bytes;
        let mut taken = Vec::new();
        let mut kept = Vec::new();
        for mut chunk in self.chunks.drain(..) {
            let cut = left.min(chunk.len());
            left -= cut;
            taken.push(chunk.split_to(cut));
            kept.push(chunk);
        }
        taken.retain(|chunk| !chunk.is_empty());
        kept.retain(|chunk| !chunk.is_empty());
        self.chunks = kept;
        self.bytes -= bytes - left;
        taken.into_iter().collect()
    }

    fn uploaded(&self) -> Uploaded {
        Uploaded { bytes: self.total, checksum: self.checksum.finish() }
    }
}

/// An upload in parts, given up when dropped before it has ended.
struct Parts {
    /// Empty once the upload has ended.
    upload: Option<Box<dyn MultipartUpload>>,
    under_way: JoinSet<object_store::Result<()>>,
}

impl Parts {
    async fn start(layer: &Layer, path: &Path) -> object_store::Result<Self> {
        let upload = layer.store.put_multipart(path).await?;
        Ok(Self { upload: Some(upload), under_way: JoinSet::new() })
    }

    /// Sends a part, once there is room for it.
    async fn put(&mut self, part: PutPayload) -> object_store::Result<()> {
        while self.under_way.len() >= PARTS_AT_ONCE {
            self.next().await?;
        }
        if let Some(upload) = &mut self.upload {
            self.under_way.spawn(upload.put_part(part));
        }
        Ok(())
    }

    async fn next(&mut self) -> object_store::Result<()> {
        match self.under_way.join_next().await {
            Some(part) => part?,
            None => Ok(()),
        }
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        while !self.under_way.is_empty() {
            self.next().await?;
        }
        if let Some(upload) = &mut self.upload {
            upload.complete().await?;
        }
        self.ended();
        Ok(())
    }

    fn ended(&mut self) {
        self.upload = None;
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        self.under_way.abort_all();
        let mut under_way = std::mem::take(&mut self.under_way);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // A part that arrives after the end of its upload would stay.
                while under_way.join_next().await.is_some() {}
                // Best effort: what stays is for the bucket's rule on unfinished uploads.
                let _ = upload.abort().await;
            });
        }
    }
}

#[cfg(test)]
mod tests;
