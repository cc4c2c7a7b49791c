//! Field columns: values picked from their parts in table order.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, StringViewBuilder, TimestampNanosecondArray,
    UInt64Array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use gigapi_model::{Column as TableColumn, ColumnType};

use super::order::{Ordered, RowRef};
use crate::column::{Column, Strings, Values};
use crate::part::Part;

pub(super) fn timestamps(time: &[i64]) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(time.to_vec()))
}

pub(super) fn integers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// A column without values, as SQL sees it.
pub(super) fn nulls(column_type: ColumnType, rows: usize) -> ArrayRef {
    let data_type = match column_type {
        ColumnType::Float => DataType::Float64,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Unsigned => DataType::UInt64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::String => DataType::Utf8View,
        ColumnType::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
    };
    new_null_array(&data_type, rows)
}

/// One field's columns, by part.
#[derive(Debug)]
pub(super) struct Source<'a> {
    column_type: ColumnType,
    by_part: Vec<Option<&'a Column>>,
    /// Whether every part has the field in every row.
    complete: bool,
}

impl<'a> Source<'a> {
    /// The field's columns; `None` if no part has it with the table's type.
    pub(super) fn new(parts: &'a [Arc<Part>], column: &TableColumn) -> Option<Self> {
        let find = |part: &'a Arc<Part>| {
            let field = part.fields().iter().find(|field| field.field_id == column.field_id)?;
            (field.column.column_type() == column.column_type).then_some(&field.column)
        };
        let by_part: Vec<Option<&'a Column>> = parts.iter().map(find).collect();
        by_part.iter().any(Option::is_some).then(|| Self {
            column_type: column.column_type,
            complete: by_part.iter().all(|column| column.is_some_and(|column| column.nulls_absent())),
            by_part,
        })
    }

    fn has(&self, at: RowRef) -> bool {
        self.by_part[at.part as usize].is_some_and(|column| column.is_valid(at.row as usize))
    }

    /// Where each row's value lies: its last write, or the newest earlier one that has a value. Rows
    /// without any keep their last write, which is null in the buffer that comes along.
    fn resolve(&self, ordered: &Ordered) -> (Vec<RowRef>, Option<NullBuffer>) {
        let mut refs = ordered.last.clone();
        for &(row, start, end) in &ordered.overwritten {
            let at = &mut refs[row as usize];
            if !self.has(*at) {
                let older = &ordered.older[start as usize..end as usize];
                *at = older.iter().copied().find(|&older| self.has(older)).unwrap_or(*at);
            }
        }
        let valid = BooleanBuffer::collect_bool(refs.len(), |row| self.has(refs[row]));
        let nulls = NullBuffer::new(valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        (refs, nulls)
    }

    /// The values as they are written to a file.
    pub(super) fn disk_array(&self, ordered: &Ordered) -> Result<ArrayRef, ArrowError> {
        self.array(ordered, |texts, nulls| {
            let total: usize = texts.iter().map(|text| text.len()).sum();
            let mut bytes = Vec::with_capacity(total);
            for text in &texts {
                bytes.extend_from_slice(text);
            }
            let offsets = OffsetBuffer::from_lengths(texts.iter().map(|text| text.len()));
            Ok(Arc::new(StringArray::try_new(offsets, bytes.into(), nulls)?))
        })
    }

    /// The values as SQL sees them.
    pub(super) fn sql_array(&self, ordered: &Ordered) -> Result<ArrayRef, ArrowError> {
        self.array(ordered, |texts, nulls| {
            let mut builder = StringViewBuilder::with_capacity(texts.len());
            for (row, text) in texts.iter().enumerate() {
                if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                    builder.append_null();
                } else {
                    let text = std::str::from_utf8(text)
                        .map_err(|error| ArrowError::InvalidArgumentError(format!("a text is not UTF-8: {error}")))?;
                    builder.append_value(text);
                }
            }
            Ok(Arc::new(builder.finish()))
        })
    }

    fn array(
        &self,
        ordered: &Ordered,
        texts: impl FnOnce(Vec<&'a [u8]>, Option<NullBuffer>) -> Result<ArrayRef, ArrowError>,
    ) -> Result<ArrayRef, ArrowError> {
        let resolved;
        let (refs, nulls) = if self.complete {
            (&ordered.last, None)
        } else {
            resolved = self.resolve(ordered);
            (&resolved.0, resolved.1)
        };
        Ok(match self.column_type {
            ColumnType::Float => Arc::new(Float64Array::try_new(pick(&self.slices(floats), refs), nulls)?),
            ColumnType::Integer => Arc::new(Int64Array::try_new(pick(&self.slices(signed), refs), nulls)?),
            ColumnType::Unsigned => Arc::new(UInt64Array::try_new(pick(&self.slices(unsigned), refs), nulls)?),
            ColumnType::Boolean => {
                let slices = self.slices(booleans);
                let bits = BooleanBuffer::collect_bool(refs.len(), |row| value(&slices, refs[row]));
                Arc::new(BooleanArray::new(bits, nulls))
            }
            ColumnType::String | ColumnType::Time => {
                let strings: Vec<Option<&'a Strings>> =
                    self.by_part.iter().map(|column| column.and_then(|column| strings(column.values()))).collect();
                let picked = refs
                    .iter()
                    .map(|at| strings[at.part as usize].map_or(&[][..], |texts| texts.get(at.row as usize)))
                    .collect();
                return texts(picked, nulls);
            }
        })
    }

    /// Per part, the column's plain values; empty where the part lacks the field.
    fn slices<T>(&self, of: fn(&'a Values) -> &'a [T]) -> Vec<&'a [T]> {
        self.by_part.iter().map(|column| column.map_or(&[][..], |column| of(column.values()))).collect()
    }
}

fn value<T: Copy + Default>(slices: &[&[T]], at: RowRef) -> T {
    slices.get(at.part as usize).and_then(|slice| slice.get(at.row as usize)).copied().unwrap_or_default()
}

fn pick<T: Copy + Default + arrow::datatypes::ArrowNativeType>(slices: &[&[T]], refs: &[RowRef]) -> ScalarBuffer<T> {
    refs.iter().map(|&at| value(slices, at)).collect::<Vec<T>>().into()
}

fn floats(values: &Values) -> &[f64] {
    if let Values::Float(values) = values { values } else { &[] }
}

fn signed(values: &Values) -> &[i64] {
    if let Values::Integer(values) = values { values } else { &[] }
}

fn unsigned(values: &Values) -> &[u64] {
    if let Values::Unsigned(values) = values { values } else { &[] }
}

fn booleans(values: &Values) -> &[bool] {
    if let Values::Boolean(values) = values { values } else { &[] }
}

fn strings(values: &Values) -> Option<&Strings> {
    if let Values::String(texts) = values { Some(texts) } else { None }
}
