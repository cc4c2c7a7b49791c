//! Record batches as line protocol, row by row into one buffer.
//!
//! Columns are brought to the five types of line protocol once per batch; after that a row costs no
//! allocation. A row that line protocol cannot express is left out and counted by its reason, because a
//! changed value would be worse than a missing one.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Result;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::plan::{Plan, Sent};
use super::time::times;

/// Rows that were left out, by reason, with the first of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    without_time: Option<(u64, u64)>,
    without_field: Option<(u64, u64)>,
    /// How many, the first row, and its tag.
    bad_tag: Option<(u64, u64, String)>,
}

impl LeftOut {
    /// How many rows there are.
    pub(super) fn rows(&self) -> u64 {
        let count = |rows: Option<(u64, u64)>| rows.map_or(0, |(count, _)| count);
        count(self.without_time) + count(self.without_field) + self.bad_tag.as_ref().map_or(0, |(count, ..)| *count)
    }

    /// Why they were left out, if any were.
    pub(super) fn reasons(&self) -> Option<String> {
        let mut reasons = Vec::new();
        if let Some((count, row)) = self.without_time {
            reasons.push(format!("{count} have no readable time (the first is row {row})"));
        }
        if let Some((count, row)) = self.without_field {
            reasons.push(format!("{count} have no value in any field (the first is row {row})"));
        }
        if let Some((count, row, tag)) = &self.bad_tag {
            reasons.push(format!(
                "{count} have a tag that line protocol cannot express: a newline or tab in it or a backslash at its end \
                 (the first is {tag:?} of row {row}; it could be a field)"
            ));
        }
        (!reasons.is_empty()).then(|| format!("left out {} rows: {}", self.rows(), reasons.join("; ")))
    }

    fn note(reason: &mut Option<(u64, u64)>, row: u64) {
        reason.get_or_insert((0, row)).0 += 1;
    }
}

/// Rows as lines.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) body: Vec<u8>,
    /// For each row the line of the body on which it begins, and its number in the source; both from 1.
    pub(super) rows: Vec<(u64, u64)>,
}

/// A column in one of the types that line protocol has.
#[derive(Debug)]
enum Values {
    Float(Float64Array),
    Integer(Int64Array),
    Unsigned(UInt64Array),
    Boolean(BooleanArray),
    Text(StringArray),
}

/// The rows as lines; the first is row `first_row` of its source. What cannot be a line is noted in `left_out`.
pub(super) fn encode(batch: &RecordBatch, plan: &Plan, first_row: u64, left_out: &mut LeftOut) -> Result<Encoded> {
    let times = times(batch.column(plan.time), &plan.format)?;
    let tags: Vec<(&Sent, StringArray)> =
        plan.tags.iter().map(|sent| Ok((sent, text(batch.column(sent.index))?))).collect::<Result<_>>()?;
    let fields: Vec<(&Sent, Values)> =
        plan.fields.iter().map(|sent| Ok((sent, values(batch.column(sent.index))?))).collect::<Result<_>>()?;
    let mut out = Vec::with_capacity(batch.num_rows() * 100);
    let mut rows = Vec::with_capacity(batch.num_rows());
    let mut line = 1;
    for (index, time) in times.iter().enumerate() {
        let row = first_row + index as u64;
        let Some(time) = time else {
            LeftOut::note(&mut left_out.without_time, row);
            continue;
        };
        let start = out.len();
        out.extend_from_slice(&plan.measurement);
        if let Some(tag) = put_tags(&mut out, &tags, index) {
            left_out.bad_tag.get_or_insert((0, row, tag.to_owned())).0 += 1;
            out.truncate(start);
            continue;
        }
        out.push(b' ');
        let before = out.len();
        for (sent, values) in &fields {
            put_field(&mut out, &sent.key, values, index, before)?;
        }
        if out.len() == before {
            LeftOut::note(&mut left_out.without_field, row);
            out.truncate(start);
            continue;
        }
        writeln!(out, " {time}")?;
        rows.push((line, row));
        line += out.get(start..).unwrap_or_default().iter().filter(|&&byte| byte == b'\n').count() as u64;
    }
    Ok(Encoded { body: out, rows })
}

