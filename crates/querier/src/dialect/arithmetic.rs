//! Division as DuckDB does it, where the engine would do something else and say nothing.
//!
//! `5 / 2` is 2.5 in DuckDB and 2 in the engine; `//` divides integers; dividing integers by zero gives `NULL`. What is
//! divided decides, so this is done where types are known, while a statement is planned. So is the sum of a date and an
//! interval, for either endpoint.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::core;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::querier::Habits;

/// See the module.
#[derive(Debug)]
pub(crate) struct Arithmetic(pub(crate) Habits);

impl ExprPlanner for Arithmetic {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_duckdb = self.0 == Habits::DuckDb;
        if matches!(expr.op, BinaryOperator::Plus | BinaryOperator::Minus) {
            return Ok(moved(expr, schema));
        }
        let wanted = match expr.op {
            BinaryOperator::DuckIntegerDivide => true,
            BinaryOperator::Divide | BinaryOperator::Modulo => is_duckdb,
            _ => false,
        };
        if !wanted {
            return Ok(PlannerResult::Original(expr));
        }
        // A parameter has no type yet, and is most likely what stands beside it.
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let are_integers = left.is_integer() && right.is_integer();
        let RawBinaryExpr { op, left, right } = expr;
        let (op, left, right) = match op {
            BinaryOperator::DuckIntegerDivide if are_integers => (Operator::Divide, left, not_zero(right)),
            BinaryOperator::DuckIntegerDivide => (Operator::Divide, double(left), not_zero(double(right))),
            BinaryOperator::Divide if are_integers => (Operator::Divide, double(left), double(right)),
            BinaryOperator::Modulo if are_integers => (Operator::Modulo, left, not_zero(right)),
            op => return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        };
        let planned = BinaryExpr::new(Box::new(left), op, Box::new(right));
        Ok(PlannerResult::Planned(Expr::BinaryExpr(planned)))
    }
}

/// A date that an interval is added to is a time of day, midnight, and not a day whose hours the engine would drop.
fn moved(expr: RawBinaryExpr, schema: &DFSchema) -> PlannerResult<RawBinaryExpr> {
    let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
        return PlannerResult::Original(expr);
    };
    let midnight = |expr| cast(expr, DataType::Timestamp(TimeUnit::Nanosecond, None));
    let RawBinaryExpr { op, left: left_expr, right: right_expr } = expr;
    let (left, right) = match (left, right) {
        (DataType::Date32, DataType::Interval(_)) => (midnight(left_expr), right_expr),
        (DataType::Interval(_), DataType::Date32) => (left_expr, midnight(right_expr)),
        _ => (left_expr, right_expr),
    };
    PlannerResult::Original(RawBinaryExpr { op, left, right })
}

fn double(expr: Expr) -> Expr {
    cast(expr, DataType::Float64)
}

/// `NULL` instead of zero.
fn not_zero(expr: Expr) -> Expr {
    match &expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) if *value != 0 => expr,
        _ => Expr::ScalarFunction(ScalarFunction::new_udf(core::nullif(), vec![expr, lit(0_i64)])),
    }
}
