//! Why a query was not answered, in words for the person who asked.
//!
//! The engine's errors are sorted into kinds here and nowhere else: what the user wrote, what the limits refuse,
//! what the stores did, and what is a defect of ours. Object paths and internals of the engine stay inside.

use datafusion::common::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use gigapi_model::{ErrorKind, WriterId};

/// A query's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a query was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The statement cannot be planned or computed as it is written.
    #[error("{message}")]
    Invalid {
        /// What is wrong and what to write instead.
        message: String,
    },
    /// The statement does something that queries may not do.
    #[error("{what} is not allowed here: {instead}")]
    Refused {
        /// What it does.
        what: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// The table does not exist.
    #[error("table {table:?} does not exist in database {database:?}{hint}")]
    NoSuchTable {
        /// The database that was searched.
        database: String,
        /// The name as it was written.
        table: String,
        /// Similar names, if there are any.
        hint: String,
    },
    /// The statement is longer than allowed.
    #[error("the statement has {bytes} bytes, {limit} is the limit (GIGAPI_SQL_BYTES_MAX)")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The statement is nested deeper than allowed.
    #[error(
        "the statement has more than {limit} {what}, which is the limit whatever is set: write it flatter, with IN lists, joins or several statements"
    )]
    TooDeep {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Too many queries run and wait already.
    #[error(
        "{running} queries are running and none ended within {waited_ms} ms; retry, or raise GIGAPI_QUERY_CONCURRENCY"
    )]
    Busy {
        /// How many run.
        running: usize,
        /// How long this one waited.
        waited_ms: u128,
    },
    /// The memory or spill limit was reached.
    #[error(
        "the query needs more than the {limit_mib} MiB of query memory that are free: narrow it (time range, columns, groups) or raise GIGAPI_QUERY_MEMORY"
    )]
    Memory {
        /// The limit of all queries together.
        limit_mib: usize,
        /// Whether other queries held part of it.
        shared: bool,
    },
    /// One query's share of the memory is not enough for it.
    #[error(
        "the query needs more than the {limit_mib} MiB of memory that one query may have: narrow it (time range, columns, groups) or raise GIGAPI_QUERY_MEMORY_EACH"
    )]
    OwnMemory {
        /// The limit of one query.
        limit_mib: usize,
    },
    /// The answer is longer than allowed.
    #[error("the answer has more than {limit} rows: narrow it, or raise GIGAPI_QUERY_ROWS_MAX")]
    TooManyRows {
        /// The limit.
        limit: u64,
    },
    /// Somebody ended the query.
    #[error("the query was cancelled")]
    Cancelled,
    /// The time limit was reached.
    #[error("the query ran longer than {limit_s} s: narrow it or raise GIGAPI_QUERY_TIMEOUT_S")]
    Timeout {
        /// The limit.
        limit_s: u64,
    },
    /// A live data file is missing or damaged.
    #[error("a data file of the table is missing or damaged; see the server's log")]
    Corrupt {
        /// Which and how, for the log.
        detail: String,
    },
    /// A data file went away while the query was planned; planning anew finds the files that replaced it.
    #[error("the table changed while the query was running; retry")]
    Vanished {
        /// The object's path, for the log.
        path: String,
    },
    /// A data file went away, and the catalog cannot be asked what replaced it.
    #[error(
        "the table has changed since the catalog could be asked last, and what it was then is gone; retry when the catalog answers"
    )]
    Outdated {
        /// The object's path, for the log.
        path: String,
    },
    /// A writer that may hold rows of the table does not answer.
    #[error(
        "writer {writer} at {address} cannot be asked for rows that are in no file yet: {reason}; retry, bring it back, or ask with consistency=tail_best_effort or committed; one that is gone for good is forgotten with `gigapi catalog writers --forget {writer}`"
    )]
    WriterAway {
        /// The writer.
        writer: WriterId,
        /// Where it is registered.
        address: String,
        /// What it did instead.
        reason: String,
    },
    /// A writer's rows went into files that the query's snapshot lacks; planning anew finds those.
    #[error("rows were flushed while the query was planned; retry")]
    Overtaken {
        /// The writer.
        writer: WriterId,
    },
    /// Only an older view of the tables is at hand, and unflushed rows do not fit it.
    #[error(
        "the catalog cannot be asked what is committed, so rows that are in no file yet cannot be added: retry, or ask with consistency=committed"
    )]
    NoTail,
    /// A store cannot be read.
    #[error("the data cannot be read at the moment; retry")]
    Unavailable {
        /// What the store said, for the log.
        detail: String,
    },
    /// The catalog did not answer.
    #[error(transparent)]
    Catalog(#[from] gigapi_catalog::Error),
    /// A defect of ours.
    #[error("internal error; see the server's log")]
    Internal {
        /// What happened, for the log.
        detail: String,
    },
}

