//! A table of one query, as the engine asks for it.
//!
//! Everything comes from the view that the query took: no listing, no footer is read to plan. Files are ruled out
//! by time first, then by statistics. Conditions on time alone are answered exactly, so a scan whose files
//! lie wholly inside needs no filter and `count(*)` over it opens nothing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, filter::FilterExecBuilder};
use gigapi_model::{ColumnRole, DataFile, TIME_COLUMN, TableDef, TimeRange};

use super::files::{FileScan, PlannedFile};
use super::last_write::LastWriteExec;
use super::overlap::{Cluster, Layout, layout};
use super::unflushed_scan::UnflushedExec;
use super::{ScanContext, statistics, time_bounds};
use crate::unflushed::RowsWanted;
use crate::view::{HeldPart, TableView};

/// See the module.
pub(crate) struct Table {
    view: TableView,
    /// The table's SQL schema.
    schema: SchemaRef,
    context: Arc<ScanContext>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("view", &self.view).finish_non_exhaustive()
    }
}

impl Table {
    pub(crate) fn new(view: TableView, context: Arc<ScanContext>) -> Self {
        let schema = gigapi_rows::table_schema(&view.snapshot.table);
        Self { view, schema, context }
    }

    pub(crate) fn definition(&self) -> &Arc<TableDef> {
        &self.view.snapshot.table
    }

    fn table(&self) -> &TableDef {
        &self.view.snapshot.table
    }

    /// Positions of the key's columns in the schema, in sort order: tags by field id, then time.
    fn key(&self) -> Vec<usize> {
        let role = |wanted| move |(_, column): &(usize, &gigapi_model::Column)| column.role == wanted;
        let columns = || self.table().columns.iter().enumerate();
        let tags = columns().filter(role(ColumnRole::Tag)).map(|(index, _)| index);
        tags.chain(columns().filter(role(ColumnRole::Time)).map(|(index, _)| index)).collect()
    }

    fn is_key(&self, filter: &Expr) -> bool {
        filter.column_refs().iter().all(|column| {
            let found = self.table().column(&column.name);
            found.is_some_and(|found| found.role != ColumnRole::Field)
        })
    }

    fn file_scan<'a>(&'a self, state: &'a dyn Session) -> FileScan<'a> {
        FileScan {
            schema: &self.schema,
            table: self.definition(),
            context: &self.context,
            state,
            row_filter: false,
            hidden: false,
        }
    }

    async fn planned(&self, files: Vec<Arc<DataFile>>) -> crate::Result<Vec<PlannedFile>> {
        let catalog = self.context.catalog.as_ref();
        let known = self.context.statistics.of_files(catalog, self.table().id, &files).await?;
        let planned = files.into_iter().zip(known).map(|(file, known)| PlannedFile {
            statistics: Arc::new(statistics::of_file(self.table(), &file, known.as_deref())),
            stored_schema: statistics::stored_schema(self.table(), &self.schema, known.as_deref()),
            file,
        });
        Ok(planned.collect())
    }

    /// The parts' rows, in one plan for each writer.
    async fn unflushed(&self, parts: Vec<HeldPart>, wanted: &Wanted<'_>) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let of_writers = parts.chunk_by(|one, other| one.writer() == other.writer());
        futures::future::try_join_all(of_writers.map(|parts| self.of_writer(parts, wanted))).await
    }

