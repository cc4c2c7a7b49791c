//! A claim for as long as the work under it takes.
//!
//! It is renewed in the background; when it is lost, the work is told and ends. Whether the claim still holds is the
//! catalog's to judge when the work is committed: a process that slept through its lease can change nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gigapi_catalog::{Catalog, Claim, ClaimRequest};
use gigapi_model::{Actor, FileId, TableId};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Error, Result};

/// A claim is renewed this many times in the time of a lease.
const RENEWALS: u32 = 3;

/// A claim that is held.
#[derive(Debug)]
pub(crate) struct Lease {
    catalog: Arc<dyn Catalog>,
    table: TableId,
    claim: Claim,
    lost: Arc<AtomicBool>,
    /// Told once when it is lost.
    ended: Arc<Notify>,
    renewing: JoinHandle<()>,
}

impl Lease {
    /// Claims the files.
    pub(crate) async fn take(
        catalog: &Arc<dyn Catalog>,
        table: TableId,
        inputs: Vec<FileId>,
        lease: Duration,
    ) -> Result<Self> {
        let claim = catalog.claim(ClaimRequest { table, inputs, lease }).await?;
        let lost = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(Notify::new());
        let renewing = tokio::spawn({
            let (catalog, lost, ended) = (Arc::clone(catalog), Arc::clone(&lost), Arc::clone(&ended));
            async move {
                renew(catalog, table, claim, lease).await;
                lost.store(true, Ordering::Relaxed);
                ended.notify_one();
            }
        });
        Ok(Self { catalog: Arc::clone(catalog), table, claim, lost, ended, renewing })
    }

    /// Who commits.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Claim { claim: self.claim.id, token: self.claim.token }
    }

    /// Set once the claim is lost.
    pub(crate) fn lost(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lost)
    }

    /// Does work that may be dropped half-way, for as long as the claim holds: slow reads end with it.
    pub(crate) async fn while_held<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            () = self.ended.notified() => Err(Error::Cancelled),
        }
    }

    /// Gives the claim back; a commit has ended it already.
    pub(crate) async fn give_back(self) {
        self.renewing.abort();
        if let Err(error) = self.catalog.release(self.table, self.claim).await {
            tracing::debug!(%error, "a claim was not given back; it lapses");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
        self.lost.store(true, Ordering::Relaxed);
    }
}

/// Renews until the claim is lost.
async fn renew(catalog: Arc<dyn Catalog>, table: TableId, claim: Claim, lease: Duration) {
    let mut ends = Instant::now() + lease;
    loop {
        tokio::time::sleep(lease / RENEWALS).await;
        let asked = Instant::now();
        match catalog.renew(table, claim, lease).await {
            Ok(_) => ends = asked + lease,
            Err(error) if error.kind().is_transient() && Instant::now() < ends => {
                tracing::warn!(%error, "a claim could not be renewed, trying again");
            }
            Err(error) => {
                tracing::warn!(%error, "a claim is lost; its work ends");
                return;
            }
        }
    }
}
