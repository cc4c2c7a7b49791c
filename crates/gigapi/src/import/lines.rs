//! Record batches as line protocol, column by column into one buffer.

use std::io::Write;

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::plan::{Plan, TimeFormat};

/// A column in one of the types that line protocol has.
enum Values {
    Float(ArrayRef),
    Integer(ArrayRef),
    Unsigned(ArrayRef),
    Boolean(ArrayRef),
    Text(ArrayRef),
}

/// The rows as lines, and how many have no time and are left out.
pub(super) fn encode(batch: &arrow::array::RecordBatch, plan: &Plan) -> Result<(Vec<u8>, u64)> {
    let times = times(batch.column(plan.time), &plan.format)?;
    let texts = |columns: &[super::plan::Sent]| {
        columns.iter().map(|sent| text(batch.column(sent.index))).collect::<Result<Vec<_>>>()
    };
    let tags = texts(&plan.tags)?;
    let fields: Vec<Values> =
        plan.fields.iter().map(|sent| values(batch.column(sent.index))).collect::<Result<_>>()?;
    let mut out = Vec::with_capacity(batch.num_rows() * 100);
    let mut without_time = 0;
    for (row, time) in times.iter().enumerate() {
        let Some(time) = time else {
            without_time += 1;
            continue;
        };
        let start = out.len();
        out.extend_from_slice(&plan.measurement);
        for (sent, values) in plan.tags.iter().zip(&tags) {
            let value = values.as_string::<i32>();
            if value.is_valid(row) && !value.value(row).is_empty() {
                out.push(b',');
                out.extend_from_slice(&sent.key);
                escape(&mut out, value.value(row), b", =\\");
            }
        }
        out.push(b' ');
        let before = out.len();
        for (sent, values) in plan.fields.iter().zip(&fields) {
            put_field(&mut out, &sent.key, values, row, before)?;
        }
        if out.len() == before {
            // A row of nulls says nothing.
            out.truncate(start);
            continue;
        }
        writeln!(out, " {time}")?;
    }
    Ok((out, without_time))
}

fn put_field(out: &mut Vec<u8>, key: &[u8], values: &Values, row: usize, before: usize) -> Result<()> {
    let (Values::Float(array) | Values::Integer(array) | Values::Unsigned(array) | Values::Boolean(array) | Values::Text(array)) =
        values;
    if array.is_null(row) {
        return Ok(());
    }
    if let Values::Float(array) = values
        && !array.as_primitive::<Float64Type>().value(row).is_finite()
    {
        return Ok(());
    }
    if out.len() > before {
        out.push(b',');
    }
    out.extend_from_slice(key);
    match values {
        Values::Float(array) => write!(out, "{}", array.as_primitive::<Float64Type>().value(row))?,
        Values::Integer(array) => write!(out, "{}i", array.as_primitive::<Int64Type>().value(row))?,
        Values::Unsigned(array) => write!(out, "{}u", array.as_primitive::<UInt64Type>().value(row))?,
        Values::Boolean(array) => out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" }),
        Values::Text(array) => {
            out.push(b'"');
            escape(out, array.as_string::<i32>().value(row), b"\"\\");
            out.push(b'"');
        }
    }
    Ok(())
}

fn values(array: &ArrayRef) -> Result<Values> {
    Ok(match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => {
            Values::Float(cast(array, &DataType::Float64)?)
        }
        DataType::UInt64 => Values::Unsigned(cast(array, &DataType::UInt64)?),
        other if other.is_integer() => Values::Integer(cast(array, &DataType::Int64)?),
        DataType::Boolean => Values::Boolean(cast(array, &DataType::Boolean)?),
        _ => Values::Text(text(array)?),
    })
}

/// Any column as texts.
fn text(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Utf8 => array.clone(),
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => cast(array, &DataType::Utf8)?,
        _ => {
            let options = FormatOptions::new();
            let format = ArrayFormatter::try_new(array, &options)?;
            let texts = (0..array.len()).map(|row| array.is_valid(row).then(|| format.value(row).to_string()));
            std::sync::Arc::new(arrow::array::StringArray::from_iter(texts))
        }
    })
}

/// Nanoseconds since 1970, where a time can be read.
fn times(array: &ArrayRef, format: &TimeFormat) -> Result<Vec<Option<i64>>> {
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
    Ok(match array.data_type() {
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => {
            // Times with a zone are the same instant without one.
            let plain = cast(array, &nanos)?;
            plain.as_primitive::<TimestampNanosecondType>().iter().collect()
        }
        other if other.is_integer() => {
            let counts = cast(array, &DataType::Int64)?;
            counts.as_primitive::<Int64Type>().iter().map(|count| epoch(count?, format)).collect()
        }
        other if other.is_floating() => {
            let counts = cast(array, &DataType::Float64)?;
            let read = |count: Option<f64>| float_epoch(count?, format);
            counts.as_primitive::<Float64Type>().iter().map(read).collect()
        }
        _ => {
            let texts = text(array).context("the time column")?;
            texts.as_string::<i32>().iter().map(|text| read_time(text?.trim(), format)).collect()
        }
    })
}

fn epoch(count: i64, format: &TimeFormat) -> Option<i64> {
    let unit = match format {
        TimeFormat::Epoch(unit) => *unit,
        // By magnitude, as the server's own `auto` does.
        _ => match count.unsigned_abs() / 1_000_000_000 {
            0..5 => 1_000_000_000,
            5..5_000 => 1_000_000,
            5_000..5_000_000 => 1_000,
            _ => 1,
        },
    };
    count.checked_mul(unit)
}

#[expect(clippy::cast_possible_truncation, reason = "seconds with a fraction that fit into nanoseconds")]
fn float_epoch(count: f64, format: &TimeFormat) -> Option<i64> {
    let whole = count.trunc();
    let nanos = epoch(whole as i64, format)?;
    let unit = if whole == 0.0 { 1_000_000_000.0 } else { nanos as f64 / whole };
    nanos.checked_add(((count - whole) * unit).round() as i64)
}

fn read_time(text: &str, format: &TimeFormat) -> Option<i64> {
    let date = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let plain = |text: &str| {
        let patterns = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
        patterns.iter().find_map(|pattern| NaiveDateTime::parse_from_str(text, pattern).ok())
    };
    let zoned = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.naive_utc());
    let time = match format {
        TimeFormat::Date => date(text),
        TimeFormat::Rfc3339 => zoned(text).or_else(|| plain(text)),
        TimeFormat::Epoch(_) => return epoch(text.parse().ok()?, format),
        TimeFormat::Auto => match text.parse() {
            Ok(count) => return epoch(count, format),
            Err(_) => zoned(text).or_else(|| plain(text)).or_else(|| date(text)),
        },
        TimeFormat::Pattern(pattern) => DateTime::parse_from_str(text, pattern)
            .map(|time| time.naive_utc())
            .ok()
            .or_else(|| NaiveDateTime::parse_from_str(text, pattern).ok())
            .or_else(|| NaiveDate::parse_from_str(text, pattern).ok()?.and_hms_opt(0, 0, 0)),
    };
    time?.and_utc().timestamp_nanos_opt()
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

fn escape(out: &mut Vec<u8>, text: &str, special: &[u8]) {
    // Outside of quoted texts a newline ends the line; names and tags have none.
    let quoted = special.contains(&b'"');
    for byte in text.bytes() {
        if !quoted && matches!(byte, b'\n' | b'\r') {
            out.push(b' ');
            continue;
        }
        if special.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests;
