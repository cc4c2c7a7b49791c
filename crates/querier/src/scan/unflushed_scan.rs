//! Unflushed rows as a leaf of a plan: produced when the plan runs, and only the columns that it needs.
//!
//! Planning never touches the rows, so a query that is pruned or cancelled costs the writer nothing. Producing
//! them sorts and copies, which would stall the runtime's threads, so a blocking thread does it.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::TryStreamExt;

use crate::Error;
use crate::unflushed::Produce;

/// See the module.
pub(crate) struct UnflushedExec {
    produce: Produce,
    /// What it is, for whoever looks at the plan.
    told: String,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for UnflushedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnflushedExec").field("told", &self.told).finish_non_exhaustive()
    }
}

impl UnflushedExec {
    /// Rows of that schema; `told` says which.
    pub(crate) fn new(produce: Produce, schema: SchemaRef, told: String) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { produce, told, properties: Arc::new(properties) }
    }
}

impl DisplayAs for UnflushedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnflushedExec: {}", self.told)
    }
}

impl ExecutionPlan for UnflushedExec {
    fn name(&self) -> &'static str {
        "UnflushedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (produce, schema) = (Arc::clone(&self.produce), self.schema());
        let expected = Arc::clone(&schema);
        let produced = async move {
            let produced = tokio::task::spawn_blocking(move || produce()).await;
            let batches = produced
                .map_err(|join| DataFusionError::from(Error::internal(format!("reading unflushed rows: {join}"))))?
                .map_err(|error| DataFusionError::from(Error::internal(format!("reading unflushed rows: {error}"))))?;
            if let Some(wrong) = batches.iter().find(|batch| !same_columns(&batch.schema(), &expected)) {
                let schema = wrong.schema();
                let wrong = Error::internal(format!("unflushed rows came as {schema:?} for {expected:?}"));
                return Err(DataFusionError::from(wrong));
            }
            Ok(futures::stream::iter(batches.into_iter().map(Ok)))
        };
        let stream = futures::stream::once(produced).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}

fn same_columns(found: &SchemaRef, expected: &SchemaRef) -> bool {
    Arc::ptr_eq(found, expected)
        || (found.fields().len() == expected.fields().len()
            && found
                .fields()
                .iter()
                .zip(expected.fields())
                .all(|(found, expected)| found.name() == expected.name() && found.data_type() == expected.data_type()))
}
