//! What rows have to fulfil: a span of time, and conditions on tags, which hold for a whole series or for none of it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use gigapi_model::{ColumnRole, TIME_COLUMN, TableDef, TimeRange, Timestamp};

use super::keys::{is_time, nanos};

/// Conditions on rows.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    /// Rows outside are left out.
    pub(super) range: TimeRange,
    pub(super) on_tags: Option<TagCondition>,
}

/// A condition that depends on tags alone.
#[derive(Debug, Clone)]
pub(super) struct TagCondition {
    /// Over a schema of just these columns.
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// Their places among the table's columns.
    pub(super) columns: Vec<usize>,
}

impl Conditions {
    /// Understands conditions on the table's columns; `None` if one depends on anything else.
    pub(super) fn of(predicates: &[Arc<dyn PhysicalExpr>], table: &TableDef) -> Option<Self> {
        let mut range = TimeRange::ALL;
        let mut on_tags = Vec::new();
        for predicate in predicates.iter().flat_map(split_conjunction) {
            let columns = collect_columns(predicate);
            let role = |name: &str| table.column(name).map(|column| column.role);
            if columns.iter().all(|column| column.name() == TIME_COLUMN) {
                let bounds = bounds(predicate)?;
                range = TimeRange::new(range.min.max(bounds.min), range.max.min(bounds.max));
            } else if columns.iter().all(|column| role(column.name()) == Some(ColumnRole::Tag)) {
                let is_volatile = predicate.exists(|expr| Ok(expr.is_volatile_node())).unwrap_or(true);
                (!is_volatile).then(|| on_tags.push(Arc::clone(predicate)))?;
            } else {
                return None;
            }
        }
        let on_tags = match on_tags.is_empty() {
            true => None,
            false => Some(TagCondition::new(conjunction(on_tags), table)?),
        };
        Some(Self { range, on_tags })
    }
}

impl TagCondition {
    fn new(expr: Arc<dyn PhysicalExpr>, table: &TableDef) -> Option<Self> {
        let mut names: Vec<String> = collect_columns(&expr).iter().map(|column| column.name().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8View, true)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let place = |name: &String| table.columns.iter().position(|column| column.name.as_str() == name);
        let columns = names.iter().map(place).collect::<Option<Vec<_>>>()?;
        let expr = reassign_expr_columns(expr, &schema).ok()?;
        Some(Self { expr, schema, columns })
    }

    /// Which of these combinations of values fulfil the condition; each column lists one value for each combination.
    pub(super) fn judge(&self, columns: &[Vec<Option<&Bytes>>], combinations: usize) -> Result<Vec<bool>> {
        let arrays = columns.iter().map(|values| {
            let texts = values.iter().map(|value| {
                let text = value.map(|value| std::str::from_utf8(value)).transpose();
                text.map_err(|error| DataFusionError::Execution(format!("a tag's value is not UTF-8: {error}")))
            });
            Ok(Arc::new(texts.collect::<Result<StringViewArray>>()?) as ArrayRef)
        });
        let options = RecordBatchOptions::new().with_row_count(Some(combinations));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        let judged = self.expr.evaluate(&batch)?.into_array(combinations)?;
        let Some(judged) = judged.as_boolean_opt() else {
            return Err(DataFusionError::Internal(format!("a condition of type {}", judged.data_type())));
        };
        Ok((0..combinations).map(|index| judged.is_valid(index) && judged.value(index)).collect())
    }
}

/// The span that a comparison of time leaves.
fn bounds(predicate: &Arc<dyn PhysicalExpr>) -> Option<TimeRange> {
    let comparison = predicate.downcast_ref::<BinaryExpr>()?;
    let (op, at) = match (is_time(comparison.left()), is_time(comparison.right())) {
        (true, false) => (*comparison.op(), nanos(comparison.right())?),
        (false, true) => (comparison.op().swap()?, nanos(comparison.left())?),
        _ => return None,
    };
    let (min, max) = match op {
        Operator::Eq => (at, at),
        Operator::Gt => (at.checked_add(1)?, i64::MAX),
        Operator::GtEq => (at, i64::MAX),
        Operator::Lt => (i64::MIN, at.checked_sub(1)?),
        Operator::LtEq => (i64::MIN, at),
        _ => return None,
    };
    Some(TimeRange::new(Timestamp::from_nanos(min), Timestamp::from_nanos(max)))
}
