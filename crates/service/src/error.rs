//! Why a process could not start or serve.

use gigapi_model::ErrorKind;

use crate::settings::SettingsError;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a process could not start or serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings are wrong: correct them.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An address cannot be listened on: free it or set another.
    #[error("cannot listen on {address}: {source}; free the port or set {setting}")]
    Listen {
        /// The address.
        address: String,
        /// The setting that changes it.
        setting: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Logging could not be set up.
    #[error("logging cannot be set up: {reason}")]
    Logging {
        /// Why.
        reason: String,
    },
    /// The system does not let the process listen to signals.
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
    /// A folder cannot be made or read.
    #[error(
        "folder {path} cannot be used: {source}; this process runs as {user}: give it the folder with `chown -R {user}`, or set {setting}"
    )]
    Folder {
        /// The folder.
        path: String,
        /// The user and group that the process runs as, by number.
        user: String,
        /// The setting that moves the folder.
        setting: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The catalog could not be opened.
    #[error("the catalog cannot be opened: {0}")]
    Catalog(#[from] gigapi_catalog::Error),
    /// A layer could not be opened or is not ours.
    #[error(transparent)]
    Storage(#[from] gigapi_storage::Error),
    /// The thread that opened catalog and layers is gone.
    #[error("opening catalog and layers did not finish: {reason}")]
    Interrupted {
        /// Why.
        reason: String,
    },
}

impl Error {
    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Settings(_) | Self::Listen { .. } => ErrorKind::Invalid,
            Self::Logging { .. } | Self::Signals(_) | Self::Interrupted { .. } => ErrorKind::Internal,
            Self::Folder { .. } => ErrorKind::Unavailable,
            Self::Catalog(error) => error.kind(),
            Self::Storage(error) => error.kind(),
        }
    }
}