    async fn of_writer(&self, held: &[HeldPart], wanted: &Wanted<'_>) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(HeldPart { holder, above, .. }) = held.first() else {
            return Err(crate::Error::internal("a writer of no parts").into());
        };
        let scan = self.file_scan(wanted.state);
        let (columns, kept) = scan.columns_for(wanted.columns, wanted.predicate.as_ref());
        let rows: usize = held.iter().map(|held| held.part.rows()).sum();
        let told = format!("table={}, parts={}, rows={rows}", self.table().name, held.len());
        let asked = RowsWanted {
            parts: held.iter().map(|held| Arc::clone(&held.part)).collect(),
            above: *above,
            table: Arc::clone(&self.view.snapshot.table),
            columns: columns.iter().map(|&index| self.table().columns[index].field_id).collect(),
            range: wanted.range,
            memory: Arc::clone(&self.context.memory),
        };
        let schema = Arc::new(self.schema.project(&columns)?);
        let leaf = UnflushedExec::new(holder.rows(asked).await?, schema, told);
        let leaf: Arc<dyn ExecutionPlan> = Arc::new(leaf);
        let Some(predicate) = &wanted.predicate else { return Ok(leaf) };
        let predicate = scan.rebased(predicate, &leaf.schema())?;
        Ok(Arc::new(FilterExecBuilder::new(predicate, leaf).apply_projection(Some(kept))?.build()?))
    }

    async fn clusters(
        &self,
        clusters: Vec<Cluster>,
        filters: &[Expr],
        wanted: &Wanted<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let key = self.key();
        let mut columns = wanted.columns.to_vec();
        columns.extend(key.iter().filter(|index| !wanted.columns.contains(index)));
        // Conditions on the key hold for all rows of a key or none, so they may be applied before the merge.
        let on_key = conjunction(filters.iter().filter(|filter| self.is_key(filter)).cloned());
        let predicate = on_key.map(|expr| self.physical(wanted.state, expr)).transpose()?;
        let inner = Wanted { columns: &columns, predicate, ..*wanted };
        let scan = FileScan { hidden: true, ..self.file_scan(wanted.state) };
        let mut plans = Vec::with_capacity(clusters.len());
        for cluster in clusters {
            let mut inputs = Vec::new();
            for file in scan.pruned(self.planned(cluster.files).await?, inner.predicate.as_ref())? {
                inputs.push(scan.files(vec![file], inner.columns, inner.predicate.clone(), 1, None)?);
            }
            inputs.extend(self.unflushed(cluster.parts, &inner).await?);
            if !inputs.is_empty() {
                plans.push(inputs);
            }
        }
        let position = |index: &usize| columns.iter().position(|column| column == index);
        let key = key.iter().filter_map(position).collect();
        let output: Vec<usize> = (0..wanted.columns.len()).collect();
        if plans.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(wanted.columns)?))));
        }
        let partitions = wanted.state.config().target_partitions();
        Ok(Arc::new(LastWriteExec::try_new(plans, key, output, partitions)?))
    }

    fn physical(&self, state: &dyn Session, expr: Expr) -> Result<Arc<dyn PhysicalExpr>> {
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        state.create_physical_expr(expr, &schema)
    }

    /// Files and parts that may hold rows in `range`, sorted by how they have to be read.
    fn layout(&self, range: TimeRange) -> Layout {
        let inside = |time: TimeRange| !range.is_empty() && time.overlaps(range);
        let all = &self.view.snapshot.files;
        let files: Vec<_> = all.iter().filter(|file| inside(file.time)).cloned().collect();
        let pruned = all.len() - files.len();
        self.context.counters.files_pruned.fetch_add(pruned as u64, Ordering::Relaxed);
        let parts = self.view.parts.iter().filter(|part| inside(part.part.time_range())).cloned().collect();
        layout(self.table().key, files, parts)
    }
}

/// What a scan asks of each source of rows.
#[derive(Clone)]
struct Wanted<'a> {
    state: &'a dyn Session,
    /// Positions in the table's schema.
    columns: &'a [usize],
    /// To be applied by the scan.
    predicate: Option<Arc<dyn PhysicalExpr>>,
    range: TimeRange,
}

fn only_time(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty() && columns.iter().all(|column| column.name == TIME_COLUMN) && !filter.is_volatile()
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match only_time(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let everything: Vec<usize> = (0..self.schema.fields().len()).collect();
        let columns = projection.unwrap_or(&everything);
        let range = time_bounds::of_filters(filters);
        let Layout { plain, parts, clusters } = self.layout(range);
        let on_time = conjunction(filters.iter().filter(|filter| only_time(filter)).cloned());
        let predicate = on_time.map(|expr| self.physical(state, expr)).transpose()?;
        let wanted = Wanted { state, columns, predicate, range };
        let scan = self.file_scan(state);

        let all = conjunction(filters.to_vec()).map(|expr| self.physical(state, expr)).transpose()?;
        let plain = scan.pruned(self.planned(plain).await?, all.as_ref())?;
        let alone = parts.is_empty() && clusters.is_empty();
        let mut plans: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !plain.is_empty() {
            let partitions = state.config().target_partitions();
            let limit = limit.filter(|_| alone && filters.iter().all(only_time));
            let scan = FileScan { row_filter: scan.wants_row_filter(filters, columns), ..scan };
            plans.push(scan.files(plain, columns, wanted.predicate.clone(), partitions, limit)?);
        }
        plans.extend(self.unflushed(parts, &wanted).await?);
        if !clusters.is_empty() {
            plans.push(self.clusters(clusters, filters, &wanted).await?);
        }
        match plans.len() {
            0 => Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(columns)?)))),
            1 => Ok(plans.swap_remove(0)),
            _ => UnionExec::try_new(plans),
        }
    }
}

#[cfg(test)]
mod tests;
