//! Draws a table: a head, a rule, and rows as they come.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::layout::{Layout, Wanted, layout};
use super::{Column, NULL, Paint, Row, columns, rows};
use crate::query::text::{fitted, pad, width};

/// Rows that are held until the widths are decided.
const SAMPLE_ROWS: usize = 2_000;
/// Bytes of values that are held until then.
const SAMPLE_BYTES: usize = 4 << 20;

/// Draws one table.
#[derive(Debug)]
pub(crate) struct Drawer {
    columns: Vec<Column>,
    /// The columns of the terminal, if values are to be fitted into one.
    terminal: Option<usize>,
    paint: Paint,
    /// Rows that wait for the widths.
    sample: Vec<Row>,
    sample_bytes: usize,
    /// The widths, once they are decided.
    layout: Option<Layout>,
}

impl Drawer {
    pub(crate) fn new(schema: &SchemaRef, terminal: Option<usize>, paint: Paint) -> Self {
        let columns = columns(schema);
        Self { columns, terminal, paint, sample: Vec::new(), sample_bytes: 0, layout: None }
    }

    /// Takes rows; `out` gets what can be drawn.
    pub(crate) fn batch(&mut self, batch: &RecordBatch, out: &mut String) -> Result<(), ArrowError> {
        for row in rows(batch, false)? {
            if let Some(layout) = &self.layout {
                self.row(layout, &row, out);
                continue;
            }
            self.sample_bytes += row.iter().flatten().map(String::len).sum::<usize>();
            self.sample.push(row);
            if self.sample.len() >= SAMPLE_ROWS || self.sample_bytes >= SAMPLE_BYTES {
                self.finish(out);
            }
        }
        Ok(())
    }

    /// Draws what was held back. Rows can follow.
    pub(crate) fn finish(&mut self, out: &mut String) {
        if self.layout.is_some() || self.columns.is_empty() {
            return;
        }
        let sample = std::mem::take(&mut self.sample);
        let wanted: Vec<Wanted> =
            self.columns.iter().enumerate().map(|(index, column)| wanted(index, column, &sample)).collect();
        let layout = layout(&wanted, self.terminal);
        self.head(&layout, out);
        for row in &sample {
            self.row(&layout, row, out);
        }
        self.layout = Some(layout);
    }

    /// Columns that found no room.
    pub(crate) fn hidden(&self) -> usize {
        self.layout.as_ref().map_or(0, |layout| layout.hidden)
    }

    fn head(&self, layout: &Layout, out: &mut String) {
        let bar = self.paint.dim("│");
        for (index, (column, columns)) in self.columns.iter().zip(&layout.widths).enumerate() {
            if index > 0 {
                out.push_str(&bar);
            }
            let name = fitted(&column.name, *columns);
            let mut cell = String::new();
            pad(&mut cell, &name, *columns, column.right);
            let cell = if index + 1 == layout.widths.len() { cell.trim_end() } else { &cell };
            out.push(' ');
            out.push_str(&self.paint.bold(cell));
            if index + 1 < layout.widths.len() {
                out.push(' ');
            }
        }
        out.push('\n');
        let rules: Vec<String> = layout.widths.iter().map(|columns| "─".repeat(columns + 2)).collect();
        out.push_str(&self.paint.dim(&rules.join("┼")));
        out.push('\n');
    }

    fn row(&self, layout: &Layout, row: &Row, out: &mut String) {
        let bar = self.paint.dim("│");
        let last = layout.widths.len().saturating_sub(1);
        for (index, ((value, column), columns)) in row.iter().zip(&self.columns).zip(&layout.widths).enumerate() {
            if index > 0 {
                out.push_str(&bar);
            }
            out.push(' ');
            let text = value.as_deref().unwrap_or(NULL);
            let text = if self.terminal.is_some() { fitted(text, *columns) } else { text.into() };
            let painted = if value.is_none() { self.paint.dim(&text) } else { text.to_string() };
            let spaces = columns.saturating_sub(width(&text));
            if column.right {
                out.extend(std::iter::repeat_n(' ', spaces));
            }
            out.push_str(&painted);
            if index < last {
                out.extend(std::iter::repeat_n(' ', if column.right { 1 } else { spaces + 1 }));
            }
        }
        out.push('\n');
    }
}

fn wanted(index: usize, column: &Column, rows: &[Row]) -> Wanted {
    let values = rows.iter().map(|row| row[index].as_deref().map_or(width(NULL), width));
    Wanted { name: width(&column.name), values: values.max().unwrap_or(0), rigid: column.rigid }
}
