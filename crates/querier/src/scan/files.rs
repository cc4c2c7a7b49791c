//! Data files as a leaf of a plan: which of them, which columns, and what is left to filter.
//!
//! Statistics decide twice. Files that no row can pass are dropped; if every row of every file left passes, the
//! condition is dropped too. The engine is told each file's size, statistics, stored types and tail, so that
//! nothing about a file is asked of its store before its rows are needed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::common::pruning::PrunableStatistics;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::not;
use datafusion::physical_expr::simplifier::PhysicalExprSimplifier;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion_datasource::compute_all_files_statistics;
use gigapi_model::{ColumnRole, DataFile, TableDef};
use gigapi_storage::FilePath;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::reader::CountedReaders;
use super::{LAYERS_URL, ScanContext, StoredFile};

/// Lists of values longer than this are not used to rule out files.
const PRUNING_LIST_MAX: usize = 100;

/// From how many columns on it pays to decode the condition's columns first.
const ROW_FILTER_COLUMNS_MIN: usize = 3;

/// A file that a scan may read.
#[derive(Debug, Clone)]
pub(crate) struct PlannedFile {
    pub(crate) file: Arc<DataFile>,
    pub(crate) statistics: Arc<Statistics>,
    /// The columns that it holds, typed for SQL; `None` if that is not known.
    pub(crate) stored_schema: Option<SchemaRef>,
}

/// Makes scans of files of one table.
#[derive(Clone, Copy)]
pub(crate) struct FileScan<'a> {
    pub(crate) schema: &'a SchemaRef,
    pub(crate) table: &'a Arc<TableDef>,
    pub(crate) context: &'a Arc<ScanContext>,
    pub(crate) state: &'a dyn Session,
    /// Whether conditions are evaluated while decoding, before other columns are read.
    pub(crate) row_filter: bool,
    /// Whether the scan stays out of the optimizer's sight, which would tell the files the condition otherwise, and
    /// whether its rows have to keep the files' order.
    pub(crate) hidden: bool,
}

