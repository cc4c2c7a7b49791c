//! Threads for work that keeps a core busy, below everything else on the machine.
//!
//! Merging can wait where a write or a query cannot, so its threads run at a lower priority: on a busy machine the
//! system gives them what the others leave. They are few and stay, because memory that a thread has used returns to
//! the process late; work that comes while all are busy waits in line. Long work gives way now and then to short work
//! that waits, so that a merge of gigabytes does not hold up those of a second.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::{Error, Result};

/// How much lower the priority is; 19 is the lowest.
const NICE: i32 = 10;

/// Short works that long work lets pass each time: neither keeps the other from coming to its end.
const LET_PASS_MAX: usize = 8;

type Work = Box<dyn FnOnce() + Send>;

/// How long work takes, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Seconds at most.
    Short,
    /// Perhaps minutes.
    Long,
}

#[derive(Default)]
struct Waiting {
    short: VecDeque<Work>,
    long: VecDeque<Work>,
    long_running: usize,
    is_over: bool,
}

#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

/// Some such threads; they end with it.
pub(crate) struct Threads {
    line: Arc<Line>,
}

/// Work on its thread.
pub(crate) struct Turn {
    line: Arc<Line>,
    length: Length,
}

impl Turn {
    /// Lets short work go first that waits, if this is long.
    pub(crate) fn give_way(&self) {
        if self.length == Length::Short {
            return;
        }
        for _ in 0..LET_PASS_MAX {
            let Some(work) = self.line.waiting.lock().short.pop_front() else { return };
            done(work);
        }
    }
}

impl Line {
    fn put(&self, work: Work, length: Length) {
        let mut waiting = self.waiting.lock();
        match length {
            Length::Short => waiting.short.push_back(work),
            Length::Long => waiting.long.push_back(work),
        }
        self.more.notify_one();
    }

    /// Work to do now; none if all is over.
    fn next(&self) -> Option<(Work, Length)> {
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.is_over {
                return None;
            }
            if waiting.long_running == 0
                && let Some(work) = waiting.long.pop_front()
            {
                waiting.long_running += 1;
                return Some((work, Length::Long));
            }
            if let Some(work) = waiting.short.pop_front() {
                return Some((work, Length::Short));
            }
            if let Some(work) = waiting.long.pop_front() {
                waiting.long_running += 1;
                return Some((work, Length::Long));
            }
            self.more.wait(&mut waiting);
        }
    }

    fn work(&self) {
        // Without the right to it the work is done all the same.
        let _ = rustix::process::setpriority_process(None, NICE);
        while let Some((work, length)) = self.next() {
            done(work);
            if length == Length::Long {
                self.waiting.lock().long_running -= 1;
            }
        }
    }
}

/// A defect ends the work, of which whoever waits for it hears, and not the thread.
fn done(work: Work) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

impl Threads {
    pub(crate) fn start(count: usize) -> Result<Self> {
        let this = Self { line: Arc::default() };
        for _ in 0..count.max(1) {
            let line = Arc::clone(&this.line);
            let thread = std::thread::Builder::new().name("merge".to_owned()).spawn(move || line.work());
            thread.map_err(|source| Error::Disk { what: "starting a thread for merges".to_owned(), source })?;
        }
        Ok(this)
    }

    /// Runs `work` when a thread is free.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        length: Length,
        work: impl FnOnce(&Turn) -> T + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let turn = Turn { line: Arc::clone(&self.line), length };
        let work = Box::new(move || {
            // Nobody waits for the result if the process is stopping.
            let _ = sender.send(work(&turn));
        });
        self.line.put(work, length);
        receiver.await.map_err(|_| Error::Interrupted { operation })
    }
}

/// What still waits is given up.
impl Drop for Threads {
    fn drop(&mut self) {
        let mut waiting = self.line.waiting.lock();
        waiting.is_over = true;
        let left = (std::mem::take(&mut waiting.short), std::mem::take(&mut waiting.long));
        drop(waiting);
        drop(left);
        self.line.more.notify_all();
    }
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.line.waiting.lock();
        f.debug_struct("Threads")
            .field("short", &waiting.short.len())
            .field("long", &waiting.long.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
