//! What a catalog answers when it does not do what was asked. Every variant says what the caller does next.

use gigapi_model::{DefinitionError, ErrorKind, FileId, SettingError, TableId};

/// A catalog call's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the catalog did not do what was asked. Nothing was changed, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The catalog has another epoch: read everything again before the next commit.
    #[error("the catalog is at epoch {current}, the caller knew {known}")]
    StaleEpoch {
        /// The catalog's.
        current: u64,
        /// The caller's.
        known: u64,
    },
    /// Another process opened this write-ahead log later: stop, nothing of this process may commit again.
    #[error("this writer was superseded: its epoch is {known}, the catalog's is {current}")]
    Fenced {
        /// The catalog's.
        current: u64,
        /// The caller's.
        known: u64,
    },
    /// The claim was taken over or given back: drop the work, delete nothing.
    #[error("the claim is not held any more")]
    ClaimLost,
    /// Part of the interval is committed: cut again from the watermark plus one, under new ids.
    #[error("the table's watermark is {watermark}, inside the interval from {lo}")]
    PartlyCommitted {
        /// The table's watermark for this writer.
        watermark: u64,
        /// The first sequence of the refused interval.
        lo: u64,
    },
    /// The interval starts behind a gap: committing it would lose rows. A defect of the caller.
    #[error("the table's watermark is {watermark}, so an interval cannot start at {lo}")]
    Gap {
        /// The table's watermark for this writer.
        watermark: u64,
        /// The first sequence of the refused interval.
        lo: u64,
    },
    /// An input is not live any more, or a file that overlaps the inputs has a sequence between theirs:
    /// plan again.
    #[error("file {file} was changed by somebody else or stands between the inputs")]
    InputChanged {
        /// The file.
        file: FileId,
    },
    /// A file id was used before: upload again under a new id.
    #[error("file id {file} is already known")]
    FileExists {
        /// The file.
        file: FileId,
    },
    /// A file id was minted too long ago by the catalog's clock: upload again under a new id.
    #[error("file id {file} was minted more than an hour ago")]
    FileTooOld {
        /// The file.
        file: FileId,
    },
    /// The files are claimed by somebody else.
    #[error("file {file} is claimed by another worker")]
    Claimed {
        /// The file.
        file: FileId,
    },
    /// The table was dropped: its rows go.
    #[error("table {table} was dropped")]
    Dropped {
        /// The table.
        table: TableId,
    },
    /// The catalog has never heard of the table. After a loss of the catalog this is a sign to rebuild.
    #[error("table {table} is not in the catalog")]
    UnknownTable {
        /// The table.
        table: TableId,
    },
    /// A table of that name does not exist and the caller did not ask to make it.
    #[error("table {database}.{table} does not exist")]
    NoSuchTable {
        /// Its database.
        database: String,
        /// Its name.
        table: String,
    },
    /// The columns do not fit the table.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// The table cannot have a setting.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A definition cannot be installed: its name belongs to another table, or its columns contradict the
    /// table's own.
    #[error("the name {database}.{table} belongs to another definition in the catalog")]
    NameTaken {
        /// Its database.
        database: String,
        /// Its name.
        table: String,
    },
    /// The change contradicts itself. A defect of the caller.
    #[error("the request contradicts itself: {reason}")]
    Malformed {
        /// How.
        reason: &'static str,
    },
    /// The catalog is not what it was: it is being rebuilt, or has to be. Nothing was changed; wait.
    #[error("the catalog is recovering: {reason}")]
    Recovering {
        /// What is the matter.
        reason: String,
    },
    /// State can be restored only under the epoch that the last `begin_restore` named.
    #[error("the rebuild under epoch {epoch} was not begun, or was superseded by another one; begin again")]
    Superseded {
        /// The epoch of the refused restore.
        epoch: u64,
    },
    /// There would be more databases or tables than allowed.
    #[error("{what} would exceed the limit of {limit}; drop some or raise the limit")]
    LimitReached {
        /// What is counted.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// The store cannot be reached or is full. The change may or may not have been made: repeat it with
    /// the same commit id.
    #[error("the catalog cannot be used: {reason}")]
    Unavailable {
        /// What the store said.
        reason: String,
    },
    /// The store cannot be used as it is set up, however often it is tried.
    #[error("the catalog cannot be used: {reason}")]
    Unusable {
        /// Why, and what to change.
        reason: String,
    },
    /// Stored records cannot be read.
    #[error("the catalog's records are damaged: {reason}")]
    Corrupt {
        /// Which, and how.
        reason: String,
    },
}

impl Error {
    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::StaleEpoch { .. }
            | Self::Fenced { .. }
            | Self::ClaimLost
            | Self::PartlyCommitted { .. }
            | Self::InputChanged { .. }
            | Self::FileExists { .. }
            | Self::FileTooOld { .. }
            | Self::Claimed { .. }
            | Self::NameTaken { .. }
            | Self::Superseded { .. } => ErrorKind::Conflict,
            Self::Gap { .. } | Self::Malformed { .. } => ErrorKind::Internal,
            Self::Dropped { .. } | Self::UnknownTable { .. } | Self::NoSuchTable { .. } => ErrorKind::NotFound,
            Self::Definition(_) | Self::Setting(_) | Self::LimitReached { .. } | Self::Unusable { .. } => {
                ErrorKind::Invalid
            }
            Self::Unavailable { .. } | Self::Recovering { .. } => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
        }
    }
}
