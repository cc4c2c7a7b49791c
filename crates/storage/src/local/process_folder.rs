//! A folder that belongs to one open store of one process, among those of others.
//!
//! Each owner holds a lock on its folder for as long as the process lives, so a folder whose lock is free belongs
//! to nobody and is removed when the next one is opened. No two owners ever share a folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gigapi_model::Ids;

use super::error::{DiskError, DiskResult};

const LOCK: &str = "lock";

/// A folder of one owner; removed when dropped.
#[derive(Debug)]
pub struct ProcessFolder {
    path: PathBuf,
    /// Released by the operating system when the process ends, however it ends.
    _lock: File,
}

impl ProcessFolder {
    /// Removes folders in `all` whose owners are gone and takes a new one.
    pub fn take(all: &Path, ids: &dyn Ids) -> crate::Result<Self> {
        let place = all.display().to_string();
        Self::open(all, ids).map_err(|error| crate::Error::from_store("opening", &place, &place, error.into()))
    }

    /// Removes folders in `all` whose owners are gone and takes a new one.
    pub(crate) fn open(all: &Path, ids: &dyn Ids) -> DiskResult<Self> {
        fs::create_dir_all(all).map_err(DiskError::at("making folder", all))?;
        // Held while folders come and go: otherwise a folder without its lock yet looks abandoned.
        let gate_path = all.join(LOCK);
        let gate = lock_file(&gate_path)?;
        gate.lock().map_err(DiskError::at("locking", &gate_path))?;
        sweep(all)?;
        let path = all.join(ids.random().simple().to_string());
        fs::create_dir(&path).map_err(DiskError::at("making folder", &path))?;
        let lock_path = path.join(LOCK);
        let lock = lock_file(&lock_path)?;
        lock.lock().map_err(DiskError::at("locking", &lock_path))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ProcessFolder {
    fn drop(&mut self) {
        // Best effort: what stays is swept at the next open.
        let _ = fs::remove_dir_all(&self.path);
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

/// Removes folders of the dead. The living may remove their own meanwhile: what is gone needs nothing.
fn sweep(all: &Path) -> DiskResult<()> {
    let entries = fs::read_dir(all).map_err(DiskError::at("listing", all))?;
    for entry in entries {
        let path = entry.map_err(DiskError::at("listing", all))?.path();
        if path.is_dir() && is_abandoned(&path)? {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Whether nobody holds the lock of a folder that is still there.
fn is_abandoned(folder: &Path) -> DiskResult<bool> {
    let path = folder.join(LOCK);
    let Some(lock) = unless_gone(lock_file(&path))? else { return Ok(false) };
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(DiskError::at("locking", &path)(error)),
    }
}

fn remove(folder: &Path) -> DiskResult<()> {
    unless_gone(fs::remove_dir_all(folder).map_err(DiskError::at("removing", folder)))?;
    Ok(())
}

fn unless_gone<T>(outcome: DiskResult<T>) -> DiskResult<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
