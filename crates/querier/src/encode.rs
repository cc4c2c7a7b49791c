//! Batches as the bytes that a client asked for.
//!
//! An encoder appends to a buffer, batch by batch, and holds no more than its format demands, so answers of any
//! size stream. Which client gets which shape is decided elsewhere; nothing here knows a route.

mod columnar;
mod json;
mod text;
mod time;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

pub(crate) use json::{JsonShape, JsonStyle};
pub(crate) use time::TimeStyle;

/// Writes an answer in one format.
pub(crate) trait Encoder: Send {
    /// What comes before the first row.
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError>;

    /// Rows.
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError>;

    /// What comes after the last row.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError>;
}

/// A format that an answer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json(JsonStyle),
    Csv,
    Pretty,
    Parquet,
    Arrow,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json(style) => style.content_type(),
            Self::Csv => "text/csv",
            Self::Pretty => "text/plain; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// An encoder for rows of that schema; with `time_as_integer` timestamps become integers of nanoseconds.
    pub(crate) fn encoder(self, schema: &SchemaRef, time_as_integer: bool) -> Result<Box<dyn Encoder>, ArrowError> {
        let schema = distinct_names(schema);
        let shown = shown_schema(&schema, self, time_as_integer);
        let inner: Box<dyn Encoder> = match self {
            Self::Json(style) => Box::new(json::JsonEncoder::new(&shown, style)?),
            Self::Csv => Box::new(text::CsvEncoder::new(Arc::clone(&shown))),
            Self::Pretty => Box::new(text::PrettyEncoder::new(Arc::clone(&shown))),
            Self::Parquet => Box::new(columnar::ParquetEncoder::new(Arc::clone(&shown))?),
            Self::Arrow => Box::new(columnar::IpcEncoder::new(&shown)?),
        };
        Ok(Box::new(Shown { schema: shown, inner }))
    }
}

/// Brings batches into the types that are shown.
struct Shown {
    schema: SchemaRef,
    inner: Box<dyn Encoder>,
}

impl Encoder for Shown {
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.inner.start(out)
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns: Result<Vec<ArrayRef>, _> =
            columns.map(|(column, field)| shown(column, field.data_type())).collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns?, &options)?;
        self.inner.batch(&batch, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.inner.finish(out)
    }
}

fn shown(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    match column.data_type() == data_type {
        true => Ok(Arc::clone(column)),
        false => cast(column, data_type),
    }
}

/// Formats for programs get strings of the plain type, which every reader knows; an expression may yield null
/// where the plan does not expect it, so no column is declared free of nulls.
fn shown_schema(schema: &SchemaRef, format: Format, time_as_integer: bool) -> SchemaRef {
    let columnar = matches!(format, Format::Parquet | Format::Arrow);
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Timestamp(..) if time_as_integer => DataType::Int64,
            DataType::Utf8View if columnar => DataType::Utf8,
            DataType::BinaryView if columnar => DataType::Binary,
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            other => other.clone(),
        };
        Field::new(field.name(), data_type, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Numbers names that occur twice, as DuckDB does: a join of two tables has two columns `time`.
pub(crate) fn distinct_names(schema: &Schema) -> SchemaRef {
    let mut taken = std::collections::HashSet::new();
    let fields = schema.fields().iter().map(|field| {
        let mut name = field.name().clone();
        let mut repeats = 0;
        while !taken.insert(name.clone()) {
            repeats += 1;
            name = format!("{}_{repeats}", field.name());
        }
        field.as_ref().clone().with_name(name)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests;
