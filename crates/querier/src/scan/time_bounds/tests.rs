use datafusion::prelude::{col, lit};

use super::*;

fn at(nanos: i64) -> Expr {
    Expr::Literal(ScalarValue::TimestampNanosecond(Some(nanos), None), None)
}

fn span(min: i64, max: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_nanos(min), Timestamp::from_nanos(max))
}

#[test]
fn every_comparison_bounds_its_side() {
    let time = || col("time");
    assert_eq!(of_expr(&time().gt_eq(at(5))), span(5, i64::MAX));
    assert_eq!(of_expr(&time().gt(at(5))), span(6, i64::MAX));
    assert_eq!(of_expr(&time().lt(at(5))), span(i64::MIN, 4));
    assert_eq!(of_expr(&time().lt_eq(at(5))), span(i64::MIN, 5));
    assert_eq!(of_expr(&time().eq(at(5))), span(5, 5));
    assert_eq!(of_expr(&at(5).lt_eq(time())), span(5, i64::MAX));
    assert_eq!(of_expr(&time().between(at(3), at(7))), span(3, 7));
}

#[test]
fn what_is_not_understood_bounds_nothing() {
    assert_eq!(of_expr(&col("value").gt(lit(3))), TimeRange::ALL);
    assert_eq!(of_expr(&col("time").not_eq(at(3))), TimeRange::ALL);
    let either = col("time").lt(at(3)).or(col("value").gt(lit(3)));
    assert_eq!(of_expr(&either), TimeRange::ALL);
}

#[test]
fn alternatives_keep_the_hull_and_conditions_the_intersection() {
    let either = col("time").between(at(1), at(2)).or(col("time").between(at(8), at(9)));
    assert_eq!(of_expr(&either), span(1, 9));
    assert_eq!(of_filters(&[either, col("time").gt_eq(at(5))]), span(5, 9));
    assert!(of_filters(&[col("time").gt(at(i64::MAX))]).is_empty());
    assert!(of_filters(&[col("time").lt(at(3)), col("time").gt(at(8))]).is_empty());
}
