//! The compactor as a service, alone in a process.

use std::sync::Arc;

use axum::Router;
use gigapi_recovery::Guardian;
use gigapi_service::process::{self, BoxError, Host, Part};
use gigapi_service::settings::Settings;
use gigapi_service::{CatalogStatus, Components, Phase, Shutdown};

/// Runs a compactor until the shutdown.
pub async fn run(host: Host) -> Result<(), BoxError> {
    let start =
        async |_: &Settings, components: &Components, shutdown: &Shutdown| Ok(vec![part(components, shutdown).await?]);
    process::serve(host, &[], |_, _| {}, start).await
}

/// Brings a compactor up.
pub async fn part(components: &Components, shutdown: &Shutdown) -> Result<Part, BoxError> {
    let guardian = Guardian::new(Arc::clone(&components.catalog), Arc::clone(&components.layers), true);
    let status = CatalogStatus::register(&components.metrics, &components.readiness);
    status.follow(guardian.health(), |health| (health.word(), health.reason()));
    let epochs = guardian.settle().await?;
    components.claim_layers(epochs.catalog).await?;
    status.up();
    tracing::warn!("this version merges, relocates and expires nothing; files stay as they were flushed");
    let shutdown = shutdown.clone();
    let work = Box::pin(async move {
        guardian.run(shutdown.reached(Phase::Close)).await;
        Ok(())
    });
    Ok(Part { routes: Router::new(), work })
}
