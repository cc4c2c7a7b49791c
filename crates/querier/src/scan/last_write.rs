//! Merges files and unflushed rows that overlap in time, so that the last write of every key wins.
//!
//! Each cluster's inputs are sorted by the table's key and come oldest first. They are merged stably, so equal
//! keys arrive in the order of their commits, and every run of equal keys becomes one row: per field the last
//! value that is not null. Clusters of one partition are read one after another.
//!
//! The inputs are no children of the node: the engine's optimizer would split, repartition and coalesce them, all of
//! which lose the order, and its own merge node interleaves equal keys.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, concat_batches, partition, take};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::{Stream, StreamExt, TryStreamExt};

/// See the module.
#[derive(Debug)]
pub(crate) struct LastWriteExec {
    /// Per cluster its inputs, oldest first, one after the other.
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    /// Where each cluster's inputs end.
    cluster_ends: Vec<usize>,
    /// Columns of the inputs that make the key, in sort order; time is last.
    key: Vec<usize>,
    /// Columns of the inputs that are handed on.
    output: Vec<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LastWriteExec {
    /// All inputs have one partition and one schema, and are sorted by `key`, ascending, null first.
    pub(crate) fn try_new(
        clusters: Vec<Vec<Arc<dyn ExecutionPlan>>>,
        key: Vec<usize>,
        output: Vec<usize>,
        partitions: usize,
    ) -> Result<Self> {
        let mut cluster_ends = Vec::with_capacity(clusters.len());
        let mut inputs = Vec::new();
        for cluster in clusters {
            inputs.extend(cluster);
            cluster_ends.push(inputs.len());
        }
        let Some(first) = inputs.first() else {
            return Err(DataFusionError::Internal("a merge of nothing was planned".to_owned()));
        };
        let schema = Arc::new(first.schema().project(&output)?);
        let partitions = partitions.clamp(1, cluster_ends.len());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { inputs, cluster_ends, key, output, properties: Arc::new(properties), metrics })
    }

    fn partitions(&self) -> usize {
        self.properties.output_partitioning().partition_count()
    }

    fn cluster(&self, cluster: usize) -> Range<usize> {
        let start = cluster.checked_sub(1).map_or(0, |before| self.cluster_ends[before]);
        start..self.cluster_ends[cluster]
    }

    fn merged(
        &self,
        inputs: &[Arc<dyn ExecutionPlan>],
        metrics: BaselineMetrics,
        context: &Arc<TaskContext>,
    ) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + use<>> {
        let streams = inputs.iter().map(|input| {
            if input.output_partitioning().partition_count() != 1 {
                return Err(DataFusionError::Internal("a merge's input has several partitions".to_owned()));
            }
            input.execute(0, Arc::clone(context))
        });
        let streams = streams.collect::<Result<Vec<_>>>()?;
        let schema = inputs[0].schema();
        let ordering = ordering(&schema, &self.key)?;
        let reservation = MemoryConsumer::new("last write").register(context.memory_pool());
        let merged = StreamingMergeBuilder::new()
            .with_streams(streams)
            .with_schema(Arc::clone(&schema))
            .with_expressions(&ordering)
            .with_metrics(metrics)
            .with_batch_size(context.session_config().batch_size())
            .with_reservation(reservation)
            .with_round_robin_tie_breaker(false)
            .build()?;
        Ok(last_writes(merged, LastWrites { key: self.key.clone(), output: self.output.clone(), held: None }))
    }
}

fn ordering(schema: &SchemaRef, key: &[usize]) -> Result<LexOrdering> {
    let options = SortOptions { descending: false, nulls_first: true };
    let sorts = key.iter().map(|&index| {
        let column = Column::new(schema.field(index).name(), index);
        PhysicalSortExpr::new(Arc::new(column), options)
    });
    LexOrdering::new(sorts).ok_or_else(|| DataFusionError::Internal("a merge without a key was planned".to_owned()))
}

impl DisplayAs for LastWriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LastWriteExec: clusters={}, inputs={}", self.cluster_ends.len(), self.inputs.len())
    }
}

impl ExecutionPlan for LastWriteExec {
    fn name(&self) -> &'static str {
        "LastWriteExec"
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

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mine = (partition..self.cluster_ends.len()).step_by(self.partitions());
        let clusters: Vec<_> = mine.map(|cluster| self.inputs[self.cluster(cluster)].to_vec()).collect();
        let this = Self {
            inputs: Vec::new(),
            cluster_ends: Vec::new(),
            key: self.key.clone(),
            output: self.output.clone(),
            properties: Arc::clone(&self.properties),
            metrics: self.metrics.clone(),
        };
        let streams = futures::stream::iter(clusters)
            .map(move |inputs| this.merged(&inputs, metrics.intermediate(), &context))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), streams)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

fn last_writes(
    merged: SendableRecordBatchStream,
    state: LastWrites,
) -> impl Stream<Item = Result<RecordBatch>> + Send + use<> {
    futures::stream::unfold(Some((merged, state)), |open| async move {
        let (mut merged, mut state) = open?;
        loop {
            match merged.next().await {
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => match state.push(batch) {
                    Ok(Some(done)) => return Some((Ok(done), Some((merged, state)))),
                    Ok(None) => {}
                    Err(error) => return Some((Err(error), None)),
                },
                Some(Err(error)) => return Some((Err(error), None)),
                None => return state.finish().transpose().map(|last| (last, None)),
            }
        }
    })
}

/// Folds runs of equal keys in a sorted sequence of batches.
#[derive(Debug)]
struct LastWrites {
    key: Vec<usize>,
    output: Vec<usize>,
    /// The row of the last key so far, which the next batch may continue.
    held: Option<RecordBatch>,
}

impl LastWrites {
    fn push(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        let batch = match self.held.take() {
            Some(held) => concat_batches(&batch.schema(), [&held, &batch])?,
            None => batch,
        };
        let keys: Vec<ArrayRef> = self.key.iter().map(|&index| Arc::clone(batch.column(index))).collect();
        let runs = partition(&keys)?.ranges();
        let Some((last, done)) = runs.split_last() else { return Ok(None) };
        self.held = Some(without_shared_buffers(&folded(&batch, std::slice::from_ref(last), &self.key)?)?);
        if done.is_empty() {
            return Ok(None);
        }
        let rows = last.start;
        let batch = if done.len() == rows { batch.slice(0, rows) } else { folded(&batch, done, &self.key)? };
        Ok(Some(batch.project(&self.output)?))
    }

    fn finish(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.held.take().map(|held| held.project(&self.output)).transpose()?)
    }
}

/// One row per run: per column the last value of the run that is not null.
fn folded(batch: &RecordBatch, runs: &[Range<usize>], key: &[usize]) -> Result<RecordBatch> {
    let last_rows = UInt32Array::from_iter_values(runs.iter().map(|run| row(run.end - 1)));
    let columns = batch.columns().iter().enumerate().map(|(index, column)| {
        if column.null_count() == 0 || key.contains(&index) {
            return Ok(take(column, &last_rows, None)?);
        }
        let last_values = runs.iter().map(|run| {
            let valid = run.clone().rev().find(|&candidate| column.is_valid(candidate));
            row(valid.unwrap_or(run.end - 1))
        });
        Ok(take(column, &UInt32Array::from_iter_values(last_values), None)?)
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

fn row(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Copies the texts of a row, because a view keeps the buffers of every batch that it ever came from alive.
fn without_shared_buffers(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
        _ => Arc::clone(column),
    });
    Ok(RecordBatch::try_new(batch.schema(), columns.collect())?)
}

#[cfg(test)]
mod tests;
