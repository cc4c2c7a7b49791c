//! Times compared with integers.
//!
//! In the original's files `time` is an integer of nanoseconds, and its users compare it with integers; here it
//! is a timestamp. The integer side becomes a timestamp, not the other way round, so that a constant is folded and the
//! comparison can rule out files.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// See the module.
#[derive(Debug)]
pub(crate) struct TimeCoercion;

impl ExprPlanner for TimeCoercion {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some(op) = comparison(&expr.op) else { return Ok(PlannerResult::Original(expr)) };
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let RawBinaryExpr { left: left_expr, right: right_expr, .. } = expr;
        let (left_expr, right_expr) = match (&left, &right) {
            (DataType::Timestamp(..), integer) if is_integer(integer) => (left_expr, as_time(right_expr)),
            (integer, DataType::Timestamp(..)) if is_integer(integer) => (as_time(left_expr), right_expr),
            _ => {
                let raw = RawBinaryExpr { op: expr.op, left: left_expr, right: right_expr };
                return Ok(PlannerResult::Original(raw));
            }
        };
        let planned = BinaryExpr::new(Box::new(left_expr), op, Box::new(right_expr));
        Ok(PlannerResult::Planned(Expr::BinaryExpr(planned)))
    }
}

fn comparison(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

fn is_integer(data_type: &DataType) -> bool {
    data_type.is_integer()
}

/// Nanoseconds as a timestamp.
fn as_time(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(ScalarValue::Int64(nanos), metadata) => {
            Expr::Literal(ScalarValue::TimestampNanosecond(nanos, None), metadata)
        }
        other => cast(cast(other, DataType::Int64), DataType::Timestamp(TimeUnit::Nanosecond, None)),
    }
}
