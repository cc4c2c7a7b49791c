//! The folder of a log: whose it is, and that nobody else has it open.
//!
//! The writer's identity lies inside the folder, so it lives and dies with the rows. A folder without one
//! is new; whether that is good news is for the caller to tell, who knows the catalog. It stays new, across failed and
//! killed starts, until the catalog has been asked and knows the identity.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use gigapi_model::{Ids, WriterId};

/// Lies in a folder whose identity the catalog may not know yet.
const NEW: &str = "NEW";

/// An open, locked log folder. The lock goes with the value, or with the process.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    writer: WriterId,
    fresh: bool,
    _lock: File,
}

/// Why the folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it open.
    #[error("another process is writing to {0}: stop it, or give this one a data folder of its own (GIGAPI_ROOT)")]
    Locked(PathBuf),
    /// The identity cannot be read.
    #[error("{path} does not hold a writer's identity: {reason}; restore the file or move the folder away")]
    Owner {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system said no.
    #[error("cannot open the write-ahead log in {path}: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl Folder {
    /// Opens the folder, creating it and an identity where there is none.
    pub fn open(path: &Path, ids: &dyn Ids) -> Result<Self, FolderError> {
        let io_error = |source| FolderError::Io { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(io_error)?;
        let lock_path = path.join("LOCK");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&lock_path).map_err(io_error)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => FolderError::Locked(path.to_owned()),
            fs::TryLockError::Error(source) => io_error(source),
        })?;
        let (owner, new) = (path.join("OWNER"), path.join(NEW));
        let (writer, fresh) = match fs::read_to_string(&owner) {
            Ok(text) => {
                let writer = text.trim().parse();
                let writer = writer.map_err(|error| FolderError::Owner { path: owner, reason: format!("{error}") })?;
                (writer, new.try_exists().map_err(io_error)?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let writer = WriterId::from_uuid(ids.random());
                write_durably(path, &new, "").map_err(io_error)?;
                write_durably(path, &owner, &writer.to_string()).map_err(io_error)?;
                (writer, true)
            }
            Err(source) => return Err(io_error(source)),
        };
        Ok(Self { path: path.to_owned(), writer, fresh, _lock: lock })
    }

    /// Whose log it is.
    pub fn writer(&self) -> WriterId {
        self.writer
    }

    /// Whether the folder was empty or new, and the catalog has not been told of its identity since.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The catalog knows the identity.
    pub fn registered(&self) -> Result<(), FolderError> {
        let io_error = |source| FolderError::Io { path: self.path.clone(), source };
        match fs::remove_file(self.path.join(NEW)) {
            Ok(()) => File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(io_error),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(io_error(source)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn write_durably(folder: &Path, file: &Path, text: &str) -> io::Result<()> {
    let temporary = file.with_extension("new");
    fs::write(&temporary, text)?;
    File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
