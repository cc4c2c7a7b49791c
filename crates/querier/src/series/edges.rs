//! The newest or the oldest row of each group: first where it is, then what it holds.
//!
//! Finding it takes tags and times alone; the other columns are read once the last file was looked at, of the rows that were
//! found and of no others. A file whose rows are all older than what a group has is not looked into for that group.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, TimestampNanosecondArray, new_null_array};
use arrow::compute::{concat_batches, interleave};
use arrow::datatypes::{DataType, Schema};
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use datafusion::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Column;
use futures::TryStreamExt;
use gigapi_model::{TableDef, TimeRange};

use super::chunks::OpenFile;
use super::keys::{Key, is_time};
use super::shape::Rebase;

/// Which row of a group is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    Oldest,
    Newest,
}

impl Edge {
    /// Whether a row of that time comes before the one that is known.
    fn is_better(self, time: i64, known: i64) -> bool {
        match self {
            Self::Oldest => time < known,
            Self::Newest => time > known,
        }
    }

    /// Whether some row in that range may come before the one that is known.
    pub(super) fn may_be_better(self, range: TimeRange, known: i64) -> bool {
        match self {
            Self::Oldest => self.is_better(range.min.nanos(), known),
            Self::Newest => self.is_better(range.max.nanos(), known),
        }
    }

    /// The place of the best of these times, which are some.
    fn best(self, times: &[i64]) -> (usize, i64) {
        let best = match self {
            Self::Oldest => times.iter().copied().min(),
            Self::Newest => times.iter().copied().max(),
        };
        let best = best.unwrap_or_default();
        (times.iter().position(|time| *time == best).unwrap_or_default(), best)
    }
}

/// A column's value in the wanted row, as a call asks for it.
#[derive(Debug)]
pub(super) struct EdgeCall {
    /// The column's place in the table.
    pub(super) column: usize,
    /// What the row is chosen by, part by part; those that are the same in all rows of a group matter only to the form.
    order: Vec<OrderPart>,
    types: Vec<DataType>,
}

#[derive(Debug)]
enum OrderPart {
    Time,
    /// One of the group's keys.
    Key(usize),
}

impl EdgeCall {
    /// Understands `first_value` and `last_value` in the order of time.
    pub(super) fn of(
        call: &AggregateFunctionExpr,
        argument: &Arc<dyn PhysicalExpr>,
        table: &TableDef,
        keys: &[Key],
        rebased: Rebase<'_>,
    ) -> Option<(Self, Edge)> {
        let is_first = match call.fun().name() {
            "first_value" => true,
            "last_value" => false,
            _ => return None,
        };
        let place = |expr: &Arc<dyn PhysicalExpr>| {
            let column = expr.downcast_ref::<Column>()?;
            table.columns.iter().position(|known| known.name.as_str() == column.name())
        };
        let column = place(argument)?;
        let (mut order, mut edge) = (Vec::new(), None);
        for part in call.order_bys() {
            let expr = rebased(&part.expr)?;
            if is_time(&expr) {
                let found = if part.options.descending == is_first { Edge::Newest } else { Edge::Oldest };
                // A second mention decides nothing.
                edge = edge.or(Some(found));
                order.push(OrderPart::Time);
                continue;
            }
            let tag = place(&expr)?;
            let is_key = |key: &Key| matches!(key, Key::Tag { column, .. } if *column == tag);
            order.push(OrderPart::Key(keys.iter().position(is_key)?));
        }
        let types = call.state_fields().ok()?.iter().map(|field| field.data_type().clone()).collect();
        Some((Self { column, order, types }, edge?))
    }

    /// The state that the engine's second half takes: the value, what it was chosen by, and that there is one.
    pub(super) fn states(&self, keys: &[ArrayRef], found: &Found) -> Result<Vec<ArrayRef>> {
        let mut states = vec![Arc::clone(&found.columns[&self.column])];
        states.extend(self.order.iter().map(|part| match part {
            OrderPart::Time => Arc::clone(&found.times),
            OrderPart::Key(key) => Arc::clone(&keys[*key]),
        }));
        states.push(Arc::new(BooleanArray::from(vec![true; found.times.len()])));
        if !states.iter().map(|state| state.data_type()).eq(&self.types) {
            return Err(DataFusionError::Internal(format!("an edge's state was to be {:?}", self.types)));
        }
        Ok(states)
    }
}

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Among the files of the fold.
    pub(super) file: usize,
    pub(super) row_group: usize,
    pub(super) row: usize,
}

/// The best row of each group so far.
#[derive(Debug)]
pub(super) struct Edges {
    edge: Edge,
    rows: Vec<Option<(i64, Place)>>,
}

impl Edges {
    pub(super) fn new(edge: Edge) -> Self {
        Self { edge, rows: Vec::new() }
    }

