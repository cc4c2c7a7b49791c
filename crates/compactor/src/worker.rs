//! Does what was planned: merges, relocations and expiries, each under a claim and in one commit.
//!
//! Whoever loses a race leaves an orphan and never a duplicate: outputs get fresh ids, inputs are removed by the same
//! commit that adds the output, and no output is deleted here once its commit was sent.

mod commit;
mod expire;
mod inputs;
mod merge;
mod relocate;

use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::Catalog;
use gigapi_model::{DataFile, FileId, Ids, LayerName, TableDef, TimeRange};
use gigapi_recovery::{Quarantined, quarantine};
use gigapi_storage::{FileEncoders, Layers, Staging};
use tokio::sync::Semaphore;

use crate::policy::{Expiry, MergePlan, Move};
use crate::progress::UnderWay;
use crate::small_files::SmallFiles;
use crate::threads::Threads;
use crate::throttle::{Memory, Throttle};
use crate::{Error, Result};

/// A merge of so few bytes spends its time waiting for disks and the catalog.
const SMALL_BYTES_MAX: u64 = 1 << 20;

/// Jobs that fetch files at once: a thread each on a disk, some requests each elsewhere.
pub(crate) const FETCHES_AT_ONCE: usize = 8;

/// A job of more bytes takes long: others do not wait for it.
const LONG_BYTES: u64 = 256 << 20;

/// How much a job has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Next to nothing: many of these share what they wait for.
    Small,
    /// Seconds of work.
    Medium,
    /// Perhaps minutes.
    Long,
}

/// One thing to do.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// Files become one.
    Merge(MergePlan),
    /// Files go to another layer.
    Relocate(Vec<Move>),
    /// Files end.
    Expire(Vec<(Arc<DataFile>, Expiry)>),
}

impl Job {
    /// The files that it works on.
    pub(crate) fn inputs(&self) -> Vec<FileId> {
        match self {
            Self::Merge(plan) => plan.inputs.iter().map(|file| file.id).collect(),
            Self::Relocate(moves) => moves.iter().map(|moved| moved.file.id).collect(),
            Self::Expire(files) => files.iter().map(|(file, _)| file.id).collect(),
        }
    }

    pub(crate) fn size(&self) -> Size {
        let bytes = match self {
            Self::Merge(plan) => plan.bytes(),
            Self::Relocate(moves) => moves.iter().map(|moved| moved.file.bytes).sum(),
            Self::Expire(_) => 0,
        };
        match (self, bytes) {
            (_, bytes) if bytes > LONG_BYTES => Size::Long,
            (Self::Relocate(_), _) => Size::Medium,
            (_, bytes) if bytes > SMALL_BYTES_MAX => Size::Medium,
            _ => Size::Small,
        }
    }

    /// What it is called in logs and metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Merge(_) => "merge",
            Self::Relocate(_) => "relocate",
            Self::Expire(_) => "expire",
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Files that went.
    pub(crate) files_in: u64,
    /// Files that came.
    pub(crate) files_out: u64,
    pub(crate) rows: u64,
    /// Rows that later writes of the same key took the place of.
    pub(crate) overwritten: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// What workers share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) layers: Arc<Layers>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) staging: Arc<Staging>,
    pub(crate) encoders: Arc<FileEncoders>,
    pub(crate) memory: Memory,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) lease: Duration,
    /// Work that keeps a core busy.
    pub(crate) threads: Threads,
    /// Files that are fetched, by all jobs together.
    pub(crate) fetches: Semaphore,
    /// Small outputs on their way to the layer.
    pub(crate) small: SmallFiles,
    /// How far merges have come.
    pub(crate) under_way: UnderWay,
}

impl Worker {
    /// Does the job; `None` if the table has moved on since it was planned.
    pub(crate) async fn run(&self, table: &Arc<TableDef>, job: Job) -> Result<Option<Done>> {
        let outcome = match job {
            Job::Merge(plan) => self.merge(table, plan).await,
            Job::Relocate(moves) => self.relocate(table, moves).await,
            Job::Expire(files) => self.expire(table, files).await,
        };
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(Error::Catalog(error)) if is_overtaken(&error) => {
                tracing::debug!(table = %table.name, %error, "a plan was overtaken");
                Ok(None)
            }
            Err(Error::Damaged { file, layer, reason }) => {
                if !self.accuse(table, file, &layer, &reason).await? {
                    return Ok(None);
                }
                Err(Error::Damaged { file, layer, reason })
            }
            Err(error) => Err(error),
        }
    }

    /// Marks a file that cannot be used, so that everybody leaves it out; not if it was replaced meanwhile.
    async fn accuse(&self, table: &TableDef, file: FileId, layer: &LayerName, reason: &str) -> Result<bool> {
        let snapshot = match self.catalog.snapshot(table.id, TimeRange::ALL).await {
            Err(error) if is_overtaken(&error) => return Ok(false),
            other => other?,
        };
        let is_it = |live: &&Arc<DataFile>| live.id == file && live.layer == *layer;
        let Some(live) = snapshot.files.iter().find(is_it) else { return Ok(false) };
        let since = self.catalog.now().await?;
        quarantine(&self.layers, &Quarantined::new(table, live, reason.to_owned(), "compactor", since)).await?;
        Ok(true)
    }
}

/// Whether somebody else was faster, which is no failure.
fn is_overtaken(error: &gigapi_catalog::Error) -> bool {
    use gigapi_catalog::Error;
    matches!(
        error,
        Error::Claimed { .. }
            | Error::InputChanged { .. }
            | Error::ClaimLost
            | Error::Dropped { .. }
            | Error::StaleEpoch { .. }
    )
}

#[cfg(test)]
mod tests;
