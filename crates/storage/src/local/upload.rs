//! An upload in parts: every part goes to its place in one temporary file, which gets its name at the end.
//!
//! Parts may be written concurrently; their places follow from the order of the calls. An upload that is dropped
//! or aborted leaves nothing behind.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use parking_lot::Mutex;

use super::disk::{Disk, Existing};
use super::error::DiskError;
use super::temporary::Staged;
use super::{NAME, blocking};

#[derive(Debug)]
pub(super) struct Upload {
    disk: Arc<Disk>,
    location: Path,
    /// Empty once the upload has ended.
    staged: Arc<Mutex<Option<Staged>>>,
    bytes: u64,
}

impl Upload {
    pub(super) fn start(disk: Arc<Disk>, location: Path) -> Result<Self> {
        // Checked before any part is written, so that a name which cannot be used costs nothing.
        disk.target(&location)?;
        let staged = disk.stage()?;
        Ok(Self { disk, location, staged: Arc::new(Mutex::new(Some(staged))), bytes: 0 })
    }
}

fn ended(location: &Path) -> Error {
    Error::Generic { store: NAME, source: format!("the upload of {location} has ended already").into() }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let mut offset = self.bytes;
        self.bytes += payload.content_length() as u64;
        let (staged, location) = (Arc::clone(&self.staged), self.location.clone());
        Box::pin(blocking(move || {
            let staged = staged.lock();
            let staged = staged.as_ref().ok_or_else(|| ended(&location))?;
            for chunk in &payload {
                staged.file.write_all_at(chunk, offset).map_err(DiskError::at("writing", staged.path()))?;
                offset += chunk.len() as u64;
            }
            Ok(())
        }))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.staged.lock().take();
        let mut staged = staged.ok_or_else(|| ended(&self.location))?;
        let (disk, location, bytes) = (Arc::clone(&self.disk), self.location.clone(), self.bytes);
        blocking(move || {
            let written = staged.file.metadata().map_err(DiskError::at("reading the size of", staged.path()))?.len();
            if written != bytes {
                let source = format!("{location}: {written} of {bytes} bytes were written; a part is missing").into();
                return Err(Error::Generic { store: NAME, source });
            }
            let target = disk.target(&location)?;
            disk.finish(&mut staged, &target, Existing::Replace)
        })
        .await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.staged.lock().take().ok_or_else(|| ended(&self.location))?;
        blocking(move || {
            drop(staged);
            Ok(())
        })
        .await
    }
}
