//! How the catalog does, as operators see it: a gauge, and a reason not to be ready while a process starts.
//!
//! A process that is up stays ready whatever happens to the catalog: writers go on acknowledging into their log and
//! queriers answer from what they know. Taking them out of service would turn an outage of one part into one of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;

use crate::readiness::Block;
use crate::{Metrics, Readiness};

/// The states that the gauge knows.
const STATES: [&str; 3] = ["serving", "unreachable", "recovering"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// See the module.
#[derive(Debug)]
pub struct CatalogStatus {
    states: Family<StateLabel, Gauge>,
    readiness: Readiness,
    /// Held while the process starts and the catalog does not serve.
    starting: Mutex<Option<Block>>,
    is_up: AtomicBool,
}

impl CatalogStatus {
    /// A status of a process that starts.
    pub fn register(metrics: &Metrics, readiness: &Readiness) -> Arc<Self> {
        let states = Family::<StateLabel, Gauge>::default();
        metrics.register(|registry| {
            registry.register(
                "catalog_state",
                "1 for the state that the catalog is in, 0 for the others",
                states.clone(),
            );
        });
        let (readiness, starting, is_up) = (readiness.clone(), Mutex::default(), AtomicBool::new(false));
        let status = Arc::new(Self { states, readiness, starting, is_up });
        status.set("serving", "");
        status
    }

    /// Follows whoever watches the catalog, until that one ends.
    pub fn follow<H>(self: &Arc<Self>, mut health: watch::Receiver<H>, words: fn(&H) -> (&str, &str))
    where
        H: Clone + Send + Sync + 'static,
    {
        let status = Arc::clone(self);
        tokio::spawn(async move {
            while health.changed().await.is_ok() {
                let now = health.borrow_and_update().clone();
                let (state, reason) = words(&now);
                status.set(state, reason);
            }
        });
    }

    /// The catalog is in that state, for that reason.
    pub fn set(&self, state: &str, reason: &str) {
        for known in STATES {
            self.states.get_or_create(&StateLabel { state: known }).set(i64::from(known == state));
        }
        let is_up = self.is_up.load(Ordering::Relaxed);
        let mut starting = self.starting.lock();
        *starting = match (state == "serving" || is_up, starting.take()) {
            (true, _) => None,
            (false, Some(block)) => {
                block.update(reason);
                Some(block)
            }
            (false, None) => Some(self.readiness.block("recovering", reason)),
        };
    }

    /// The process is up: from here on the catalog does not decide whether it is ready.
    pub fn up(&self) {
        self.is_up.store(true, Ordering::Relaxed);
        self.starting.lock().take();
    }
}
