//! Rows as text for people and spreadsheets.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::util::pretty::pretty_format_batches_with_schema;

use super::Encoder;

/// Comma-separated values with a line of names.
pub(crate) struct CsvEncoder {
    schema: SchemaRef,
}

impl CsvEncoder {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema }
    }
}

impl Encoder for CsvEncoder {
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let empty = RecordBatch::new_empty(SchemaRef::clone(&self.schema));
        WriterBuilder::new().with_header(true).build(out).write(&empty)
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        WriterBuilder::new().with_header(false).build(out).write(batch)
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<(), ArrowError> {
        Ok(())
    }
}

/// Widths are known only after the last row, so this much is held at most.
const PRETTY_BYTES_MAX: usize = 64 << 20;

/// A table drawn with lines.
pub(crate) struct PrettyEncoder {
    schema: SchemaRef,
    held: Vec<RecordBatch>,
    bytes: usize,
}

impl PrettyEncoder {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema, held: Vec::new(), bytes: 0 }
    }
}

impl Encoder for PrettyEncoder {
    fn start(&mut self, _: &mut Vec<u8>) -> Result<(), ArrowError> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, _: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.bytes += batch.get_array_memory_size();
        if self.bytes > PRETTY_BYTES_MAX {
            let advice = "the answer is too large for the format `pretty`; use csv, or a LIMIT";
            return Err(ArrowError::InvalidArgumentError(advice.to_owned()));
        }
        self.held.push(batch.clone());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let drawn = pretty_format_batches_with_schema(SchemaRef::clone(&self.schema), &self.held)?;
        writeln!(out, "{drawn}").map_err(|error| ArrowError::IoError("drawing a table".to_owned(), error))
    }
}
