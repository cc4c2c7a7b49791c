//! A data file as the merge of sorted inputs reads it: keys in batches, then a column of some rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use gigapi_model::{Column, ColumnRole, FieldId, TableDef};
use gigapi_rows::merge::{KeyBatch, SortedInput};
use gigapi_storage::{RowBatches, StoredRows};

use crate::{Error, Result};

/// Keys are read in batches of this many rows: long enough to be cheap, and of every input one or two are held.
pub(super) const KEY_BATCH_ROWS: usize = 8192;

#[derive(Debug)]
pub(super) struct MergeInput {
    file: Arc<StoredRows>,
    keys: RowBatches,
    /// Of the table's tags, where each is in the batches of keys; the first column there is time.
    tags: Vec<Option<usize>>,
}

impl MergeInput {
    pub(super) fn new(file: Arc<StoredRows>, table: &TableDef) -> Self {
        let keys: Vec<FieldId> = table
            .columns
            .iter()
            .filter(|column| column.role != ColumnRole::Field)
            .map(|column| column.field_id)
            .collect();
        let held: Vec<FieldId> =
            file.columns().iter().map(|column| column.field_id).filter(|field| keys.contains(field)).collect();
        let tags = table.tags().map(|tag| held.iter().position(|field| *field == tag.field_id)).collect();
        let batches = file.batches(&keys, KEY_BATCH_ROWS);
        Self { keys: batches, file, tags }
    }

    fn key_batch(&self, batch: &RecordBatch) -> Result<KeyBatch> {
        let damaged = |reason: String| Error::Input { file: self.file.name().to_owned(), reason };
        let time = batch.column(0).as_primitive::<Int64Type>();
        if time.null_count() > 0 {
            return Err(damaged(format!("{} rows have no time", time.null_count())));
        }
        let tags = self.tags.iter().map(|place| place.map(|at| batch.column(at).as_dictionary::<Int32Type>().clone()));
        KeyBatch::new(tags.collect(), time.values().clone()).map_err(damaged)
    }
}

impl SortedInput for MergeInput {
    type Error = Error;

    fn next_keys(&mut self) -> Result<Option<KeyBatch>> {
        let batch = self.keys.next_batch()?;
        batch.map(|batch| self.key_batch(&batch)).transpose()
    }

    fn column(&mut self, column: &Column, rows: Range<u64>) -> Result<Option<ArrayRef>> {
        Ok(self.file.column(column.field_id, rows)?)
    }
}
