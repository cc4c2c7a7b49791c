//! Temporary files: one folder per open store, inside the file system that the objects lie in.
//!
//! Each open store holds a lock on its folder for as long as the process lives, so a folder whose lock is free
//! belongs to nobody and is removed at the next open. Names are a counter: nothing here is ever reused.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gigapi_model::Ids;
use object_store::path::Path as ObjectPath;

use super::error::{DiskError, DiskResult};
use crate::OWN_FOLDER;

const FOLDER: &str = "tmp";
const LOCK: &str = "lock";

/// Whether `path` is, or lies in, the folder of temporary files.
pub(super) fn hides(path: &ObjectPath) -> bool {
    let mut parts = path.as_ref().split('/');
    parts.next() == Some(OWN_FOLDER) && parts.next() == Some(FOLDER)
}

/// One open store's temporary files.
#[derive(Debug)]
pub(super) struct Temporary {
    folder: PathBuf,
    next: AtomicU64,
    /// Released by the operating system when the process ends, however it ends.
    _lock: File,
}

impl Temporary {
    /// Removes folders whose owners are gone and takes a new one.
    pub(super) fn open(root: &Path, ids: &dyn Ids) -> DiskResult<Self> {
        let all = root.join(OWN_FOLDER).join(FOLDER);
        fs::create_dir_all(&all).map_err(DiskError::at("making folder", &all))?;
        // Held while folders come and go: otherwise a folder without its lock yet looks abandoned.
        let gate_path = all.join(LOCK);
        let gate = lock_file(&gate_path)?;
        gate.lock().map_err(DiskError::at("locking", &gate_path))?;
        sweep(&all)?;
        let folder = all.join(ids.random().simple().to_string());
        fs::create_dir(&folder).map_err(DiskError::at("making folder", &folder))?;
        let lock_path = folder.join(LOCK);
        let lock = lock_file(&lock_path)?;
        lock.lock().map_err(DiskError::at("locking", &lock_path))?;
        Ok(Self { folder, next: AtomicU64::new(0), _lock: lock })
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
        self.folder.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Best effort: what stays is swept at the next open.
        let _ = fs::remove_dir_all(&self.folder);
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

fn lock_file(path: &Path) -> DiskResult<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(DiskError::at("opening", path))
}

fn sweep(all: &Path) -> DiskResult<()> {
    let entries = fs::read_dir(all).map_err(DiskError::at("listing", all))?;
    for entry in entries {
        let path = entry.map_err(DiskError::at("listing", all))?.path();
        if path.is_dir() && is_abandoned(&path)? {
            fs::remove_dir_all(&path).map_err(DiskError::at("removing", &path))?;
        }
    }
    Ok(())
}

fn is_abandoned(folder: &Path) -> DiskResult<bool> {
    let path = folder.join(LOCK);
    match lock_file(&path)?.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(DiskError::at("locking", &path)(error)),
    }
}
