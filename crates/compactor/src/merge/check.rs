//! Whether a merge's output holds what its inputs held: looked up in what was written, not in what was meant.
//!
//! The object is read back from where it was staged: rows, range and strict order of all its keys. Statistics say
//! the rest: where nothing was overwritten, nulls, extremes and sums of every column follow from those of the inputs.

use std::cmp::Ordering;
use std::sync::Arc;

use gigapi_model::{ColumnRole, ColumnType, DataFile, FieldId, TableDef, TableKey, TimeRange};
use gigapi_rows::merge::{Merge, Window};
use gigapi_storage::{ColumnStatistics, FileStatistics, Scalar, StoredRows};

use super::input::{KEY_BATCH_ROWS, MergeInput};
use crate::{Error, Result};

/// What an output has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Rows.
    pub rows: u64,
    /// Exact range of times.
    pub time: TimeRange,
}

impl Expected {
    /// Of a merge of these files; nothing of their ranges goes, because a row gives way only to one of the same time.
    pub fn of(inputs: &[Arc<DataFile>], overwritten: u64) -> Option<Self> {
        let time = inputs.iter().map(|file| file.time);
        let time = time.reduce(|a, b| TimeRange::new(a.min.min(b.min), a.max.max(b.max)))?;
        let rows: u64 = inputs.iter().map(|file| file.rows).sum();
        Some(Self { rows: rows.checked_sub(overwritten)?, time })
    }
}

/// Reads all keys of an output back.
///
/// Reading a single input through the merge refuses what is out of order, or a key that stands there twice. `between`
/// is called now and then; an error ends the work.
pub fn check_output(
    table: &TableDef,
    output: Arc<StoredRows>,
    expected: Expected,
    between: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let wrong = |reason: String| Err(Error::Check { reason });
    let mut merge = Merge::new(table, vec![MergeInput::new(output, table)]);
    let mut rows = 0;
    let mut time: Option<TimeRange> = None;
    while let Some(window) = merge.next_window(KEY_BATCH_ROWS, KEY_BATCH_ROWS)? {
        rows += window.rows() as u64;
        let found = Window::time_range(&window);
        between()?;
        time = Some(time.map_or(found, |all| TimeRange::new(all.min.min(found.min), all.max.max(found.max))));
    }
    if rows != expected.rows {
        return wrong(format!("it holds {rows} rows, not {}", expected.rows));
    }
    match time {
        Some(time) if time == expected.time => Ok(()),
        Some(time) => {
            let expected = expected.time;
            wrong(format!("its rows lie in {}..{}, not {}..{}", time.min, time.max, expected.min, expected.max))
        }
        None => wrong("it holds no rows".to_owned()),
    }
}

/// Compares the statistics of an output with those of its inputs, each with its number of rows.
pub fn check_statistics(
    table: &TableDef,
    inputs: &[(u64, FileStatistics)],
    output: &FileStatistics,
    overwritten: u64,
) -> Result<()> {
    let exact = table.key == TableKey::None || overwritten == 0;
    for column in table.columns.iter().filter(|column| column.role != ColumnRole::Time) {
        let found = output.column(column.field_id);
        let held = inputs.iter().any(|(_, statistics)| statistics.column(column.field_id).is_some());
        let wrong = |what: &str| Err(Error::Check { reason: format!("column {}: {what}", column.name) });
        let Some(found) = found else {
            if held {
                return wrong("it is missing in the output");
            }
            continue;
        };
        if exact {
            let nulls: u64 = inputs.iter().map(|(rows, file)| nulls_of(*rows, file, column.field_id)).sum();
            if nulls != found.null_count {
                return wrong(&format!("{} rows have no value, not {nulls}", found.null_count));
            }
            if let Some(sum) = sum_of(inputs, column.field_id)
                && found.sum.is_some_and(|found| found != sum)
            {
                return wrong("its sum is not that of the inputs");
            }
        }
        let bounds = inputs.iter().filter_map(|(_, file)| file.column(column.field_id));
        if !contains(column.column_type, bounds, found, exact) {
            return wrong("its extremes are not those of the inputs");
        }
    }
    Ok(())
}

fn nulls_of(rows: u64, file: &FileStatistics, field: FieldId) -> u64 {
    file.column(field).map_or(rows, |column| column.null_count)
}

fn sum_of(inputs: &[(u64, FileStatistics)], field: FieldId) -> Option<i128> {
    inputs.iter().filter_map(|(_, file)| file.column(field)).try_fold(0_i128, |sum, column| Some(sum + column.sum?))
}

/// Whether the output's extremes lie within the inputs', and are the same if nothing was overwritten.
fn contains<'a>(
    column_type: ColumnType,
    inputs: impl Iterator<Item = &'a ColumnStatistics>,
    output: &ColumnStatistics,
    exact: bool,
) -> bool {
    let (mut least, mut greatest): (Option<&Scalar>, Option<&Scalar>) = (None, None);
    for input in inputs {
        let has_values = input.min.is_some() || input.max.is_some();
        if has_values && !(input.min_exact && input.max_exact) {
            return true;
        }
        if !has_values && input.sum.is_none() && column_type == ColumnType::Float {
            // No value at all, or one that has no order: nothing can be said.
            return true;
        }
        if let (Some(min), Some(max)) = (&input.min, &input.max) {
            least = Some(least.map_or(min, |least| if less(min, least) { min } else { least }));
            greatest = Some(greatest.map_or(max, |greatest| if less(greatest, max) { max } else { greatest }));
        }
    }
    match (least, greatest, &output.min, &output.max) {
        (Some(least), Some(greatest), Some(min), Some(max)) if exact => {
            least.order(min) == Ordering::Equal && greatest.order(max) == Ordering::Equal
        }
        (Some(least), Some(greatest), Some(min), Some(max)) => !less(min, least) && !less(greatest, max),
        (Some(_), ..) => !exact,
        (None, ..) => output.min.is_none() && output.max.is_none(),
    }
}

fn less(a: &Scalar, b: &Scalar) -> bool {
    a.order(b) == Ordering::Less
}
