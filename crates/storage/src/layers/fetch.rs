//! Data files on their way from a layer to whoever rewrites them: whole, and compared with their checksums.
//!
//! Files in a folder of this machine are read where they lie, those of one call by one thread: a thread for each would
//! keep memory of its own long after. One from elsewhere is held in memory if it is small, and else on this machine's
//! disk, in a file without a name that ends with its last user.

use std::fs::File;
use std::hash::Hasher;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use twox_hash::XxHash3_64;

use super::Layer;
use crate::{Error, ExpectedObject, Result, Source, Staging, verify_object};

/// Up to this size a file from elsewhere is held in memory.
const MEMORY_BYTES_MAX: u64 = 4 << 20;

/// Bytes of a local file that are compared at a time.
const READ_BYTES: usize = 256 << 10;

/// Files from elsewhere that one call fetches at once.
const REQUESTS: usize = 4;

impl Layer {
    /// Opens objects, each after comparing all of it with what it has to be, and answers in their order; `staging`
    /// takes large ones from elsewhere.
    pub async fn fetch(
        &self,
        objects: &[(Path, ExpectedObject)],
        staging: &Staging,
    ) -> std::result::Result<Vec<Source>, NotFetched> {
        if let Some(local) = &self.local {
            return self.fetch_here(local.root(), objects).await;
        }
        let fetch = |(at, (path, expected)): (usize, &'_ (Path, ExpectedObject))| {
            let (path, expected) = (path.clone(), *expected);
            async move {
                let fetched = self.fetch_from_elsewhere(&path, expected, staging).await;
                fetched.map_err(|error| NotFetched { at, error })
            }
        };
        let fetches: Vec<_> = objects.iter().enumerate().map(fetch).collect();
        futures::stream::iter(fetches).buffered(REQUESTS).try_collect().await
    }

    async fn fetch_here(
        &self,
        root: &std::path::Path,
        objects: &[(Path, ExpectedObject)],
    ) -> std::result::Result<Vec<Source>, NotFetched> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let paths: Vec<_> = objects.iter().map(|(path, _)| path.clone()).collect();
        let files: Vec<_> = objects.iter().map(|(path, expected)| (root.join(path.as_ref()), *expected)).collect();
        let opening = tokio::task::spawn_blocking(move || {
            let mut buffer = Vec::new();
            let open = |(at, (path, expected)): (usize, &(PathBuf, ExpectedObject))| {
                open(path, *expected, &mut buffer).map_err(|failed| (at, failed))
            };
            files.iter().enumerate().map(open).collect::<std::result::Result<Vec<Source>, _>>()
        });
        let opened = opening.await.unwrap_or(Err((0, Failed::Interrupted)));
        opened.map_err(|(at, failed)| NotFetched { at, error: failed.of(self, &paths[at]) })
    }

    async fn fetch_from_elsewhere(&self, path: &Path, expected: ExpectedObject, staging: &Staging) -> Result<Source> {
        let what = format!("{path} on layer {}", self.name);
        let failed = |error| self.error("reading", path, error);
        let found = self.store.get(path).await.map_err(failed)?;
        if found.meta.size != expected.bytes {
            return Err(Error::Corrupt { what, reason: size_differs(found.meta.size, expected) });
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

/// Which of the objects could not be fetched, and why.
#[derive(Debug)]
pub struct NotFetched {
    /// Its place among those asked for.
    pub at: usize,
    /// What is wrong with it.
    pub error: Error,
}

/// What went wrong with a local file.
enum Failed {
    Disk(std::io::Error),
    Corrupt(String),
    Interrupted,
}

impl Failed {
    fn of(self, layer: &Layer, path: &Path) -> Error {
        match self {
            Self::Disk(error) => layer.error("reading", path, from_disk(error, path)),
            Self::Corrupt(reason) => Error::Corrupt { what: format!("{path} on layer {}", layer.name), reason },
            Self::Interrupted => Error::Interrupted { operation: "reading files" },
        }
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error)
    }
}

fn from_disk(error: std::io::Error, path: &Path) -> object_store::Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            object_store::Error::NotFound { path: path.to_string(), source: Box::new(error) }
        }
        _ => object_store::Error::Generic { store: "file", source: Box::new(error) },
    }
}

fn size_differs(found: u64, expected: ExpectedObject) -> String {
    format!("it has {found} bytes, not {}", expected.bytes)
}

fn open(path: &std::path::Path, expected: ExpectedObject, buffer: &mut Vec<u8>) -> std::result::Result<Source, Failed> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size != expected.bytes {
        return Err(Failed::Corrupt(size_differs(size, expected)));
    }
    let found = checksum(&file, size, buffer)?;
    if found != expected.checksum {
        let expected = expected.checksum;
        return Err(Failed::Corrupt(format!("the checksum of its {size} bytes is {found:016x}, not {expected:016x}")));
    }
    Ok(Source::File(Arc::new(file), size))
}

fn checksum(file: &File, size: u64, buffer: &mut Vec<u8>) -> std::io::Result<u64> {
    let part_bytes = READ_BYTES.min(usize::try_from(size).unwrap_or(READ_BYTES));
    if buffer.len() < part_bytes {
        buffer.resize(part_bytes, 0);
    }
    let (mut checksum, mut at) = (XxHash3_64::default(), 0);
    while at < size {
        let part = buffer.len().min(usize::try_from(size - at).unwrap_or(usize::MAX));
        file.read_exact_at(&mut buffer[..part], at)?;
        checksum.write(&buffer[..part]);
        at += part as u64;
    }
    Ok(checksum.finish())
}

#[cfg(test)]
mod tests;
