//! `row_number() = 1` over the rows of each series, as the aggregation that it is.
//!
//! The last point of each series is often asked for as the row that is numbered 1, for which the engine sorts all rows. As a
//! `first_value` of each column it can be folded. Only what a series is, tags, and only the order of time are taken here:
//! of other partitions there may be as many as rows, which sorting can spill to disk and an aggregation cannot.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, ScalarValue, internal_err};
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, Sort, WindowFunction};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Window, WindowFunctionDefinition, lit,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use gigapi_model::ColumnRole;

use crate::scan::Table;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct FirstRowRule;

impl OptimizerRule for FirstRowRule {
    fn name(&self) -> &'static str {
        "first_row"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let found = match &plan {
            LogicalPlan::Filter(filter) => rewritten(filter)?,
            _ => None,
        };
        Ok(found.map_or_else(|| Transformed::no(plan), Transformed::yes))
    }
}

fn rewritten(filter: &Filter) -> Result<Option<LogicalPlan>> {
    let Some((window, shown)) = numbering(&filter.input) else { return Ok(None) };
    let Some((keys, order)) = numbered(window) else { return Ok(None) };
    let (relation, field) = window.schema.qualified_field(window.schema.fields().len() - 1);
    let number = Column::new(relation.cloned(), field.name());
    let (first, others): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter.predicate.clone()).into_iter().partition(|term| is_first(term, &number));
    if first.is_empty() {
        return Ok(None);
    }
    let columns: Vec<Column> = window.input.schema().columns();
    let value = |column: &Column| {
        let arguments = vec![Expr::Column(column.clone())];
        let first = AggregateFunction::new_udf(first_value_udaf(), arguments, false, None, order.clone(), None);
        Expr::AggregateFunction(first)
    };
    let values: Vec<Expr> = columns.iter().filter(|column| !keys.contains(column)).map(value).collect();
    let groups = keys.iter().cloned().map(Expr::Column);
    let folded = LogicalPlanBuilder::from(window.input.as_ref().clone()).aggregate(groups, values)?;
    let mut made = folded.schema().columns().into_iter().skip(keys.len());
    let mut rows: Vec<Expr> = Vec::with_capacity(columns.len() + 1);
    for column in columns {
        rows.push(match keys.contains(&column) {
            true => Expr::Column(column),
            false => {
                let Some(value) = made.next() else { return internal_err!("an aggregation lost a column") };
                Expr::Column(value).alias_qualified(column.relation, column.name)
            }
        });
    }
    // The number itself may be shown.
    rows.push(lit(ScalarValue::UInt64(Some(1))).alias_qualified(number.relation, number.name));
    let mut plan = folded.project(rows)?;
    if let Some(shown) = shown {
        plan = plan.project(shown.to_vec())?;
    }
    let plan = match conjunction(others) {
        Some(others) => plan.filter(others)?,
        None => plan,
    };
    plan.build().map(Some)
}

/// What numbers the rows, and the columns that are left of them if some are not wanted any more.
fn numbering(plan: &LogicalPlan) -> Option<(&Window, Option<&[Expr]>)> {
    match plan {
        LogicalPlan::Window(window) => Some((window, None)),
        LogicalPlan::Projection(projection) => match projection.input.as_ref() {
            LogicalPlan::Window(window) if projection.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) => {
                Some((window, Some(&projection.expr)))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What the rows are partitioned by and the order in which they are numbered, if they are series of one table in the
/// order of time.
fn numbered(window: &Window) -> Option<(Vec<Column>, Vec<Sort>)> {
    let [Expr::WindowFunction(function)] = window.window_expr.as_slice() else { return None };
    let WindowFunction { fun: WindowFunctionDefinition::WindowUDF(fun), params } = function.as_ref() else {
        return None;
    };
    let is_plain = params.filter.is_none() && !params.distinct && params.null_treatment.is_none();
    if fun.name() != "row_number" || !is_plain || params.partition_by.is_empty() {
        return None;
    }
    let provider = table_of(&window.input)?;
    let table = provider.downcast_ref::<Table>()?;
    let role = |expr: &Expr| table.definition().column(&expr.try_as_col()?.name).map(|column| column.role);
    let by_time = matches!(params.order_by.as_slice(), [only] if role(&only.expr) == Some(ColumnRole::Time));
    if !by_time || params.partition_by.iter().any(|key| role(key) != Some(ColumnRole::Tag)) {
        return None;
    }
    let mut keys: Vec<Column> = Vec::new();
    for key in params.partition_by.iter().filter_map(Expr::try_as_col) {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    Some((keys, params.order_by.clone()))
}

/// The table whose rows, some or all of them under their own names, a plan gives.
fn table_of(plan: &LogicalPlan) -> Option<Arc<dyn TableProvider>> {
    match plan {
        LogicalPlan::TableScan(scan) => source_as_provider(&scan.source).ok().filter(|found| found.is::<Table>()),
        LogicalPlan::SubqueryAlias(alias) => table_of(&alias.input),
        LogicalPlan::Filter(filter) => table_of(&filter.input),
        _ => None,
    }
}

/// Whether a condition says that the number is one.
fn is_first(term: &Expr, number: &Column) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = term else { return false };
    let is_number = |expr: &Expr| expr.try_as_col() == Some(number);
    let value = |expr: &Expr| match expr {
        Expr::Literal(ScalarValue::UInt64(value), _) => *value,
        _ => None,
    };
    match op {
        Operator::Eq => is_number(left) && value(right) == Some(1) || is_number(right) && value(left) == Some(1),
        Operator::LtEq => is_number(left) && value(right) == Some(1),
        Operator::Lt => is_number(left) && value(right) == Some(2),
        _ => false,
    }
}
