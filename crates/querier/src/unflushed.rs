//! Rows that a writer in the same process has taken but not yet committed.
//!
//! The querier defines what it needs and knows nothing of the writer; whoever wires both implements it. The
//! order of calls is what makes a query see each row once: first [`Unflushed::view`], then the catalog's
//! snapshot, then the parts that the snapshot's watermark covers are dropped.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use gigapi_model::{FieldId, TableDef, TableId, TimeRange, WriterId};

/// The cause of a failure to hand out rows.
pub type UnflushedError = Box<dyn std::error::Error + Send + Sync>;

/// Rows above the watermark, as their holder sees them.
pub trait Unflushed: Send + Sync + Debug {
    /// Rows of the table that are not known to be committed. Cheap: no row is copied.
    ///
    /// The call is made before the snapshot is taken. A row that the view lacks and that was acknowledged
    /// earlier is in a committed file at the view's floor or below.
    fn view(&self, table: TableId) -> Option<UnflushedView>;

    /// The rows of these parts whose time lies in `range`, as one run in table order over all batches.
    ///
    /// For a table with a key the last write has won among the parts given. `columns` name the columns by
    /// field id, in the order that the batches have; their types are those of the table's SQL schema. A column
    /// that the parts lack is all null. The work is done by the caller's thread, which may block.
    fn batches(
        &self,
        parts: &[Arc<dyn UnflushedPart>],
        table: &TableDef,
        columns: &[FieldId],
        range: TimeRange,
    ) -> Result<Vec<RecordBatch>, UnflushedError>;
}

/// What one writer holds of one table at one moment.
#[derive(Debug, Clone)]
pub struct UnflushedView {
    /// Whose sequence the parts and the floor speak of.
    pub writer: WriterId,
    /// A watermark of this table that the writer saw committed, 0 before its first commit of this table.
    /// Everything at or below is in committed files.
    pub floor: u64,
    /// Oldest first. A part never spans two flushes.
    pub parts: Vec<Arc<dyn UnflushedPart>>,
}

/// Rows of consecutive sequences. Implementations are downcast by who made them.
pub trait UnflushedPart: Send + Sync + Debug + std::any::Any {
    /// The first and the last of the writer's sequence inside.
    fn sequences(&self) -> (u64, u64);

    /// The range of the rows' times.
    fn time_range(&self) -> TimeRange;

    /// How many rows there are, before the last write wins.
    fn rows(&self) -> usize;
}
