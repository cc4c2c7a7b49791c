//! Finds aggregations over data files that can be folded, and puts the fold in the place of their first half.
//!
//! It runs before the engine's own rules move filters and split files. What lies between the aggregation and the files may
//! be filters, projections and a union; of a union's inputs each is looked at by itself, so that rows which are not in
//! files yet, or have to be merged, take the engine's way.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

use super::exec::{Generic, SeriesFoldExec};
use super::shape::Shape;
use crate::scan::StoredFile;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct FoldRule;

impl PhysicalOptimizerRule for FoldRule {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = config.execution.target_partitions.max(1);
        let replace = |node: Arc<dyn ExecutionPlan>| match node.downcast_ref::<AggregateExec>() {
            Some(aggregate) if *aggregate.mode() == AggregateMode::Partial => {
                match folded(&node, aggregate, partitions)? {
                    Some(folded) => Ok(Transformed::yes(folded)),
                    None => Ok(Transformed::no(node)),
                }
            }
            _ => Ok(Transformed::no(node)),
        };
        plan.transform_up(replace).data()
    }

    fn name(&self) -> &'static str {
        "series_fold"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn folded(
    node: &Arc<dyn ExecutionPlan>,
    aggregate: &AggregateExec,
    partitions: usize,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let is_plain = aggregate.group_expr().is_single() || aggregate.group_expr().is_empty();
    if !is_plain || aggregate.filter_expr().iter().any(Option::is_some) || aggregate.limit_options().is_some() {
        return Ok(None);
    }
    let (layers, bottom) = layers(aggregate.input());
    let inputs: Vec<Arc<dyn ExecutionPlan>> = match bottom.downcast_ref::<UnionExec>() {
        Some(union) => union.inputs().clone(),
        None => vec![Arc::clone(&bottom)],
    };
    let mut folds = 0;
    let mut plans = Vec::with_capacity(inputs.len());
    for input in inputs {
        // Below a union there may be conditions of the scan itself.
        let (all, leaf) = layers_below(&layers, &input);
        match fold(node, aggregate, &all, &leaf, partitions)? {
            Some(fold) => {
                folds += 1;
                plans.push(fold);
            }
            None => {
                let generic = Generic { aggregate: Arc::clone(node), layers: all };
                plans.push(generic.over(leaf)?);
            }
        }
    }
    match (folds, plans.len()) {
        (0, _) => Ok(None),
        (_, 1) => Ok(plans.pop()),
        _ => UnionExec::try_new(plans).map(Some),
    }
}

/// The filters and projections from a node down, outermost first, and what lies below them.
fn layers(top: &Arc<dyn ExecutionPlan>) -> (Vec<Arc<dyn ExecutionPlan>>, Arc<dyn ExecutionPlan>) {
    layers_below(&[], top)
}

fn layers_below(
    above: &[Arc<dyn ExecutionPlan>],
    top: &Arc<dyn ExecutionPlan>,
) -> (Vec<Arc<dyn ExecutionPlan>>, Arc<dyn ExecutionPlan>) {
    let mut layers = above.to_vec();
    let mut node = Arc::clone(top);
    loop {
        let below = match (node.downcast_ref::<FilterExec>(), node.downcast_ref::<ProjectionExec>()) {
            (Some(filter), _) if filter.fetch().is_none() => Arc::clone(filter.input()),
            (_, Some(projection)) => Arc::clone(projection.input()),
            _ => return (layers, node),
        };
        layers.push(node);
        node = below;
    }
}

fn fold(
    node: &Arc<dyn ExecutionPlan>,
    aggregate: &AggregateExec,
    layers: &[Arc<dyn ExecutionPlan>],
    leaf: &Arc<dyn ExecutionPlan>,
    partitions: usize,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(source) = leaf.downcast_ref::<DataSourceExec>() else { return Ok(None) };
    let Some(scan) = source.data_source().downcast_ref::<FileScanConfig>() else { return Ok(None) };
    let files = || scan.file_groups.iter().flat_map(|group| group.files());
    let Some(stored) = files().next().and_then(|file| file.extension::<StoredFile>()) else { return Ok(None) };
    if scan.limit.is_some() || files().any(|file| file.range.is_some()) {
        return Ok(None);
    }
    let mut predicates = Vec::new();
    for (depth, layer) in layers.iter().enumerate() {
        if let Some(filter) = layer.downcast_ref::<FilterExec>() {
            let Some(predicate) = rebased(filter.predicate(), &layers[depth + 1..]) else { return Ok(None) };
            predicates.push(predicate);
        }
    }
    let through = |expr: &Arc<dyn PhysicalExpr>| rebased(expr, layers);
    let Some(shape) = Shape::of(aggregate, &predicates, &stored.table, &through) else { return Ok(None) };
    let generic = Generic { aggregate: Arc::clone(node), layers: layers.to_vec() };
    let files = files().cloned().collect();
    let fold = SeriesFoldExec::new(Arc::new(shape), stored.clone(), files, scan.clone(), generic, partitions);
    Ok(Some(Arc::new(fold)))
}

/// An expression over the output of the first of these layers as one over the input of the last.
fn rebased(expr: &Arc<dyn PhysicalExpr>, layers: &[Arc<dyn ExecutionPlan>]) -> Option<Arc<dyn PhysicalExpr>> {
    let mut expr = Arc::clone(expr);
    for layer in layers {
        let projection = layer.downcast_ref::<ProjectionExec>();
        let filter = layer.downcast_ref::<FilterExec>();
        let replace = |node: Arc<dyn PhysicalExpr>| {
            let Some(column) = node.downcast_ref::<Column>() else { return Ok(Transformed::no(node)) };
            let index = column.index();
            if let Some(projection) = projection {
                return Ok(Transformed::yes(Arc::clone(&projection.expr()[index].expr)));
            }
            let kept = filter.and_then(|filter| filter.projection().as_ref());
            let input = kept.map_or(index, |kept| kept[index]);
            Ok(Transformed::yes(Arc::new(Column::new(column.name(), input)) as Arc<dyn PhysicalExpr>))
        };
        expr = expr.transform_down(stop_at(replace)).data().ok()?;
    }
    Some(expr)
}

/// What was put in the place of a column is not looked into again.
fn stop_at(
    mut replace: impl FnMut(Arc<dyn PhysicalExpr>) -> Result<Transformed<Arc<dyn PhysicalExpr>>>,
) -> impl FnMut(Arc<dyn PhysicalExpr>) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    use datafusion::common::tree_node::TreeNodeRecursion;
    move |node| {
        let mut replaced = replace(node)?;
        if replaced.transformed {
            replaced.tnr = TreeNodeRecursion::Jump;
        }
        Ok(replaced)
    }
}
