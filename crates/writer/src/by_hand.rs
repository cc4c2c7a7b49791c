//! A writer that is driven step by step, so that a test decides when rows are flushed and when a process dies.
//!
//! Nothing of it is in a server: there [`Writer::run`] does the flushing, and a process ends as a whole.

use crate::Writer;

impl Writer {
    /// One round of flushing: the oldest chunk of every table is committed, or stays where it is if something fails.
    pub async fn flush_once(&mut self) {
        self.flusher.round().await;
    }

    /// Ends as a process that is killed: nothing is flushed, and the log has what was acknowledged. When it returns,
    /// nothing touches the log any more.
    pub fn kill(self) {
        self.ingest.log.close();
    }
}
