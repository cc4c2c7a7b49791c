//! Sending a change to the catalog until it has answered.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gigapi_catalog::{CommitOutcome, Epochs};
use gigapi_model::{Change, Commit, CommitId, TableId};

use super::Worker;
use crate::lease::Lease;
use crate::{Error, Result};

/// Between two attempts of one commit.
const AGAIN: Duration = Duration::from_millis(500);

impl Worker {
    /// Commits the change; a lost answer is asked for again under the same id for as long as the claim may hold.
    pub(super) async fn commit(&self, table: TableId, epochs: Epochs, lease: &Lease, change: Change) -> Result<()> {
        let commit = Commit {
            table,
            catalog_epoch: epochs.epoch,
            id: CommitId::from_uuid(self.ids.random()),
            actor: lease.actor(),
            change,
            idempotency: Vec::new(),
        };
        let lost = lease.lost();
        loop {
            let answer = self.catalog.commit(vec![commit.clone()]).await.pop();
            match answer {
                Some(Ok(CommitOutcome::Committed { .. })) => return Ok(()),
                Some(Ok(CommitOutcome::AlreadyCommitted { .. })) | None => {
                    return Err(Error::Check { reason: "the catalog gave no answer to a claim's commit".to_owned() });
                }
                Some(Err(error)) if error.kind().is_transient() && !lost.load(Ordering::Relaxed) => {
                    tracing::warn!(%error, "a commit was not answered, asking again");
                    tokio::time::sleep(AGAIN).await;
                }
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }
}
