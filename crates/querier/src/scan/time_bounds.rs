//! The span of time that a filter leaves, found without looking at any file.
//!
//! It only narrows: what is not understood bounds nothing. Files outside the span are ruled out before their
//! statistics are read, which matters for tables of a hundred thousand files.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use gigapi_model::{TIME_COLUMN, TimeRange, Timestamp};

/// The span outside of which no row passes all of `filters`.
pub(crate) fn of_filters<'a>(filters: impl IntoIterator<Item = &'a Expr>) -> TimeRange {
    filters.into_iter().map(of_expr).fold(TimeRange::ALL, intersection)
}

fn of_expr(expr: &Expr) -> TimeRange {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => intersection(of_expr(left), of_expr(right)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => hull(of_expr(left), of_expr(right)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => comparison(left, *op, right),
        Expr::Between(Between { expr, negated: false, low, high }) if is_time(expr) => {
            intersection(comparison(expr, Operator::GtEq, low), comparison(expr, Operator::LtEq, high))
        }
        Expr::Literal(ScalarValue::Boolean(Some(false)), _) => EMPTY,
        _ => TimeRange::ALL,
    }
}

const EMPTY: TimeRange = TimeRange::new(Timestamp::MAX, Timestamp::MIN);

fn comparison(left: &Expr, op: Operator, right: &Expr) -> TimeRange {
    let (op, at) = match (is_time(left), is_time(right)) {
        (true, false) => (Some(op), nanos(right)),
        (false, true) => (op.swap(), nanos(left)),
        _ => return TimeRange::ALL,
    };
    let (Some(op), Some(at)) = (op, at) else { return TimeRange::ALL };
    let (before, after) = (at.checked_sub(1), at.checked_add(1));
    let (min, max) = match op {
        Operator::Eq => (Some(at), Some(at)),
        Operator::Gt => (after, Some(i64::MAX)),
        Operator::GtEq => (Some(at), Some(i64::MAX)),
        Operator::Lt => (Some(i64::MIN), before),
        Operator::LtEq => (Some(i64::MIN), Some(at)),
        _ => return TimeRange::ALL,
    };
    match (min, max) {
        (Some(min), Some(max)) => TimeRange::new(Timestamp::from_nanos(min), Timestamp::from_nanos(max)),
        _ => EMPTY,
    }
}

fn is_time(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == TIME_COLUMN)
}

fn nanos(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::TimestampNanosecond(nanos, _), _) => *nanos,
        _ => None,
    }
}

fn intersection(a: TimeRange, b: TimeRange) -> TimeRange {
    TimeRange::new(a.min.max(b.min), a.max.min(b.max))
}

fn hull(a: TimeRange, b: TimeRange) -> TimeRange {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => TimeRange::new(a.min.min(b.min), a.max.max(b.max)),
    }
}

#[cfg(test)]
mod tests;
