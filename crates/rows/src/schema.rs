//! A table's definition in arrow's terms: one schema for SQL and one for files.
//!
//! In SQL tags and strings are `Utf8View` and time is `Timestamp(ns)`; on disk time is a plain 64-bit
//! integer and tags are dictionaries. All columns but time may be null, whatever the rows at hand hold,
//! so that files of one table always agree.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use gigapi_model::{Column, ColumnRole, ColumnType, TableDef};

/// The key of the field id in a field's metadata, as the Parquet writer reads it.
const PARQUET_FIELD_ID: &str = "PARQUET:field_id";

fn sql_type(column: &Column) -> DataType {
    match column.column_type {
        ColumnType::Float => DataType::Float64,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Unsigned => DataType::UInt64,
        ColumnType::String => DataType::Utf8View,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
    }
}

/// The type that a column has in the batches that are written to a file.
pub fn disk_type(column: &Column) -> DataType {
    match (column.role, column.column_type) {
        (ColumnRole::Tag, _) => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        (_, ColumnType::String) => DataType::Utf8,
        (_, ColumnType::Time) => DataType::Int64,
        _ => sql_type(column),
    }
}

/// A column as an arrow field of the given type, with its field id.
pub fn field(column: &Column, data_type: DataType) -> Field {
    let nullable = column.role != ColumnRole::Time;
    let id = [(PARQUET_FIELD_ID.to_owned(), column.field_id.to_string())];
    Field::new(column.name.as_str(), data_type, nullable).with_metadata(id.into())
}

/// The table as SQL sees it, columns by field id.
pub fn table_schema(table: &TableDef) -> SchemaRef {
    Arc::new(Schema::new(table.columns.iter().map(|column| field(column, sql_type(column))).collect::<Vec<_>>()))
}
