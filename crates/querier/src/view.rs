//! A table at one moment: the catalog's snapshot and the unflushed rows above its watermark.
//!
//! This is where a query neither misses a row that is being flushed nor sees it twice. The order is fixed: the
//! unflushed rows first, the snapshot second, then whatever the snapshot's watermark covers is dropped. One view
//! per table serves the whole query, however often it names the table (I2).

use std::sync::Arc;

use gigapi_catalog::{Reader, Snapshot};
use gigapi_model::{Invariant, TableId, check_invariant};

use crate::unflushed::{Unflushed, UnflushedPart};
use crate::{Error, Result};

/// How often a snapshot below the floor is taken again: commits are linearizable, so once is enough.
const REFRESHES_MAX: usize = 3;

/// A table as one query sees it.
#[derive(Debug, Clone)]
pub(crate) struct TableView {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Parts that no file of the snapshot holds; oldest first.
    pub(crate) parts: Vec<Arc<dyn UnflushedPart>>,
    pub(crate) unflushed: Option<Arc<dyn Unflushed>>,
}

impl TableView {
    /// Takes a consistent view of the table.
    pub(crate) async fn take(
        catalog: &dyn Reader,
        unflushed: Option<&Arc<dyn Unflushed>>,
        table: TableId,
    ) -> Result<Self> {
        let Some((source, held)) = unflushed.and_then(|source| Some((source, source.view(table)?))) else {
            let snapshot = catalog.snapshot(table, None).await?;
            return Ok(Self { snapshot, parts: Vec::new(), unflushed: None });
        };
        for _ in 0..REFRESHES_MAX {
            let snapshot = catalog.snapshot(table, (held.floor > 0).then_some((held.writer, held.floor))).await?;
            let watermark = snapshot.watermarks.get(&held.writer).copied().unwrap_or(0);
            if watermark < held.floor {
                continue;
            }
            let above = |part: &Arc<dyn UnflushedPart>| part.sequences().1 > watermark;
            let parts: Vec<_> = held.parts.into_iter().filter(above).collect();
            let unflushed = (!parts.is_empty()).then(|| Arc::clone(source));
            return Ok(Self { snapshot, parts, unflushed });
        }
        check_invariant!(Invariant::I1, false, "table {table}: the snapshot stays below the floor {}", held.floor);
        Err(Error::internal(format!("the snapshot of table {table} stays below the writer's floor {}", held.floor)))
    }
}
