//! What a failure means to the caller. Every crate's `Error` answers `kind()` with one of these, and
//! one place per protocol turns the kind into a status.

use std::fmt;

/// The class of a failure, named after what the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input is wrong: correct it, a retry cannot help.
    Invalid,
    /// The named thing does not exist.
    NotFound,
    /// Somebody else changed it first: read again and decide anew.
    Conflict,
    /// No or wrong credentials.
    Unauthorized,
    /// Known, but not allowed.
    Forbidden,
    /// Over a limit of size: send less.
    TooLarge,
    /// At a limit of load: retry after a pause, nothing was stored.
    Busy,
    /// Something that is needed cannot be reached: retry later, nothing was stored.
    Unavailable,
    /// Stored bytes are not what was written: an operator has to look.
    Corrupt,
    /// A defect of ours.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later without being changed.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable)
    }

    /// The kind as one lower-case word, for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
