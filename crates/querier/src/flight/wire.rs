//! Columns as clients of Flight can read them.
//!
//! Many clients know a fraction of Arrow's types, and some misread others without a word: Grafana takes every
//! timestamp for nanoseconds, shows no text but the plain one, and neither dates nor decimals. So there is one set of
//! types on the wire, and the schema that announces an answer and the answer itself are made by the same function.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use crate::encode::distinct_names;
use crate::{Error, Result};

/// The schema in which an answer of that schema is sent.
///
/// An expression may yield null where its plan does not expect it, so no column is declared free of nulls.
pub(super) fn wire_schema(schema: &Schema) -> SchemaRef {
    let distinct = distinct_names(schema);
    let fields = distinct.fields().iter().map(|field| {
        let data_type = wire_type(field.data_type());
        Field::new(field.name(), data_type, true).with_metadata(field.metadata().clone())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The type in which values of that type are sent.
fn wire_type(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(wire_type(field.data_type())));
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, value) => wire_type(value),
        DataType::RunEndEncoded(_, value) => wire_type(value.data_type()),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
        DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            DataType::Float64
        }
        DataType::Float16 => DataType::Float32,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => DataType::List(inner(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}

/// A batch in the wire's schema, which has as many columns.
pub(super) fn on_wire(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns: std::result::Result<Vec<ArrayRef>, ArrowError> =
        columns.map(|(column, field)| converted(column, field.data_type())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    columns
        .and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options))
        .map_err(|error| Error::invalid(format!("the answer cannot be sent over Flight: {error}; cast the column")))
}

fn converted(column: &ArrayRef, data_type: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    match column.data_type() == data_type {
        true => Ok(Arc::clone(column)),
        // A time that nanoseconds cannot hold is an error, not an empty field.
        false => cast_with_options(column, data_type, &CastOptions { safe: false, ..CastOptions::default() }),
    }
}

/// Bytes that the batch's rows take in a message, whatever larger arrays they are slices of; more than that where rows
/// hold lists, of which a slice is not told from the whole.
pub(super) fn bytes_at_most(batch: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| {
        let data = column.to_data();
        data.get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(bytes).sum()
}

#[cfg(test)]
mod tests;
