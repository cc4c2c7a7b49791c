//! How a table's set of files moves: a change, who makes it, and under which fence.

use serde::{Deserialize, Serialize};

use crate::{ClaimId, CommitId, DataFile, FileId, TableId, Timestamp, WriterId};

/// A file on its way into a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// The file; its sequence is set by the commit when the actor is a writer.
    pub file: DataFile,
    /// Per-column statistics, opaque to the catalog.
    pub statistics: Vec<u8>,
}

/// Files added and files removed, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Files that become live.
    pub added: Vec<NewFile>,
    /// Files that cease to be live and go to the graveyard.
    pub removed: Vec<FileId>,
}

/// Who makes a change, and the fence that has to hold for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A writer flushes the interval `lo..=hi` of its own sequence.
    ///
    /// `lo` is the table's watermark for this writer plus one, whatever sequences in between belong to
    /// other tables.
    Writer {
        /// Whose sequence it is.
        writer: WriterId,
        /// The writer's epoch, as the catalog gave it when the writer opened.
        epoch: u64,
        /// First sequence covered.
        lo: u64,
        /// Last sequence covered; becomes the watermark.
        hi: u64,
    },
    /// A worker replaces the files that it claimed.
    Claim {
        /// The claim.
        claim: ClaimId,
        /// Its fencing token.
        token: u64,
    },
}

/// A request's idempotency key with the answer it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// As the client sent it, at most 64 bytes.
    pub key: String,
    /// When the request was received, by the writer's clock.
    pub received_at: Timestamp,
    /// The answer, in the writer's own encoding.
    pub answer: Vec<u8>,
}

/// One attempt to change one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The table.
    pub table: TableId,
    /// The catalog's epoch that the actor knows.
    pub catalog_epoch: u64,
    /// The same for every repetition of this attempt.
    pub id: CommitId,
    /// Who, and under which fence.
    pub actor: Actor,
    /// What.
    pub change: Change,
    /// Keys of the requests whose rows the change adds.
    pub idempotency: Vec<IdempotencyRecord>,
}
