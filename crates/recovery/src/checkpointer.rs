//! Writes checkpoints while the catalog changes.
//!
//! When one is due is a pure function; the loop only asks the catalog for versions, a number per table. A
//! checkpoint that fails is tried again at the next look: the catalog is the truth, so nothing waits for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::Catalog;
use gigapi_model::{TableId, Timestamp};
use gigapi_storage::Layers;

use crate::{Result, checkpoint, write_checkpoint};

/// When checkpoints are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// A table's changes wait no longer than this.
    pub changes_age_max: Duration,
    /// A table's checkpoint is no more commits behind than this.
    pub commits_max: u64,
    /// How often the catalog is asked.
    pub interval: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { changes_age_max: Duration::from_secs(60), commits_max: 1_000, interval: Duration::from_secs(5) }
    }
}

/// What is known about a table's newest checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The version that it holds; 0 if there is none.
    pub version: u64,
    /// When the table was first seen at a later version.
    pub changed_at: Option<Timestamp>,
}

/// Whether a table at `version` is due.
pub fn due(policy: &Policy, now: Timestamp, written: Written, version: u64) -> bool {
    let commits = version.saturating_sub(written.version);
    let waited = written.changed_at.is_some_and(|at| now.since(at) >= policy.changes_age_max);
    commits > 0 && (waited || commits >= policy.commits_max)
}

/// Writes checkpoints of all tables of a catalog.
#[derive(Debug)]
pub struct Checkpointer {
    catalog: Arc<dyn Catalog>,
    layers: Layers,
    policy: Policy,
    /// The epoch that `written` speaks of: after a rebuild every table is due again.
    epoch: u64,
    written: HashMap<TableId, Written>,
}

impl Checkpointer {
    /// A checkpointer that has looked at nothing yet.
    pub fn new(catalog: Arc<dyn Catalog>, layers: Layers, policy: Policy) -> Self {
        Self { catalog, layers, policy, epoch: 0, written: HashMap::new() }
    }

    /// Runs until `shutdown` resolves; then writes what changed since, once.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut ticks = tokio::time::interval(self.policy.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                _ = ticks.tick() => {}
            }
            self.look(false).await;
        }
        self.look(true).await;
    }

    async fn look(&mut self, all: bool) {
        match self.pass(all).await {
            Ok(0) => {}
            Ok(written) => tracing::debug!(written, "checkpoints written"),
            Err(error) => tracing::warn!(%error, "checkpoints could not be written, trying again"),
        }
    }

    /// Writes what is due, or, if `all`, every table that changed; answers how many it wrote.
    ///
    /// A table that fails does not keep the others from being written; the first error is answered.
    pub async fn pass(&mut self, all: bool) -> Result<usize> {
        let epochs = self.catalog.epochs().await?;
        if epochs.epoch != self.epoch {
            self.written = self.newest(epochs.epoch).await?;
            self.epoch = epochs.epoch;
        }
        let (now, tables) = (self.catalog.now().await?, self.catalog.live_tables().await?);
        let mut known = HashMap::with_capacity(tables.len());
        let mut failure = None;
        let mut count = 0;
        for table in &tables {
            let version = match self.catalog.version(table.id).await {
                Ok(version) => version,
                // Dropped since the list was made.
                Err(gigapi_catalog::Error::Dropped { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut written = self.written.get(&table.id).copied().unwrap_or(Written { version: 0, changed_at: None });
            if version > written.version {
                written.changed_at.get_or_insert(now);
                if all || due(&self.policy, now, written, version) {
                    match self.write(epochs.catalog, table.id).await {
                        Ok(Some(version)) => {
                            written = Written { version, changed_at: None };
                            count += 1;
                        }
                        Ok(None) => continue,
                        Err(error) => failure = failure.or(Some(error)),
                    }
                }
            }
            known.insert(table.id, written);
        }
        self.written = known;
        failure.map_or(Ok(count), Err)
    }

    /// Writes one table; none if it was dropped meanwhile.
    async fn write(&self, catalog: gigapi_model::CatalogId, table: TableId) -> Result<Option<u64>> {
        let export = match self.catalog.export(table).await {
            Ok(export) => export,
            Err(gigapi_catalog::Error::Dropped { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let name = write_checkpoint(self.layers.first(), catalog, export).await?;
        Ok(Some(name.version))
    }

    /// What the layer holds of this epoch.
    async fn newest(&self, epoch: u64) -> Result<HashMap<TableId, Written>> {
        let mut newest: HashMap<TableId, Written> = HashMap::new();
        for name in checkpoint::names(self.layers.first()).await? {
            if name.epoch == epoch {
                let written = newest.entry(name.table).or_insert(Written { version: 0, changed_at: None });
                written.version = written.version.max(name.version);
            }
        }
        Ok(newest)
    }
}

#[cfg(test)]
mod tests;
