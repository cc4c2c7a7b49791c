//! Small outputs of merges on their way to a folder of this machine: those that wait share their disk syncs.
//!
//! A thousand small tables are merged as often as large ones. One file costs a sync of itself and one of its folder;
//! many together cost two syncs of the file system. A file waits a moment for those that are being made, and whoever
//! comes while others are being written goes with the next round. Nothing is held up when it is alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gigapi_storage::{Layer, Result};
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex as AsyncMutex, Notify, oneshot};

/// Files of one round.
const ROUND_MAX: usize = 256;

/// A file waits no longer than this for others: nobody waits for a merge, but it holds a place among those under way.
const PATIENCE: Duration = Duration::from_millis(250);

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
    coming: Arc<Coming>,
    /// Held by whoever writes a round.
    writing: Arc<AsyncMutex<()>>,
}

/// Files that are being made.
#[derive(Debug, Default)]
struct Coming {
    count: AtomicUsize,
    /// Told when one of them waits, or will not come.
    fewer: Notify,
}

/// A file that will come, unless this is dropped.
#[derive(Debug)]
pub(crate) struct Expected(Arc<Coming>);

impl Drop for Expected {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.fewer.notify_waiters();
    }
}

impl std::fmt::Debug for SmallFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmallFiles").field("waiting", &self.waiting.lock().len()).finish_non_exhaustive()
    }
}

impl SmallFiles {
    /// Says that a small file will come soon; others that are done wait for it a moment.
    pub(crate) fn expect(&self) -> Expected {
        self.coming.count.fetch_add(1, Ordering::AcqRel);
        Expected(Arc::clone(&self.coming))
    }

    /// Stores the file durably under a name that no other file ever has.
    pub(crate) async fn put(
        &self,
        expected: Option<Expected>,
        layer: &Arc<Layer>,
        path: &Path,
        bytes: Bytes,
    ) -> Result<()> {
        let Some(local) = &layer.local else {
            return layer.upload(path, bytes).await.map(drop);
        };
        let (done, mut answer) = oneshot::channel();
        self.waiting.lock().push(Waiting { layer: Arc::clone(layer), path: path.clone(), bytes: bytes.clone(), done });
        drop(expected);
        let turn = async {
            self.all_wait().await;
            self.writing.lock().await
        };
        let _only = tokio::select! {
            biased;
            answer = &mut answer => match answer {
                // Somebody else has written it with theirs.
                Ok(()) => return Ok(()),
                Err(_) => return local.put_files(vec![(path.clone(), bytes)]).await,
            },
            only = turn => only,
        };
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

    /// Waits until no file is on its way that could go along, for as long as patience lasts.
    async fn all_wait(&self) {
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        loop {
            let fewer = self.coming.fewer.notified();
            if self.coming.count.load(Ordering::Acquire) == 0 || self.waiting.lock().len() >= ROUND_MAX {
                return;
            }
            tokio::select! {
                () = fewer => {}
                () = &mut patience => return,
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
