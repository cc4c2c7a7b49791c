//! What a merge, a relocation or an expiry answers when it does not come to its end.

use gigapi_model::{ErrorKind, FileId, LayerName};
use gigapi_rows::merge::MergeError;

/// A call's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Why work was not done. Nothing is lost by any of these: inputs stay as they are until a commit has replaced them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalog refused or could not be reached.
    #[error(transparent)]
    Catalog(#[from] gigapi_catalog::Error),
    /// A layer refused, could not be reached, or holds something else than was written.
    #[error(transparent)]
    Storage(#[from] gigapi_storage::Error),
    /// Recovery's part of the work failed.
    #[error(transparent)]
    Recovery(#[from] gigapi_recovery::Error),
    /// Inputs do not go together.
    #[error("files cannot be merged: {0}")]
    Merge(#[from] MergeError),
    /// A file's rows are not what its format promises.
    #[error("{file} is damaged: {reason}; restore it from a copy")]
    Input {
        /// The object.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A file on a layer is not what was written there, or is gone: it is left alone from now on.
    #[error("file {file} on layer {layer} cannot be used: {reason}")]
    Damaged {
        /// The file.
        file: FileId,
        /// Its layer.
        layer: LayerName,
        /// What is wrong.
        reason: String,
    },
    /// A file lies on a layer that is not configured.
    #[error("layer {layer} holds files of the table and is not configured; add it to the settings")]
    NoLayer {
        /// Its name.
        layer: String,
    },
    /// What was written is not what was to be written: it was not committed.
    #[error("the output is not what its inputs make: {reason}; nothing was changed")]
    Check {
        /// What differs.
        reason: String,
    },
    /// This machine's disk did not do what was asked.
    #[error("{what} failed: {source}")]
    Disk {
        /// What was tried, and where.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The work was ended from outside: the claim was lost, or the process stops.
    #[error("the work was ended before it was done")]
    Cancelled,
    /// The thread that did the work is gone.
    #[error("the thread that ran {operation} did not finish")]
    Interrupted {
        /// What was running.
        operation: &'static str,
    },
}

impl Error {
    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Catalog(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::Recovery(error) => error.kind(),
            Self::Merge(MergeError::Order { .. } | MergeError::Shape { .. })
            | Self::Input { .. }
            | Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::NoLayer { .. } => ErrorKind::Invalid,
            Self::Merge(MergeError::Arrow(_)) | Self::Check { .. } => ErrorKind::Internal,
            Self::Disk { .. } | Self::Cancelled | Self::Interrupted { .. } => ErrorKind::Unavailable,
        }
    }
}
