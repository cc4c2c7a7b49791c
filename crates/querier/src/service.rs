//! The querier as a service: what it needs before it answers, and its place in a process.

use std::path::Path;
use std::sync::Arc;

use gigapi_model::Ids;
use gigapi_recovery::Guardian;
use gigapi_service::process::{self, BoxError, Host, Part};
use gigapi_service::settings::Settings;
use gigapi_service::{CatalogStatus, Components, Phase, Shutdown};
use gigapi_storage::{OWN_FOLDER, ProcessFolder};
use tokio::runtime::{Builder, Runtime};

use crate::{QUERY_ENDPOINTS, Querier, QuerierComponents, QueryOptions, Unflushed};

/// Runs a querier until the shutdown. It waits for a catalog that serves and rebuilds none: it may have no right to
/// write to the layers.
pub async fn run(host: Host) -> Result<(), BoxError> {
    let start = async |settings: &Settings, components: &Components, shutdown: &Shutdown| {
        Ok(vec![alone(settings, components, shutdown).await?])
    };
    process::serve(host, &QUERY_ENDPOINTS, |_, _| {}, start).await
}

/// Brings a querier up in a process without a writer: it waits for a catalog that serves.
pub async fn alone(settings: &Settings, components: &Components, shutdown: &Shutdown) -> Result<Part, BoxError> {
    let guardian = Guardian::new(Arc::clone(&components.catalog), Arc::clone(&components.layers), false);
    let status = CatalogStatus::register(&components.metrics, &components.readiness);
    status.follow(guardian.health(), |health| (health.word(), health.reason()));
    let epochs = guardian.settle().await?;
    components.claim_layers(epochs.catalog).await?;
    status.up();
    let Part { routes, work } = part(settings, components, shutdown, None)?;
    let shutdown = shutdown.clone();
    let work = Box::pin(async move {
        let guarding = tokio::spawn(async move { guardian.run(shutdown.reached(Phase::Close)).await });
        let ended = work.await;
        guarding.abort();
        ended
    });
    Ok(Part { routes, work })
}

/// Planning goes down a statement's tree by calling itself; the limits on its depth leave room to spare in this.
const STACK_BYTES: usize = 16 << 20;

/// A runtime that does not hold up the end of the process.
struct QueryThreads(Option<Runtime>);

impl Drop for QueryThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Brings a querier up; `unflushed` are rows that a writer in this process holds.
pub fn part(
    settings: &Settings,
    components: &Components,
    shutdown: &Shutdown,
    unflushed: Option<Arc<dyn Unflushed>>,
) -> Result<Part, BoxError> {
    // Queries have threads of their own, so that a wide one does not hold up anything else.
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let threads = settings.query.threads.unwrap_or(threads);
    let runtime = Builder::new_multi_thread()
        .thread_name("query")
        .worker_threads(threads)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    let handle = runtime.handle().clone();
    let held = QueryThreads(Some(runtime));
    let spill = spill_folder(&settings.root, components.ids.as_ref())?;
    let querier = QuerierComponents {
        catalog: Arc::clone(&components.catalog),
        store: components.front(),
        clock: Arc::clone(&components.clock),
        ids: Arc::clone(&components.ids),
        unflushed,
        authorization: gigapi_service::auth::own_header(&settings.auth),
        options: QueryOptions::new(&settings.query, Some(spill.path().to_owned())),
        runtime: handle,
    };
    let querier = components.metrics.register(|registry| Querier::new(querier, registry))?;
    let shutdown = shutdown.clone();
    let work = Box::pin(async move {
        shutdown.reached(Phase::Close).await;
        drop(held);
        drop(spill);
        Ok(())
    });
    Ok(Part { routes: crate::routes(querier), work })
}

/// Takes a folder for what queries spill, and removes those of processes that are gone: a process that is killed
/// cannot remove its own, and others may share the root.
fn spill_folder(root: &Path, ids: &dyn Ids) -> Result<ProcessFolder, BoxError> {
    let all = root.join(OWN_FOLDER).join("spill");
    gigapi_service::make_folder(&all, "GIGAPI_ROOT")?;
    Ok(ProcessFolder::take(&all, ids)?)
}

#[cfg(test)]
mod tests;
