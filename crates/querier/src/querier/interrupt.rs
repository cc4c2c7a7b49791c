//! Plans that let go of their thread when their query is to end.
//!
//! A join that compares everything with everything may work for minutes between two batches, and one whose rows
//! multiply hands out batches as long as they are taken: a task that is to end, at its client's wish or for its time,
//! would keep its thread until then, and the queries behind it would wait. So conditions of such joins ask before each
//! step whether to go on, and what consumes a join's rows yields from time to time.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// When a query has to end.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    pub(super) cancelled: CancellationToken,
    /// How long it may take, and when that is over.
    pub(super) time: Option<(Duration, Instant)>,
}

impl Interrupt {
    fn check(&self) -> Result<()> {
        if self.cancelled.is_cancelled() {
            return Err(Error::Cancelled.into());
        }
        match self.time {
            Some((limit, deadline)) if Instant::now() >= deadline => {
                Err(Error::Timeout { limit_s: limit.as_secs() }.into())
            }
            _ => Ok(()),
        }
    }
}

/// The same plan, whose joins can be interrupted.
pub(super) fn interruptible(plan: Arc<dyn ExecutionPlan>, interrupt: &Interrupt) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| Ok(Transformed::yes(guarded(node, interrupt)?))).map(|guarded| guarded.data)
}

fn guarded(node: Arc<dyn ExecutionPlan>, interrupt: &Interrupt) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let filter = join.filter().map(|filter| {
            let inner = Arc::clone(filter.expression());
            let asking = Arc::new(Interruptible { inner, interrupt: interrupt.clone() });
            JoinFilter::new(asking, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
        });
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?;
        return Ok(Arc::new(CooperativeExec::new(Arc::new(join))));
    }
    let multiplies = node.is::<CrossJoinExec>() || node.is::<HashJoinExec>() || node.is::<SortMergeJoinExec>();
    Ok(if multiplies { Arc::new(CooperativeExec::new(node)) } else { node })
}

/// A condition that fails when its query has to end.
#[derive(Debug)]
struct Interruptible {
    inner: Arc<dyn PhysicalExpr>,
    interrupt: Interrupt,
}

impl PartialEq for Interruptible {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Interruptible {}

impl Hash for Interruptible {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for Interruptible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for Interruptible {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.inner.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.inner.nullable(input)
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.inner.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.interrupt.check()?;
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [inner] = <[_; 1]>::try_from(children)
            .map_err(|children| Error::internal(format!("a condition with {} children", children.len())))?;
        Ok(Arc::new(Self { inner, interrupt: self.interrupt.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests;
