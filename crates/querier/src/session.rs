//! The engine, closed in: what a statement may reach and how much it may use.
//!
//! One engine state is built at the start and copied for each query with the tables that the query named. It knows
//! one store, under a scheme of our own; no file system, no formats to read by path, no statement that changes
//! anything. Whatever a statement can name comes from the query's own catalog.

mod catalog;
mod own;
mod resolve;
mod store;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::config::Dialect;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{FunctionRegistry, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::aggregate_statistics::AggregateStatistics;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SQLOptions, SessionConfig};
use object_store::ObjectStore;

pub(crate) use catalog::{CATALOG, QueryCatalog};
pub(crate) use own::{IOX, OWN_SCHEMAS, RunningQuery, tables as own_tables};
pub(crate) use resolve::{Reads, Request, resolve, similar_table, tables_of};

use crate::scan::MetadataCache;
use crate::series::{FirstRowRule, FoldRule};
use crate::settings::QueryOptions;
use crate::{Error, Habits, Result, dialect};

/// The engine as it is before a query's tables are known.
pub(crate) struct Engine {
    /// By what a statement's operators mean.
    states: Vec<(Habits, SessionState)>,
    config: SessionConfig,
    pub(crate) metadata: Arc<MetadataCache>,
    pub(crate) memory: Arc<dyn MemoryPool>,
}

impl Engine {
    pub(crate) fn new(options: &QueryOptions, store: Arc<dyn ObjectStore>) -> Result<Self> {
        let memory: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(options.memory_bytes_max));
        let runtime = runtime(options, Arc::clone(&memory), store)?;
        let config = config(options);
        let state = |habits| {
            let mut state = SessionStateBuilder::new()
                .with_config(config.clone())
                .with_runtime_env(Arc::clone(&runtime))
                .with_default_features()
                .with_file_formats(Vec::new())
                .with_table_factories(HashMap::new())
                .with_type_planner(Arc::new(dialect::TypeNames))
                .with_optimizer_rule(Arc::new(FirstRowRule))
                .with_physical_optimizer_rules(rules())
                .build();
            dialect::register(&mut state)?;
            state.register_expr_planner(Arc::new(dialect::TimeCoercion))?;
            state.register_expr_planner(Arc::new(dialect::Arithmetic(habits)))?;
            Ok::<_, Error>((habits, state))
        };
        let states = [Habits::DuckDb, Habits::Engine].map(state).into_iter().collect::<Result<_>>()?;
        let metadata = Arc::new(MetadataCache::new(runtime.cache_manager.get_file_metadata_cache()));
        Ok(Self { states, config, metadata, memory })
    }

    /// The engine for one query over these tables; names without a database mean `database`. It plans: what runs, runs in
    /// [`Self::task`].
    pub(crate) fn session(&self, catalog: QueryCatalog, database: &str, habits: Habits) -> Result<SessionState> {
        let state = self.states.iter().find(|(known, _)| *known == habits);
        let Some((_, state)) = state else { return Err(Error::internal("no engine has these habits")) };
        // A builder would register some four hundred functions one by one.
        let mut state = state.clone();
        *state.config_mut() = self.config.clone().with_default_catalog_and_schema(CATALOG, database);
        state.register_catalog_list(Arc::new(catalog));
        Ok(state)
    }

    /// What a planned query runs in, with its share of memory. Plans hold the functions that they call.
    pub(crate) fn task(state: &SessionState, memory_pool: Arc<dyn MemoryPool>) -> Arc<TaskContext> {
        let runtime = Arc::new(RuntimeEnv { memory_pool, ..state.runtime_env().as_ref().clone() });
        let (id, config) = (state.session_id().to_owned(), state.config().clone());
        let (scalar, higher, aggregate, window) = Default::default();
        Arc::new(TaskContext::new(None, id, config, scalar, higher, aggregate, window, runtime))
    }
}

/// The engine's own rules, and ours after what statistics answer and before filters move and files are split.
fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    let statistics = rules.iter().position(|rule| rule.name() == AggregateStatistics::new().name());
    rules.insert(statistics.map_or(0, |place| place + 1), Arc::new(FoldRule));
    rules
}

/// What a plan may contain: nothing that defines, changes or sets.
pub(crate) fn allowed() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

fn runtime(
    options: &QueryOptions,
    memory: Arc<dyn MemoryPool>,
    store: Arc<dyn ObjectStore>,
) -> Result<Arc<RuntimeEnv>> {
    let mode = match &options.spill_folder {
        Some(folder) => DiskManagerMode::Directories(vec![folder.clone()]),
        None => DiskManagerMode::Disabled,
    };
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(options.spill_bytes_max);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(memory)
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(store::OnlyLayers::new(store)))
        .with_metadata_cache_limit(options.metadata_bytes_max)
        .build_arc()?;
    Ok(runtime)
}

fn config(options: &QueryOptions) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(options.threads.get())
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    let settings = config.options_mut();
    settings.sql_parser.dialect = Dialect::DuckDB;
    settings.sql_parser.enable_ident_normalization = false;
    settings.sql_parser.map_string_types_to_utf8view = true;
    settings.execution.parquet.max_in_list_size = 100;
    settings.execution.parquet.metadata_size_hint = Some(64 * 1024);
    settings.execution.collect_statistics = false;
    config
}