/// Appends the tags of a row; one that cannot be written comes back. An empty tag is none.
fn put_tags<'a>(out: &mut Vec<u8>, tags: &'a [(&Sent, StringArray)], row: usize) -> Option<&'a str> {
    for (sent, values) in tags {
        if values.is_null(row) || values.value(row).is_empty() {
            continue;
        }
        let value = values.value(row);
        if value.ends_with('\\') || value.contains(['\n', '\t']) {
            return Some(&sent.name);
        }
        out.push(b',');
        out.extend_from_slice(&sent.key);
        escape(out, value, b", =");
    }
    None
}

/// Appends a field of a row, if it has a value that can be stored.
fn put_field(out: &mut Vec<u8>, key: &[u8], values: &Values, row: usize, before: usize) -> Result<()> {
    let has_value = match values {
        Values::Float(array) => array.is_valid(row) && array.value(row).is_finite(),
        Values::Integer(array) => array.is_valid(row),
        Values::Unsigned(array) => array.is_valid(row),
        Values::Boolean(array) => array.is_valid(row),
        Values::Text(array) => array.is_valid(row),
    };
    if !has_value {
        return Ok(());
    }
    if out.len() > before {
        out.push(b',');
    }
    out.extend_from_slice(key);
    match values {
        // The shortest digits that come back as the same double, with an exponent where that is shorter.
        Values::Float(array) => write!(out, "{:?}", array.value(row))?,
        Values::Integer(array) => write!(out, "{}i", array.value(row))?,
        Values::Unsigned(array) => write!(out, "{}u", array.value(row))?,
        Values::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
        Values::Text(array) => {
            out.push(b'"');
            escape(out, array.value(row), b"\"\\");
            out.push(b'"');
        }
    }
    Ok(())
}

fn values(array: &ArrayRef) -> Result<Values> {
    let as_type = |data_type: &DataType| cast(array, data_type);
    Ok(match array.data_type() {
        DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Values::Float(as_type(&DataType::Float64)?.as_primitive().clone()),
        DataType::UInt64 => Values::Unsigned(array.as_primitive().clone()),
        other if other.is_integer() => Values::Integer(as_type(&DataType::Int64)?.as_primitive().clone()),
        DataType::Boolean => Values::Boolean(array.as_boolean().clone()),
        _ => Values::Text(text(array)?),
    })
}

/// Any column as texts.
pub(super) fn text(array: &ArrayRef) -> Result<StringArray> {
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string().clone(),
        DataType::LargeUtf8 | DataType::Utf8View => cast(array, &DataType::Utf8)?.as_string().clone(),
        DataType::Dictionary(_, values) => {
            let plain = cast(array, values)?;
            return text(&plain);
        }
        _ => {
            let options = FormatOptions::new();
            let format = ArrayFormatter::try_new(array, &options)?;
            let mut texts = arrow::array::StringBuilder::with_capacity(array.len(), array.len() * 16);
            for row in 0..array.len() {
                if array.is_valid(row) {
                    write!(texts, "{}", format.value(row))?;
                    texts.append_value("");
                } else {
                    texts.append_null();
                }
            }
            texts.finish()
        }
    })
}

/// A name before `=`, escaped, with `=` behind it.
pub(super) fn escape_key(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    escape(&mut out, name, b", =");
    out.push(b'=');
    out
}

/// A measurement, escaped.
pub(super) fn escape_measurement(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    escape(&mut out, name, b", ");
    out
}

/// Appends `text` with a backslash before each of the `special` bytes.
fn escape(out: &mut Vec<u8>, text: &str, special: &[u8]) {
    if !text.bytes().any(|byte| special.contains(&byte)) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        if special.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests;
