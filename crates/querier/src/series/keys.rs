//! What rows are grouped by: tags, and spans of time of one length.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use gigapi_model::{ColumnRole, TIME_COLUMN, TableDef, TimeRange};

/// One part of a group's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// A tag: its place among the table's columns, and its type in the result.
    Tag { column: usize, data_type: DataType },
    /// The start of the span that holds the row's time.
    Span(Span),
}

/// Spans of time: all as long as each other, one beginning at `origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) nanos: i64,
    pub(super) origin: i64,
}

impl Span {
    /// The start of the span that holds `time`; `None` if it lies before all time.
    pub(super) fn start(self, time: i64) -> Option<i64> {
        let number = time.checked_sub(self.origin)?.div_euclid(self.nanos);
        number.checked_mul(self.nanos)?.checked_add(self.origin)
    }

    /// The start of the only span in which times of that range lie.
    pub(super) fn only(self, range: TimeRange) -> Option<i64> {
        let first = self.start(range.min.nanos())?;
        (self.start(range.max.nanos())? == first).then_some(first)
    }
}

impl Key {
    /// Understands a key that is made of the table's columns.
    pub(super) fn of(expr: &Arc<dyn PhysicalExpr>, table: &TableDef, data_type: &DataType) -> Option<Self> {
        if let Some(column) = expr.downcast_ref::<Column>() {
            let place = table.columns.iter().position(|known| known.name.as_str() == column.name())?;
            let is_tag = table.columns[place].role == ColumnRole::Tag && *data_type == DataType::Utf8View;
            return is_tag.then(|| Self::Tag { column: place, data_type: data_type.clone() });
        }
        let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
        let is_plain_time = matches!(data_type, DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, None));
        let span = match (call.name(), call.args()) {
            ("date_bin", [every, time]) if is_time(time) => Span { nanos: interval(every)?, origin: 0 },
            ("date_bin", [every, time, origin]) if is_time(time) => {
                Span { nanos: interval(every)?, origin: nanos(origin)? }
            }
            ("date_trunc", [unit, time]) if is_time(time) => Span { nanos: unit_nanos(unit)?, origin: 0 },
            _ => return None,
        };
        (is_plain_time && span.nanos > 0).then_some(Self::Span(span))
    }
}

pub(super) fn is_time(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.downcast_ref::<Column>().is_some_and(|column| column.name() == TIME_COLUMN)
}

/// A literal instant.
pub(super) fn nanos(expr: &Arc<dyn PhysicalExpr>) -> Option<i64> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::TimestampNanosecond(nanos, None) => *nanos,
        _ => None,
    }
}

/// A literal length of time that is the same wherever it begins.
fn interval(expr: &Arc<dyn PhysicalExpr>) -> Option<i64> {
    const DAY: i64 = 86_400_000_000_000;
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            i64::from(interval.days).checked_mul(DAY)?.checked_add(interval.nanoseconds)
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            i64::from(interval.days).checked_mul(DAY)?.checked_add(i64::from(interval.milliseconds) * 1_000_000)
        }
        _ => None,
    }
}

fn unit_nanos(expr: &Arc<dyn PhysicalExpr>) -> Option<i64> {
    let unit = match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::Utf8(Some(unit)) | ScalarValue::Utf8View(Some(unit)) => unit.to_ascii_lowercase(),
        _ => return None,
    };
    Some(match unit.as_str() {
        "millisecond" => 1_000_000,
        "second" => 1_000_000_000,
        "minute" => 60_000_000_000,
        "hour" => 3_600_000_000_000,
        "day" => 86_400_000_000_000,
        _ => return None,
    })
}
