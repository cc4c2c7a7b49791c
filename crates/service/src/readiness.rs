//! Whether the process should get traffic, and if not, why.
//!
//! Each part that is not ready holds a [`Block`] with its reason; the process is ready while nobody holds
//! one. Dropping a block lifts it, so a part that fails on its way up cannot leave the process "ready".

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// One reason not to be ready.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reason {
    /// One word for the state: `starting`, `recovering`, `draining`, ….
    pub state: &'static str,
    /// What is being waited for, or what an operator has to do.
    pub message: String,
}

#[derive(Debug, Default)]
struct Blocks {
    next: u64,
    reasons: BTreeMap<u64, Reason>,
}

/// Shared by all parts of a process.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Blocks>>);

impl Readiness {
    /// Ready until somebody blocks it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the process not ready until the block is dropped.
    #[must_use = "dropping the block makes the process ready again"]
    pub fn block(&self, state: &'static str, message: impl Into<String>) -> Block {
        let mut blocks = self.0.lock();
        let id = blocks.next;
        blocks.next += 1;
        blocks.reasons.insert(id, Reason { state, message: message.into() });
        drop(blocks);
        Block { readiness: self.clone(), id }
    }

    /// Why the process is not ready, the longest-standing reason first; empty if it is.
    pub fn reasons(&self) -> Vec<Reason> {
        self.0.lock().reasons.values().cloned().collect()
    }

    /// Whether nobody blocks.
    pub fn is_ready(&self) -> bool {
        self.0.lock().reasons.is_empty()
    }
}

/// A reason not to be ready, for as long as it is held.
pub struct Block {
    readiness: Readiness,
    id: u64,
}

impl Block {
    /// Tells how it stands, for instance how far a replay has come.
    pub fn update(&self, message: impl Into<String>) {
        if let Some(reason) = self.readiness.0.lock().reasons.get_mut(&self.id) {
            reason.message = message.into();
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.readiness.0.lock().reasons.remove(&self.id);
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("id", &self.id).finish_non_exhaustive()
    }
}
