//! What the catalog answered, and what follows from it.

use gigapi_catalog::{CommitOutcome, Error as CatalogError, Result as CatalogResult};
use gigapi_model::ErrorKind;
use gigapi_recovery::overtaking;
use tokio::time::Instant;

use super::super::encode::{Prepared, overwritten};
use super::{Flusher, watched};
use crate::crash::crash_point;
use crate::metrics::Stage;

/// Keys that one commit tells again. A commit that takes long to send loses to those of other writers, again and again.
pub(super) const KEYS_TOLD_MAX: usize = 1_000;

impl Flusher {
    /// Sends every uploaded interval to the catalog and does what the answers ask for.
    ///
    /// A commit counts once no rebuild is found to have taken a later epoch: such a rebuild may have looked at the layers
    /// before these files were there, and the catalog may be a copy from before it was closed. The files are on the
    /// layer already, so the question goes out beside the commit.
    pub(super) async fn commit(&mut self) -> Result<(), Stage> {
        let unanswered = std::mem::take(&mut self.unanswered);
        if unanswered.is_empty() {
            return Ok(());
        }
        crash_point("flush:before-commit");
        let started = Instant::now();
        let commits = unanswered.iter().map(|prepared| prepared.commit.clone()).collect();
        let epoch = self.parts.session.catalog_epoch;
        let (answers, overtaken) = tokio::join!(
            watched("the commit", self.parts.catalog.commit(commits)),
            watched("the layer's epochs", overtaking(&self.parts.layers, epoch))
        );
        self.parts.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        crash_point("flush:after-commit");
        let mut failed = None;
        let counts = matches!(overtaken, Ok(None));
        let mut is_open = false;
        for (prepared, answer) in unanswered.into_iter().zip(answers) {
            if tells_of_rows(&answer) && !(counts && prepared.commit.catalog_epoch == epoch) {
                self.unanswered.push(prepared);
                is_open = true;
                continue;
            }
            match answer {
                Ok(CommitOutcome::Committed { version }) => self.committed(&prepared, version),
                Ok(CommitOutcome::AlreadyCommitted { .. }) => self.parts.buffer.release(&prepared.frozen),
                Err(error) => {
                    if let Err(stage) = self.refused(prepared, &error) {
                        failed = Some(stage);
                    }
                }
            }
        }
        if is_open {
            self.leave_open(overtaken).await;
            failed = Some(Stage::Commit);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Commits were made, and whether they count is not known or will be decided by a rebuild.
    async fn leave_open(&mut self, overtaken: gigapi_recovery::Result<Option<u64>>) {
        let taken = match overtaken {
            Ok(taken) => taken,
            Err(error) => return self.report(Stage::Commit, &error),
        };
        self.report(Stage::Commit, &"a rebuild has taken a later epoch than the catalog's");
        if let Some(taken) = taken
            && let Err(error) = self.parts.catalog.overtaken(taken).await
        {
            tracing::warn!(%error, "the catalog could not be told of a rebuild");
        }
    }

    /// Sends what a rebuilt catalog has to be told again along with one of the commits, the newest first.
    pub(super) fn tell_keys(&mut self, prepared: &mut [Prepared]) {
        if self.untold.is_empty() || self.is_telling() {
            return;
        }
        if let Some(first) = prepared.first_mut() {
            let newest = &self.untold[self.untold.len().saturating_sub(KEYS_TOLD_MAX)..];
            first.commit.idempotency.extend_from_slice(newest);
            self.telling = Some((first.commit.id, newest.len()));
        }
    }

    /// Whether a commit that brings the keys has yet to be answered. One that did not change anything did not bring them.
    fn is_telling(&self) -> bool {
        self.telling.is_some_and(|(telling, _)| self.unanswered.iter().any(|prepared| prepared.commit.id == telling))
    }

    fn committed(&mut self, prepared: &Prepared, version: u64) {
        if let Some((_, told)) = self.telling.take_if(|(telling, _)| *telling == prepared.commit.id) {
            self.untold.truncate(self.untold.len() - told);
        }
        let metrics = &self.parts.metrics;
        metrics.rows_committed.inc_by(prepared.rows);
        metrics.rows_overwritten.inc_by(overwritten(prepared));
        metrics.bytes_committed.inc_by(prepared.bytes);
        metrics.files_committed.inc_by(prepared.commit.change.added.len() as u64);
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        if version > metrics.catalog_version.get() {
            metrics.catalog_version.set(version);
        }
        self.parts.buffer.release(&prepared.frozen);
        let buckets = prepared.commit.change.added.iter().map(|added| added.file.bucket);
        self.parts.publisher.changed(&prepared.table, buckets);
    }

    /// The catalog did not make the change.
    fn refused(&mut self, prepared: Prepared, error: &CatalogError) -> Result<(), Stage> {
        match error {
            CatalogError::PartlyCommitted { watermark, .. } => {
                self.waiting.extend(self.parts.buffer.recut(&prepared.frozen, *watermark));
                self.parts.flush_now.notify_one();
                return Ok(());
            }
            CatalogError::Dropped { .. } => {
                self.discard(&prepared.frozen);
                return Ok(());
            }
            CatalogError::Fenced { .. } => {
                tracing::error!(%error, "this writer stops");
                self.parts.fenced.send_replace(true);
            }
            // New ids or a new epoch: the files are made again, the old ones are left to the sweep.
            CatalogError::FileExists { .. } | CatalogError::FileTooOld { .. } | CatalogError::StaleEpoch { .. } => {
                tracing::info!(%error, "a flush is made again");
                self.waiting.push(prepared.frozen);
                self.parts.flush_now.notify_one();
                return Ok(());
            }
            CatalogError::UnknownTable { .. } => self.waiting.push(prepared.frozen),
            error if error.kind() == ErrorKind::Unavailable => self.unanswered.push(prepared),
            // A defect or damage: nothing that this process does makes it better, and the rows are safe.
            _ => self.unanswered.push(prepared),
        }
        self.report(Stage::Commit, error);
        Err(Stage::Commit)
    }
}

/// Whether the answer says that rows are in committed files.
fn tells_of_rows(answer: &CatalogResult<CommitOutcome>) -> bool {
    matches!(answer, Ok(_) | Err(CatalogError::PartlyCommitted { .. }))
}
