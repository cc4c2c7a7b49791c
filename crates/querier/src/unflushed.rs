//! Rows that writers have taken but not yet committed.
//!
//! The querier defines what it needs and knows nothing of writers: whoever wires both in one process implements it
//! there, and `remote` speaks to writers in other processes. The order of calls is what makes a query see each row once:
//! first [`Unflushed::view`] of all, then the catalog's snapshot, then the parts that the snapshot's watermark covers
//! are dropped.

mod holders;
mod remote;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::execution::memory_pool::MemoryPool;
use gigapi_model::{FieldId, TableDef, TableId, TimeRange, WriterId};

use crate::Result;

pub(crate) use holders::{Away, Holders};
pub(crate) use remote::Writers;

/// The cause of a failure to make rows.
pub type UnflushedError = Box<dyn std::error::Error + Send + Sync>;

/// Makes the rows, the same at each call: one run in table order over all batches. The work is done by the caller's
/// thread, which may block.
pub type Produce = Arc<dyn Fn() -> std::result::Result<Vec<RecordBatch>, UnflushedError> + Send + Sync>;

/// Rows above a writer's watermark, as their holder sees them.
#[async_trait]
pub trait Unflushed: Send + Sync + Debug {
    /// Whose sequence the parts and the floor speak of.
    fn writer(&self) -> WriterId;

    /// Rows of the table that are not known to be committed. Cheap: no row is copied.
    ///
    /// The call is made before the snapshot is taken. A row that the view lacks and that was acknowledged
    /// earlier is in a committed file at the view's floor or below.
    async fn view(&self, table: TableId) -> Result<UnflushedView>;

    /// The rows of these parts whose time lies in the range; for a table with a key the last write has won among them.
    ///
    /// The batches have the wanted columns, with the types of the table's SQL schema; a column that the parts lack is
    /// all null. Fails with [`crate::Error::Overtaken`] where rows have left the holder for files that the snapshot lacks.
    async fn rows(&self, wanted: RowsWanted) -> Result<Produce>;
}

/// What a scan wants of one holder.
#[derive(Debug, Clone)]
pub struct RowsWanted {
    /// Parts of one view.
    pub parts: Vec<Arc<dyn UnflushedPart>>,
    /// The snapshot's watermark of the writer.
    pub above: u64,
    /// The table as the snapshot has it.
    pub table: Arc<TableDef>,
    /// The columns by field id, in the order that the batches have.
    pub columns: Arc<[FieldId]>,
    /// Rows at other times are not wanted.
    pub range: TimeRange,
    /// What memory the query may have; rows that are not there already are counted.
    pub memory: Arc<dyn MemoryPool>,
}

/// What one writer holds of one table at one moment.
#[derive(Debug, Clone)]
pub struct UnflushedView {
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
