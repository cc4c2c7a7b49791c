//! Watches the catalog while a process runs, and rebuilds it when it was lost.
//!
//! A process that may write to the layers rebuilds; one that only reads waits for the others. Whoever finds a rebuild
//! going on waits too, and takes it over when nothing is heard of it any more. A catalog that cannot be reached is no
//! lost one: nothing is done about it. A drop that somebody began and did not commit is finished at the start. Nor about another catalog in its place, which is an operator's mistake.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gigapi_catalog::{Catalog, Epochs, Standing};
use gigapi_storage::Layers;
use tokio::sync::watch;

use crate::{Condition, Error, Result, condition, finish_drops, rebuild};

/// How often the catalog is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// A rebuild of which nothing was heard for this long is taken over.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// How the catalog does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It serves.
    Serving,
    /// It cannot be reached: rows are taken into the log, queries see what was known last.
    Unreachable {
        /// What its store said.
        reason: String,
    },
    /// It was lost and is being rebuilt, or waits for somebody who does it.
    Recovering {
        /// What is the matter.
        reason: String,
    },
}

impl Health {
    /// The state in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Unreachable { .. } => "unreachable",
            Self::Recovering { .. } => "recovering",
        }
    }

    /// What is the matter; empty if nothing is.
    pub fn reason(&self) -> &str {
        match self {
            Self::Serving => "",
            Self::Unreachable { reason } | Self::Recovering { reason } => reason,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Guardian {
    catalog: Arc<dyn Catalog>,
    layers: Arc<Layers>,
    rebuilds: bool,
    health: watch::Sender<Health>,
    /// Why this process could not rebuild it when it tried last.
    failure: Mutex<Option<String>>,
}

impl Guardian {
    /// A guardian that rebuilds if this process may.
    pub fn new(catalog: Arc<dyn Catalog>, layers: Arc<Layers>, rebuilds: bool) -> Self {
        Self { catalog, layers, rebuilds, health: watch::Sender::new(Health::Serving), failure: Mutex::default() }
    }

    /// How the catalog does, as it changes.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Makes sure that there is a catalog that serves: founds it over new layers, rebuilds a lost one, waits for others
    /// who do, and for a store that goes away meanwhile. Ends when it serves, and answers who it is.
    pub async fn settle(&self) -> Result<Epochs> {
        loop {
            let settled = match self.try_settle().await {
                Ok(()) => self.catalog.epochs().await.map_err(Error::from),
                Err(error) => Err(error),
            };
            match settled {
                Err(Error::Catalog(error)) if error.kind().is_transient() => {
                    self.tell(Health::Unreachable { reason: error.to_string() });
                    tokio::time::sleep(INTERVAL).await;
                }
                settled => return settled,
            }
        }
    }

    async fn try_settle(&self) -> Result<()> {
        loop {
            match condition(self.catalog.as_ref(), &self.layers).await? {
                Condition::Fresh if self.rebuilds => {
                    self.catalog.found().await?;
                }
                Condition::Fresh if self.is_unfounded().await? => {
                    self.wait("no writer has founded it yet".to_owned()).await
                }
                Condition::Fresh | Condition::Healthy => {
                    if self.rebuilds {
                        finish_drops(self.catalog.as_ref(), &self.layers).await?;
                    }
                    self.tell(Health::Serving);
                    return Ok(());
                }
                Condition::Rebuilding { silent } if silent < SILENCE_MAX || !self.rebuilds => {
                    let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    self.wait(failure.unwrap_or_else(|| "another process rebuilds it".to_owned())).await;
                }
                lost if self.rebuilds => {
                    self.rebuild(reason(&lost)).await?;
                }
                _ => self.wait("it was lost; a writer rebuilds it".to_owned()).await,
            }
            if self.rebuilds && matches!(self.catalog.standing().await?, Standing::Serving(_)) {
                self.tell(Health::Serving);
                return Ok(());
            }
        }
    }

    async fn is_unfounded(&self) -> Result<bool> {
        Ok(self.catalog.standing().await? == Standing::Unfounded)
    }

    async fn wait(&self, reason: String) {
        self.tell(Health::Recovering { reason });
        tokio::time::sleep(INTERVAL).await;
    }

    /// Rebuilds the catalog, unless another process was first or is about to be, which is waited for; tells which.
    pub async fn rebuild(&self, reason: String) -> Result<bool> {
        tracing::warn!(reason, "the catalog is rebuilt from checkpoints and data files");
        self.tell(Health::Recovering { reason });
        let report = match rebuild(self.catalog.as_ref(), &self.layers).await {
            Err(Error::Catalog(gigapi_catalog::Error::Superseded { .. })) => {
                self.wait("another process rebuilds it".to_owned()).await;
                return Ok(false);
            }
            Err(error) => {
                // Until it is tried again, this is what is the matter.
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                return Err(error);
            }
            Ok(report) => report,
        };
        tracing::warn!(
            tables = report.tables,
            files = report.files,
            rows = report.rows,
            orphans = report.orphans,
            foreign = report.foreign,
            epoch = report.epoch,
            "the catalog is rebuilt"
        );
        Ok(true)
    }

    /// Watches until `shutdown` resolves.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut failing = false;
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            let looked = tokio::select! {
                () = &mut shutdown => return,
                looked = self.look() => looked,
            };
            match looked {
                Ok(()) => failing = false,
                Err(error) => {
                    self.tell(Health::Recovering { reason: error.to_string() });
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "the catalog cannot be rebuilt; trying again");
                    }
                }
            }
        }
    }

    async fn look(&self) -> Result<()> {
        match self.catalog.standing().await {
            Ok(Standing::Serving(_)) => {
                self.tell(Health::Serving);
                Ok(())
            }
            Ok(Standing::Foreign { found }) => {
                let reason = format!("another catalog, {found}, is in its place; correct GIGAPI_METADATA_URL");
                self.tell(Health::Recovering { reason });
                Ok(())
            }
            Ok(_) => self.settle().await.map(drop),
            Err(error) if error.kind().is_transient() => {
                self.tell(Health::Unreachable { reason: error.to_string() });
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn tell(&self, health: Health) {
        if health == Health::Serving {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.health.send_if_modified(|known| {
            let is_new = *known != health;
            if is_new {
                match &health {
                    Health::Serving => tracing::info!("the catalog serves again"),
                    Health::Unreachable { reason } => {
                        tracing::warn!(reason, "the catalog cannot be reached; rows wait in the log");
                    }
                    Health::Recovering { reason } => tracing::warn!(reason, "the catalog is recovering"),
                }
                *known = health;
            }
            is_new
        });
    }
}

fn reason(lost: &Condition) -> String {
    match lost {
        Condition::RolledBack(evidence) => evidence.to_string(),
        Condition::Rebuilding { .. } => "nothing is heard of the process that rebuilt it".to_owned(),
        _ => "it is gone".to_owned(),
    }
}

#[cfg(test)]
mod tests;