impl Error {
    /// A statement that is wrong as written.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into() }
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::Internal { detail: detail.into() }
    }

    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::Refused { .. } | Self::TooDeep { .. } | Self::Timeout { .. } => {
                ErrorKind::Invalid
            }
            Self::OwnMemory { .. } | Self::TooManyRows { .. } => ErrorKind::Invalid,
            Self::Cancelled => ErrorKind::Conflict,
            Self::Memory { shared, .. } if *shared => ErrorKind::Busy,
            Self::Memory { .. } => ErrorKind::Invalid,
            Self::NoSuchTable { .. } => ErrorKind::NotFound,
            Self::TooLong { .. } => ErrorKind::TooLarge,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Vanished { .. } | Self::Outdated { .. } | Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::WriterAway { .. } | Self::Overtaken { .. } | Self::NoTail => ErrorKind::Unavailable,
            Self::Catalog(error) => error.kind(),
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    /// How a query ended that ended so, for whoever counts.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            other => other.kind().as_str(),
        }
    }

    /// What only the log may say.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Corrupt { detail } | Self::Unavailable { detail } | Self::Internal { detail } => Some(detail),
            Self::Vanished { path } | Self::Outdated { path } => Some(path),
            _ => None,
        }
    }
}

/// The error of ours that travelled through the engine, or a description of the engine's.
impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        if let Some(found) = from_chain(&error) {
            return found;
        }
        let root = error.find_root();
        match root {
            DataFusionError::ResourcesExhausted(_) => Self::Memory { limit_mib: 0, shared: false },
            DataFusionError::Internal(_) | DataFusionError::Collection(_) | DataFusionError::Ffi(_) => {
                Self::internal(error.to_string())
            }
            DataFusionError::IoError(_) => Self::Unavailable { detail: error.to_string() },
            DataFusionError::External(_) => Self::internal(error.to_string()),
            DataFusionError::ExecutionJoin(join) if join.is_panic() => {
                Self::internal(format!("a task panicked: {join}"))
            }
            _ => Self::invalid(cleaned(&root.strip_backtrace())),
        }
    }
}

/// Looks for an error of ours or of a store behind the engine's wrappers.
fn from_chain(error: &DataFusionError) -> Option<Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(carried) = current.downcast_ref::<Carried>() {
            return carried.0.lock().take();
        }
        if let Some(store) = current.downcast_ref::<object_store::Error>() {
            return Some(match store {
                object_store::Error::NotFound { path, .. } => Error::Vanished { path: path.clone() },
                other => Error::Unavailable { detail: other.to_string() },
            });
        }
        if let Some(parquet) = current.downcast_ref::<ParquetError>()
            && !matches!(parquet, ParquetError::External(_))
        {
            return Some(Error::Corrupt { detail: parquet.to_string() });
        }
        next = match current.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::ParquetError(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ObjectStore(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ArrowError(inner, _)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner)) => Some(inner.as_ref()),
            _ => current.source(),
        };
    }
    None
}

/// Takes the engine's own words out of a message that a person reads.
fn cleaned(message: &str) -> String {
    let mut text = message.trim();
    let prefixes = [
        "Error during planning: ",
        "Schema error: ",
        "SQL error: ",
        "Execution error: ",
        "Arrow error: ",
        "Optimizer rule 'simplify_expressions' failed",
        "This feature is not implemented: ",
        "External error: ",
        "caused by",
    ];
    while let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest.trim_start_matches(['\n', ' ']);
    }
    match text.strip_prefix("ParserError(\"").and_then(|rest| rest.strip_suffix("\")")) {
        Some(inner) => format!("SQL syntax: {}", inner.replace("\\\"", "\"")),
        None => text.replace("\ncaused by\n", ": ").to_owned(),
    }
}

/// Carries an error of ours through the engine, which hands back a box of something.
#[derive(Debug)]
struct Carried(parking_lot::Mutex<Option<Error>>);

impl std::fmt::Display for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.0.lock() {
            Some(error) => error.fmt(f),
            None => f.write_str("an error that was already reported"),
        }
    }
}

impl std::error::Error for Carried {}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(Carried(parking_lot::Mutex::new(Some(error)))))
    }
}

#[cfg(test)]
mod tests;
