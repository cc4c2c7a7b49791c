//! The disk's errors with the action and the file that they belong to.
//!
//! The `io::Error` stays in the source chain, so that a full disk can be told from the rest above.

use std::io;
use std::path::{Path, PathBuf};

use super::NAME;

/// What went wrong on the disk, and where.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path} failed: {source}", path = path.display())]
pub(crate) struct DiskError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

pub(crate) type DiskResult<T> = std::result::Result<T, DiskError>;

impl DiskError {
    /// For `map_err`: names what was done to which file.
    pub(super) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self { action, path, source }
    }

    pub(super) fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl From<DiskError> for object_store::Error {
    fn from(error: DiskError) -> Self {
        let path = error.path.display().to_string();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path, source: Box::new(error) },
            io::ErrorKind::AlreadyExists => Self::AlreadyExists { path, source: Box::new(error) },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { path, source: Box::new(error) },
            _ => Self::Generic { store: NAME, source: Box::new(error) },
        }
    }
}
