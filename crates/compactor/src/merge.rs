//! Many data files to one: the CPU's share of a merge, on a blocking thread, in bounded memory.
//!
//! Inputs come oldest commit first and verified. Row groups of the output are handed out as they are complete, so its
//! size does not matter; a window of keys and one column of it are what is held. What comes out is checked against
//! what went in. Where files come from and go to, and whether the result may be committed, is decided elsewhere.

mod check;
mod input;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema};
use bytes::Bytes;
use gigapi_model::{Column, ColumnRole, ColumnType, TableDef, TimeRange};
use gigapi_rows::merge::{Merge, MergeError, Window};
use gigapi_storage::{FileEncoders, FileFacts, FileStatistics, FinishedFile, ROW_GROUP_ROWS_MAX, StoredRows};

pub use check::{Expected, check_output, check_statistics};
use input::{KEY_BATCH_ROWS, MergeInput};

use crate::{Error, Result};

/// Bytes of one column of one row group when decoded, of a merge that may take what memory it needs.
pub const COLUMN_BYTES_MAX: u64 = 32 << 20;

/// A row group has at least this many rows, however long its strings are.
const WINDOW_ROWS_MIN: u64 = 1024;

/// What a merge has made, once all bytes are handed out.
#[derive(Debug, Clone)]
pub struct Merged {
    /// Rows of the output.
    pub rows: u64,
    /// Rows of inputs that later ones took the place of.
    pub overwritten: u64,
    /// Exact range of the rows' times.
    pub time: TimeRange,
    /// Bytes at the end that hold page indexes and footer.
    pub tail_bytes: u32,
    /// Statistics for the catalog.
    pub statistics: FileStatistics,
}

/// One merge.
pub struct Work<'a> {
    /// The definition to write under: the newest.
    pub table: &'a Arc<TableDef>,
    /// Oldest commit first.
    pub inputs: Vec<Arc<StoredRows>>,
    /// What the output's footer says.
    pub facts: &'a FileFacts,
    /// Where encoders are kept.
    pub encoders: &'a FileEncoders,
    /// Bytes of one column of one row group when decoded: what a merge holds at least twice, and what decides how many
    /// rows of long strings a row group has.
    pub column_bytes_max: u64,
    /// Called after each row group with the rows that were taken in for it; an error ends the work.
    pub between: &'a dyn Fn(u64) -> Result<()>,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("table", &self.table.name).field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

impl Work<'_> {
    /// Merges; `out` gets the object's bytes in order.
    pub fn run(self, out: &mut dyn FnMut(Bytes) -> Result<()>) -> Result<Merged> {
        let Self { table, inputs, facts, encoders, column_bytes_max, between } = self;
        let columns = present_columns(table, &inputs);
        let rows_before: u64 = inputs.iter().map(|input| input.rows()).sum();
        let (window_rows, taken_rows) = window_rows(&inputs, column_bytes_max);
        let encoder = encoders.get(table, &output_schema(&columns))?;
        let mut writer = encoder.start();
        let inputs = inputs.into_iter().map(|input| MergeInput::new(input, table)).collect();
        let mut merge = Merge::new(table, inputs);
        let mut overwritten = 0;
        while let Some(window) = merge.next_window(window_rows, taken_rows)? {
            overwritten += window.overwritten_rows() as u64;
            let mut tag = 0;
            writer.push_group(window.rows(), |column| values(&mut merge, &window, column, table, &mut tag))?;
            out(writer.take_bytes()?)?;
            between((window.rows() + window.overwritten_rows()) as u64)?;
        }
        let FinishedFile { rest, rows, time, tail_bytes, statistics } = writer.finish_taken(facts)?;
        out(rest)?;
        if rows + overwritten != rows_before {
            return Err(Error::Check {
                reason: format!("{rows_before} rows went in, {rows} came out and {overwritten} were overwritten"),
            });
        }
        Ok(Merged { rows, overwritten, time, tail_bytes, statistics })
    }
}

fn values(
    merge: &mut Merge<MergeInput>,
    window: &Window,
    column: &Column,
    table: &TableDef,
    tag: &mut usize,
) -> Result<ArrayRef> {
    match column.role {
        ColumnRole::Time => Ok(window.time()),
        ColumnRole::Field => merge.column(window, column),
        ColumnRole::Tag => {
            // Columns are asked for by ascending field id, as tags are counted; absent ones are passed over.
            let place = table.tags().skip(*tag).position(|known| known.field_id == column.field_id).unwrap_or(0);
            let array = window.tag(*tag + place).map_err(MergeError::from)?;
            *tag += place + 1;
            Ok(array)
        }
    }
}

/// The table's columns that some input holds.
fn present_columns<'a>(table: &'a TableDef, inputs: &[Arc<StoredRows>]) -> Vec<&'a Column> {
    let is_held = |column: &&Column| {
        inputs.iter().any(|input| input.columns().iter().any(|held| held.field_id == column.field_id))
    };
    table.columns.iter().filter(is_held).collect()
}

fn output_schema(columns: &[&Column]) -> Schema {
    let fields = columns.iter().map(|column| {
        let data_type = match column.column_type {
            ColumnType::String if column.role == ColumnRole::Field => DataType::Utf8View,
            _ => gigapi_rows::disk_type(column),
        };
        gigapi_rows::field(column, data_type)
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// Rows of a row group, so that it does not exceed the format's with what may come on top of it; and rows of inputs that
/// are taken for it, so that the longest column of them stays small, also where they overwrite each other.
fn window_rows(inputs: &[Arc<StoredRows>], column_bytes_max: u64) -> (usize, usize) {
    let widest = inputs.iter().map(|input| input.widest_value_bytes()).max().unwrap_or(8).max(8);
    let taken = (column_bytes_max / widest).max(WINDOW_ROWS_MIN);
    let taken = usize::try_from(taken).unwrap_or(usize::MAX);
    let surplus = inputs.len() * KEY_BATCH_ROWS;
    (taken.min(ROW_GROUP_ROWS_MAX.saturating_sub(surplus)).max(1), taken)
}

#[cfg(test)]
mod tests;
