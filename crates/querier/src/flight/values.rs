//! Values that a client binds to a statement's parameters.
//!
//! Clients send them as one row, and do not agree on how: ADBC numbers the columns from `0`, flightsql-dbapi calls them
//! `param_0` and puts each value into a union of all types, others use the parameters' names. The first column's value is
//! that of `$1` or of the first `?` unless its name says otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use datafusion::common::{ParamValues, ScalarValue};

use super::refusal::{Refusal, Result};

/// Bytes of all values of one statement.
const BYTES_MAX: usize = 1 << 20;

/// How deep a union may lie in another.
const UNIONS_MAX: usize = 4;

/// Values by the name or the number of their parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Values(BTreeMap<String, ScalarValue>);

impl Values {
    /// The values of the only row; none if there is no row.
    pub(super) fn of_row(batch: &RecordBatch) -> Result<Option<Self>> {
        match batch.num_rows() {
            0 => return Ok(None),
            1 => {}
            rows => {
                return Err(Refusal::invalid(format!(
                    "{rows} rows of parameters came for one statement; bind one row and execute, then the next"
                )));
            }
        }
        let mut values = BTreeMap::new();
        for (index, (field, column)) in batch.schema().fields().iter().zip(batch.columns()).enumerate() {
            let value = scalar(column, 0).map_err(|reason| {
                Refusal::invalid(format!("the value of parameter {:?} cannot be used: {reason}", field.name()))
            })?;
            for name in names(field.name(), index) {
                values.insert(name, value.clone());
            }
        }
        Ok(Some(Self(values)))
    }

    /// As the engine takes them.
    pub(super) fn into_parameters(self) -> ParamValues {
        ParamValues::from(self.0.into_iter().collect::<std::collections::HashMap<_, _>>())
    }

    /// As a handle keeps them.
    pub(super) fn to_bytes(&self) -> Result<Bytes> {
        let unwritable = |error: ArrowError| Refusal::invalid(format!("the parameters cannot be kept: {error}"));
        let columns = self.0.values().map(|value| value.to_array().map_err(ArrowError::from));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(unwritable)?;
        let fields =
            self.0.keys().zip(&columns).map(|(name, column)| Field::new(name, column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options).map_err(unwritable)?;
        let mut bytes = Vec::new();
        let written = StreamWriter::try_new(&mut bytes, &schema)
            .and_then(|mut writer| writer.write(&batch).and_then(|()| writer.finish()));
        written.map_err(unwritable)?;
        match bytes.len() {
            ..=BYTES_MAX => Ok(bytes.into()),
            length => {
                let message = format!("the values of the parameters take {length} bytes, {BYTES_MAX} is the limit");
                Err(Refusal::invalid(message))
            }
        }
    }

    /// What [`Self::to_bytes`] made.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let unreadable = |_| Refusal::invalid("the values in the statement's handle cannot be read; bind them again");
        let mut batches = StreamReader::try_new(bytes, None).map_err(unreadable)?;
        let batch = batches.next().transpose().map_err(unreadable)?;
        let Some(batch) = batch.filter(|batch| batch.num_rows() == 1) else {
            return Err(unreadable(ArrowError::ParseError(String::new())));
        };
        let mut values = BTreeMap::new();
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let value = ScalarValue::try_from_array(column, 0).map_err(|error| unreadable(error.into()))?;
            values.insert(field.name().clone(), value);
        }
        Ok(Self(values))
    }
}

/// The parameters that a column's value is for. Numbers without `$` count columns, as ADBC's do.
fn names(column: &str, index: usize) -> Vec<String> {
    let position = (index + 1).to_string();
    let is_number = |text: &str| text.parse::<usize>().is_ok();
    match column.strip_prefix('$') {
        Some(name) if is_number(name) => vec![name.to_owned()],
        Some(name) if !name.is_empty() => vec![position, name.to_owned()],
        _ if column.is_empty() || is_number(column) => vec![position],
        _ => vec![position, column.to_owned()],
    }
}

/// The value in that row, out of whatever it is wrapped in.
fn scalar(column: &ArrayRef, row: usize) -> std::result::Result<ScalarValue, String> {
    let mut column = column.slice(row, 1);
    for _ in 0..UNIONS_MAX {
        let Some(union) = column.as_union_opt() else { break };
        column = union.value(0);
    }
    let plain = match column.data_type().clone() {
        DataType::Union(..) => return Err("unions are nested too deeply".to_owned()),
        DataType::Dictionary(_, value) => cast(&column, &value).map_err(|error| error.to_string())?,
        DataType::RunEndEncoded(_, value) => cast(&column, value.data_type()).map_err(|error| error.to_string())?,
        _ => column,
    };
    ScalarValue::try_from_array(&plain, 0).map_err(|error| error.strip_backtrace())
}

#[cfg(test)]
mod tests;
