//! From a parsed statement to a plan that can run.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use gigapi_catalog::Reader;

use super::columns::{Parameter, columns, parameters};
use super::interrupt::{Interrupt, interruptible};
use super::running::RunningQuery;
use super::{Habits, QueryRequest, Shared};
use crate::dialect::{self, Scope};
use crate::scan::ScanContext;
use crate::session::{self, Engine, Reads, Request};
use crate::unflushed::Holders;
use crate::{Error, Result};

/// A query as the engine will run it.
pub(super) struct Planned {
    /// The columns of the answer, with what is known of where they come from.
    pub(super) columns: SchemaRef,
    pub(super) physical: Arc<dyn ExecutionPlan>,
    pub(super) context: Arc<TaskContext>,
}

/// Takes views of the tables and plans over them.
pub(super) async fn plan(
    shared: &Shared,
    request: &QueryRequest,
    query: &dialect::Query,
    reads: (&Arc<dyn Reader>, &Holders),
    running: &RunningQuery,
) -> Result<Planned> {
    let (state, logical) = logical(shared, request, query, reads, running).await?;
    let optimized = state.optimize(&logical)?;
    let columns = columns(&logical, optimized.schema().as_arrow());
    let physical = state.query_planner().create_physical_plan(&optimized, &state).await?;
    let interrupt = Interrupt { cancelled: running.cancelled.clone(), time: running.time() };
    let physical = interruptible(physical, &interrupt)?;
    let memory: Arc<dyn MemoryPool> = Arc::clone(&running.memory) as _;
    Ok(Planned { columns, physical, context: Engine::task(&state, memory) })
}

/// What is known of a statement that was planned and will not run.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) columns: SchemaRef,
    pub(super) parameters: Vec<Parameter>,
}

/// Plans as far as columns and parameters are known, without reading anything but definitions.
pub(super) async fn outline(
    shared: &Shared,
    request: &QueryRequest,
    query: &dialect::Query,
    reader: &Arc<dyn Reader>,
    running: &RunningQuery,
) -> Result<Outline> {
    let (state, logical) = logical(shared, request, query, (reader, &Holders::default()), running).await?;
    let parameters = parameters(&logical)?;
    // Types that follow from values are not known before there are any.
    let columns = match parameters.is_empty() {
        true => columns(&logical, state.optimize(&logical)?.schema().as_arrow()),
        false => columns(&logical, logical.schema().as_arrow()),
    };
    Ok(Outline { columns, parameters })
}

/// Plans as far as the columns of the answer are known.
pub(super) async fn logical(
    shared: &Shared,
    request: &QueryRequest,
    query: &dialect::Query,
    (reader, holders): (&Arc<dyn Reader>, &Holders),
    running: &RunningQuery,
) -> Result<(datafusion::execution::session_state::SessionState, LogicalPlan)> {
    let mut query = query.clone();
    dialect::number_placeholders(&mut query)?;
    let scope = Scope::of(&query)?;
    let context = Arc::new(ScanContext {
        catalog: Arc::clone(reader),
        store: Arc::clone(&shared.components.store),
        metadata: Arc::clone(&shared.engine.metadata),
        statistics: Arc::clone(&shared.statistics),
        counters: Arc::clone(&running.counters),
        memory: Arc::clone(&running.memory) as _,
    });
    let listed = shared.listed();
    let reads = Reads { context: &context, holders, catalog: &shared.components.catalog, running: &listed };
    let asked = Request { database: request.database.clone(), show_virtual: request.show_virtual };
    let resolved = session::resolve(scope, &asked, reads).await?;
    if request.habits == Habits::DuckDb {
        dialect::name_columns(&mut query)?;
    }
    dialect::unify(&mut query, &resolved.names)?;
    dialect::expand(&mut query, request.habits, &request.database)?;
    let mut state = shared.engine.session(resolved.catalog, &request.database, request.habits)?;
    state.mark_start_execution();
    let now = shared.components.clock.now();
    state.execution_props_mut().query_execution_start_time = Some(chrono::DateTime::from_timestamp_nanos(now.nanos()));
    let mut logical = state.statement_to_plan(query.statement).await?;
    session::allowed().verify_plan(&logical).map_err(|error| refused(&error.strip_backtrace()))?;
    if let Some(parameters) = &request.parameters {
        logical = logical.with_param_values(parameters.clone())?;
    }
    if query.summarized {
        logical = dialect::summarized(logical)?;
    }
    Ok((state, logical))
}

fn refused(message: &str) -> Error {
    Error::Refused {
        what: message.trim_start_matches("Error during planning: ").to_owned(),
        instead: "this endpoint reads, with SELECT, SHOW, DESCRIBE and EXPLAIN",
    }
}
