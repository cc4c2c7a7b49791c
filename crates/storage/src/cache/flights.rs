//! One request for all who want the same thing at the same time.
//!
//! Whoever claims a key first gets a ticket and has to land it; others get the flight and wait. A ticket that is
//! dropped ends its flight with an error, so nobody waits for ever. What a flight brings must be findable elsewhere before its ticket lands,
//! because from then on the next claim flies again.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use hashbrown::HashMap;
use object_store::Error;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::store::NAME;

pub(super) type Outcome<V> = Result<V, Failure>;

/// A result that many wait for.
pub(super) type Flight<V> = Shared<BoxFuture<'static, Outcome<V>>>;

/// A flight, and the ticket for it if nobody else has it.
pub(super) type Claim<K, V> = (Flight<V>, Option<Ticket<K, V>>);

/// Everything under way.
pub(super) struct Flights<K, V>(Mutex<HashMap<K, Flight<V>>>);

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone + Send + Sync + 'static> Flights<K, V> {
    /// Joins the flight of this key, or starts it: then there is a ticket too.
    pub(super) fn claim(self: &Arc<Self>, key: K) -> Claim<K, V> {
        let mut under_way = self.0.lock();
        if let Some(flight) = under_way.get(&key) {
            return (flight.clone(), None);
        }
        let (landing, landed) = oneshot::channel::<Outcome<V>>();
        let flight = landed.map(|landed| landed.unwrap_or_else(|_| Err(Failure::interrupted()))).boxed().shared();
        under_way.insert(key.clone(), flight.clone());
        (flight, Some(Ticket { key, landing: Some(landing), flights: Arc::clone(self) }))
    }
}

#[cfg(test)]
impl<K, V> Flights<K, V> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// The duty to bring what a flight is for.
pub(super) struct Ticket<K: Eq + Hash, V> {
    pub(super) key: K,
    landing: Option<oneshot::Sender<Outcome<V>>>,
    flights: Arc<Flights<K, V>>,
}

impl<K: Eq + Hash, V> Ticket<K, V> {
    pub(super) fn land(mut self, outcome: Outcome<V>) {
        if let Some(landing) = self.landing.take() {
            // Those who waited may have gone.
            let _ = landing.send(outcome);
        }
    }
}

impl<K: Eq + Hash, V> Drop for Ticket<K, V> {
    fn drop(&mut self) {
        self.flights.0.lock().remove(&self.key);
    }
}

/// An error that many get.
#[derive(Debug, Clone)]
pub(super) struct Failure(Arc<Error>);

impl Failure {
    fn interrupted() -> Self {
        Error::Generic { store: NAME, source: "the request was given up".into() }.into()
    }

    /// The error for one of them, of the same kind.
    pub(super) fn error(&self) -> Error {
        let source = Box::new(self.clone());
        match self.0.as_ref() {
            Error::NotFound { path, .. } => Error::NotFound { path: path.clone(), source },
            Error::PermissionDenied { path, .. } => Error::PermissionDenied { path: path.clone(), source },
            Error::Unauthenticated { path, .. } => Error::Unauthenticated { path: path.clone(), source },
            Error::Generic { store, .. } => Error::Generic { store, source },
            _ => Error::Generic { store: NAME, source },
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for Failure {
    /// What lies behind the error: whoever wraps it again says the rest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::error::Error::source(self.0.as_ref()) {
            Some(source) => fmt::Display::fmt(source, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self.0.as_ref()).and_then(std::error::Error::source)
    }
}
