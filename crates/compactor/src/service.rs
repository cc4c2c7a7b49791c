//! The compactor as a service, alone in a process or beside others, and as a job that ends.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gigapi_model::ErrorKind;
use gigapi_recovery::Guardian;
use gigapi_service::process::{self, BoxError, Host, Part};
use gigapi_service::settings::{CompactorSettings, Mode, Settings};
use gigapi_service::{CatalogStatus, Components, Phase, Shutdown};
use gigapi_storage::{FileEncoders, OWN_FOLDER, Staging};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::caretaker::Caretaker;
use crate::metrics::Metrics;
use crate::planner::{Planner, Scope};
use crate::policy::MergeSettings;
use crate::schedule::{Schedule, Summary};
use crate::small_files::SmallFiles;
use crate::threads::Threads;
use crate::throttle::{Memory, Throttle};
use crate::worker::{FETCHES_AT_ONCE, Worker};
use crate::{Error, Result};

/// Memory of all merges together, unless it is set.
const MEMORY_BYTES: u64 = 384 << 20;

/// Tables are looked at this often at most,
const LOOK_MIN: Duration = Duration::from_millis(50);

/// and this often at least.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// What is set for databases, and which files are damaged, is read from the layer this often at least.
const ASIDE_AGE_MAX: Duration = Duration::from_secs(60);

/// After an error that is none of a single job.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// Runs a compactor until the shutdown.
pub async fn run(host: Host) -> std::result::Result<(), BoxError> {
    let start = async |settings: &Settings, components: &Components, shutdown: &Shutdown| {
        Ok(vec![part(settings, components, shutdown).await?])
    };
    process::serve(host, &[], |_, _| {}, start).await
}

/// Brings a compactor up that has a catalog to watch over itself: alone in its process.
pub async fn part(
    settings: &Settings,
    components: &Components,
    shutdown: &Shutdown,
) -> std::result::Result<Part, BoxError> {
    let guardian = Guardian::new(Arc::clone(&components.catalog), Arc::clone(&components.layers), true);
    let status = CatalogStatus::register(&components.metrics, &components.readiness);
    status.follow(guardian.health(), |health| (health.word(), health.reason()));
    let epochs = guardian.settle().await?;
    components.claim_layers(epochs.catalog).await?;
    status.up();
    let watching = {
        let shutdown = shutdown.clone();
        async move { guardian.run(shutdown.reached(Phase::Close)).await }
    };
    let beside = beside(settings, components, shutdown)?;
    let work = Box::pin(async move {
        let watching = tokio::spawn(watching);
        let ended = beside.work.await;
        watching.abort();
        ended
    });
    Ok(Part { routes: Router::new(), work })
}

/// Brings a compactor up beside a writer, which watches over the catalog.
pub fn beside(
    settings: &Settings,
    components: &Components,
    shutdown: &Shutdown,
) -> std::result::Result<Part, BoxError> {
    let metrics = Metrics::register(&components.metrics);
    let schedule = schedule(settings, components, metrics.clone(), Scope::default())?;
    let caretaker = Caretaker::new(settings, components, metrics);
    let look = (settings.compactor.merge_timeout / 4).clamp(LOOK_MIN, LOOK_MAX);
    let participant = shutdown.join(Phase::Close, "merges");
    let work = Box::pin(async move {
        let caring = tokio::spawn(caretaker.run());
        forever(schedule, look, participant.called()).await;
        caring.abort();
        drop(participant);
        Ok(())
    });
    Ok(Part { routes: Router::new(), work })
}

/// Does what is due, once, in a process that has opened catalog and layers.
pub async fn once(settings: &Settings, components: &Components, scope: Scope) -> Result<Summary> {
    let metrics = Metrics::register(&components.metrics);
    let mut schedule = schedule(settings, components, metrics.clone(), scope)?;
    schedule.until_done().await?;
    let mut caretaker = Caretaker::new(settings, components, metrics);
    let mut summary = schedule.summary;
    caretaker.once(&mut summary).await;
    Ok(summary)
}

/// What would be done, and when to look again if nothing is.
pub async fn dry_run(settings: &Settings, components: &Components, scope: Scope) -> Result<Vec<crate::Intent>> {
    let mut planner = planner(settings, components, scope);
    let planned = planner.due().await?;
    Ok(planned.iter().flat_map(crate::intent::intents).collect())
}

fn planner(settings: &Settings, components: &Components, scope: Scope) -> Planner {
    let CompactorSettings { merges, merge_timeout, lease, .. } = settings.compactor;
    let merging = merges.then(|| MergeSettings::new(merge_timeout));
    Planner::new(Arc::clone(&components.catalog), Arc::clone(&components.layers), merging, scope).with_lease(lease)
}

fn schedule(settings: &Settings, components: &Components, metrics: Metrics, scope: Scope) -> Result<Schedule> {
    let CompactorSettings { parallelism, memory_bytes_max, bytes_per_second, lease, .. } = settings.compactor;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let alone = settings.mode == Mode::Compaction;
    let parallelism = parallelism.unwrap_or(if alone { cores.div_ceil(2) } else { 1 });
    let staging = settings.root.join(OWN_FOLDER).join("staging");
    let worker = Worker {
        catalog: Arc::clone(&components.catalog),
        layers: Arc::clone(&components.layers),
        ids: Arc::clone(&components.ids),
        staging: Arc::new(Staging::open(&staging, components.ids.as_ref())?),
        encoders: Arc::new(FileEncoders::default()),
        memory: Memory::new(memory_bytes_max.unwrap_or(MEMORY_BYTES)),
        throttle: Arc::new(Throttle::new(bytes_per_second)),
        lease,
        threads: Threads::start(parallelism)?,
        fetches: Semaphore::new(FETCHES_AT_ONCE),
        small: SmallFiles::default(),
        under_way: metrics.under_way.clone(),
    };
    let aside_age_max = (settings.compactor.merge_timeout * 3).min(ASIDE_AGE_MAX);
    let planner = planner(settings, components, scope).with_aside_age(aside_age_max);
    Ok(Schedule::new(planner, Arc::new(worker), metrics, parallelism))
}

/// Plans and runs until `stop` resolves, then lets what runs come to its end.
async fn forever(mut schedule: Schedule, look: Duration, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    let mut next_look = Instant::now();
    loop {
        tokio::select! {
            () = &mut stop => break,
            // What is due is looked at although older work waits: new files do not pile up behind a long line.
            () = tokio::time::sleep_until(next_look) => {
                let planned = schedule.plan().await;
                next_look = Instant::now() + look;
                if let Err(error) = planned {
                    told(&error);
                    next_look = Instant::now() + ERROR_PAUSE.max(look);
                }
            }
            // Only waiting is given up when something else comes first.
            Some(joined) = schedule.joined(), if schedule.running() > 0 => schedule.settle(joined).await,
        }
        schedule.start();
    }
    schedule.finish().await;
}

fn told(error: &Error) {
    match error.kind() {
        ErrorKind::Busy | ErrorKind::Unavailable => tracing::warn!(%error, "nothing can be planned now, trying again"),
        _ => tracing::error!(%error, "nothing can be planned"),
    }
}
