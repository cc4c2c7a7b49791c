//! Temporary files: one folder per open store, inside the file system that the objects lie in.
//!
//! The folder goes with the process that opened it. Names are a counter: nothing here is ever reused.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gigapi_model::Ids;
use object_store::path::Path as ObjectPath;

use super::error::{DiskError, DiskResult};
use super::process_folder::ProcessFolder;
use crate::OWN_FOLDER;

const FOLDER: &str = "tmp";

/// Whether `path` is, or lies in, the folder of temporary files.
pub(super) fn hides(path: &ObjectPath) -> bool {
    let mut parts = path.as_ref().split('/');
    parts.next() == Some(OWN_FOLDER) && parts.next() == Some(FOLDER)
}

/// One open store's temporary files.
#[derive(Debug)]
pub(super) struct Temporary {
    folder: ProcessFolder,
    next: AtomicU64,
}

impl Temporary {
    /// Removes folders whose owners are gone and takes a new one.
    pub(super) fn open(root: &Path, ids: &dyn Ids) -> DiskResult<Self> {
        let folder = ProcessFolder::open(&root.join(OWN_FOLDER).join(FOLDER), ids)?;
        Ok(Self { folder, next: AtomicU64::new(0) })
    }

    /// A new empty file, removed when dropped unless it was given another name.
    pub(super) fn file(&self) -> DiskResult<Staged> {
        let path = self.path();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(DiskError::at("creating", &path))?;
        Ok(Staged { file, path, renamed: false })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

/// A temporary file on its way to its name.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) file: File,
    path: PathBuf,
    renamed: bool,
}

impl Staged {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name, replacing what is there.
    pub(super) fn rename(&mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        Ok(())
    }

    /// Gives the file its name if the name is free; of several callers one succeeds.
    pub(super) fn link(&self, target: &Path) -> io::Result<()> {
        fs::hard_link(&self.path, target)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.renamed {
            // Best effort: what stays is swept at the next open.
            let _ = fs::remove_file(&self.path);
        }
    }
}
