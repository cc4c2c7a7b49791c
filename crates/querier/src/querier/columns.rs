//! What is known of an answer's columns, and of the values that a statement waits for, once it is planned.
//!
//! A column that comes straight from a table keeps its role and its type there as metadata, under InfluxDB 3's names:
//! its clients tell tags from fields by them. Whatever is computed carries none, so a plan is followed from
//! its top to the tables instead of letting expressions inherit what no longer holds.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, Join, JoinType, LogicalPlan, TableScan};
use gigapi_model::{Column, ColumnRole, ColumnType};

use crate::Result;
use crate::scan::Table;

/// The metadata of a field that names a column's role and type.
pub(crate) const COLUMN_TYPE: &str = "iox::column::type";

/// A value that a statement waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// As it is written, without the `$`: a number from 1, or a name.
    pub(crate) name: String,
    /// The type that fits, if the statement tells.
    pub(crate) data_type: Option<DataType>,
}

/// The columns of `schema`, which is what `plan` answers with.
pub(super) fn columns(plan: &LogicalPlan, schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        let role = column_type(plan, index).map(|role| (COLUMN_TYPE.to_owned(), role.to_owned()));
        let metadata: HashMap<String, String> = role.into_iter().collect();
        Field::new(field.name(), field.data_type().clone(), field.is_nullable()).with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The parameters of a statement: numbers first, as they count, then names.
pub(super) fn parameters(plan: &LogicalPlan) -> Result<Vec<Parameter>> {
    let types = plan.get_parameter_types()?;
    let parameter = |(id, data_type): (String, Option<DataType>)| Parameter {
        name: id.trim_start_matches('$').to_owned(),
        data_type: data_type.filter(|known| *known != DataType::Null),
    };
    let mut parameters: Vec<Parameter> = types.into_iter().map(parameter).collect();
    parameters.sort_by_cached_key(|Parameter { name, .. }| {
        let number = name.parse::<usize>().unwrap_or(usize::MAX);
        (number, name.clone())
    });
    Ok(parameters)
}

/// InfluxDB 3's name of the role and type of the table's column that this column is, if it is one.
fn column_type(plan: &LogicalPlan, index: usize) -> Option<&'static str> {
    match plan {
        LogicalPlan::TableScan(scan) => of_table(scan, index),
        LogicalPlan::Projection(projection) => of_expression(projection.expr.get(index)?, &projection.input),
        LogicalPlan::Distinct(Distinct::On(on)) => of_expression(on.select_expr.get(index)?, &on.input),
        LogicalPlan::Aggregate(Aggregate { group_expr, input, .. }) => of_expression(group_expr.get(index)?, input),
        LogicalPlan::Window(window) if index >= window.input.schema().fields().len() => None,
        LogicalPlan::Window(window) => column_type(&window.input, index),
        LogicalPlan::Join(join) => of_join(join, index),
        LogicalPlan::Union(union) => {
            let mut of_inputs = union.inputs.iter().map(|input| column_type(input, index));
            let first = of_inputs.next()??;
            of_inputs.all(|other| other == Some(first)).then_some(first)
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Repartition(_)
        | LogicalPlan::SubqueryAlias(_) => column_type(plan.inputs().first()?, index),
        _ => None,
    }
}

fn of_expression(expression: &Expr, input: &LogicalPlan) -> Option<&'static str> {
    match expression {
        Expr::Alias(alias) => of_expression(&alias.expr, input),
        Expr::Column(column) => column_type(input, input.schema().maybe_index_of_column(column)?),
        _ => None,
    }
}

fn of_join(join: &Join, index: usize) -> Option<&'static str> {
    let (left, right) = (join.left.schema().fields().len(), join.right.schema().fields().len());
    match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full if index >= left => {
            column_type(&join.right, index - left)
        }
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            (index < right).then(|| column_type(&join.right, index))?
        }
        _ => (index < left).then(|| column_type(&join.left, index))?,
    }
}

fn of_table(scan: &TableScan, index: usize) -> Option<&'static str> {
    let provider = source_as_provider(&scan.source).ok()?;
    let table = provider.as_ref().downcast_ref::<Table>()?;
    let name = scan.projected_schema.fields().get(index)?.name();
    table.definition().column(name).map(role)
}

/// The name of a column's role and type.
pub(crate) fn role(column: &Column) -> &'static str {
    match (column.role, column.column_type) {
        (ColumnRole::Tag, _) => "iox::column_type::tag",
        (ColumnRole::Time, _) | (_, ColumnType::Time) => "iox::column_type::timestamp",
        (ColumnRole::Field, ColumnType::Float) => "iox::column_type::field::float",
        (ColumnRole::Field, ColumnType::Integer) => "iox::column_type::field::integer",
        (ColumnRole::Field, ColumnType::Unsigned) => "iox::column_type::field::uinteger",
        (ColumnRole::Field, ColumnType::String) => "iox::column_type::field::string",
        (ColumnRole::Field, ColumnType::Boolean) => "iox::column_type::field::boolean",
    }
}
