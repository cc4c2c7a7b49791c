//! The writer's unflushed rows for the querier: the one place where the two meet.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use gigapi_model::{TableId, TimeRange, WriterId};
use gigapi_querier::{Produce, RowsWanted, Unflushed, UnflushedPart, UnflushedView};
use gigapi_rows::Part;
use gigapi_writer::{Buffer, ViewChunk, unflushed_batch};

/// A writer's buffer as a querier sees it.
#[derive(Debug)]
pub(crate) struct WriterRows {
    pub(crate) writer: WriterId,
    pub(crate) buffer: Arc<Buffer>,
}

#[derive(Debug)]
struct Rows(ViewChunk);

impl UnflushedPart for Rows {
    fn sequences(&self) -> (u64, u64) {
        (self.0.lo, self.0.hi)
    }

    fn time_range(&self) -> TimeRange {
        self.0.range()
    }

    fn rows(&self) -> usize {
        self.0.parts.iter().map(|part| part.rows()).sum()
    }
}

#[async_trait]
impl Unflushed for WriterRows {
    fn writer(&self) -> WriterId {
        self.writer
    }

    async fn view(&self, table: TableId) -> gigapi_querier::Result<UnflushedView> {
        let view = self.buffer.view(table);
        let part = |chunk: ViewChunk| Arc::new(Rows(chunk)) as Arc<dyn UnflushedPart>;
        Ok(UnflushedView { floor: view.floor, parts: view.chunks.into_iter().map(part).collect() })
    }

    /// The parts hold their rows, whatever the buffer does meanwhile.
    async fn rows(&self, wanted: RowsWanted) -> gigapi_querier::Result<Produce> {
        let RowsWanted { parts, table, columns, range, .. } = wanted;
        Ok(Arc::new(move || {
            let mut rows: Vec<Arc<Part>> = Vec::new();
            for part in &parts {
                let part = (part.as_ref() as &dyn Any).downcast_ref::<Rows>().ok_or("a part of another holder")?;
                rows.extend(part.0.parts.iter().map(Arc::clone));
            }
            Ok(unflushed_batch(&rows, &table, &columns, range)?.into_iter().collect())
        }))
    }
}

#[cfg(test)]
mod tests;
