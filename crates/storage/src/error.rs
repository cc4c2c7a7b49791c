//! What storage answers when it does not do what was asked.
//!
//! Stores speak `object_store::Error`; this type adds where it happened, sorts a full disk out of the rest,
//! and names damaged and foreign objects. It never hides the store's own error: the source chain ends in it.

use std::error::Error as StdError;
use std::io;

use gigapi_model::{CatalogId, ErrorKind};

/// A storage call's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Why storage did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The volume or the quota is used up: nothing was stored; retry once there is room.
    #[error("no space left on {place}; free some, enlarge the volume or shorten the ttl")]
    Full {
        /// The layer or the folder.
        place: String,
        /// What the store said; the chain holds the `io::Error`.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The store refused or could not be reached.
    #[error("{operation} of {path} failed: {source}")]
    Store {
        /// What was tried, as a noun.
        operation: &'static str,
        /// The object or folder.
        path: String,
        /// What the store said.
        #[source]
        source: object_store::Error,
    },
    /// The layer carries the marker of another catalog.
    #[error(
        "layer {layer} belongs to catalog {found}, this process serves catalog {own}; point the layer at an empty folder or prefix, or start with the catalog that owns it"
    )]
    ForeignLayer {
        /// The layer's name.
        layer: String,
        /// Whose marker was found.
        found: CatalogId,
        /// Whose marker was expected.
        own: CatalogId,
    },
    /// A setting cannot be used.
    #[error("layer {layer}: {reason}")]
    Settings {
        /// The layer's name.
        layer: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The read cache has no place on disk.
    #[error(
        "the read cache cannot be kept in {folder}: {source}; give this user the right to write there, or switch it off with GIGAPI_CACHE_BYTES_MAX=0"
    )]
    Cache {
        /// Its folder.
        folder: String,
        /// What the system said.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A Parquet object that no process of ours wrote: leave it alone.
    #[error("{path} is not a data file of this system: {reason}")]
    NotOurs {
        /// The object.
        path: String,
        /// What is missing.
        reason: String,
    },
    /// Stored bytes are not what was written.
    #[error("{what} is damaged: {reason}; restore it from a copy or verify the layer")]
    Corrupt {
        /// The object or the part of it.
        what: String,
        /// How it was noticed.
        reason: String,
    },
    /// Rows do not fit the definition they are to be written under: a defect of the caller.
    #[error("table {table} cannot be encoded: {reason}")]
    Input {
        /// The table.
        table: String,
        /// What does not fit.
        reason: String,
    },
    /// The Parquet writer failed although its input was checked.
    #[error("the Parquet writer failed: {0}")]
    Encode(#[from] parquet::errors::ParquetError),
    /// The blocking thread that did the work is gone.
    #[error("the thread that ran {operation} did not finish")]
    Interrupted {
        /// What was running.
        operation: &'static str,
    },
}

impl Error {
    /// Wraps a store's error, telling a full disk from everything else. `place` names the layer or the folder.
    pub fn from_store(operation: &'static str, place: &str, path: &str, source: object_store::Error) -> Self {
        if is_full(&source) {
            return Self::Full { place: place.to_owned(), source: Box::new(source) };
        }
        Self::Store { operation, path: path.to_owned(), source }
    }

    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Full { .. } | Self::Interrupted { .. } | Self::Cache { .. } => ErrorKind::Unavailable,
            Self::Store { source, .. } => match source {
                object_store::Error::NotFound { .. } => ErrorKind::NotFound,
                object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
                    ErrorKind::Conflict
                }
                object_store::Error::InvalidPath { .. }
                | object_store::Error::NotSupported { .. }
                | object_store::Error::NotImplemented { .. } => ErrorKind::Internal,
                _ => ErrorKind::Unavailable,
            },
            Self::ForeignLayer { .. } | Self::Settings { .. } | Self::NotOurs { .. } => ErrorKind::Invalid,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Input { .. } | Self::Encode(_) => ErrorKind::Internal,
        }
    }
}

/// Whether the chain of causes ends in a full disk or an exhausted quota.
fn is_full(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            let full = matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            // An `io::Error` that wraps another one hides it from `source()` when it is the outermost value.
            return full || io.get_ref().is_some_and(|inner| is_full(inner));
        }
        cause = current.source();
    }
    false
}

#[cfg(test)]
mod tests;
