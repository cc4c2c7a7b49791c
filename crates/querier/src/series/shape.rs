//! A question as far as it is understood: keys, statistics of columns, and conditions.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use gigapi_model::{ColumnRole, ColumnType, TableDef};

use super::conditions::Conditions;
use super::edges::{Edge, EdgeCall};
use super::figures::{Kept, NumberKind, Statistic, state_types};
use super::keys::{Key, Span};

/// Gives an expression over an aggregation's input as one over the table's columns, if it is one.
pub(super) type Rebase<'a> = &'a dyn Fn(&Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>>;

/// See the module.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) keys: Vec<Key>,
    /// Columns of numbers, each once.
    pub(super) numbers: Vec<Number>,
    /// What is asked, in the order of the result.
    pub(super) asked: Vec<Asked>,
    pub(super) conditions: Conditions,
    /// The row of which values are asked for, if any are: the same for all of them.
    pub(super) edge: Option<Edge>,
}

/// A column of numbers that is folded.
#[derive(Debug)]
pub(super) struct Number {
    /// Its place among the table's columns.
    pub(super) column: usize,
    pub(super) kind: NumberKind,
    pub(super) kept: Kept,
}

/// One figure of each group.
#[derive(Debug)]
pub(super) enum Asked {
    /// How many rows there are.
    Rows,
    /// A statistic of one of the numbers, in a state of these types.
    Of { number: usize, statistic: Statistic, types: Vec<DataType> },
    /// A value of the oldest or the newest row.
    Edge(EdgeCall),
}

impl Shape {
    /// Understands the first half of an aggregation; `rebased` gives an expression in the table's columns.
    pub(super) fn of(
        aggregate: &AggregateExec,
        predicates: &[Arc<dyn PhysicalExpr>],
        table: &TableDef,
        rebased: Rebase<'_>,
    ) -> Option<Self> {
        let conditions = Conditions::of(predicates, table)?;
        let schema = aggregate.schema();
        let key = |(index, (expr, _)): (usize, &(Arc<dyn PhysicalExpr>, String))| {
            Key::of(&rebased(expr)?, table, schema.field(index).data_type())
        };
        let keys = aggregate.group_expr().expr().iter().enumerate().map(key).collect::<Option<Vec<_>>>()?;
        // One span at most: two of different lengths are one group in a way that is not kept here.
        if keys.iter().filter(|key| matches!(key, Key::Span(_))).count() > 1 {
            return None;
        }
        let mut shape = Self { keys, numbers: Vec::new(), asked: Vec::new(), conditions, edge: None };
        for call in aggregate.aggr_expr() {
            let asked = shape.asked(call, table, rebased)?;
            shape.asked.push(asked);
        }
        Some(shape)
    }

    fn asked(&mut self, call: &AggregateFunctionExpr, table: &TableDef, rebased: Rebase<'_>) -> Option<Asked> {
        let arguments = call.expressions();
        let [argument] = arguments.as_slice() else { return None };
        if call.is_distinct() || call.ignore_nulls() {
            return None;
        }
        let argument = rebased(argument)?;
        if !call.order_bys().is_empty() {
            let (call, edge) = EdgeCall::of(call, &argument, table, &self.keys, rebased)?;
            let is_same = self.edge.is_none_or(|known| known == edge);
            self.edge = Some(edge);
            return is_same.then_some(Asked::Edge(call));
        }
        let statistic = match call.fun().name() {
            "count" => Statistic::Count,
            "sum" => Statistic::Sum,
            "min" => Statistic::Min,
            "max" => Statistic::Max,
            "avg" => Statistic::Mean,
            _ => return None,
        };
        if let Some(literal) = argument.downcast_ref::<Literal>() {
            return (statistic == Statistic::Count && !matches!(literal.value(), ScalarValue::Null))
                .then_some(Asked::Rows);
        }
        let (column, is_cast) = match argument.downcast_ref::<CastExpr>() {
            Some(cast) if statistic == Statistic::Mean && *cast.cast_type() == DataType::Float64 => {
                (cast.expr().downcast_ref::<Column>()?.name().to_owned(), true)
            }
            _ => (argument.downcast_ref::<Column>()?.name().to_owned(), false),
        };
        let place = table.columns.iter().position(|known| known.name.as_str() == column)?;
        let definition = &table.columns[place];
        let kind = match (definition.role, definition.column_type) {
            (ColumnRole::Time, _) => NumberKind::Time,
            (ColumnRole::Field, ColumnType::Integer) => NumberKind::Integer,
            (ColumnRole::Field, ColumnType::Unsigned) => NumberKind::Unsigned,
            (ColumnRole::Field, ColumnType::Float) => NumberKind::Float,
            _ => return None,
        };
        let is_float = kind == NumberKind::Float;
        let is_known = match statistic {
            Statistic::Count => true,
            Statistic::Mean => is_float != is_cast && kind != NumberKind::Time,
            Statistic::Sum => kind != NumberKind::Time,
            Statistic::Min | Statistic::Max => true,
        };
        let types: Vec<DataType> = call.state_fields().ok()?.iter().map(|field| field.data_type().clone()).collect();
        if !is_known || types != state_types(kind, statistic) {
            return None;
        }
        Some(Asked::Of { number: self.number(place, kind, statistic), statistic, types })
    }

    fn number(&mut self, column: usize, kind: NumberKind, statistic: Statistic) -> usize {
        let known = self.numbers.iter().position(|number| number.column == column);
        let number = known.unwrap_or_else(|| {
            self.numbers.push(Number { column, kind, kept: Kept::default() });
            self.numbers.len() - 1
        });
        self.numbers[number].kept.add(statistic);
        number
    }

    /// Columns of which the oldest or the newest row's value is asked for, each once.
    pub(super) fn edge_columns(&self) -> Vec<usize> {
        let mut columns: Vec<usize> = self
            .asked
            .iter()
            .filter_map(|asked| match asked {
                Asked::Edge(call) => Some(call.column),
                Asked::Rows | Asked::Of { .. } => None,
            })
            .collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Whether nothing is asked but values of the oldest or the newest row.
    pub(super) fn is_edge_only(&self) -> bool {
        self.asked.iter().all(|asked| matches!(asked, Asked::Edge(_)))
    }

    /// The spans of time that rows are grouped by.
    pub(super) fn span(&self) -> Option<Span> {
        self.keys.iter().find_map(|key| match key {
            Key::Span(span) => Some(*span),
            Key::Tag { .. } => None,
        })
    }

    /// The key's tags: their places among the table's columns, in the key's order.
    pub(super) fn key_tags(&self) -> impl Iterator<Item = usize> {
        self.keys.iter().filter_map(|key| match key {
            Key::Tag { column, .. } => Some(*column),
            Key::Span(_) => None,
        })
    }
}
