//! The catalog's statistics of a file in the engine's terms.
//!
//! The engine answers `count`, `min`, `max` and sums from values that are called exact, and folds columns that
//! are constant in a file, so nothing is called exact here that is not. Decoded statistics are kept between
//! queries: files never change.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use gigapi_catalog::Reader;
use gigapi_model::{ColumnType, DataFile, FileId, TableDef, TableId};
use gigapi_storage::{FileStatistics, Scalar};

use crate::{Error, Result};

/// Decoded statistics per generation; two generations are kept.
const CACHED_FILES_PER_GENERATION: usize = 20_000;

/// Decoded statistics of files, shared by all queries.
#[derive(Debug, Default)]
pub(crate) struct StatisticsCache {
    generations: parking_lot::Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<FileId, Arc<FileStatistics>>,
    old: HashMap<FileId, Arc<FileStatistics>>,
}

impl Generations {
    fn get(&mut self, id: FileId) -> Option<Arc<FileStatistics>> {
        if let Some(found) = self.young.get(&id) {
            return Some(Arc::clone(found));
        }
        let found = self.old.remove(&id)?;
        self.put(id, Arc::clone(&found));
        Some(found)
    }

    fn put(&mut self, id: FileId, statistics: Arc<FileStatistics>) {
        if self.young.len() >= CACHED_FILES_PER_GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, statistics);
    }
}

impl StatisticsCache {
    /// The statistics of these files, in their order; `None` where the catalog has none.
    pub(crate) async fn of_files(
        &self,
        catalog: &dyn Reader,
        table: TableId,
        files: &[Arc<DataFile>],
    ) -> Result<Vec<Option<Arc<FileStatistics>>>> {
        let mut found: Vec<_> = {
            let mut generations = self.generations.lock();
            files.iter().map(|file| generations.get(file.id)).collect()
        };
        let missing: Vec<FileId> =
            files.iter().zip(&found).filter(|(_, known)| known.is_none()).map(|(file, _)| file.id).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let read = catalog.statistics(table, &missing).await?;
        for (file, slot) in files.iter().zip(&mut found).filter(|(_, slot)| slot.is_none()) {
            let Some(bytes) = read.get(&file.id) else { continue };
            let decoded = FileStatistics::from_bytes(bytes)
                .map_err(|error| Error::Corrupt { detail: format!("statistics of file {}: {error}", file.id) })?;
            let decoded = Arc::new(decoded);
            self.generations.lock().put(file.id, Arc::clone(&decoded));
            *slot = Some(decoded);
        }
        Ok(found)
    }
}

/// The file's statistics, one entry per column of the table.
pub(crate) fn of_file(table: &TableDef, file: &DataFile, known: Option<&FileStatistics>) -> Statistics {
    let rows = usize::try_from(file.rows).unwrap_or(usize::MAX);
    let columns = table.columns.iter().map(|column| {
        if column.column_type == ColumnType::Time {
            return time_column(file);
        }
        let Some(statistics) = known else { return ColumnStatistics::new_unknown() };
        match statistics.column(column.field_id) {
            Some(found) => of_column(column.column_type, found),
            // The file lacks the column, so every row is null there.
            None => ColumnStatistics { null_count: Precision::Exact(rows), ..ColumnStatistics::new_unknown() },
        }
    });
    Statistics {
        num_rows: Precision::Exact(rows),
        total_byte_size: Precision::Absent,
        column_statistics: columns.collect(),
    }
}

fn time_column(file: &DataFile) -> ColumnStatistics {
    let at = |nanos| Precision::Exact(ScalarValue::TimestampNanosecond(Some(nanos), None));
    ColumnStatistics {
        null_count: Precision::Exact(0),
        min_value: at(file.time.min.nanos()),
        max_value: at(file.time.max.nanos()),
        ..ColumnStatistics::new_unknown()
    }
}

fn of_column(column_type: ColumnType, found: &gigapi_storage::ColumnStatistics) -> ColumnStatistics {
    let bound = |value: Option<&Scalar>, exact: bool| match value.and_then(|value| scalar(column_type, value)) {
        Some(value) if exact => Precision::Exact(value),
        Some(value) => Precision::Inexact(value),
        None => Precision::Absent,
    };
    ColumnStatistics {
        null_count: Precision::Exact(usize::try_from(found.null_count).unwrap_or(usize::MAX)),
        min_value: bound(found.min.as_ref(), found.min_exact),
        max_value: bound(found.max.as_ref(), found.max_exact),
        sum_value: sum(column_type, found.sum),
        ..ColumnStatistics::new_unknown()
    }
}

fn scalar(column_type: ColumnType, value: &Scalar) -> Option<ScalarValue> {
    Some(match (column_type, value) {
        (ColumnType::Integer, Scalar::Integer(value)) => ScalarValue::Int64(Some(*value)),
        (ColumnType::Unsigned, Scalar::Unsigned(value)) => ScalarValue::UInt64(Some(*value)),
        (ColumnType::Float, Scalar::Float(value)) => ScalarValue::Float64(Some(*value)),
        (ColumnType::Boolean, Scalar::Boolean(value)) => ScalarValue::Boolean(Some(*value)),
        (ColumnType::String, Scalar::String(value)) => ScalarValue::Utf8View(Some(value.clone())),
        _ => return None,
    })
}

fn sum(column_type: ColumnType, sum: Option<i128>) -> Precision<ScalarValue> {
    let value = match (column_type, sum) {
        (ColumnType::Integer, Some(sum)) => i64::try_from(sum).ok().map(|sum| ScalarValue::Int64(Some(sum))),
        (ColumnType::Unsigned, Some(sum)) => u64::try_from(sum).ok().map(|sum| ScalarValue::UInt64(Some(sum))),
        _ => None,
    };
    value.map_or(Precision::Absent, Precision::Exact)
}

/// The columns that the file holds, as the SQL schema types them; `None` where that is not known.
///
/// Handed to the reader it turns the stored integer times into timestamps without a cast in every expression.
pub(crate) fn stored_schema(table: &TableDef, schema: &SchemaRef, known: Option<&FileStatistics>) -> Option<SchemaRef> {
    let known = known?;
    if known.columns.len() == table.columns.len() {
        return Some(Arc::clone(schema));
    }
    let fields = known.columns.iter().map(|column| {
        let index = table.columns.binary_search_by_key(&column.field_id, |known| known.field_id).ok()?;
        schema.fields().get(index).cloned()
    });
    Some(Arc::new(Schema::new(fields.collect::<Option<Vec<_>>>()?)))
}
