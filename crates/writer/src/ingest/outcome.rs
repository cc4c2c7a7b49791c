//! How a write request ended.

use gigapi_model::ErrorKind;
use gigapi_service::RefusedLine;
use serde::{Deserialize, Serialize};

use crate::wal::LogError;

/// What became of a request's lines. Kept with its idempotency key, so a repetition gets the same answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that are stored.
    pub accepted: u64,
    /// Lines that are not, and why; the first of them if they are many.
    pub refused: Vec<RefusedLine>,
    /// How many lines are not.
    pub refused_count: u64,
}

/// The persisted form.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    accepted: u64,
    refused_count: u64,
    refused: Vec<StoredLine>,
}

#[derive(Serialize, Deserialize)]
struct StoredLine {
    number: u64,
    line: String,
    message: String,
}

impl Outcome {
    /// Whether nothing is to be stored.
    pub(super) fn is_refused(&self, accept_partial: bool) -> bool {
        self.accepted == 0 || (self.refused_count > 0 && !accept_partial)
    }

    /// The answer where nothing was stored.
    pub(super) fn refused_whole(self, accept_partial: bool) -> Self {
        if accept_partial { self } else { Self { accepted: 0, ..self } }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let line = |line: &RefusedLine| StoredLine {
            number: line.line_number,
            line: line.original_line.clone(),
            message: line.error_message.clone(),
        };
        let stored = Stored {
            v: 1,
            accepted: self.accepted,
            refused_count: self.refused_count,
            refused: self.refused.iter().map(line).collect(),
        };
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WriteError> {
        let stored: Stored = serde_json::from_slice(bytes).map_err(|error| WriteError {
            kind: ErrorKind::Corrupt,
            message: format!("the answer to this idempotency key cannot be read: {error}"),
            refused: None,
        })?;
        let line = |line: StoredLine| RefusedLine {
            error_message: line.message,
            line_number: line.number,
            original_line: line.line,
        };
        Ok(Self {
            accepted: stored.accepted,
            refused_count: stored.refused_count,
            refused: stored.refused.into_iter().map(line).collect(),
        })
    }
}

/// A request of which nothing was stored, or whose rows may or may not be (`Unavailable`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WriteError {
    /// What the client does next.
    pub kind: ErrorKind,
    /// What is wrong, where, and what to do.
    pub message: String,
    /// The lines, where lines are what is wrong.
    pub refused: Option<Outcome>,
}

impl WriteError {
    pub(crate) fn invalid(message: String) -> Self {
        Self { kind: ErrorKind::Invalid, message, refused: None }
    }

    pub(crate) fn busy(message: String) -> Self {
        Self { kind: ErrorKind::Busy, message, refused: None }
    }

    pub(crate) fn unavailable(message: String) -> Self {
        Self { kind: ErrorKind::Unavailable, message, refused: None }
    }

    /// The request is refused as a whole because of these lines.
    pub(super) fn refused(outcome: Outcome) -> Self {
        let message = outcome.refused.first().map_or_else(String::new, |line| line.error_message.clone());
        Self { kind: ErrorKind::Invalid, message, refused: Some(outcome) }
    }
}

impl From<gigapi_catalog::Error> for WriteError {
    fn from(error: gigapi_catalog::Error) -> Self {
        let kind = error.kind();
        let message = match kind {
            ErrorKind::Unavailable => {
                "the catalog cannot be reached, so nothing new can be defined; send again later".to_owned()
            }
            _ => error.to_string(),
        };
        // After the table went away and came back the same request succeeds.
        let kind = if kind == ErrorKind::Conflict || kind == ErrorKind::NotFound { ErrorKind::Busy } else { kind };
        Self { kind, message, refused: None }
    }
}

impl From<LogError> for WriteError {
    fn from(error: LogError) -> Self {
        Self { kind: error.kind(), message: error.to_string(), refused: None }
    }
}
