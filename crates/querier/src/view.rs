//! A table at one moment: the catalog's snapshot and the unflushed rows above its watermarks.
//!
//! This is where a query neither misses a row that is being flushed nor sees it twice. The order is fixed: the
//! unflushed rows of all writers first, the snapshot second, then whatever a writer's watermark in it covers is dropped. One view
//! per table serves the whole query, however often it names the table (I2).

use std::sync::Arc;

use gigapi_catalog::{Reader, Snapshot};
use gigapi_model::{Invariant, TableId, WriterId, check_invariant};

use crate::unflushed::{Holders, Unflushed, UnflushedPart};
use crate::{Error, Result};

/// How often a snapshot below the floor is taken again: commits are linearizable, so once is enough.
const REFRESHES_MAX: usize = 3;

/// Unflushed rows, and who hands them out.
#[derive(Debug, Clone)]
pub(crate) struct HeldPart {
    pub(crate) holder: Arc<dyn Unflushed>,
    pub(crate) part: Arc<dyn UnflushedPart>,
    /// The snapshot's watermark of the writer.
    pub(crate) above: u64,
}

impl HeldPart {
    pub(crate) fn writer(&self) -> WriterId {
        self.holder.writer()
    }
}

/// A table as one query sees it.
#[derive(Debug, Clone)]
pub(crate) struct TableView {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Parts that no file of the snapshot holds; by writer, oldest first.
    pub(crate) parts: Vec<HeldPart>,
}

impl TableView {
    /// Takes a consistent view of the table.
    pub(crate) async fn take(catalog: &dyn Reader, holders: &Holders, table: TableId) -> Result<Self> {
        let views = holders.views(table).await?;
        let floors: Vec<(WriterId, u64)> = views
            .iter()
            .filter(|(_, view)| view.floor > 0)
            .map(|(holder, view)| (holder.writer(), view.floor))
            .collect();
        for _ in 0..REFRESHES_MAX {
            let snapshot = catalog.snapshot(table, &floors).await?;
            let watermark = |writer: WriterId| snapshot.watermarks.get(&writer).copied().unwrap_or(0);
            if floors.iter().any(|(writer, floor)| watermark(*writer) < *floor) {
                continue;
            }
            let mut parts = Vec::new();
            for (holder, view) in views {
                let above = watermark(holder.writer());
                let kept = view.parts.into_iter().filter(|part| part.sequences().1 > above);
                parts.extend(kept.map(|part| HeldPart { holder: Arc::clone(&holder), part, above }));
            }
            return Ok(Self { snapshot, parts });
        }
        check_invariant!(Invariant::I1, false, "table {table}: the snapshot stays below the floors {floors:?}");
        Err(Error::internal(format!("the snapshot of table {table} stays below the writers' floors {floors:?}")))
    }
}
