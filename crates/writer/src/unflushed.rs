//! Unflushed rows as queries get them: the buffer's parts as one sorted batch.
//!
//! Shared by whoever hands rows to a querier, in this process or in another, so that both hand out the same. Nothing
//! here reads the buffer: what belongs to a query is settled by then.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use gigapi_model::{Column, FieldId, TableDef, TimeRange};
use gigapi_rows::{Gather, GatherOptions, Part, table_schema};

/// The rows of `parts` at times in `range`, in table order, of which the last write has won if the table has a key;
/// nothing if there are none.
///
/// The columns are those of `columns`, with the types of the table's SQL schema. This sorts and copies: it belongs on a
/// thread that may block.
pub fn unflushed_batch(
    parts: &[Arc<Part>],
    table: &TableDef,
    columns: &[FieldId],
    range: TimeRange,
) -> Result<Option<RecordBatch>, ArrowError> {
    let unknown = |id: FieldId| ArrowError::SchemaError(format!("the table has no column of id {id}"));
    let wanted = columns.iter().map(|id| table.column_by_id(*id).ok_or_else(|| unknown(*id)));
    let wanted = wanted.collect::<Result<Vec<&Column>, _>>()?;
    let all = table_schema(table);
    let fields = wanted.iter().map(|column| all.field_with_name(column.name.as_str()).cloned());
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let gathered = Gather::new(parts, table, GatherOptions { range });
    if gathered.rows() == 0 {
        return Ok(None);
    }
    gathered.sql_batch(&wanted, Arc::new(Schema::new(fields))).map(Some)
}
