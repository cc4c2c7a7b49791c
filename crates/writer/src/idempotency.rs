//! Requests that were answered, by their `Idempotency-Key`.
//!
//! A key is known from the moment its record is on the disk, never before: a crash in between would make
//! the retry of a lost request look like a repetition. A request that arrives while its key is still on
//! its way waits for that one. Keys are kept for ten minutes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gigapi_model::{Clock, IdempotencyRecord, TableId, Timestamp};
use tokio::sync::Notify;

/// How long a key is known.
const KEY_KEPT: Duration = Duration::from_secs(600);

/// The longest key that is taken.
pub const KEY_BYTES_MAX: usize = 64;

/// A bound on memory: beyond it the oldest keys go early.
const KEYS_MAX: usize = 1_000_000;

/// Where a request's rows are, as far as this process has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Their sequence in the log.
    pub(crate) sequence: u64,
    /// Their tables.
    pub(crate) tables: Box<[TableId]>,
}

/// A request that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) record: IdempotencyRecord,
    /// None where the catalog told of it: its rows are committed.
    pub(crate) stored: Option<Stored>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<String, Arc<Answered>>,
    by_age: VecDeque<(Timestamp, String)>,
    pending: HashSet<String>,
}

/// The keys that this writer knows.
#[derive(Debug)]
pub(crate) struct Keys {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    settled: Notify,
}

/// What is known about a key.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The request was answered before.
    Answered(Arc<Answered>),
    /// The request is new; the key is taken until the ticket is dropped.
    New(Ticket),
}

/// The right to answer a key; gives it back when dropped. It goes with the request's rows to whoever makes them durable:
/// a client that goes away does not take it along.
#[derive(Debug)]
pub(crate) struct Ticket {
    keys: Arc<Keys>,
    key: String,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.keys.lock().pending.remove(&self.key);
        self.keys.settled.notify_waiters();
    }
}

impl Keys {
    /// None known.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default(), settled: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks the key up, after the request that holds it right now has ended.
    pub(crate) async fn look_up(self: &Arc<Self>, key: &str) -> Lookup {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            {
                let mut state = self.lock();
                self.forget_old(&mut state);
                if let Some(answered) = state.known.get(key) {
                    return Lookup::Answered(Arc::clone(answered));
                }
                if state.pending.insert(key.to_owned()) {
                    return Lookup::New(Ticket { keys: Arc::clone(self), key: key.to_owned() });
                }
            }
            settled.await;
        }
    }

    /// The record is on the disk, or in the catalog.
    pub(crate) fn remember(&self, record: IdempotencyRecord, stored: Option<Stored>) {
        let mut state = self.lock();
        self.forget_old(&mut state);
        state.by_age.push_back((record.received_at, record.key.clone()));
        state.known.insert(record.key.clone(), Arc::new(Answered { record, stored }));
    }

    /// All that are known.
    pub(crate) fn all(&self) -> Vec<IdempotencyRecord> {
        let mut state = self.lock();
        self.forget_old(&mut state);
        state.known.values().map(|answered| answered.record.clone()).collect()
    }

    fn forget_old(&self, state: &mut State) {
        let now = self.clock.now();
        while let Some((at, _)) = state.by_age.front()
            && (now.since(*at) > KEY_KEPT || state.by_age.len() > KEYS_MAX)
        {
            if let Some((at, key)) = state.by_age.pop_front()
                && state.known.get(&key).is_some_and(|answered| answered.record.received_at == at)
            {
                state.known.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
