//! Small outputs of merges on their way to a folder of this machine: those that wait share their disk syncs.
//!
//! A thousand small tables are merged as often as large ones. One file costs a sync of itself and one of its folder;
//! many together cost two syncs of the file system. Whoever comes while others are being written waits for them and
//! goes with the next round, so nothing is held up when it is alone.

use std::sync::Arc;

use bytes::Bytes;
use gigapi_storage::{Layer, Result};
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

/// Files of one round.
const ROUND_MAX: usize = 256;

struct Waiting {
    layer: Arc<Layer>,
    path: Path,
    bytes: Bytes,
    done: oneshot::Sender<()>,
}

/// Writes small files; clones share their rounds.
#[derive(Clone, Default)]
pub(crate) struct SmallFiles {
    waiting: Arc<Mutex<Vec<Waiting>>>,
    /// Held by whoever writes a round.
    writing: Arc<AsyncMutex<()>>,
}

impl std::fmt::Debug for SmallFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmallFiles").field("waiting", &self.waiting.lock().len()).finish_non_exhaustive()
    }
}

impl SmallFiles {
    /// Stores the file durably under a name that no other file ever has.
    pub(crate) async fn put(&self, layer: &Arc<Layer>, path: &Path, bytes: Bytes) -> Result<()> {
        if layer.local.is_none() {
            return layer.upload(path, bytes).await.map(drop);
        }
        let (done, mut answer) = oneshot::channel();
        self.waiting.lock().push(Waiting { layer: Arc::clone(layer), path: path.clone(), bytes: bytes.clone(), done });
        let _only = tokio::select! {
            biased;
            // Somebody else has written it with theirs.
            Ok(()) = &mut answer => return Ok(()),
            only = self.writing.lock() => only,
        };
        let Some(local) = &layer.local else { return Ok(()) };
        loop {
            match answer.try_recv() {
                Ok(()) => return Ok(()),
                // A round that failed has taken it along: it tells by itself what is wrong.
                Err(TryRecvError::Closed) => return local.put_files(vec![(path.clone(), bytes)]).await,
                Err(TryRecvError::Empty) => {
                    let round = self.round(layer);
                    let files = round.iter().map(|file| (file.path.clone(), file.bytes.clone())).collect();
                    if local.put_files(files).await.is_ok() {
                        for file in round {
                            // Who has gone away meanwhile leaves an orphan.
                            let _ = file.done.send(());
                        }
                    }
                }
            }
        }
    }

    /// What has waited longest for that layer.
    fn round(&self, layer: &Arc<Layer>) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock();
        let mut round = Vec::new();
        let mut rest = Vec::new();
        for file in waiting.drain(..) {
            if round.len() < ROUND_MAX && file.layer.name == layer.name { round.push(file) } else { rest.push(file) }
        }
        *waiting = rest;
        round
    }
}

#[cfg(test)]
mod tests;
