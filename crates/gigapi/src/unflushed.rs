//! The writer's unflushed rows for the querier: the one place where the two meet.

use std::any::Any;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use gigapi_model::{Column, FieldId, TableDef, TableId, TimeRange, WriterId};
use gigapi_querier::{Unflushed, UnflushedError, UnflushedPart, UnflushedView};
use gigapi_rows::{Gather, GatherOptions, Part, table_schema};
use gigapi_writer::{Buffer, ViewChunk};

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

impl Unflushed for WriterRows {
    fn view(&self, table: TableId) -> Option<UnflushedView> {
        let view = self.buffer.view(table);
        let part = |chunk: ViewChunk| Arc::new(Rows(chunk)) as Arc<dyn UnflushedPart>;
        let parts = view.chunks.into_iter().map(part).collect();
        Some(UnflushedView { writer: self.writer, floor: view.floor, parts })
    }

    fn batches(
        &self,
        parts: &[Arc<dyn UnflushedPart>],
        table: &TableDef,
        columns: &[FieldId],
        range: TimeRange,
    ) -> Result<Vec<RecordBatch>, UnflushedError> {
        let mut rows: Vec<Arc<Part>> = Vec::new();
        for part in parts {
            let part = (part.as_ref() as &dyn Any).downcast_ref::<Rows>().ok_or("a part of another holder")?;
            rows.extend(part.0.parts.iter().map(Arc::clone));
        }
        let wanted = columns
            .iter()
            .map(|id| table.column_by_id(*id).ok_or_else(|| format!("the table has no column of id {id}")))
            .collect::<Result<Vec<&Column>, _>>()?;
        let all = table_schema(table);
        let fields = wanted
            .iter()
            .map(|column| all.field_with_name(column.name.as_str()).cloned())
            .collect::<Result<Vec<_>, _>>()?;
        let gathered = Gather::new(&rows, table, GatherOptions { range });
        if gathered.rows() == 0 {
            return Ok(Vec::new());
        }
        Ok(vec![gathered.sql_batch(&wanted, Arc::new(Schema::new(fields)))?])
    }
}

#[cfg(test)]
mod tests;
