//! Stopping in order: stop accepting, drain, flush, close.
//!
//! Parts of a process register with a name and a phase and are waited for; whoever is late is named in the
//! log every few seconds. A phase begins only when everybody of the earlier ones is done, so that a flush
//! cannot miss a request that was still in flight. Nothing here kills anybody: parts bound their own phases.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

use crate::{Error, Result};

/// How often late parts are named.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// The steps of a shutdown, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Listeners close; background work takes on nothing new.
    StopAccepting,
    /// Requests in flight finish.
    Drain,
    /// What is in memory goes to files and is committed.
    Flush,
    /// Handles close.
    Close,
}

impl Phase {
    const ALL: [Self; 4] = [Self::StopAccepting, Self::Drain, Self::Flush, Self::Close];

    /// The phase in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StopAccepting => "stop accepting",
            Self::Drain => "drain",
            Self::Flush => "flush",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Default)]
struct Participants {
    next: u64,
    pending: BTreeMap<u64, (Phase, String)>,
}

#[derive(Debug)]
struct Shared {
    phase: watch::Sender<Option<Phase>>,
    participants: Mutex<Participants>,
    left: Notify,
}

/// The process's way to stop. Clones are handles to the same shutdown.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<Shared>);

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// Nothing is stopping yet.
    pub fn new() -> Self {
        let (phase, _) = watch::channel(None);
        Self(Arc::new(Shared { phase, participants: Mutex::default(), left: Notify::new() }))
    }

    /// Joins: the shutdown does not leave `phase` before the participant is dropped. Joining a phase that has
    /// passed delays nothing, but the participant's phase has begun all the same.
    #[must_use = "dropping the participant means that its part is done"]
    pub fn join(&self, phase: Phase, name: impl Into<String>) -> Participant {
        let mut participants = self.0.participants.lock();
        let id = participants.next;
        participants.next += 1;
        participants.pending.insert(id, (phase, name.into()));
        drop(participants);
        Participant { shutdown: self.clone(), phase, id }
    }

    /// Begins the shutdown; later calls do nothing. [`Self::run`] leads it through its phases.
    pub fn begin(&self) {
        self.enter(Phase::StopAccepting);
    }

    /// Whether the shutdown has begun.
    pub fn has_begun(&self) -> bool {
        self.0.phase.borrow().is_some()
    }

    /// Resolves once the shutdown has begun.
    pub async fn begun(&self) {
        self.reached(Phase::StopAccepting).await;
    }

    /// Resolves once `phase` or a later one has begun.
    pub async fn reached(&self, phase: Phase) {
        let mut current = self.0.phase.subscribe();
        // The sender lives in `self`, so the channel cannot close while this waits.
        let _ = current.wait_for(|now| now.is_some_and(|now| now >= phase)).await;
    }

    /// Waits for the beginning, then leads through all phases; returns when the last participant is done.
    pub async fn run(&self) {
        self.begun().await;
        for phase in Phase::ALL {
            self.enter(phase);
            tracing::info!(%phase, "shutting down");
            self.completed(phase).await;
        }
    }

    /// Who has not finished `phase` or an earlier one, by name.
    pub fn pending(&self, phase: Phase) -> Vec<String> {
        let participants = self.0.participants.lock();
        participants.pending.values().filter(|(of, _)| *of <= phase).map(|(_, name)| name.clone()).collect()
    }

    fn enter(&self, phase: Phase) {
        self.0.phase.send_if_modified(|now| {
            let forward = now.is_none_or(|now| now < phase);
            if forward {
                *now = Some(phase);
            }
            forward
        });
    }

    async fn completed(&self, phase: Phase) {
        loop {
            let left = self.0.left.notified();
            let late = self.pending(phase);
            if late.is_empty() {
                return;
            }
            if tokio::time::timeout(REPORT_INTERVAL, left).await.is_err() {
                tracing::warn!(%phase, waiting_for = late.join(", "), "shutdown waits");
            }
        }
    }
}

/// A part of the process that a shutdown waits for.
#[derive(Debug)]
pub struct Participant {
    shutdown: Shutdown,
    phase: Phase,
    id: u64,
}

impl Participant {
    /// Resolves when the participant's phase has begun; then finish and drop it.
    pub async fn called(&self) {
        self.shutdown.reached(self.phase).await;
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.shutdown.0.participants.lock().pending.remove(&self.id);
        self.shutdown.0.left.notify_waiters();
    }
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on these signals do not end the process by themselves.
    pub fn listen() -> Result<Self> {
        let terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        Ok(Self { terminate, interrupt })
    }

    /// The next signal's name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Begins `shutdown` at the first signal and returns the second one's name. The caller, which owns the
    /// process, then exits at once.
    pub async fn drive(mut self, shutdown: Shutdown) -> &'static str {
        let first = self.next().await;
        tracing::info!(signal = first, "stopping; a second signal ends the process at once");
        shutdown.begin();
        self.next().await
    }
}

#[cfg(test)]
mod tests;
