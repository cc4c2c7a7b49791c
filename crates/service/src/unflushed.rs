//! What a querier asks a writer in another process for its unflushed rows: the words of both sides.
//!
//! They travel over Arrow Flight below a path of their own, because one port may serve FlightSQL beside it: first an
//! action that tells what the writer holds, then, once the querier has its snapshot, a ticket for the rows. Neither
//! side knows the other's types; nothing is decided here.

use gigapi_model::{FieldId, TableDef, TableId, TimeRange, WriterId};
use serde::{Deserialize, Serialize};

/// Where on a writer's port these calls go.
pub const UNFLUSHED_PATH: &str = "/unflushed";

/// The action that tells what a writer holds.
pub const HELD_ACTION: &str = "held";

/// What does the writer hold of the table?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRequest {
    /// Who is meant: an address may have become another's.
    pub writer: WriterId,
    /// The table.
    pub table: TableId,
}

/// What a writer holds of a table at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Every sequence up to here is in committed files.
    pub floor: u64,
    /// What is above, by ascending sequence.
    pub chunks: Vec<HeldChunk>,
}

/// Rows that will be flushed together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldChunk {
    /// First sequence that may be inside.
    pub lo: u64,
    /// Last sequence inside.
    pub hi: u64,
    /// From the earliest to the latest row.
    pub time: TimeRange,
    /// How many there are, before the last write wins.
    pub rows: u64,
}

/// A ticket for rows, as a query's snapshot leaves room for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowsRequest {
    /// Who is meant.
    pub writer: WriterId,
    /// The table as the snapshot has it.
    pub table: TableDef,
    /// The snapshot has the rows up to this sequence. A writer whose rows above have left the buffer refuses.
    pub above: u64,
    /// First and last sequences of the chunks that are wanted.
    pub chunks: Vec<(u64, u64)>,
    /// The columns, in the order in which they are wanted.
    pub columns: Vec<FieldId>,
    /// Rows at other times are not wanted.
    pub time: TimeRange,
}
