//! Threads for work that keeps a core busy, below everything else on the machine.
//!
//! Merging can wait where a write or a query cannot, so its threads run at a lower priority: on a busy machine the
//! system gives them what the others leave. Each piece of work has a thread of its own, since few run at once.

use tokio::sync::oneshot;

use crate::{Error, Result};

/// How much lower the priority is; 19 is the lowest.
const NICE: i32 = 10;

/// Runs `work` on such a thread.
pub(crate) async fn run<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("merge".to_owned()).spawn(move || {
        // Without the right to it the work is done all the same.
        let _ = rustix::process::setpriority_process(None, NICE);
        // Nobody waits for the result if the process is stopping.
        let _ = sender.send(work());
    });
    thread.map_err(|source| Error::Disk { what: format!("starting a thread for {operation}"), source })?;
    receiver.await.map_err(|_| Error::Interrupted { operation })
}
