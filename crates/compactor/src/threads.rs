//! Threads for work that keeps a core busy, below everything else on the machine.
//!
//! Merging can wait where a write or a query cannot, so its threads run at a lower priority: on a busy machine the
//! system gives them what the others leave. They are few and stay, because memory that a thread has used returns to
//! the process late; work that comes while all are busy waits in line.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{Error, Result};

/// How much lower the priority is; 19 is the lowest.
const NICE: i32 = 10;

type Work = Box<dyn FnOnce() + Send>;

/// Some such threads; they end with it.
#[derive(Debug)]
pub(crate) struct Threads {
    line: mpsc::Sender<Work>,
}

impl Threads {
    pub(crate) fn start(count: usize) -> Result<Self> {
        let (line, next) = mpsc::channel::<Work>();
        let next = Arc::new(Mutex::new(next));
        for _ in 0..count.max(1) {
            let next = Arc::clone(&next);
            let thread = std::thread::Builder::new().name("merge".to_owned()).spawn(move || {
                // Without the right to it the work is done all the same.
                let _ = rustix::process::setpriority_process(None, NICE);
                loop {
                    let work = next.lock().recv();
                    let Ok(work) = work else { return };
                    // A defect ends the work, of which whoever waits for it hears, and not the thread.
                    let _ = catch_unwind(AssertUnwindSafe(work));
                }
            });
            thread.map_err(|source| Error::Disk { what: "starting a thread for merges".to_owned(), source })?;
        }
        Ok(Self { line })
    }

    /// Runs `work` when a thread is free.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let work = Box::new(move || {
            // Nobody waits for the result if the process is stopping.
            let _ = sender.send(work());
        });
        // Who cannot be put in line is not answered either.
        let _ = self.line.send(work);
        receiver.await.map_err(|_| Error::Interrupted { operation })
    }
}

#[cfg(test)]
mod tests;
