//! Writes checkpoints while the catalog changes.
//!
//! When one is due is a pure function; the loop only asks the catalog for versions, a number per table. A
//! checkpoint that fails is tried again at the next look: the catalog is the truth, so nothing waits for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::{Catalog, TableExport};
use gigapi_model::{CatalogId, TableId, Timestamp};
use gigapi_storage::Layers;

use crate::{Error, Result, checkpoint, write_checkpoints};

/// Tables whose states are written together.
const BATCH_TABLES_MAX: usize = 1_000;

/// Data files of the tables whose states are written together: about half a kilobyte each.
const BATCH_FILES_MAX: usize = 20_000;

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

/// States that are written together, to share disk syncs, and not too many at once, to bound memory.
#[derive(Default)]
pub(crate) struct Batch {
    exports: Vec<TableExport>,
    files: usize,
}

impl Batch {
    pub(crate) fn push(&mut self, export: TableExport) {
        self.files += export.files.len();
        self.exports.push(export);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.exports.len() >= BATCH_TABLES_MAX || self.files >= BATCH_FILES_MAX
    }

    /// What it holds; it is empty afterwards.
    pub(crate) fn take(&mut self) -> Vec<TableExport> {
        std::mem::take(self).exports
    }
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
    /// What cannot be written does not keep the rest from being written; the first error is answered.
    pub async fn pass(&mut self, all: bool) -> Result<usize> {
        let epochs = self.catalog.epochs().await?;
        if epochs.epoch != self.epoch {
            self.written = self.newest(epochs.epoch).await?;
            self.epoch = epochs.epoch;
        }
        let due = self.due_now(all).await?;
        let (mut failure, mut count) = (None, 0);
        let mut batch = Batch::default();
        for table in due {
            match self.catalog.export(table).await {
                Ok(export) => batch.push(export),
                Err(gigapi_catalog::Error::Dropped { .. }) => {}
                Err(error) => failure = failure.or(Some(error.into())),
            }
            if batch.is_full() {
                self.write(epochs.catalog, &mut batch, &mut count, &mut failure).await;
            }
        }
        self.write(epochs.catalog, &mut batch, &mut count, &mut failure).await;
        failure.map_or(Ok(count), Err)
    }

    /// Notes which tables changed, forgets those that are gone and answers which are due.
    async fn due_now(&mut self, all: bool) -> Result<Vec<TableId>> {
        let (now, tables) = (self.catalog.now().await?, self.catalog.live_tables().await?);
        let mut known = HashMap::with_capacity(tables.len());
        let mut tables_due = Vec::new();
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
                    tables_due.push(table.id);
                }
            }
            known.insert(table.id, written);
        }
        self.written = known;
        Ok(tables_due)
    }

    /// Writes what the batch holds and leaves it empty.
    async fn write(&mut self, catalog: CatalogId, batch: &mut Batch, count: &mut usize, failure: &mut Option<Error>) {
        let exports = batch.take();
        if exports.is_empty() {
            return;
        }
        match write_checkpoints(self.layers.first(), catalog, exports).await {
            Ok(names) => {
                *count += names.len();
                let written =
                    names.iter().map(|name| (name.table, Written { version: name.version, changed_at: None }));
                self.written.extend(written);
            }
            Err(error) => *failure = failure.take().or(Some(error)),
        }
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
