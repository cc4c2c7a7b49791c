//! Times as files write them, to nanoseconds since 1970.
//!
//! A value that cannot be read is absent, never guessed: its row is left out and counted.

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use gigapi_writer::line_protocol::Precision;

use super::lines::text;

/// How a time is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TimeFormat {
    /// By what the value looks like.
    Auto,
    /// `2026-01-31T07:00:00Z`, also without zone or with a space.
    Rfc3339,
    /// `2026-01-31`.
    Date,
    /// Counted since 1970 in this unit.
    Epoch(Precision),
    /// As `strftime` describes it.
    Pattern(String),
}

impl TimeFormat {
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "" | "auto" => Self::Auto,
            "rfc3339" => Self::Rfc3339,
            "date" => Self::Date,
            "s" | "ms" | "us" | "ns" => Self::Epoch(Precision::from_query(text).unwrap_or_default()),
            pattern => Self::Pattern(pattern.to_owned()),
        }
    }

    /// The unit of times that are numbers.
    fn unit(&self) -> Precision {
        match self {
            Self::Epoch(unit) => *unit,
            _ => Precision::Auto,
        }
    }
}

/// Nanoseconds since 1970, where a time can be read.
pub(super) fn times(array: &ArrayRef, format: &TimeFormat) -> Result<Vec<Option<i64>>> {
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
    Ok(match array.data_type() {
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => {
            // Times with a zone are the same instant without one.
            let plain = cast(array, &nanos)?;
            plain.as_primitive::<TimestampNanosecondType>().iter().collect()
        }
        other if other.is_integer() => {
            let counts = cast(array, &DataType::Int64)?;
            counts.as_primitive::<Int64Type>().iter().map(|count| format.unit().to_nanos(count?)).collect()
        }
        other if other.is_floating() => {
            let counts = cast(array, &DataType::Float64)?;
            let read = |count: Option<f64>| float_epoch(count?, format);
            counts.as_primitive::<Float64Type>().iter().map(read).collect()
        }
        _ => {
            let texts = text(array).context("the time column")?;
            texts.iter().map(|text| read_time(text?.trim(), format)).collect()
        }
    })
}

/// Seconds and the like with a fraction. Whole units are exact; the fraction is as exact as a double is.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast to an integer saturates, and to_nanos refuses what is too large"
)]
fn float_epoch(count: f64, format: &TimeFormat) -> Option<i64> {
    if !count.is_finite() {
        return None;
    }
    let whole = format.unit().to_nanos(count.trunc() as i64)?;
    // What one unit is worth follows from the next count, so that the guess of `auto` counts too.
    let next = format.unit().to_nanos((count.trunc() as i64).checked_add(1)?)?;
    whole.checked_add((count.fract() * next.saturating_sub(whole) as f64).round() as i64)
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
        TimeFormat::Epoch(unit) => return unit.to_nanos(text.parse().ok()?),
        TimeFormat::Auto => match text.parse() {
            Ok(count) => return Precision::Auto.to_nanos(count),
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

#[cfg(test)]
mod tests;
