//! From parts in order of arrival to rows in table order.
//!
//! Series are ranked once by their tags, rows are dealt to their series by counting, and only a series
//! whose rows did not arrive in time order is sorted. So data that arrives in order is never compared row
//! by row. Where the table has a key, the last write of each row wins, field by field. Nothing is copied
//! until a caller asks for columns.

mod columns;
mod order;
mod series;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use gigapi_model::{Bucket, BucketSpan, Column, ColumnRole, TableDef, TableKey, TimeRange, Timestamp};

use crate::part::Part;
use crate::schema::{disk_type, field};
use columns::Source;
use order::Ordered;
use series::Ranked;

/// What to gather.
#[derive(Debug, Clone, Copy)]
pub struct GatherOptions {
    /// Only rows inside.
    pub range: TimeRange,
}

impl Default for GatherOptions {
    fn default() -> Self {
        Self { range: TimeRange::ALL }
    }
}

/// Rows of several parts in table order.
#[derive(Debug)]
pub struct Gather<'a> {
    parts: &'a [Arc<Part>],
    table: &'a TableDef,
    ranked: Ranked<'a>,
    ordered: Ordered,
}

impl<'a> Gather<'a> {
    /// Puts the rows into order; the parts are in order of arrival.
    pub fn new(parts: &'a [Arc<Part>], table: &'a TableDef, options: GatherOptions) -> Self {
        let ranked = Ranked::new(parts, table);
        let mut ordered = Ordered::new(parts, &ranked, options.range);
        if table.key == TableKey::Tags {
            ordered.let_last_write_win();
        }
        Self { parts, table, ranked, ordered }
    }

    /// Number of rows, after the last write won.
    pub fn rows(&self) -> usize {
        self.ordered.len()
    }

    /// The rows by bucket: the finest of hour, day, month and year that makes at most `files_max` buckets,
    /// or years where even those are more.
    pub fn by_bucket(self, files_max: usize) -> Vec<(Bucket, Self)> {
        let Self { parts, table, ranked, ordered } = self;
        if ordered.len() == 0 {
            return Vec::new();
        }
        let (span, buckets) = choose_span(&ordered.time, files_max);
        if buckets.len() == 1 {
            let only = Bucket::containing(Timestamp::from_nanos(ordered.time[0]), span);
            return vec![(only, Self { parts, table, ranked, ordered })];
        }
        let index: BTreeMap<Timestamp, usize> = buckets.iter().enumerate().map(|(i, b)| (b.start(), i)).collect();
        let split = ordered.split(buckets.len(), |time| {
            let bucket = Bucket::containing(Timestamp::from_nanos(time), span);
            (index.get(&bucket.start()).copied().unwrap_or(0), bucket.range())
        });
        buckets
            .into_iter()
            .zip(split)
            .map(|(bucket, ordered)| (bucket, Self { parts, table, ranked: ranked.clone(), ordered }))
            .collect()
    }

    /// The rows as they are written to a file: the columns that have a value, tags as dictionaries.
    pub fn disk_batch(&self) -> Result<RecordBatch, ArrowError> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for column in &self.table.columns {
            let array = match column.role {
                ColumnRole::Time => self.time_as_integers(),
                ColumnRole::Tag => match self.ranked.tag_index(column.field_id) {
                    Some(tag) => self.ranked.dictionary(tag, &self.ordered.rank)?,
                    None => continue,
                },
                ColumnRole::Field => match Source::new(self.parts, column) {
                    Some(source) => source.disk_array(&self.ordered)?,
                    None => continue,
                },
            };
            fields.push(field(column, disk_type(column)));
            arrays.push(array);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }

    /// The rows as SQL sees them, with just these columns, in this order.
    pub fn sql_batch(&self, columns: &[&Column], schema: Arc<Schema>) -> Result<RecordBatch, ArrowError> {
        let arrays = columns.iter().map(|column| self.sql_array(column)).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows()));
        RecordBatch::try_new_with_options(schema, arrays, &options)
    }

    fn sql_array(&self, column: &Column) -> Result<ArrayRef, ArrowError> {
        match column.role {
            ColumnRole::Time => Ok(columns::timestamps(&self.ordered.time)),
            ColumnRole::Tag => self.ranked.view(self.ranked.tag_index(column.field_id), &self.ordered.rank),
            ColumnRole::Field => match Source::new(self.parts, column) {
                Some(source) => source.sql_array(&self.ordered),
                None => Ok(columns::nulls(column.column_type, self.rows())),
            },
        }
    }

    fn time_as_integers(&self) -> ArrayRef {
        columns::integers(&self.ordered.time)
    }
}

/// The span, and its buckets in ascending order.
fn choose_span(time: &[i64], files_max: usize) -> (BucketSpan, Vec<Bucket>) {
    let mut span = BucketSpan::Hour;
    let mut buckets = distinct(time.iter().copied(), span);
    for coarser in [BucketSpan::Day, BucketSpan::Month, BucketSpan::Year] {
        if buckets.len() <= files_max {
            break;
        }
        // A coarser bucket is a union of finer ones, so the finer ones' starts are enough to find it.
        span = coarser;
        buckets = distinct(buckets.iter().map(|bucket| bucket.range().max.nanos()), span);
    }
    (span, buckets)
}

fn distinct(times: impl Iterator<Item = i64>, span: BucketSpan) -> Vec<Bucket> {
    let mut last: Option<(TimeRange, Bucket)> = None;
    let mut seen: BTreeMap<Timestamp, Bucket> = BTreeMap::new();
    for time in times {
        let at = Timestamp::from_nanos(time);
        if last.is_some_and(|(range, _)| range.contains(at)) {
            continue;
        }
        let bucket = Bucket::containing(at, span);
        last = Some((bucket.range(), bucket));
        seen.insert(bucket.start(), bucket);
    }
    seen.into_values().collect()
}

#[cfg(test)]
mod tests;
