//! A data file on its way from a layer to whoever rewrites it: whole, and compared with its checksum.
//!
//! A file in a folder of this machine is read where it lies. One from elsewhere is held in memory if it is small, and
//! else on this machine's disk, in a file without a name that ends with its last user.

use std::fs::File;
use std::hash::Hasher;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use futures::StreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use twox_hash::XxHash3_64;

use super::Layer;
use crate::{Error, ExpectedObject, Result, Source, Staging, verify_object};

/// Up to this size a file from elsewhere is held in memory.
const MEMORY_BYTES_MAX: u64 = 4 << 20;

/// Bytes of a local file that are compared at a time.
const READ_BYTES: usize = 1 << 20;

impl Layer {
    /// Opens an object after comparing all of it with what it has to be; `staging` takes large ones from elsewhere.
    pub async fn fetch(&self, path: &Path, expected: ExpectedObject, staging: &Staging) -> Result<Source> {
        let what = format!("{path} on layer {}", self.name);
        if let Some(local) = &self.local {
            let file = local.root().join(path.as_ref());
            let opened = tokio::task::spawn_blocking(move || {
                let file = File::open(&file).map_err(|error| from_disk(error, path_text(&file)))?;
                compare(&what, &file, expected)?;
                Ok(Source::File(Arc::new(file), expected.bytes))
            });
            let opened = opened.await.map_err(|_| Error::Interrupted { operation: "reading a file" })?;
            return opened.map_err(|error: Failed| error.on(self, path));
        }
        let failed = |error| self.error("reading", path, error);
        let found = self.store.get(path).await.map_err(failed)?;
        if found.meta.size != expected.bytes {
            return Err(size_differs(what, found.meta.size, expected));
        }
        if expected.bytes <= MEMORY_BYTES_MAX {
            let bytes = found.bytes().await.map_err(failed)?;
            verify_object(&what, &bytes, expected.checksum)?;
            return Ok(Source::Memory(bytes));
        }
        let file = Arc::new(staging.file()?);
        let (mut at, mut checksum) = (0_u64, XxHash3_64::default());
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(failed)?;
            checksum.write(&chunk);
            let (file, start) = (Arc::clone(&file), at);
            at += chunk.len() as u64;
            let written = tokio::task::spawn_blocking(move || file.write_all_at(&chunk, start));
            let written = written.await.map_err(|_| Error::Interrupted { operation: "staging a file" })?;
            written.map_err(|error| staging.failed("writing", error))?;
        }
        let found = checksum.finish();
        if at != expected.bytes || found != expected.checksum {
            let expected = expected.checksum;
            let reason = format!("the checksum of its {at} bytes is {found:016x}, not {expected:016x}");
            return Err(Error::Corrupt { what, reason });
        }
        Ok(Source::File(file, expected.bytes))
    }
}

/// What went wrong with a local file.
enum Failed {
    Store(object_store::Error),
    Other(Error),
}

impl Failed {
    fn on(self, layer: &Layer, path: &Path) -> Error {
        match self {
            Self::Store(error) => layer.error("reading", path, error),
            Self::Other(error) => error,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

fn path_text(path: &std::path::Path) -> String {
    path.display().to_string()
}

fn from_disk(error: std::io::Error, path: String) -> Failed {
    Failed::Store(match error.kind() {
        std::io::ErrorKind::NotFound => object_store::Error::NotFound { path, source: Box::new(error) },
        _ => object_store::Error::Generic { store: "file", source: Box::new(error) },
    })
}

fn size_differs(what: String, found: u64, expected: ExpectedObject) -> Error {
    Error::Corrupt { what, reason: format!("it has {found} bytes, not {}", expected.bytes) }
}

fn compare(what: &str, file: &File, expected: ExpectedObject) -> std::result::Result<(), Failed> {
    let size = file.metadata().map_err(|error| from_disk(error, what.to_owned()))?.len();
    if size != expected.bytes {
        return Err(size_differs(what.to_owned(), size, expected).into());
    }
    let mut checksum = XxHash3_64::default();
    let mut buffer = vec![0; READ_BYTES.min(usize::try_from(size).unwrap_or(READ_BYTES)).max(1)];
    let mut at = 0;
    while at < size {
        let part = buffer.len().min(usize::try_from(size - at).unwrap_or(usize::MAX));
        file.read_exact_at(&mut buffer[..part], at).map_err(|error| from_disk(error, what.to_owned()))?;
        checksum.write(&buffer[..part]);
        at += part as u64;
    }
    let found = checksum.finish();
    if found == expected.checksum {
        return Ok(());
    }
    let reason = format!("the checksum of its {size} bytes is {found:016x}, not {:016x}", expected.checksum);
    Err(Error::Corrupt { what: what.to_owned(), reason }.into())
}

#[cfg(test)]
mod tests;