    /// Takes rows of a group into account, which begin at that place.
    pub(super) fn offer(&mut self, group: u32, times: &[i64], first: Place) {
        let group = group as usize;
        if self.rows.len() <= group {
            self.rows.resize(group + 1, None);
        }
        let (index, time) = self.edge.best(times);
        if self.rows[group].is_none_or(|(known, _)| self.edge.is_better(time, known)) {
            self.rows[group] = Some((time, Place { row: first.row + index, ..first }));
        }
    }

    /// Whether rows in that range may be better than what a group has.
    pub(super) fn may_be_better(&self, group: u32, range: TimeRange) -> bool {
        let known = self.rows.get(group as usize).copied().flatten();
        known.is_none_or(|(known, _)| self.edge.may_be_better(range, known))
    }

    /// By file and row group, the rows that are wanted, ascending.
    pub(super) fn wanted(&self) -> BTreeMap<(usize, usize), Vec<usize>> {
        let mut wanted: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (_, place) in self.rows.iter().flatten() {
            wanted.entry((place.file, place.row_group)).or_default().push(place.row);
        }
        // A row may be that of several groups only if groups share rows, which they do not.
        wanted.values_mut().for_each(|rows| rows.sort_unstable());
        wanted
    }

    /// What was read of the wanted rows, in the order of the groups.
    pub(super) fn found(
        &self,
        read: &BTreeMap<(usize, usize), (Vec<usize>, RecordBatch)>,
        columns: &[usize],
        table: &TableDef,
    ) -> Result<Found> {
        let lost = || DataFusionError::Internal("a row that was found is not there any more".to_owned());
        let batches: Vec<_> = read.iter().collect();
        let mut places = Vec::with_capacity(self.rows.len());
        let mut times = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let (time, place) = row.ok_or_else(lost)?;
            times.push(time);
            let batch = batches.binary_search_by_key(&(place.file, place.row_group), |(key, _)| **key);
            let batch = batch.map_err(|_| lost())?;
            let index = batches[batch].1.0.binary_search(&place.row).map_err(|_| lost())?;
            places.push((batch, index));
        }
        let schema = gigapi_rows::table_schema(table);
        let mut found = Found { times: Arc::new(TimestampNanosecondArray::from(times)), columns: BTreeMap::new() };
        for (position, &column) in columns.iter().enumerate() {
            let arrays: Vec<_> = batches.iter().map(|(_, (_, batch))| batch.column(position).as_ref()).collect();
            let values = match arrays.is_empty() {
                true => new_null_array(schema.field(column).data_type(), 0),
                false => interleave(&arrays, &places)?,
            };
            found.columns.insert(column, values);
        }
        Ok(found)
    }
}

/// Values of the wanted rows, by column of the table.
pub(super) struct Found {
    times: ArrayRef,
    columns: BTreeMap<usize, ArrayRef>,
}

impl OpenFile<'_> {
    /// These columns of some rows of a row group, typed as the table is; what the file lacks is null.
    pub(super) async fn rows(
        &self,
        group: usize,
        rows: &[usize],
        columns: &[usize],
        table: &TableDef,
    ) -> Result<RecordBatch> {
        let schema = gigapi_rows::table_schema(table);
        let there: Vec<(usize, usize)> =
            columns.iter().filter_map(|&column| Some((self.leaf(column)?, column))).collect();
        let wanted = Arc::new(schema.project(columns)?);
        let mut read = None;
        if !there.is_empty() {
            read = Some(self.read_rows(group, rows, &there, &schema).await?);
        }
        let array = |column: usize| {
            let field = schema.field(column);
            let known = read.as_ref().and_then(|batch| batch.column_by_name(field.name()));
            known.map_or_else(|| new_null_array(field.data_type(), rows.len()), Arc::clone)
        };
        Ok(RecordBatch::try_new(wanted, columns.iter().map(|&column| array(column)).collect())?)
    }

    async fn read_rows(
        &self,
        group: usize,
        rows: &[usize],
        there: &[(usize, usize)],
        schema: &Schema,
    ) -> Result<RecordBatch> {
        let fields = self.columns().map(|column| schema.field(column).clone()).collect::<Vec<_>>();
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), options)?;
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), there.iter().map(|(leaf, _)| *leaf));
        let total = usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0);
        let selection = RowSelection::from_consecutive_ranges(rows.iter().map(|&row| row..row + 1), total);
        let reader: Box<dyn AsyncFileReader> = self.reader()?;
        let batches: Vec<RecordBatch> = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata)
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_row_selection(selection)
            .with_batch_size(rows.len())
            .build()?
            .try_collect()
            .await?;
        let Some(first) = batches.first() else {
            return Err(DataFusionError::Internal("rows that were found are not there any more".to_owned()));
        };
        Ok(concat_batches(&first.schema(), &batches)?)
    }
}