impl FileScan<'_> {
    /// The files in which some row may pass.
    pub(crate) fn pruned(
        &self,
        files: Vec<PlannedFile>,
        predicate: Option<&Arc<dyn PhysicalExpr>>,
    ) -> Result<Vec<PlannedFile>> {
        let kept = match predicate {
            Some(predicate) if !files.is_empty() => match self.may_pass(&files, Arc::clone(predicate))? {
                Some(may) => files.into_iter().zip(may).filter(|(_, may)| *may).map(|(file, _)| file).collect(),
                None => files,
            },
            _ => files,
        };
        self.context.counters.files_planned.fetch_add(kept.len() as u64, Ordering::Relaxed);
        Ok(kept)
    }

    /// Per file, whether some row may pass; `None` if statistics cannot tell.
    fn may_pass(&self, files: &[PlannedFile], predicate: Arc<dyn PhysicalExpr>) -> Result<Option<Vec<bool>>> {
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(self.schema));
        let Some(pruning) = builder.with_max_in_list_size(PRUNING_LIST_MAX).build(predicate) else {
            return Ok(None);
        };
        let statistics = files.iter().map(|file| Arc::clone(&file.statistics)).collect();
        let prunable = PrunableStatistics::new(statistics, Arc::clone(self.schema));
        let may = pruning.prune(&prunable)?;
        let pruned = may.iter().filter(|may| !**may).count();
        self.context.counters.files_pruned.fetch_add(pruned as u64, Ordering::Relaxed);
        Ok(Some(may))
    }

    /// Whether every row of these files passes, as far as statistics tell.
    fn covered(&self, files: &[PlannedFile], predicate: &Arc<dyn PhysicalExpr>) -> Result<bool> {
        let negated = PhysicalExprSimplifier::new(self.schema).simplify(not(Arc::clone(predicate))?)?;
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(self.schema));
        let Some(pruning) = builder.build(negated) else { return Ok(false) };
        let statistics = files.iter().map(|file| Arc::clone(&file.statistics)).collect();
        let may_fail = pruning.prune(&PrunableStatistics::new(statistics, Arc::clone(self.schema)))?;
        Ok(may_fail.iter().all(|may| !may))
    }

    /// Whether decoding the condition's columns first is likely to spare work: it is for a tag's value, and
    /// where several other columns are read.
    pub(crate) fn wants_row_filter(&self, filters: &[Expr], columns: &[usize]) -> bool {
        let is_tag = |name: &str| self.table.column(name).is_some_and(|column| column.role == ColumnRole::Tag);
        let picks_tag = filters.iter().any(|filter| match filter {
            Expr::BinaryExpr(BinaryExpr { op: Operator::Eq, .. }) => {
                filter.column_refs().iter().any(|column| is_tag(&column.name))
            }
            _ => false,
        });
        let filtered = |index: &&usize| {
            let name = self.schema.field(**index).name();
            filters.iter().any(|filter| filter.column_refs().iter().any(|column| column.name == *name))
        };
        let others = columns.len() - columns.iter().filter(filtered).count();
        picks_tag || (!filters.is_empty() && others >= ROW_FILTER_COLUMNS_MIN)
    }

    /// The columns to read so that `predicate` can be applied, and which of them are handed on.
    pub(crate) fn columns_for(
        &self,
        columns: &[usize],
        predicate: Option<&Arc<dyn PhysicalExpr>>,
    ) -> (Vec<usize>, Vec<usize>) {
        let mut read = columns.to_vec();
        if let Some(predicate) = predicate {
            let mut needed: Vec<usize> = collect_columns(predicate).iter().map(|column| column.index()).collect();
            needed.sort_unstable();
            needed.retain(|index| !columns.contains(index));
            read.extend(needed);
        }
        (read, (0..columns.len()).collect())
    }

    /// A condition over the table's schema as one over `schema`, which holds its columns.
    pub(crate) fn rebased(
        &self,
        predicate: &Arc<dyn PhysicalExpr>,
        schema: &SchemaRef,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        reassign_expr_columns(Arc::clone(predicate), schema)
    }

    /// Reads `columns` of these files; rows that do not pass `predicate` are left out.
    pub(crate) fn files(
        &self,
        files: Vec<PlannedFile>,
        columns: &[usize],
        predicate: Option<Arc<dyn PhysicalExpr>>,
        partitions: usize,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = match predicate {
            Some(predicate) if !self.covered(&files, &predicate)? => Some(predicate),
            _ => None,
        };
        let (read, kept) = self.columns_for(columns, predicate.as_ref());
        let limit = limit.filter(|_| predicate.is_none());
        let groups = self.groups(&files, partitions)?;
        let leaf = self.leaf(groups, read, predicate.as_ref().filter(|_| self.hidden), limit)?;
        let Some(predicate) = predicate else { return Ok(leaf) };
        let predicate = self.rebased(&predicate, &leaf.schema())?;
        Ok(Arc::new(FilterExecBuilder::new(predicate, leaf).apply_projection(Some(kept))?.build()?))
    }

    fn groups(&self, files: &[PlannedFile], partitions: usize) -> Result<Vec<FileGroup>> {
        let files = files.iter().map(|planned| self.partitioned_file(planned)).collect::<Result<Vec<_>>>()?;
        Ok(FileGroup::new(files).split_files(partitions.max(1)))
    }

    /// `pruning` rules out parts of files and filters nothing.
    fn leaf(
        &self,
        groups: Vec<FileGroup>,
        columns: Vec<usize>,
        pruning: Option<&Arc<dyn PhysicalExpr>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (groups, statistics) = compute_all_files_statistics(groups, Arc::clone(self.schema), true, false)?;
        let readers = CountedReaders {
            store: Arc::clone(&self.context.store),
            metadata: Arc::clone(&self.context.metadata),
            counters: Arc::clone(&self.context.counters),
        };
        let options = self.state.table_options().parquet.clone();
        let mut source = ParquetSource::new(TableSchema::from(Arc::clone(self.schema)))
            .with_table_parquet_options(options)
            .with_pushdown_filters(self.row_filter)
            .with_reorder_filters(self.row_filter)
            .with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(pruning) = pruning {
            source = source.with_predicate(Arc::clone(pruning));
        }
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(LAYERS_URL)?, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(columns))?
            .with_limit(limit)
            .with_preserve_order(self.hidden)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn partitioned_file(&self, planned: &PlannedFile) -> Result<PartitionedFile> {
        let file = &planned.file;
        let text = format!("{}/{}", file.layer, FilePath::of(self.table, file));
        let location = Path::parse(&text)
            .map_err(|error| DataFusionError::from(crate::Error::internal(format!("object path {text:?}: {error}"))))?;
        // The time of change is a constant, so that cached metadata stays valid: data files never change.
        let meta = ObjectMeta {
            location,
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: file.bytes,
            e_tag: None,
            version: None,
        };
        let mut partitioned = PartitionedFile::new_from_meta(meta).with_statistics(Arc::clone(&planned.statistics));
        partitioned = partitioned.with_extension(StoredFile {
            file: Arc::clone(file),
            table: Arc::clone(self.table),
            context: Arc::clone(self.context),
        });
        if file.tail_bytes > 0 {
            partitioned = partitioned.with_metadata_size_hint(file.tail_bytes as usize);
        }
        if let Some(schema) = &planned.stored_schema {
            partitioned = partitioned.with_arrow_schema(Arc::clone(schema));
        }
        Ok(partitioned)
    }
}
