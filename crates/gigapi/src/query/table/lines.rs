//! Rows one value a line, for rows that are wider than any terminal.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::{Column, NULL, Paint, columns, rows};
use crate::query::text::{pad, width};

/// Writes rows as blocks of `name: value`.
#[derive(Debug)]
pub(crate) struct Lines {
    columns: Vec<Column>,
    name_width: usize,
    paint: Paint,
    begun: bool,
}

impl Lines {
    pub(crate) fn new(schema: &SchemaRef, paint: Paint) -> Self {
        let columns = columns(schema);
        let name_width = columns.iter().map(|column| width(&column.name)).max().unwrap_or(0);
        Self { columns, name_width, paint, begun: false }
    }

    pub(crate) fn batch(&mut self, batch: &RecordBatch, out: &mut String) -> Result<(), ArrowError> {
        for row in rows(batch, true)? {
            if self.begun {
                out.push('\n');
            }
            self.begun = true;
            for (value, column) in row.iter().zip(&self.columns) {
                let mut name = String::new();
                pad(&mut name, &column.name, self.name_width, true);
                out.push_str(&self.paint.bold(&name));
                out.push_str(": ");
                match value {
                    // Further lines of a text stand below its first.
                    Some(text) => out.push_str(&text.replace('\n', &format!("\n{:1$}", "", self.name_width + 2))),
                    None => out.push_str(&self.paint.dim(NULL)),
                }
                out.push('\n');
            }
        }
        Ok(())
    }
}
