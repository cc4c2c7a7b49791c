//! What a server does about its catalog before it starts, and keeps in store for the day it is lost.

use std::sync::Arc;

use anyhow::{Context, bail};
use gigapi_recovery::{Checkpointer, Condition, Policy, condition, rebuild};
use gigapi_service::{Components, Phase, Shutdown};

/// Rebuilds a catalog that was lost. One that was rolled back stops the start, because rows that it has
/// forgotten would be taken again.
pub(crate) async fn recover(components: &Components) -> anyhow::Result<()> {
    let (catalog, layers) = (components.catalog.as_ref(), components.layers.as_ref());
    match condition(catalog, layers).await? {
        Condition::Fresh | Condition::Healthy => Ok(()),
        Condition::Recovering { catalog: owner } => {
            let _recovering = components.readiness.block("recovering", "the catalog is being rebuilt");
            tracing::warn!(catalog = %owner, "the catalog is gone; it is rebuilt from checkpoints and data files");
            let report = rebuild(catalog, layers).await.context("the catalog cannot be rebuilt")?;
            tracing::warn!(
                tables = report.tables,
                files = report.files,
                rows = report.rows,
                orphans = report.orphans,
                foreign = report.foreign,
                epoch = report.epoch,
                "the catalog is rebuilt"
            );
            Ok(())
        }
        Condition::RolledBack { checkpoint, version } => bail!(
            "the catalog is at version {version} of table {}, a checkpoint is at version {}: bring back the newer catalog, or move the file away to have it rebuilt",
            checkpoint.table,
            checkpoint.version
        ),
    }
}

/// Writes checkpoints while the server runs, and once more when everything is flushed.
pub(crate) fn keep_checkpoints(components: &Components, shutdown: &Shutdown) {
    let participant = shutdown.join(Phase::Close, "checkpoints");
    let checkpointer =
        Checkpointer::new(Arc::clone(&components.catalog), components.layers.as_ref().clone(), Policy::default());
    tokio::spawn(async move {
        checkpointer.run(participant.called()).await;
        drop(participant);
    });
}
