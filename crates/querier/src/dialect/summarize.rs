//! `SUMMARIZE`: one row per column of a query, with DuckDB's columns.
//!
//! One aggregation over the query computes all of it in one pass, and its single row is turned over into rows.

use arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{approx_distinct, approx_percentile_cont, avg, count, max, min, stddev};
use datafusion::functions_nested::expr_fn::make_array;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit, when};

use super::duckdb_type;

/// DuckDB's columns, in its order.
const COLUMNS: [&str; 12] = [
    "column_name",
    "column_type",
    "min",
    "max",
    "approx_unique",
    "avg",
    "std",
    "q25",
    "q50",
    "q75",
    "count",
    "null_percentage",
];

/// What the columns of `plan` are like.
pub(crate) fn summarized(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns: Vec<(Column, DataType)> =
        plan.schema().iter().map(|(table, field)| (Column::from((table, field)), field.data_type().clone())).collect();
    let mut aggregates = vec![count(lit(1_i64)).alias("rows")];
    let mut rows: Vec<Vec<Expr>> = vec![Vec::new(); COLUMNS.len()];
    for (index, (column, data_type)) in columns.iter().enumerate() {
        let mut all = Aggregates { index, aggregates: &mut aggregates };
        let row = row(column, data_type, &mut all)?;
        for (cells, cell) in rows.iter_mut().zip(row) {
            cells.push(cell);
        }
    }
    let arrays = rows.into_iter().zip(COLUMNS).map(|(cells, name)| make_array(cells).alias(name));
    LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), aggregates)?
        .project(arrays)?
        .unnest_columns_with_options(COLUMNS.map(Column::from_name).to_vec(), Default::default())?
        .build()
}

/// The aggregates of one column; each is named, to be referred to.
struct Aggregates<'a> {
    index: usize,
    aggregates: &'a mut Vec<Expr>,
}

impl Aggregates<'_> {
    fn add(&mut self, what: &str, expr: Expr) -> Expr {
        let name = format!("{what} {}", self.index);
        self.aggregates.push(expr.alias(&name));
        Expr::Column(Column::from_name(name))
    }
}

/// The cells of a column's row, in the order of [`COLUMNS`].
fn row(column: &Column, data_type: &DataType, all: &mut Aggregates<'_>) -> Result<[Expr; 12]> {
    let value = Expr::Column(column.clone());
    let text = |expr| cast(expr, DataType::Utf8);
    let nothing = || lit(ScalarValue::Utf8(None));
    let is_number = data_type.is_numeric();
    let is_time = matches!(data_type, DataType::Timestamp(..));
    let is_ordered = is_number
        || is_time
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Date32
                | DataType::Date64
                | DataType::Time32(_)
                | DataType::Time64(_)
        );
    let (least, most, unique) = match is_ordered {
        true => (
            text(all.add("min", min(value.clone()))),
            text(all.add("max", max(value.clone()))),
            cast(all.add("unique", approx_distinct(distinguishable(&value, data_type))), DataType::Int64),
        ),
        false => (nothing(), nothing(), lit(ScalarValue::Int64(None))),
    };
    // A mean of times is one of their nanoseconds.
    let number = cast(value.clone(), if is_time { DataType::Int64 } else { DataType::Float64 });
    let number = cast(number, DataType::Float64);
    let shown = |expr: Expr| match is_time {
        true => text(cast(cast(expr, DataType::Int64), data_type.clone())),
        false => text(expr),
    };
    let mut numeric = |what: &str, expr: Expr| match is_number || is_time {
        true => shown(all.add(what, expr)),
        false => nothing(),
    };
    let mean = numeric("avg", avg(number.clone()));
    let mut quantile =
        |what: &str, at: f64| numeric(what, approx_percentile_cont(number.clone().sort(true, false), lit(at), None));
    let (q25, q50, q75) = (quantile("q25", 0.25), quantile("q50", 0.5), quantile("q75", 0.75));
    let deviation = match is_number {
        true => text(all.add("std", stddev(number))),
        false => nothing(),
    };
    let held = all.add("held", count(value));
    let rows = Expr::Column(Column::from_name("rows"));
    let missing = cast(rows.clone() - held, DataType::Float64) * lit(100.0) / cast(rows.clone(), DataType::Float64);
    let percentage = when(rows.clone().gt(lit(0_i64)), missing).end()?;
    Ok([
        lit(column.name.clone()),
        lit(duckdb_type(data_type)),
        least,
        most,
        unique,
        mean,
        deviation,
        q25,
        q50,
        q75,
        rows,
        cast(percentage, DataType::Decimal128(9, 2)),
    ])
}

/// Booleans are counted as texts, because the engine estimates no number of distinct booleans.
fn distinguishable(value: &Expr, data_type: &DataType) -> Expr {
    match data_type {
        DataType::Boolean | DataType::Decimal128(..) | DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            cast(value.clone(), DataType::Utf8)
        }
        _ => value.clone(),
    }
}
