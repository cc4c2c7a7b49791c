//! A claim for as long as the work under it takes.
//!
//! It is renewed in the background; when it is lost, the work is told and ends. Whether the claim still holds is the
//! catalog's to judge when the work is committed: a process that slept through its lease can change nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gigapi_catalog::{Catalog, Claim, ClaimRequest};
use gigapi_model::{Actor, FileId, TableId};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::Result;

/// A claim is renewed this many times in the time of a lease.
const RENEWALS: u32 = 3;

/// A claim that is held.
#[derive(Debug)]
pub(crate) struct Lease {
    catalog: Arc<dyn Catalog>,
    table: TableId,
    claim: Claim,
    lost: Arc<AtomicBool>,
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
        let renewing = tokio::spawn(renew(Arc::clone(catalog), table, claim, lease, Arc::clone(&lost)));
        Ok(Self { catalog: Arc::clone(catalog), table, claim, lost, renewing })
    }

    /// Who commits.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Claim { claim: self.claim.id, token: self.claim.token }
    }

    /// Set once the claim is lost.
    pub(crate) fn lost(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lost)
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

async fn renew(catalog: Arc<dyn Catalog>, table: TableId, claim: Claim, lease: Duration, lost: Arc<AtomicBool>) {
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
                lost.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
}
