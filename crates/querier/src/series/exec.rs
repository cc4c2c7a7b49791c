//! The fold as a leaf of a plan.
//!
//! Its partitions take files from one queue, newest first, each until none is left. What a partition has folded is handed on
//! when all files are done, or earlier if it grows too large: the engine's second half puts equal groups together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;

use super::chunks::OpenFile;
use super::edges::{Edge, Edges, Found};
use super::shape::{Asked, Shape};
use super::unit::{Folded, Outcome, fold_file};
use crate::scan::{ROWS_SCANNED, StoredFile};

/// Files that a plan names.
const FILES_SHOWN_MAX: usize = 10;

/// The engine's own way: the aggregation's first half over filters and projections over a scan.
#[derive(Debug, Clone)]
pub(super) struct Generic {
    pub(super) aggregate: Arc<dyn ExecutionPlan>,
    /// Outermost first.
    pub(super) layers: Vec<Arc<dyn ExecutionPlan>>,
}

impl Generic {
    pub(super) fn over(&self, leaf: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let over = |input, layer: &Arc<dyn ExecutionPlan>| Arc::clone(layer).replace_children(vec![input], options);
        let input = self.layers.iter().rev().try_fold(leaf, over)?;
        over(input, &self.aggregate)
    }
}

/// See the module.
pub(super) struct SeriesFoldExec {
    shape: Arc<Shape>,
    stored: StoredFile,
    files: Arc<[PartitionedFile]>,
    /// The file that comes next.
    next: Arc<AtomicUsize>,
    scan: FileScanConfig,
    generic: Generic,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl fmt::Debug for SeriesFoldExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesFoldExec").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl SeriesFoldExec {
    pub(super) fn new(
        shape: Arc<Shape>,
        stored: StoredFile,
        mut files: Vec<PartitionedFile>,
        scan: FileScanConfig,
        generic: Generic,
        partitions: usize,
    ) -> Self {
        let time = |file: &PartitionedFile| file.extension::<StoredFile>().map(|stored| stored.file.time);
        match shape.edge {
            Some(Edge::Oldest) => files.sort_by_key(|file| time(file).map(|time| time.min)),
            // Rows that are asked for once more lie there most often.
            Some(Edge::Newest) | None => files.sort_by_key(|file| std::cmp::Reverse(time(file).map(|time| time.max))),
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(generic.aggregate.schema()),
            Partitioning::UnknownPartitioning(partitions.min(files.len()).max(1)),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            shape,
            stored,
            files: files.into(),
            next: Arc::default(),
            scan,
            generic,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for SeriesFoldExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { keys, numbers, conditions, .. } = self.shape.as_ref();
        let (table, files) = (&self.stored.table.name, self.files.len());
        write!(f, "SeriesFoldExec: table={table}, keys={}, columns={}, files={files}", keys.len(), numbers.len())?;
        let shown = self.files.iter().take(FILES_SHOWN_MAX).map(|file| file.object_meta.location.as_ref());
        let more = if files > FILES_SHOWN_MAX { ", …" } else { "" };
        write!(f, " [{}{more}]", shown.collect::<Vec<_>>().join(", "))?;
        if conditions.on_tags.is_some() {
            write!(f, ", tag condition")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for SeriesFoldExec {
    fn name(&self) -> &'static str {
        "SeriesFoldExec"
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

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let (shape, stored, files) = (Arc::clone(&self.shape), self.stored.clone(), self.files.to_vec());
        let partitions = self.properties.output_partitioning().partition_count();
        Ok(Arc::new(Self::new(shape, stored, files, self.scan.clone(), self.generic.clone(), partitions)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let worker = Worker {
            shape: Arc::clone(&self.shape),
            stored: self.stored.clone(),
            files: Arc::clone(&self.files),
            next: Arc::clone(&self.next),
            scan: self.scan.clone(),
            generic: self.generic.clone(),
            schema: Arc::clone(&schema),
            metrics: BaselineMetrics::new(&self.metrics, partition),
            scanned: MetricBuilder::new(&self.metrics).counter(ROWS_SCANNED, partition),
            not_folded: MetricBuilder::new(&self.metrics).counter("files_not_folded", partition),
            reservation: Mutex::new(MemoryConsumer::new("fold of series").register(context.memory_pool())),
            folded: Folded::new(&self.shape),
            rows_max: context.session_config().batch_size(),
            context,
        };
        let pieces = futures::stream::try_unfold(worker, Worker::piece).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, pieces)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One partition at work.
struct Worker {
    shape: Arc<Shape>,
    stored: StoredFile,
    files: Arc<[PartitionedFile]>,
    next: Arc<AtomicUsize>,
    scan: FileScanConfig,
    generic: Generic,
    schema: SchemaRef,
    metrics: BaselineMetrics,
    /// Rows that were folded.
    scanned: Count,
    /// Files that go the engine's way, which whoever asks for the plan sees.
    not_folded: Count,
    reservation: Mutex<MemoryReservation>,
    folded: Folded,
    rows_max: usize,
    context: Arc<TaskContext>,
}

impl Worker {
    /// What is handed on next, and who goes on.
    async fn piece(mut self) -> Result<Option<(SendableRecordBatchStream, Self)>> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = self.files.get(number).cloned() else {
                if self.folded.is_empty() {
                    return Ok(None);
                }
                let batches = self.take().await?;
                return Ok(Some((self.stream(batches), self)));
            };
            let before = self.folded.rows_folded();
            let outcome = {
                let timer = self.metrics.elapsed_compute().clone();
                let _running = timer.timer();
                fold_file(&self.shape, &self.stored, (number, &file), &mut self.folded).await?
            };
            if outcome == Outcome::NotUnderstood {
                self.not_folded.add(1);
                let alone = self.generic(file)?.execute(0, Arc::clone(&self.context))?;
                return Ok(Some((alone, self)));
            }
            self.scanned.add(self.folded.rows_folded() - before);
            let grown = self.reservation.lock().try_resize(self.folded.bytes());
            if grown.is_err() {
                let batches = self.take().await?;
                return Ok(Some((self.stream(batches), self)));
            }
            tokio::task::consume_budget().await;
        }
    }

    /// One file the engine's way.
    fn generic(&self, file: PartitionedFile) -> Result<Arc<dyn ExecutionPlan>> {
        let config = FileScanConfigBuilder::from(self.scan.clone()).with_file_groups(vec![FileGroup::new(vec![file])]);
        self.generic.over(DataSourceExec::from_data_source(config.build()))
    }

    /// All groups so far; folding goes on with none.
    async fn take(&mut self) -> Result<Vec<RecordBatch>> {
        let folded = std::mem::replace(&mut self.folded, Folded::new(&self.shape));
        let keys: Vec<ArrayRef> = folded.groups.keys(&self.shape.keys)?;
        let found = match &folded.edges {
            Some(edges) => Some(self.found(edges).await?),
            None => None,
        };
        let mut columns = keys.clone();
        for asked in &self.shape.asked {
            match asked {
                Asked::Rows => {
                    let rows = folded.rows.iter().map(|&rows| rows as i64);
                    columns.push(Arc::new(Int64Array::from_iter_values(rows)));
                }
                Asked::Of { number, statistic, types } => {
                    columns.extend(folded.figures[*number].states(*statistic, types)?);
                }
                Asked::Edge(call) => {
                    let Some(found) = &found else {
                        return Err(DataFusionError::Internal("an edge that nobody looked for".to_owned()));
                    };
                    columns.extend(call.states(&keys, found)?);
                }
            }
        }
        let rows = folded.groups.len();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let all = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        self.reservation.lock().free();
        let starts = (0..rows).step_by(self.rows_max);
        Ok(starts.map(|start| all.slice(start, self.rows_max.min(rows - start))).collect())
    }

    /// Reads the rows that were found.
    async fn found(&self, edges: &Edges) -> Result<Found> {
        let (columns, table) = (self.shape.edge_columns(), &self.stored.table);
        let mut read = BTreeMap::new();
        for ((file, row_group), rows) in edges.wanted() {
            let open = OpenFile::open(&self.stored.context, &self.files[file], table).await?;
            let batch = open.rows(row_group, &rows, &columns, table).await?;
            read.insert((file, row_group), (rows, batch));
        }
        edges.found(&read, &columns, table)
    }

    fn stream(&self, batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
        let counted = self.metrics.output_rows().clone();
        let batches = futures::stream::iter(batches).map(move |batch| {
            counted.add(batch.num_rows());
            Ok(batch)
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}
