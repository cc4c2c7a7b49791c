//! A data file in the making: written once, looked at, and only then given its name.
//!
//! What stays small is held in memory. What grows is a temporary file: on a folder of this machine in the same file
//! system, so that it is renamed and not copied; for other layers on this machine's disk, from where it is uploaded.
//! Dropped before it has its name, it leaves nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use gigapi_model::Ids;
use object_store::path::Path;

use super::Layer;
use crate::local::LocalFile;
use crate::{Error, ProcessFolder, Result, Source};

/// Up to this size an output is held in memory.
const MEMORY_BYTES_MAX: usize = 4 << 20;

/// Bytes of a staged file that are read at a time when it is uploaded.
const UPLOAD_BYTES: usize = 4 << 20;

/// A folder of this process for files that are on their way to or from a layer.
#[derive(Debug)]
pub struct Staging {
    folder: ProcessFolder,
    next: AtomicU64,
}

impl Staging {
    /// Removes what processes that are gone left in the folder and takes a place of its own there. Blocks on the disk.
    pub fn open(folder: &std::path::Path, ids: &dyn Ids) -> Result<Self> {
        Ok(Self { folder: ProcessFolder::take(folder, ids)?, next: AtomicU64::new(0) })
    }

    /// An empty file without a name: it ends when the last handle is closed, however the process ends.
    pub fn file(&self) -> Result<File> {
        let path = self.folder.path().join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| self.failed("creating", error))?;
        std::fs::remove_file(&path).map_err(|error| self.failed("unlinking", error))?;
        Ok(file)
    }

    pub(crate) fn failed(&self, operation: &'static str, error: io::Error) -> Error {
        let place = self.folder.path().display().to_string();
        let source = object_store::Error::Generic { store: "staging", source: Box::new(error) };
        Error::from_store(operation, &place, &place, source)
    }
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    /// In the layer's own file system.
    Local(LocalFile),
    /// On this machine, for a layer elsewhere.
    Detached(Arc<File>),
}

/// A file that has no name yet.
#[derive(Debug)]
pub struct Staged {
    layer: Arc<Layer>,
    staging: Arc<Staging>,
    place: Place,
    bytes: u64,
}

impl Staged {
    /// An empty one, bound for that layer.
    pub fn new(layer: Arc<Layer>, staging: Arc<Staging>) -> Self {
        Self { layer, staging, place: Place::Memory(Vec::new()), bytes: 0 }
    }

    /// Adds bytes at the end. Blocks on the disk.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Place::Memory(held) = &mut self.place {
            if held.len() + bytes.len() <= MEMORY_BYTES_MAX {
                held.extend_from_slice(bytes);
                self.bytes += bytes.len() as u64;
                return Ok(());
            }
            let held = std::mem::take(held);
            self.place = match &self.layer.local {
                Some(local) => Place::Local(local.stage()?),
                None => Place::Detached(Arc::new(self.staging.file()?)),
            };
            self.append(&held, 0)?;
        }
        self.append(bytes, self.bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8], at: u64) -> Result<()> {
        match &mut self.place {
            Place::Memory(_) => Ok(()),
            Place::Local(file) => file.file().write_all_at(bytes, at).map_err(|error| self.refused(error)),
            Place::Detached(file) => {
                file.write_all_at(bytes, at).map_err(|error| self.staging.failed("writing", error))
            }
        }
    }

    fn refused(&self, error: io::Error) -> Error {
        let source = object_store::Error::Generic { store: "file", source: Box::new(error) };
        self.layer.error("writing", &Path::default(), source)
    }

    /// Size so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was written so far, to be read back.
    pub fn source(&self) -> Result<Source> {
        Ok(match &self.place {
            Place::Memory(held) => Source::Memory(Bytes::copy_from_slice(held)),
            Place::Local(file) => {
                let file = file.file().try_clone().map_err(|error| self.refused(error))?;
                Source::File(Arc::new(file), self.bytes)
            }
            Place::Detached(file) => Source::File(Arc::clone(file), self.bytes),
        })
    }

    /// The whole file and its layer, if it stayed so small that it is held in memory; else itself.
    pub fn into_small(self) -> std::result::Result<(Arc<Layer>, Bytes), Self> {
        match self.place {
            Place::Memory(held) => Ok((self.layer, held.into())),
            _ => Err(self),
        }
    }

    /// Gives the file its name on the layer, durably: a name that no other file ever has.
    pub async fn publish(self, path: &Path) -> Result<()> {
        let Self { layer, staging, place, bytes } = self;
        match place {
            Place::Memory(held) => layer.upload(path, held.into()).await.map(drop),
            Place::Local(file) => file.publish(path.clone()).await,
            Place::Detached(file) => {
                let pieces = (0..bytes).step_by(UPLOAD_BYTES).map(|start| {
                    let length = usize::try_from(bytes - start).unwrap_or(usize::MAX).min(UPLOAD_BYTES);
                    let (file, staging) = (Arc::clone(&file), Arc::clone(&staging));
                    async move {
                        let read = tokio::task::spawn_blocking(move || {
                            let mut piece = vec![0; length];
                            file.read_exact_at(&mut piece, start).map(|()| Bytes::from(piece))
                        });
                        let read = read.await.map_err(|_| Error::Interrupted { operation: "reading a staged file" })?;
                        read.map_err(|error| staging.failed("reading", error))
                    }
                });
                let chunks = futures::StreamExt::then(futures::stream::iter(pieces), |piece| piece);
                layer.upload_stream(path, chunks).await.map(drop)
            }
        }
    }
}

#[cfg(test)]
mod tests;
